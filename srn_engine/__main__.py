"""`python -m srn_engine` is `srn-engine`."""

import sys

from srn_engine.cli import main

sys.exit(main())
