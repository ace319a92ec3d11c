"""report MODEL: the report of a training without a run, from the log beside the model and the account in it."""

from pathlib import Path

from thinkscale.errors import DataError
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.writing import write_report
from thinkscale.stages.training_facts import facts_of_model


def report_training(model: Path) -> Path:
    """Writes report.md, report.html and figures to the folder MODEL.report, and returns it.

    Raises DataError where the log is missing: the account alone has no curve.
    """
    facts = facts_of_model(model)
    folder = model.resolve()
    if facts is None or not facts.steps:
        raise DataError(f"{folder}.steps.jsonl is missing or empty; the training that made {model} wrote it there")
    out = folder.with_name(folder.name + ".report")
    write_report(
        ReportData(
            title=f"The training of {folder.name}",
            recipe="none: a training by itself",
            models=(),
            problems_by_benchmark={},
            trainings=(facts,),
        ),
        out,
    )
    return out
