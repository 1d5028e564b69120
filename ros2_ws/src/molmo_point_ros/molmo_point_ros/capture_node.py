"""Run the calibration capture node."""

import sys

from molmo_point_ros.program import NODE_SIGNALS, run_program


def main() -> int:
    """Run the program; see `nodes.calibration_node.main`."""
    return run_program("nodes.calibration_node", NODE_SIGNALS)


if __name__ == "__main__":
    sys.exit(main())
