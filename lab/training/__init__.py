"""Training of the embedded model and of users' own data."""
