"""``python -m numdiff`` is the command ``numdiff``."""

from __future__ import annotations

import sys

from numdiff.cli import main

if __name__ == "__main__":
    sys.exit(main())
