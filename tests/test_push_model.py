"""`thinkscale push --what model`: weights as they are, and a card that the Hub reads and that says what is known."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.pushed import HELD_OUT, READINGS, RECIPE, STEPS, TABLES, TOKEN, write_model
from tests.sources.fake_hub import SECOND, FakeHub, fake_hub
from thinkscale.cli import app
from thinkscale.commands.push import push
from thinkscale.commands.push_model import placeless
from thinkscale.commands.push_options import PushOptions
from thinkscale.engines.catalogue import model_path
from thinkscale.errors import ConfigError, DataError
from thinkscale.records import HeldOut, Step
from thinkscale.store.tables import TABLE_OF, write_table
from thinkscale.training.log import Entry, line_of

__all__ = ["fake_hub"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run's folder, as far as `push` reads it."""
    folder = tmp_path / "run"
    write_model(folder / "checkpoints" / "student")
    for kind, rows in TABLES.items():
        write_table(folder / f"{TABLE_OF[kind]}.parquet", kind, rows)
    (folder / "recipe.yaml").write_text(RECIPE)
    facts = {"thinkscale": "0.1.0", "seed": 42, "libraries": {"torch": "2.0"}, "git": {"commit": "abc123"}}
    (folder / "provenance.json").write_text(json.dumps({**facts, "argv": ["--key", TOKEN]}))
    (folder / "logs").mkdir()
    (folder / "logs" / "train.jsonl").write_text("".join(line_of(Entry(record=s, readings=READINGS)) for s in STEPS))
    return folder


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A model folder of `thinkscale train`, with its log beside it."""
    folder = tmp_path / "thinker"
    write_model(folder)
    records: list[Step | HeldOut] = [*STEPS, HELD_OUT]
    lines = [line_of(Entry(record=record, readings=READINGS)) for record in records]
    (tmp_path / "thinker.steps.jsonl").write_text("".join(lines))
    return folder


def dry(folder: Path, out: Path, **more: str) -> str:
    return push(folder, "owner/thinker", PushOptions(what="model", dry_run=True, out=out, **more))  # type: ignore[arg-type]


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_dry_run_writes_the_model_with_its_card_and_sends_nothing(
    run: Path, tmp_path: Path, fake_hub: FakeHub
) -> None:
    out = tmp_path / "out"
    assert dry(run, out) == (
        f"{out} holds what would be uploaded to https://huggingface.co/owner/thinker: 0.0 MiB of a model and a card. "
        "Nothing was sent"
    )
    assert files_in(out) == [
        "README.md",
        "config.json",
        "figures/training.png",
        "figures/training_speed.png",
        "model.safetensors",
        "recipe.yaml",
        "tokenizer.json",
        "training.json",
    ]
    assert fake_hub.asked == []
    (out / "config.json").write_text("changed")  # what is tried out there changes nothing here
    assert (run / "checkpoints" / "student" / "config.json").read_text() == '{"max_position_embeddings": 4096}'


def test_the_hub_reads_base_data_and_results_from_the_card(run: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    out = tmp_path / "out"
    dry(run, out, licence="apache-2.0")
    card = hub.ModelCard.load(out / "README.md")
    assert card.data.license == "apache-2.0"
    assert card.data.base_model == "Qwen/Qwen2.5-3B-Instruct"
    assert card.data.datasets == ["qq8933/AIME_1983_2024"]
    assert (card.data.library_name, card.data.pipeline_tag) == ("transformers", "text-generation")
    results = {(item.dataset_type, item.metric_name): item.metric_value for item in card.data.eval_results}
    assert results == {  # of each curve the largest budget
        ("HuggingFaceH4/MATH-500", "accuracy in %, truncation, no budget, 95% interval [56.0, 64.0]"): 60.0,
        (
            "HuggingFaceH4/MATH-500",
            "accuracy in %, budget forcing, 4,000 tokens, 2 × Wait, 95% interval [58.0, 66.0]",
        ): 62.0,
    }


def test_the_card_says_what_happened_and_how_to_use_the_model(run: Path, tmp_path: Path) -> None:
    dry(run, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---\n", 2)[1])
    assert "license" not in head
    for line in (
        "> A rehearsal with a small model.",
        "No licence is stated here: that of the base model and those of the sources apply.",
        "| math500 | truncation, 500 tokens | 500 | 30.0 [26.0, 34.0] | – | 1,234 | 1.0% |",
        "| math500 | truncation, no budget | 500 | 60.0 [56.0, 64.0] | 20.0 [16.0, 24.0] | 1,234 | 1.0% |",
        "| math500 | budget forcing, 4,000 tokens, 2 × Wait | 500 | 62.0 [58.0, 66.0] | – | 1,234 | 1.0% |",
        "- 2 steps of 2 rows, 2 epochs over 2 rows with 40 tokens, 30 of them (75.0%) trained on. In all 40 tokens "
        "went through the model, and padding was 0.0% of what was computed.",
        "- 1 row was left out as too long (such as p9: 9 tokens).",
        "- The loss went from 2.000 at step 1 to 1.500 at step 2; over the last epoch it was 1.500 on average.",
        "- The steps took 4.0 seconds, 10 tokens a second, padding not counted, at most 2.0 GiB of memory in a "
        "process.",
        "- the other weights lie in student.best",
        "| learning rate | 1e-05 |",
        "| lora.rank | 4 |",
        "| aime | 2 | mit | qq8933/AIME_1983_2024 at 53ed0870b96dfe2117d5eb58c261a8812606a45a |",
        "Questions were checked against math500; 0 were dropped for an overlap.",
        "- Up to 1.0% of the responses were cut off by a limit (math500, truncation, 500 tokens).",
        "output = model.generate(**ids, max_new_tokens=2048)",
        "    --method budget_forcing --budget 4000 --waits 2",
    ):
        assert line in text.splitlines(), line
    assert "tokenizer(prompt + '<|im_start|>think\\n', add_special_tokens=False" in text


def test_nothing_of_the_machine_and_no_key_is_uploaded(
    run: Path, tmp_path: Path, fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (run / "recipe.yaml").write_text(RECIPE.replace("small model", f"token {TOKEN}"))
    told = push(run, "owner/thinker", PushOptions(what="model", private=True, revision="second"))
    (sent,) = fake_hub.uploads
    files = sent["files"]
    assert isinstance(files, dict)
    assert files["model.safetensors"] == bytes(range(256)) * 8
    assert fake_hub.made == [{"repository": "owner/thinker", "private": True, "exist_ok": True, "type": "model"}]
    assert (sent["revision"], sent["message"]) == ("second", "model by thinkscale")
    assert "optimizer.pt" not in files
    for name, content in files.items():
        if name.endswith((".md", ".json", ".yaml")):
            assert b"somebody" not in content, name
            assert TOKEN.encode() not in content, name
            assert str(tmp_path).encode() not in content, name
    assert SECOND in told
    assert "0.0 MiB of a model and a card are at https://huggingface.co/owner/thinker" in told


def test_a_model_without_a_run_has_its_log_and_no_evaluation(bare: Path, tmp_path: Path) -> None:
    dry(bare, tmp_path / "out", thinking_format="think_tags")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "This model was not evaluated by the run that made it." in text
    assert "A model named `base`, taught to think before it answers" in text  # a folder's name is no Hub id
    assert "base_model" not in text.split("---\n", 2)[1]
    assert "- On 4 held-out rows it went from 1.750 at step 2 to 1.750 at step 2" in text
    assert "tokenizer(prompt + '<think>\\n'" in text
    assert "figures/training.png" in files_in(tmp_path / "out")
    assert "## Sources" not in text


def test_the_student_of_a_run_knows_its_run(run: Path, tmp_path: Path) -> None:
    dry(run, tmp_path / "whole")
    dry(run / "checkpoints" / "student", tmp_path / "alone")
    assert (tmp_path / "alone" / "README.md").read_bytes() == (tmp_path / "whole" / "README.md").read_bytes()


def test_a_card_of_preferences_speaks_of_them_and_the_labs_model_has_its_name(bare: Path, tmp_path: Path) -> None:
    account = json.loads((bare / "training.json").read_text())
    account |= {"base_model": model_path("lab"), "method": "dpo"}
    (bare / "training.json").write_text(json.dumps(account))
    dry(bare, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "A model named `lab`, trained to prefer the chosen one of two replies: DPO on pairs." in text
    assert "taught to think" not in text


def test_a_card_that_a_person_wrote_is_kept(bare: Path, tmp_path: Path) -> None:
    (bare / "README.md").write_text("# Mine\n")
    dry(bare, tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_text() == "# Mine\n"


def test_without_a_known_format_the_card_does_not_say_how_to_prompt(bare: Path, tmp_path: Path) -> None:
    assert "--thinking-format" in dry(bare, tmp_path / "out")
    assert "--thinking-format" not in dry(bare, tmp_path / "told", thinking_format="s1")
    assert "How to prompt" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="there is no thinking format 'own'"):
        dry(bare, tmp_path / "other", thinking_format="own")


def test_the_lines_of_the_card_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    dry(Path(model_path("lab")), tmp_path / "out", thinking_format="s1")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    exec(code.replace("owner/thinker", str(tmp_path / "out")).replace("=512)", "=4)"), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PushOptions(what="model", tables=("examples",)), "--table is not for --what model"),
        (PushOptions(licence="mit"), "--licence is not for --what data"),
        (PushOptions(thinking_format="s1"), "--thinking-format is not for --what data"),
        (PushOptions(what="model", out=Path("there")), "--out is for --dry-run"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: PushOptions, message: str, bare: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        push(bare, "owner/name", options)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match="holds no model: neither config"):
        dry(tmp_path, tmp_path / "out")
    with pytest.raises(ConfigError, match="--to 'thinker' is no name of a model"):
        push(tmp_path, "thinker", PushOptions(what="model"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("see /a/b/c.txt, and 3 tokens/s", "see c.txt, and 3 tokens/s"),
        ("https://huggingface.co/a/b", "https://huggingface.co/a/b"),
        ("--out=/srv/x/y", "--out=y"),
        ("~/models/base/", "base/"),
        ("here/relative/path and a/b", "here/relative/path and a/b"),
    ],
)
def test_absolute_paths_lose_their_folders(text: str, wanted: str) -> None:
    assert placeless(text, ()) == wanted


def test_the_command_line_writes_a_model(bare: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["push", str(bare), "--to", "owner/thinker", "--what", "model", "--dry-run", "--out", str(out)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert (out / "README.md").is_file()
