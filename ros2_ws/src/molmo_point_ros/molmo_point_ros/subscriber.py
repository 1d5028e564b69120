"""Print targets as they arrive."""

import sys

from molmo_point_ros.program import CLIENT_SIGNALS, run_program


def main() -> int:
    """Run the program; see `clients.target_printer.main`."""
    return run_program("clients.target_printer", CLIENT_SIGNALS)


if __name__ == "__main__":
    sys.exit(main())
