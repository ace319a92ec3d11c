"""Mathematics by rules (tier 1): spelling, shape, exact value, proof or refutation. comparison.py is the door."""
