"""Clients of the actions and services."""
