"""`python -m molmo_point.cli` does what `molmo-point` does."""

import sys

from molmo_point.cli.command_line import main

sys.exit(main())
