"""Print targets as they arrive."""

import sys

from molmo_point_ros.clients.subscriber import main

if __name__ == "__main__":
    sys.exit(main())
