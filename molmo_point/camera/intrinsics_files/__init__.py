"""Intrinsics in the layouts of other programs, told by their content; docs/cameras.md lists them."""
