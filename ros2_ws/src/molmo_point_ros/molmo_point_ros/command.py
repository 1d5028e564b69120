"""Send a command to the arm."""

import sys

from molmo_point_ros.program import CLIENT_SIGNALS, run_program


def main() -> int:
    """Run the program; see `clients.command_client.main`."""
    return run_program("clients.command_client", CLIENT_SIGNALS)


if __name__ == "__main__":
    sys.exit(main())
