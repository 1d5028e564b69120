"""Statistics of real and simulated depth images, by the same code."""
