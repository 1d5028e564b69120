"""Words in, pixels out: the pointing text of the Molmo family."""
