"""Sections: one function each, from data and figures to blocks, or None where there is nothing to say."""
