"""Curation: faults with reasons, likeness, labels, and the selection that they decide."""
