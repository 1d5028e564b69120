"""Run the pointing node."""

import sys

from molmo_point_ros.nodes.pointing_node import main

if __name__ == "__main__":
    sys.exit(main())
