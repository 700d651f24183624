"""`python -m mirrorpy`: the same program as the command `mirrorpy`."""

import sys

from mirrorpy.cli import main


def run() -> None:
    """Run the command line, and exit with its status."""
    sys.exit(main())


if __name__ == "__main__":
    run()
