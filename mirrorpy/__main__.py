"""`python -m mirrorpy`: the same program as the command `mirrorpy`."""

import gc
import sys

from mirrorpy.cli import main

SELDOM = 50_000
"""Objects after which Python looks for garbage: imports alone make 40,000, none of it garbage."""


def run() -> None:
    """Run the command line, and exit with its status."""
    gc.set_threshold(SELDOM)
    status = main()
    # What is left goes with the process; to look through it takes longer than a run that finds nothing new may.
    gc.freeze()
    sys.exit(status)


if __name__ == "__main__":
    run()
