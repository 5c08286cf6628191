"""Stands in for `srn-engine serve`, with work that only counts, until the command is there."""

import sys

from srn_engine.tests.server_jobs import main

if __name__ == "__main__":
    sys.argv = [arg for arg in sys.argv if arg != "serve"]
    main()
