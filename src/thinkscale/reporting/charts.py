"""The figures of a report, in one list."""

from thinkscale.reporting.analysis import Analysis
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.figures.comparison_charts import falls_figure, truncation_figure, waits_figure
from thinkscale.reporting.figures.cost_chart import costs_figure
from thinkscale.reporting.figures.failure_charts import flips_figure, outcomes_figure
from thinkscale.reporting.figures.methods_chart import methods_figure
from thinkscale.reporting.figures.run_charts import saving_figure, selection_figure
from thinkscale.reporting.figures.scaling_chart import conditional_figure, generated_figure, scaling_figure
from thinkscale.reporting.figures.training_charts import training_figures
from thinkscale.reporting.selection_charts import domains_figure, lengths_figure
from thinkscale.reporting.theme import Figure

FIGURE_NAMES = (
    "scaling", "conditional", "generated", "methods", "truncation", "waits", "falls", "flips", "outcomes", "costs",
    "selection", "selection_domains", "selection_lengths", "training", "training_speed",
    "training_rewards", "saving",
)  # fmt: skip


def figures(data: ReportData, analysis: Analysis) -> dict[str, Figure]:
    """Every figure that the data can fill, by name; altair is loaded here and not before."""
    drawn = [
        scaling_figure(data),
        conditional_figure(data),
        generated_figure(data),
        methods_figure(data),
        truncation_figure(data),
        waits_figure(data, analysis),
        falls_figure(data, analysis),
        flips_figure(data, analysis),
        outcomes_figure(data, analysis),
        costs_figure(data),
        selection_figure(data),
        domains_figure(data),
        lengths_figure(data),
        *training_figures(data),
        saving_figure(data),
    ]
    return {figure.name: figure for figure in drawn if figure is not None}
