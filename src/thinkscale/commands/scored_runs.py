"""Runs by what they scored: a run directory, a folder of exported tables, or a table of scores alone.

The tables of a finished run are its journal's, so they are read where they hold all of it; else the journal is. Items
are known by content where the problems are at hand, since two runs may call different questions by one id.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from thinkscale.commands.run_rows import exported
from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import content_key
from thinkscale.records import Problem, Score
from thinkscale.store.manifest import JOURNAL_NAME
from thinkscale.store.run import RunDirectory
from thinkscale.store.tables import read_table

SCORES, PROBLEMS = "scores.parquet", "problems.parquet"
MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRun:
    """The scores of one run and, as far as they are at hand, what its items are."""

    name: str
    """As the user wrote it."""
    scores: tuple[Score, ...]
    items: Mapping[str, str]
    """Problem id to the content key of question, reference, choices and tests; empty where unknown."""

    @property
    def models(self) -> tuple[str, ...]:
        """In order of appearance: the last one is what the run is about."""
        return tuple(dict.fromkeys(score.model for score in self.scores))

    def of_model(self, model: str) -> tuple[Score, ...]:
        """Its scores of one model. Raises ConfigError where it has none."""
        found = tuple(score for score in self.scores if score.model == model)
        if not found:
            raise ConfigError(f"{self.name}: there is no model {model!r}; there are {', '.join(self.models)}")
        return found


def read_scored(name: str) -> ScoredRun:
    """The run at a path. Raises ConfigError where nothing is there, DataError where it has no scores."""
    path = Path(name)
    if (path / JOURNAL_NAME).is_file():
        scores, problems = _of_journal(path)
    elif path.is_dir() and (path / SCORES).is_file():
        scores = tuple(read_table(path / SCORES, Score))
        problems = read_table(path / PROBLEMS, Problem) if (path / PROBLEMS).is_file() else ()
    elif path.suffix == ".parquet" and path.is_file():
        beside = path.with_name(PROBLEMS)
        scores, problems = tuple(read_table(path, Score)), read_table(beside, Problem) if beside.is_file() else ()
    else:
        raise ConfigError(f"{name}: neither a run directory, nor a folder with {SCORES}, nor such a table (.parquet)")
    if not scores:
        raise DataError(f"{name}: it has no scores; `thinkscale evaluate`, or `run` until its evaluation, makes them")
    used = {score.problem_id for score in scores}
    return ScoredRun(name=name, scores=scores, items=_items(problem for problem in problems if problem.id in used))


def _of_journal(path: Path) -> tuple[tuple[Score, ...], Iterable[Problem]]:
    with RunDirectory.read(path) as run:
        scores = tuple(read_table(path / SCORES, Score) if exported(run, Score) else run.rows(Score))
        return scores, list(run.rows(Problem, "evaluate"))


def _items(problems: Iterable[Problem]) -> dict[str, str]:
    """An id that stands for several questions has a key of all of them."""
    keys: dict[str, list[str]] = {}
    for problem in problems:
        key = content_key(problem.question, problem.reference, problem.choices, problem.tests)
        known = keys.setdefault(problem.id, [])
        if key not in known:
            known.append(key)
    return {name: found[0] if len(found) == 1 else content_key(sorted(found)) for name, found in keys.items()}


def shared_items(
    first: Sequence[tuple[ScoredRun, Sequence[Score]]], second: Sequence[tuple[ScoredRun, Sequence[Score]]]
) -> tuple[dict[str, set[str]], list[str]]:
    """For each benchmark that all runs have, the items that are the same in all, and what differs, in words.

    Each run comes with those of its scores that are to be compared.
    """
    sides = [*first, *second]
    by_run = [_by_benchmark(scores) for _, scores in sides]
    shared: dict[str, set[str]] = {}
    differing: list[str] = []
    for benchmark in by_run[0]:
        present = [found[benchmark] for found in by_run if benchmark in found]
        if len(present) < len(sides):
            continue
        common = set.intersection(*present)
        changed = {name for name in common if _is_changed(name, [run for run, _ in sides])}
        shared[benchmark] = common - changed
        for (run, _), items in zip(sides, present, strict=True):
            if items - common:
                differing.append(f"{benchmark}: {_named(items - common)} of {run.name} not in every other run")
        if changed:
            differing.append(f"{benchmark}: {_named(changed)} with one id and another question or reference")
    return shared, differing


def _by_benchmark(scores: Iterable[Score]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for score in scores:
        found.setdefault(score.benchmark, set()).add(score.problem_id)
    return found


def _is_changed(name: str, runs: Iterable[ScoredRun]) -> bool:
    return len({run.items[name] for run in runs if name in run.items}) > 1


def _named(items: set[str]) -> str:
    shown = ", ".join(sorted(items)[:MOST_NAMED])
    more = f" and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else ""
    return f"{len(items)} item{'s' * (len(items) > 1)} ({shown}{more})"
