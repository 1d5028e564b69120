"""Run the camera node."""

import sys

from molmo_point_ros.program import NODE_SIGNALS, run_program


def main() -> int:
    """Run the program; see `nodes.camera_publisher.main`."""
    return run_program("nodes.camera_publisher", NODE_SIGNALS)


if __name__ == "__main__":
    sys.exit(main())
