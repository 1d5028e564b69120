"""Record topics to a bag."""

import sys

from molmo_point_ros.outputs.topic_recorder import main

if __name__ == "__main__":
    sys.exit(main())
