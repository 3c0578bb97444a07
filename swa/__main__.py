"""``python -m swa``."""

import sys

from swa.cli import main

sys.exit(main())
