"""thinkscale: distil reasoning into a small model, and measure what its thinking buys."""

__version__ = "0.1.0"
