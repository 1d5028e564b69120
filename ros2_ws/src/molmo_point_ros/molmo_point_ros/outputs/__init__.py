"""Messages and recordings that go out."""
