"""Run the camera node."""

import sys

from molmo_point_ros.nodes.camera_publisher import main

if __name__ == "__main__":
    sys.exit(main())
