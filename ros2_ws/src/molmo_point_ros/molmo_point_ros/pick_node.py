"""Run the picking node."""

import sys

from molmo_point_ros.program import NODE_SIGNALS, run_program


def main() -> int:
    """Run the program; see `nodes.picking_node.main`."""
    return run_program("nodes.picking_node", NODE_SIGNALS)


if __name__ == "__main__":
    sys.exit(main())
