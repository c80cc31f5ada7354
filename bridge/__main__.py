"""`python -m bridge` is the command `s2s-bridge`."""

import sys

from bridge.cli import main

if __name__ == "__main__":
    sys.exit(main())
