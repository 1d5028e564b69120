"""Random tabletops of plain colored solids."""
