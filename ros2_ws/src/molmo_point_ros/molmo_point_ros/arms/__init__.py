"""Arms behind the picking node."""
