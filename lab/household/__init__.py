"""Household worlds: meshes, arrangements, and rendered stages."""
