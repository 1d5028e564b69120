"""Send a pointing goal."""

import sys

from molmo_point_ros.clients.point_client import main

if __name__ == "__main__":
    sys.exit(main())
