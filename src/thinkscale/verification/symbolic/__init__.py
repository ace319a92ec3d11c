"""Symbolic equality (tier 2): what the rules leave undecided, settled in a killable worker."""
