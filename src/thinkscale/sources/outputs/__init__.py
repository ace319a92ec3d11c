"""Result files of others and of our own runs, read as rows that can be graded."""

from thinkscale.sources.outputs.recognition import Shape, read_outputs, recognise

__all__ = ["Shape", "read_outputs", "recognise"]
