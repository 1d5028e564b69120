"""Run the calibration capture node."""

import sys

from molmo_point_ros.nodes.calibration_node import main

if __name__ == "__main__":
    sys.exit(main())
