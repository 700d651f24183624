"""mirrorpy while everything happens at once; `pytest -rP tests/load` shows the figures.

Each test lasts 8 seconds, with MIRRORPY_SLOW=1 a minute, with MIRRORPY_SOAK_SECONDS=N so many; longer where this
machine is too slow for what has to happen meanwhile.
"""

import os

SECONDS = float(os.environ.get("MIRRORPY_SOAK_SECONDS") or (60 if os.environ.get("MIRRORPY_SLOW") == "1" else 8))
MORE_SECONDS = 60
"""At most, until everything has happened that is to be tried."""
