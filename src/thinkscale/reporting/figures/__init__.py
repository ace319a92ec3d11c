"""Figures: one function each, from report data to a specification, or None where there is nothing to draw."""
