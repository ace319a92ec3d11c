"""A run's report: from data to figures, Markdown and one HTML file. Importing this draws nothing."""

from thinkscale.reporting.data import Piece, ReportData, Sample, StageFlow, SweepSaving
from thinkscale.reporting.writing import write_report

__all__ = ["Piece", "ReportData", "Sample", "StageFlow", "SweepSaving", "write_report"]
