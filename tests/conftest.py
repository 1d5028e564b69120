"""Settings that every test shares."""

from hypothesis import settings

# The same examples in every run, and no time limit per example: both would fail by chance on a busy machine.
settings.register_profile("molmo_point", derandomize=True, deadline=None)
settings.load_profile("molmo_point")
