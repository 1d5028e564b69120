"""Send a command to the arm."""

import sys

from molmo_point_ros.clients.command_client import main

if __name__ == "__main__":
    sys.exit(main())
