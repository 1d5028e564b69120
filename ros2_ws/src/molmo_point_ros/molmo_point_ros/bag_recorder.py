"""Record topics to a bag."""

import sys

from molmo_point_ros.program import NODE_SIGNALS, run_program


def main() -> int:
    """Run the program; see `outputs.topic_recorder.main`."""
    return run_program("outputs.topic_recorder", NODE_SIGNALS)


if __name__ == "__main__":
    sys.exit(main())
