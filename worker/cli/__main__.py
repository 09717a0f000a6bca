"""``python -m worker.cli`` is the same as ``tagline``."""

import sys

from worker.cli import main

if __name__ == "__main__":
    sys.exit(main())
