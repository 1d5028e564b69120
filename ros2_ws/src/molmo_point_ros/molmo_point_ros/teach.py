"""Teach an object."""

import sys

from molmo_point_ros.program import CLIENT_SIGNALS, run_program


def main() -> int:
    """Run the program; see `clients.teach_client.main`."""
    return run_program("clients.teach_client", CLIENT_SIGNALS)


if __name__ == "__main__":
    sys.exit(main())
