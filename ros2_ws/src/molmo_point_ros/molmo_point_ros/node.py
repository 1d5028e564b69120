"""Run the pointing node."""

import sys

from molmo_point_ros.program import NODE_SIGNALS, run_program


def main() -> int:
    """Run the program; see `nodes.pointing_node.main`."""
    return run_program("nodes.pointing_node", NODE_SIGNALS)


if __name__ == "__main__":
    sys.exit(main())
