"""How fast answers come: against the plain way, a naive reference, a peer and the machine's own limits."""
