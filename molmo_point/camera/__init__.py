"""Where frames come from: RealSense, recordings, files, and a simulated depth camera."""
