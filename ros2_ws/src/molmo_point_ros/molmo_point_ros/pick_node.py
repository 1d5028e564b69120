"""Run the picking node."""

import sys

from molmo_point_ros.nodes.picking_node import main

if __name__ == "__main__":
    sys.exit(main())
