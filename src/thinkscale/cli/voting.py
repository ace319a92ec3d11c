"""Commands on several samples of each problem."""

from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import AsJson, print_json, print_text


def vote(
    rows: Annotated[
        Path, typer.Argument(help="a run directory, or graded samples: problem_id, verdict, extracted, score...")
    ],
    out: Annotated[Path | None, typer.Option(help="the curves: a row for each k; JSONL or Parquet")] = None,
    as_json: AsJson = False,
    resamples: Annotated[int, typer.Option(min=100, help="bootstrap resamples over problems")] = 2000,
    seed: Annotated[int, typer.Option(help="of the resamples")] = 42,
) -> None:
    """Majority@k, pass@k and best-of-k of graded samples, exact for every k, with intervals."""
    from thinkscale.commands.vote import curves_json, curves_text
    from thinkscale.commands.vote import vote as command

    curves = command(rows, out, resamples=resamples, seed=seed)
    if as_json:
        print_json(curves_json(curves))
    else:
        print_text(curves_text(curves))
