"""study: what is run, what is compared, and what a failing variant leaves."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scored import run_directory, scores
from thinkscale.cli.studying import study as study_cli
from thinkscale.commands import run as run_commands
from thinkscale.commands.study import REHEARSED, StudyOptions, load_study, members_of, planned, study
from thinkscale.commands.study_cells import compared_variants
from thinkscale.config.study import shipped_studies
from thinkscale.errors import ConfigError, StageError, StoppedError
from thinkscale.pipeline import load_recipe
from thinkscale.reporting.compared import comparison_text
from thinkscale.statistics import holm

RECIPE = """name: tiny
student: {model: lab}
evaluate: {benchmarks: ["lab_numeric:3"], methods: [truncation], budgets: [16]}
"""
STUDY = """name: sizes
about: How long
recipe: tiny.yaml
change: {evaluate.max_answer_tokens: 20}
change_in_variants: {evaluate.baseline: false}
variants:
  short: {about: half as long, change: {evaluate.max_thinking_tokens: 64}}
  other: {about: another set, change: {evaluate.benchmarks: ["lab_closed:3"]}}
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(RECIPE, encoding="utf-8")
    path = tmp_path / "sizes.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def test_every_variant_of_every_shipped_study_is_a_recipe() -> None:
    for name in shipped_studies():
        text = planned(name, None, StudyOptions())
        assert f"runs/{name}/base: the recipe as it is" in text


def test_a_variant_is_the_recipe_with_its_changes_and_nothing_else(written: Path) -> None:
    found, recipe = load_study(str(written))
    base, short, _ = members_of(found, Path("out"), StudyOptions())
    loaded = {member.variant: load_recipe(recipe, member.overrides).recipe for member in (base, short)}
    assert loaded["base"].evaluate is not None
    assert loaded["base"].evaluate.max_answer_tokens == 20
    changed = loaded["base"].evaluate.model_copy(update={"baseline": False, "max_thinking_tokens": 64})
    assert loaded["short"].evaluate == changed
    assert loaded["short"].model_copy(update={"name": "", "evaluate": None}) == loaded["base"].model_copy(
        update={"name": "", "evaluate": None}
    )
    assert [loaded[name].name for name in loaded] == ["sizes-base", "sizes-short"]


def test_seeds_make_runs_of_their_own(written: Path) -> None:
    found, _ = load_study(str(written))
    members = members_of(found, Path("out"), StudyOptions(only=("short",), seeds=(1, 2)))
    assert [str(member.folder) for member in members] == [
        "out/base-seed1",
        "out/base-seed2",
        "out/short-seed1",
        "out/short-seed2",
    ]
    assert [member.seed for member in members] == [1, 2, 1, 2]


def test_a_wrong_variant_is_refused_before_anything_runs(written: Path, tmp_path: Path) -> None:
    written.write_text(STUDY.replace("max_thinking_tokens: 64", "max_thinking: 64"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"the variant short: .*max_thinking"):
        study(str(written), tmp_path / "out", StudyOptions())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (StudyOptions(only=("long",)), "no variant 'long'; there are short, other"),
        (StudyOptions(seeds=(1, 1)), "repeat one"),
    ],
)
def test_options_that_name_nothing_are_refused(written: Path, options: StudyOptions, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(str(written), None, options)


def test_a_variant_cannot_be_called_base(written: Path) -> None:
    written.write_text(STUDY.replace("short:", "base:"), encoding="utf-8")
    with pytest.raises(ConfigError, match="no variant can be called 'base'"):
        load_study(str(written))


def test_seeds_are_whole_numbers_on_the_command_line(written: Path) -> None:
    with pytest.raises(ConfigError, match="'x' is no seed"):
        study_cli(str(written), seeds="42,x", plan=True)


def _scored(folder: Path, correct: Callable[[int, int | None], bool]) -> Path:
    run_directory(folder, scores(correct))
    return folder


def test_all_variants_are_one_family_and_only_headline_cells_count(tmp_path: Path) -> None:
    """At no budget the base has p010 to p019; `up` gains 8 of the others, `down` loses 2: sign flips by hand."""
    runs = {
        "base": [_scored(tmp_path / "base", lambda number, _: number >= 10)],
        "up": [_scored(tmp_path / "up", lambda number, budget: number >= 2 if budget is None else False)],
        "down": [_scored(tmp_path / "down", lambda number, _: number >= 12)],
    }
    found = compared_variants(runs)
    assert [(cell.key.model, cell.key.budget_tokens) for cell in found.cells] == [("up", None), ("down", None)]
    up, down = found.cells
    assert (up.first, up.second, up.gained, up.lost) == (0.5, 0.9, 8, 0)
    assert (down.second, down.gained, down.lost) == (0.4, 0, 2)
    assert [up.p_value, down.p_value] == pytest.approx([2 / 2**8, 2 / 2**2])
    assert (up.p_holm, down.p_holm) == pytest.approx(holm([2 / 2**8, 0.5]))
    assert "up: truncation, no budget" in comparison_text(found)


def test_several_seeds_give_intervals_over_problems_and_seeds(tmp_path: Path) -> None:
    runs = {
        name: [
            _scored(tmp_path / f"{name}{seed}", lambda number, _, f=first, s=seed: number >= f + s)  # type: ignore[misc]
            for seed in range(3)
        ]
        for name, first in (("base", 10), ("up", 4))
    }
    found = compared_variants(runs)
    assert found.over_seeds
    (cell,) = found.cells
    assert cell.difference == pytest.approx(0.3)  # 6 of 20 problems, at every seed


def test_runs_on_other_items_are_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "other"
    run_directory(other, scores(lambda _, __: True, problems=range(5, 25)))
    runs = {"base": [_scored(tmp_path / "base", lambda _, __: True)], "other": [other]}
    with pytest.raises(ConfigError, match="other was not evaluated on the items of the base"):
        compared_variants(runs)


def test_a_failing_variant_keeps_no_other_from_running_and_is_named_at_the_end(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ran(recipe: str, out: Path, overrides: tuple[str, ...], *, quiet: bool) -> str:
        if out.name == "short":
            raise StageError("the loss is nan")
        return str(_scored(out, lambda number, _: number >= (10 if out.name == "base" else 4)))

    monkeypatch.setattr(run_commands, "run", ran)
    with pytest.raises(StageError, match=r"(?s)other: truncation.*1 of 3 runs failed:\n.*short: the loss is nan"):
        study(str(written), tmp_path / "out", StudyOptions())
    cells = json.loads((tmp_path / "out" / "study.json").read_text(encoding="utf-8"))["cells"]
    assert [cell["key"]["model"] for cell in cells] == ["other"]
    page = (tmp_path / "out" / "study.md").read_text(encoding="utf-8")
    assert page.startswith("# sizes\n\nHow long.\n\nVariants:\n\n- `other`: another set\n")
    assert (tmp_path / "out" / "study.png").read_bytes().startswith(b"\x89PNG")


def test_a_stop_ends_the_study_at_once(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def stopped(recipe: str, out: Path, overrides: tuple[str, ...], *, quiet: bool) -> str:
        started.append(out.name)
        raise StoppedError("stopped")

    monkeypatch.setattr(run_commands, "run", stopped)
    with pytest.raises(StoppedError):
        study(str(written), tmp_path / "out", StudyOptions())
    assert started == ["base"]


@pytest.mark.slow
def test_a_study_is_rehearsed_from_the_command_line(tmp_path: Path, typed: Callable[..., object]) -> None:
    out = tmp_path / "study"
    typed("study", "s1-ablations", "--only", "rows-100", "--rehearse", "--out", str(out), "--quiet")
    cells = json.loads((out / "study.json").read_text(encoding="utf-8"))["cells"]
    assert {cell["key"]["model"] for cell in cells} == {"rows-100"}
    page = (out / "study.md").read_text(encoding="utf-8")
    assert "rows-100: truncation" in page
    assert REHEARSED in page
