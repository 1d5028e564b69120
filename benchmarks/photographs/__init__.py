"""Models on real photographs that packages ship."""
