"""The `Teach` action, and the services that list and forget taught objects."""
