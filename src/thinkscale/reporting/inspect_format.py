"""Inspect's log format (inspect-ai, version 2 of EvalLog) as plain JSON: samples, their summaries, and the header.

Field names are those of inspect_ai/log/_log.py, model/_model_output.py and scorer/_metric.py (0.3.x); what has no
value is left out, as Inspect does. Verdicts become Inspect's letters: C correct, I wrong or cut off, N no answer or
ungradable; the verdict itself stands in the score's metadata, since Inspect has no letter for a response that never
ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from thinkscale import __version__
from thinkscale.keys import JSON, content_key

VERSION = 2
SCORER = "thinkscale"
LETTERS = {"correct": "C", "wrong": "I", "cut_off": "I", "no_answer": "N", "ungradable": "N"}
STOPS = {"end": "stop", "budget": "stop", "length": "max_tokens", "error": "unknown"}
MOST_IN_SUMMARY = 1000
"""Characters of a text in a summary, as Inspect cuts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one log is about: a cell, or the responses of one model for one purpose."""

    name: str
    model: str
    arguments: Mapping[str, JSON]
    run: str
    started: float
    """Unix time."""

    @property
    def id(self) -> str:
        """The same for the same cell of the same run."""
        return content_key(self.run, self.name, self.model, dict(self.arguments), self.started)[:22]

    @property
    def created(self) -> str:
        """As Inspect writes times."""
        return datetime.fromtimestamp(int(self.started), UTC).isoformat()


def sample_of(
    row: Mapping[str, object], detail: Mapping[str, JSON], problem: Mapping[str, JSON], epoch: int, verdict: str
) -> dict[str, JSON]:
    """An EvalSample: the question, what the model thought and answered, and the grade.

    `verdict` is that of the cell, `not_graded` where there is none.
    """
    model, answer, question = str(row["model"]), str(detail["answer"]), str(problem["question"])
    usage = _usage(row, detail)
    assistant: dict[str, JSON] = {
        "role": "assistant",
        "source": "generate",
        "model": model,
        "content": [
            *_reasoning(detail),
            {"type": "text", "text": answer},
        ],
    }
    made: dict[str, JSON] = {
        "id": str(problem["id"]),
        "epoch": epoch,
        "input": question,
        "target": str(problem["reference"] or ""),
        "messages": [{"role": "user", "source": "input", "content": question}, assistant],
        "output": {
            "model": model,
            "choices": [{"message": assistant, "stop_reason": STOPS[str(row["finish"])]}],
            "completion": answer,
            "usage": usage,
        },
        "metadata": _metadata(row, detail, problem, verdict),
        "store": {},
        "events": [],
        "attachments": {},
        "model_usage": {model: usage},
        "uuid": content_key("inspect", str(row["key"]), epoch, verdict)[:22],
    }
    if problem["choices"]:
        made["choices"] = problem["choices"]
    if verdict in LETTERS:
        made["scores"] = {SCORER: _score(detail, verdict)}
    if "error" in detail:
        made["error"] = {"message": detail["error"], "traceback": "", "traceback_ansi": ""}
    return made


def _reasoning(detail: Mapping[str, JSON]) -> list[JSON]:
    thinking = detail["thinking"]
    text = "".join(map(str, thinking)) if isinstance(thinking, list) else str(thinking)
    return [{"type": "reasoning", "reasoning": text}] if text else []


def _usage(row: Mapping[str, object], detail: Mapping[str, JSON]) -> dict[str, JSON]:
    counts = detail["usage"]
    assert isinstance(counts, dict)
    read, written = int(str(counts["prompt_tokens"])), int(str(counts["completion_tokens"]))
    return {
        "input_tokens": read,
        "output_tokens": written,
        "total_tokens": read + written,
        "reasoning_tokens": int(str(row["thinking_tokens"])),
    }


def _metadata(
    row: Mapping[str, object], detail: Mapping[str, JSON], problem: Mapping[str, JSON], verdict: str
) -> dict[str, JSON]:
    names = ("thinking_tokens", "answer_tokens", "finish")
    made: dict[str, JSON] = {name: row[name] for name in names}  # type: ignore[misc]  # the index holds plain values
    made["verdict"] = verdict
    made["response_key"] = str(row["key"])
    made["source"] = problem["source"]
    if "forced" in detail:
        made["forced_token_spans"] = detail["forced"]
    return made


def _score(detail: Mapping[str, JSON], verdict: str) -> dict[str, JSON]:
    grades = detail["grades"]
    assert isinstance(grades, list)
    grade = grades[0] if grades else {}
    assert isinstance(grade, dict)
    made: dict[str, JSON] = {"value": LETTERS[verdict]}
    if grade.get("extracted") is not None:
        made["answer"] = grade["extracted"]
    if grade.get("evidence"):
        made["explanation"] = grade["evidence"]
    made["metadata"] = {"verdict": verdict, "grader": grade.get("grader", ""), "tier": grade.get("tier", "")}
    return made


def summary_of(sample: Mapping[str, JSON]) -> dict[str, JSON]:
    """The EvalSampleSummary of a sample: what the viewer lists."""
    names = ("id", "epoch", "choices", "metadata", "scores", "model_usage", "uuid")
    made: dict[str, JSON] = {name: sample[name] for name in names if name in sample}
    made["input"] = str(sample["input"])[:MOST_IN_SUMMARY]
    made["target"] = str(sample["target"])[:MOST_IN_SUMMARY]
    if "error" in sample:
        error = sample["error"]
        assert isinstance(error, dict)
        made["error"] = error["message"]
    made["completed"] = True
    made["message_count"] = 2
    return made


def start_of(task: Task, ids: Sequence[str], epochs: int) -> dict[str, JSON]:
    """What is known before any sample: version, EvalSpec and EvalPlan."""
    arguments = dict(task.arguments)
    spec: dict[str, JSON] = {
        "eval_id": task.id,
        "run_id": content_key(task.run, task.started)[:22],
        "created": task.created,
        "task": task.name,
        "task_id": task.id,
        "task_version": 0,
        "task_attribs": {},
        "task_args": arguments,
        "task_args_passed": arguments,
        "dataset": {
            "name": task.arguments.get("benchmark", task.name),
            "samples": len(ids),
            "sample_ids": list(ids),
            "shuffled": False,
        },
        "model": task.model,
        "model_generate_config": {},
        "model_args": {},
        "config": {"epochs": epochs},
        "packages": {"thinkscale": __version__},
        "metadata": {"run": task.run},
    }
    return {"version": VERSION, "eval": spec, "plan": {"name": "plan", "steps": [], "config": {}}}


def header_of(start: Mapping[str, JSON], summaries: Sequence[JSON], metrics: Mapping[str, float]) -> dict[str, JSON]:
    """The EvalLog without its samples. `metrics` are empty where nothing was graded."""
    spec = start["eval"]
    assert isinstance(spec, dict)
    results: dict[str, JSON] = {"total_samples": len(summaries), "completed_samples": len(summaries), "scores": []}
    if metrics:
        named: dict[str, JSON] = {name: {"name": name, "value": value, "params": {}} for name, value in metrics.items()}
        results["scores"] = [{"name": SCORER, "scorer": SCORER, "params": {}, "metrics": named}]
    stats: dict[str, JSON] = {
        "started_at": spec["created"],
        "completed_at": spec["created"],
        "model_usage": {str(spec["model"]): _total(summaries)},
    }
    return {**start, "status": "success", "results": results, "stats": stats}


def _total(summaries: Sequence[JSON]) -> dict[str, JSON]:
    total = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "reasoning_tokens": 0}
    for item in summaries:
        assert isinstance(item, dict)
        usages = item["model_usage"]
        assert isinstance(usages, dict)
        for usage in usages.values():
            assert isinstance(usage, dict)
            for name in total:
                total[name] += int(str(usage[name]))
    return dict(total)
