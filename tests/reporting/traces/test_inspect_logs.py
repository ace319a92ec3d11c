"""The run as Inspect's logs, held against the fields that its format documents (inspect_ai.log, version 2).

inspect-ai is not installed with this project: what is checked is the structure, field by field, and not its own reader.
"""

import json
import re
import warnings
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.reporting.traces.small_run import HOSTILE, WAITED, write_many
from thinkscale.reporting.inspect_logs import write_logs

Object: TypeAlias = dict[str, Any]

STARTED = 1_795_300_000.5

TEXT, NUMBER, COUNT, TRUTH = str, (int, float), int, bool
USAGE = {"input_tokens": COUNT, "output_tokens": COUNT, "total_tokens": COUNT, "reasoning_tokens": COUNT}
SCORE = {"value": TEXT, "answer": TEXT, "explanation": TEXT, "metadata": dict}
FIELDS: dict[str, dict[str, Any]] = {
    "EvalLog": {"version": COUNT, "status": TEXT, "eval": dict, "plan": dict, "results": dict, "stats": dict},
    "EvalSpec": {
        "eval_id": TEXT, "run_id": TEXT, "created": TEXT, "task": TEXT, "task_id": TEXT, "task_version": COUNT,
        "task_attribs": dict, "task_args": dict, "task_args_passed": dict, "dataset": dict, "model": TEXT,
        "model_generate_config": dict, "model_args": dict, "config": dict, "packages": dict, "metadata": dict,
    },
    "EvalDataset": {"name": TEXT, "samples": COUNT, "sample_ids": list, "shuffled": TRUTH},
    "EvalPlan": {"name": TEXT, "steps": list, "config": dict},
    "EvalResults": {"total_samples": COUNT, "completed_samples": COUNT, "scores": list},
    "EvalScore": {"name": TEXT, "scorer": TEXT, "params": dict, "metrics": dict},
    "EvalMetric": {"name": TEXT, "value": NUMBER, "params": dict},
    "EvalStats": {"started_at": TEXT, "completed_at": TEXT, "model_usage": dict},
    "EvalSample": {
        "id": TEXT, "epoch": COUNT, "input": TEXT, "choices": list, "target": TEXT, "messages": list, "output": dict,
        "scores": dict, "metadata": dict, "store": dict, "events": list, "attachments": dict, "model_usage": dict,
        "uuid": TEXT, "error": dict,
    },
    "EvalSampleSummary": {
        "id": TEXT, "epoch": COUNT, "input": TEXT, "choices": list, "target": TEXT, "metadata": dict, "scores": dict,
        "model_usage": dict, "uuid": TEXT, "error": TEXT, "completed": TRUTH, "message_count": COUNT,
    },
    "EvalError": {"message": TEXT, "traceback": TEXT, "traceback_ansi": TEXT},
    "ModelOutput": {"model": TEXT, "choices": list, "completion": TEXT, "usage": dict},
    "ChatCompletionChoice": {"message": dict, "stop_reason": TEXT},
    "ChatMessageUser": {"role": TEXT, "source": TEXT, "content": TEXT},
    "ChatMessageAssistant": {"role": TEXT, "source": TEXT, "content": list, "model": TEXT},
    "ContentReasoning": {"type": TEXT, "reasoning": TEXT},
    "ContentText": {"type": TEXT, "text": TEXT},
}  # fmt: skip
"""The documented fields that we write, with their types."""
REQUIRED = {
    "EvalSpec": {"created", "task", "dataset", "model", "config"},
    "EvalSample": {"id", "epoch", "input", "target"},
    "EvalSampleSummary": {"id", "epoch", "input", "target"},
    "EvalError": {"message", "traceback", "traceback_ansi"},
    "EvalScore": {"name", "scorer"},
    "EvalMetric": {"name", "value"},
}
"""Fields that Inspect gives no default."""


def fits(value: Object, name: str) -> None:
    fields = FIELDS[name]
    assert set(value) <= set(fields), (name, set(value) - set(fields))
    assert REQUIRED.get(name, set()) <= set(value), name
    for key, inner in value.items():
        assert isinstance(inner, fields[key]), (name, key, inner)


def fits_sample(sample: Object) -> None:
    fits(sample, "EvalSample")
    user, assistant = sample["messages"]
    fits(user, "ChatMessageUser")
    fits(assistant, "ChatMessageAssistant")
    fits(sample["output"], "ModelOutput")
    (choice,) = sample["output"]["choices"]
    fits(choice, "ChatCompletionChoice")
    assert choice["stop_reason"] in {"stop", "max_tokens", "model_length", "tool_calls", "content_filter", "unknown"}
    assert choice["message"] == assistant
    for part in assistant["content"]:
        fits(part, "ContentReasoning" if part["type"] == "reasoning" else "ContentText")
    for usage in (sample["output"]["usage"], *sample["model_usage"].values()):
        assert {key: type(inner) for key, inner in usage.items()} == USAGE
    for score in sample.get("scores", {}).values():
        assert set(score) <= set(SCORE)
        assert score["value"] in {"C", "I", "N"}
    if "error" in sample:
        fits(sample["error"], "EvalError")


class Log:
    """A `.eval` file, read as Inspect's recorder does: the header, and each sample by its name."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            self.names = archive.namelist()
            self.header = json.loads(archive.read("header.json"))
            self.summaries = json.loads(archive.read("summaries.json"))
            self.start = json.loads(archive.read("_journal/start.json"))
            self.samples = {
                (item["id"], item["epoch"]): json.loads(
                    archive.read(f"samples/{item['id']}_epoch_{item['epoch']}.json")
                )
                for item in self.summaries
            }


@pytest.fixture(scope="module")
def logs(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Log]:
    paths = write_logs(tables, tmp_path_factory.mktemp("logs"), "small", STARTED)
    return {" ".join(map(str, log.header["eval"]["task_args"].values())): log for log in map(Log, paths)}


def test_every_cell_is_a_log_and_what_no_cell_read_is_one_too(logs: dict[str, Log]) -> None:
    assert {task: list(log.samples) for task, log in logs.items()} == {
        "teacher": [("sum-1", 1)],
        "sums budget_forcing 100 1 Wait": [("sum-1", 1)],
        "sums budget_forcing None 1 Wait": [("sum-1", 1)],
        "sums truncation 5 0 ": [("sum-1", 1)],
        "picks truncation None 0 ": [("pick-1", 1)],
        "picks rejection None 0 ": [("pick-1", 1)],
        "picks truncation 5 0 ": [("pick-1", 1)],
        "evaluation": [("sum-1", 1)],
    }


def test_every_part_has_the_documented_fields_and_types(logs: dict[str, Log]) -> None:
    for log in logs.values():
        fits(log.header, "EvalLog")
        fits(log.header["eval"], "EvalSpec")
        fits(log.header["eval"]["dataset"], "EvalDataset")
        fits(log.header["plan"], "EvalPlan")
        fits(log.header["results"], "EvalResults")
        fits(log.header["stats"], "EvalStats")
        for score in log.header["results"]["scores"]:
            fits(score, "EvalScore")
            for metric in score["metrics"].values():
                fits(metric, "EvalMetric")
        assert {name: log.header[name] for name in ("version", "eval", "plan")} == log.start
        assert (log.header["version"], log.header["status"]) == (2, "success")
        assert datetime.fromisoformat(log.header["eval"]["created"]).timestamp() == int(STARTED)
        for sample in log.samples.values():
            fits_sample(sample)
        for summary in log.summaries:
            fits(summary, "EvalSampleSummary")


def test_a_sample_says_what_was_asked_thought_answered_and_graded(logs: dict[str, Log]) -> None:
    sample = logs["sums budget_forcing 100 1 Wait"].samples["sum-1", 1]
    assert (sample["input"], sample["target"]) == ("What is 1 + 3?", "4")
    assert sample["messages"][1]["content"] == [
        {"type": "reasoning", "reasoning": WAITED},
        {"type": "text", "text": "Final Answer: 4"},
    ]
    score = sample["scores"]["thinkscale"]
    assert (score["value"], score["answer"], score["explanation"]) == ("C", "4", f"compared 4 {HOSTILE}")
    assert sample["metadata"]["forced_token_spans"] == [[9, 13]]
    assert sample["model_usage"] == {
        "student": {"input_tokens": 10, "output_tokens": 36, "total_tokens": 46, "reasoning_tokens": 21}
    }


def test_metrics_are_those_of_the_cell_or_else_the_share_of_correct_samples(logs: dict[str, Log]) -> None:
    (scored,) = logs["sums budget_forcing 100 1 Wait"].header["results"]["scores"]
    assert {name: metric["value"] for name, metric in scored["metrics"].items()} == {
        "accuracy": 1.0,
        "accuracy_low": 1.0,
        "accuracy_high": 1.0,
        "mean_thinking_tokens": 22.0,
    }
    (cut,) = logs["sums truncation 5 0 "].header["results"]["scores"]
    assert cut["metrics"]["accuracy"]["value"] == 0.0
    assert logs["teacher"].header["results"]["scores"] == []


def test_letters_and_stops(logs: dict[str, Log]) -> None:
    cut = logs["picks truncation 5 0 "].samples["pick-1", 1]
    assert (cut["scores"]["thinkscale"]["value"], cut["metadata"]["verdict"]) == ("I", "cut_off")
    assert cut["output"]["choices"][0]["stop_reason"] == "max_tokens"
    # The rejection says wrong of a response whose grade is correct.
    assert logs["picks rejection None 0 "].samples["pick-1", 1]["scores"]["thinkscale"]["value"] == "I"
    failed = logs["evaluation"].samples["sum-1", 1]
    assert failed["error"]["message"] == "the server was gone"
    assert "scores" not in logs["teacher"].samples["sum-1", 1]


def test_names_of_files_can_be_read_and_the_same_run_gives_the_same_bytes(tables: Path, tmp_path: Path) -> None:
    first = write_logs(tables, tmp_path / "a", "small", STARTED)
    second = write_logs(tables, tmp_path / "b", "small", STARTED)
    for one, other in zip(first, second, strict=True):
        assert re.fullmatch(r"[\dT:+-]+_[A-Za-z0-9.-]+_[0-9a-f]+\.eval", one.name)
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()


def test_many_logs_are_written_a_few_at_a_time(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write_logs(tables, tmp_path / "a", "small", STARTED)
    monkeypatch.setattr("thinkscale.reporting.inspect_logs.MOST_OPEN", 3)
    monkeypatch.setattr("thinkscale.reporting.inspect_logs.ROWS_AT_ONCE", 2)
    parts = write_logs(tables, tmp_path / "b", "small", STARTED)
    assert [path.read_bytes() for path in whole] == [path.read_bytes() for path in parts]


def test_what_lies_beside_the_logs_stays(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine.eval").write_text("mine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (path,) = write_logs(write_many(tmp_path / "run", 10), tmp_path / "logs", "many", STARTED)
    assert len(Log(path).samples) == 10
    assert (tmp_path / "logs" / "mine.eval").read_text() == "mine"
    assert not list((tmp_path / "logs").glob(".*"))
