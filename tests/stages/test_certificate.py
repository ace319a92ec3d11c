"""Trajectories generated twice on the lab's model: what agrees, what does not, and what a kill leaves."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from thinkscale.config import Recipe
from thinkscale.engines.catalogue import model_path
from thinkscale.engines.sweep import SweepResult
from thinkscale.errors import StoppedError
from thinkscale.pipeline import LoadedRecipe, run_recipe
from thinkscale.records import Finish, Replay, Response, Role, Sampling
from thinkscale.settings import load_settings
from thinkscale.stages import certificate
from thinkscale.stages.certificate import first_difference
from thinkscale.stages.evaluate_jobs import Job, run_jobs
from thinkscale.statistics import certificates
from thinkscale.store.tables import read_table


class Letters:
    """Stands for a format whose tokens are letters."""

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))


def response(thinking: str, answer: str = "4", finish: Finish = Finish.END) -> Response:
    return Response(
        key=thinking,
        role=Role.EVALUATION,
        problem_id="p",
        model="m",
        sample=0,
        thinking=thinking,
        answer_text=answer,
        thinking_tokens=len(thinking),
        answer_tokens=len(answer),
        finish=finish,
        sampling=Sampling(max_tokens=9),
    )


FIRST = [response("ab"), response("abcdef", "42")]


@pytest.mark.parametrize(
    ("again", "place"),
    [
        (FIRST, None),
        ([response("ab"), response("abcxyz", "42")], 3),  # the thinking parts behind `abc`
        ([response("ab"), response("abcdef", "41")], 7),  # the answer's second letter, behind six of thinking
        ([response("ab", "5"), response("abcdef", "41")], 2),  # the earlier of two
        ([response("ab"), response("abcd", "42")], 4),  # it ended sooner
        ([response("ab"), response("abcdef", "42"), response("abcdefgh")], 6),  # it went on
        ([response("ab"), response("abcdef", "42", Finish.LENGTH)], 8),  # the same letters, and another end
        ([], 0),
    ],
)
def test_where_two_generations_part(again: list[Response], place: int | None) -> None:
    assert first_difference(FIRST, again, Letters()) == place  # type: ignore[arg-type]


def sweep(folder: Path, out: Path, replays: int = 5, model: str = "lab") -> Path:
    rows = [{"id": str(n), "question": f"Compute {n} + {n + 2} modulo 10.", "reference": str((2 * n + 2) % 10)} for n in range(4)]  # fmt: skip # noqa: E501
    (folder / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    section = {
        "benchmarks": ["sums.jsonl"],
        "methods": ["truncation", "budget_forcing"],
        "budgets": [8],
        "waits": [0, 1],
        "samples": 2,
        "max_thinking_tokens": 48,
        "max_answer_tokens": 8,
        "temperature": 0.7,
        "dtype": "float64",
        "replays": replays,
    }
    recipe = {"name": "again", "student": {"model": model}, "evaluate": section}
    loaded = load_settings(Recipe, yaml.safe_dump(recipe), name="a test")
    run_recipe(LoadedRecipe(loaded, folder), out, until="evaluate", quiet=True)
    return out


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    return sweep(folder, folder / "run")


def test_in_float64_all_come_out_alike_whatever_the_batch(undisturbed: Path) -> None:
    replays = list(read_table(undisturbed / "replays.parquet", Replay))
    assert [replay.batch for replay in replays].count("shuffled") == 3
    assert [replay.batch for replay in replays].count("alone") == 2
    (found,) = certificates(replays)
    assert (found.num_replayed, found.num_equal) == (5, 5)
    assert found.conditions["dtype"] == "float64"
    assert found.conditions["device"] == "cpu"
    assert all(replay.num_tokens > 0 for replay in replays)


def test_a_kill_between_replays_ends_in_the_same_tables(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def killed(engine: object, bound: object, jobs: Sequence[Job]) -> Iterator[tuple[Job, SweepResult]]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return run_jobs(engine, bound, jobs)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(certificate, "run_jobs", killed)
        with pytest.raises(StoppedError):
            sweep(tmp_path, tmp_path / "run")
    assert calls == 2
    sweep(tmp_path, tmp_path / "run")
    tables = {path.name: path.read_bytes() for path in undisturbed.glob("*.parquet")}
    assert "replays.parquet" in tables
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.parquet")} == tables


def test_an_engine_that_does_not_repeat_itself_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def otherwise(engine: object, bound: object, jobs: Sequence[Job]) -> Iterator[tuple[Job, SweepResult]]:
        by_key = {job.key: job for job in jobs}
        moved = [replace(job, sampling=replace(job.sampling, seed=job.sampling.seed + 1)) for job in jobs]
        for job, result in run_jobs(engine, bound, moved):  # type: ignore[arg-type]
            yield by_key[job.key], result

    monkeypatch.setattr(certificate, "run_jobs", otherwise)
    out = sweep(tmp_path, tmp_path / "run")
    (found,) = certificates(read_table(out / "replays.parquet", Replay))
    assert found.num_equal < found.num_replayed
    assert min(found.first_differences) >= 0
    assert "the earliest difference is at token" in found.sentence


def test_a_models_folder_is_in_no_table(tmp_path: Path) -> None:
    tables = []
    for name in ("one", "another"):
        folder = tmp_path / name
        model = shutil.copytree(model_path("lab"), folder / "checkpoints" / "student")
        out = sweep(folder, folder / "run", 2, str(model))
        assert {replay.engine for replay in read_table(out / "replays.parquet", Replay)} == {"local"}
        tables.append({path.name: path.read_bytes() for path in out.glob("*.parquet")})
    assert tables[0] == tables[1]
    assert "replays.parquet" in tables[0]


def test_without_the_setting_nothing_is_generated_twice(tmp_path: Path) -> None:
    assert not (sweep(tmp_path, tmp_path / "run", 0) / "replays.parquet").exists()
