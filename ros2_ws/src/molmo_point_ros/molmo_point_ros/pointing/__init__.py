"""Goals and services that point, and the continuous mode."""
