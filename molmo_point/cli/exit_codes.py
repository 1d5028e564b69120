"""Exit codes of the `molmo-point` command."""

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_NOTHING_FOUND = 3
EXIT_NOT_PASSED = 4
"""A calibration was computed, but is beyond the tolerance."""
EXIT_NOT_TRAINED = 5
"""The model was not trained for questions of this kind."""
EXIT_INTERRUPTED = 130
