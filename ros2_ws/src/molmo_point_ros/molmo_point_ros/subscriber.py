"""Print targets as they arrive."""

import sys

from molmo_point_ros.clients.target_printer import main

if __name__ == "__main__":
    sys.exit(main())
