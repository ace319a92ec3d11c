"""The figures of a report, in one list."""

from thinkscale.reporting.analysis import Analysis
from thinkscale.reporting.comparison_charts import falls_figure, truncation_figure, waits_figure
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.run_charts import saving_figure, selection_figure, training_figure
from thinkscale.reporting.scaling_chart import scaling_figure
from thinkscale.reporting.selection_charts import domains_figure, lengths_figure
from thinkscale.reporting.theme import Figure

FIGURE_NAMES = (
    "scaling", "truncation", "waits", "falls", "selection", "selection_domains", "selection_lengths", "training",
    "saving",
)  # fmt: skip


def figures(data: ReportData, analysis: Analysis) -> dict[str, Figure]:
    """Every figure that the data can fill, by name; altair is loaded here and not before."""
    drawn = [
        scaling_figure(data),
        truncation_figure(data),
        waits_figure(data, analysis),
        falls_figure(data, analysis),
        selection_figure(data),
        domains_figure(data),
        lengths_figure(data),
        training_figure(data),
        saving_figure(data),
    ]
    return {figure.name: figure for figure in drawn if figure is not None}
