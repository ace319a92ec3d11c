"""From data to document: the order of a report."""

from collections.abc import Mapping

from thinkscale.reporting.analysis import Analysis
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.document import Document
from thinkscale.reporting.sections.accounting_sections import accounting_section, cells_section
from thinkscale.reporting.sections.comparison_sections import comparisons_section
from thinkscale.reporting.sections.cost_section import costs_section
from thinkscale.reporting.sections.evaluation_sections import findings_section, metrics_section, scaling_section
from thinkscale.reporting.sections.evidence_sections import (
    approach_section,
    deviations_section,
    evidence_section,
    expectations_section,
)
from thinkscale.reporting.sections.failure_sections import failures_section
from thinkscale.reporting.sections.run_sections import (
    provenance_section,
    samples_section,
    saving_section,
    selection_section,
    teacher_section,
)
from thinkscale.reporting.sections.training_section import training_sections
from thinkscale.reporting.selection_section import choice_section
from thinkscale.reporting.theme import Figure
from thinkscale.reporting.traces.section import traces_section
from thinkscale.reporting.wording import count


def compose(data: ReportData, analysis: Analysis, figures: Mapping[str, Figure]) -> Document:
    """Every section that the data can fill, most asked-for first."""
    sections = [
        findings_section(data, analysis),
        approach_section(data),
        evidence_section(data, analysis),
        scaling_section(figures),
        metrics_section(data, analysis),
        comparisons_section(data, analysis, figures),
        expectations_section(analysis),
        failures_section(data, analysis, figures),
        accounting_section(data, analysis),
        costs_section(data, figures),
        saving_section(data, figures),
        cells_section(data),
        teacher_section(data, figures),
        selection_section(data, figures),
        choice_section(data, figures),
        *training_sections(data, figures),
        samples_section(data),
        traces_section(data.traces),
        deviations_section(data),
        provenance_section(data),
    ]
    return Document(
        title=data.title,
        facts=_facts(data),
        sections=tuple(section for section in sections if section is not None),
    )


def _facts(data: ReportData) -> tuple[tuple[str, str], ...]:
    facts = [("recipe", data.recipe)]
    if data.models:
        names = (f"{model} (base)" if model == data.base_model else model for model in data.models)
        facts.append(("models", ", ".join(names)))
    if data.problems_by_benchmark:
        sizes = (f"{name} ({count(number)} problems)" for name, number in data.problems_by_benchmark.items())
        facts.append(("benchmarks", ", ".join(sizes)))
    if data.cells:
        facts.append(("evaluation", f"{count(len(data.cells))} cells, {count(len(data.scores))} scores"))
        facts.append(("intervals", f"95% bootstrap over problems, {count(data.resamples)} resamples, seed {data.seed}"))
    return tuple(facts)
