"""Pointing syntaxes of model families: how to ask and how to read."""
