"""Recorded responses as scripts: columns of many tools, questions within templates, and the real traces."""

import json
from pathlib import Path

import pytest

from thinkscale.engines.scripted import ScriptedReply
from thinkscale.engines.scripted.replay import Replay, Unknown, read_replay, recorded_reply
from thinkscale.errors import DataError
from thinkscale.records import Finish
from thinkscale.sources.files import read_rows

NUM_RESPONSES = {
    "gaokao2026_reasoning_graded": 1078,
    "limo_official_solution": 497,
    "limo_qwen25_32b_instruct": 497,
    "limo_r1_distill_qwen32b": 291,
    "lrm_token_economy_traces": 2303,
    "math500_pilot_r1_and_distills": 70,
}
"""Rows of each file."""


def said(thinking: str, answer: str = "") -> ScriptedReply:
    return ScriptedReply(thinking=thinking, answer_text=answer)


def write(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("row", "thinking", "answer"),
    [
        ({"thinking": "hm", "output": "2"}, "hm", "2"),
        ({"reasoning": "hm", "response": "2"}, "hm", "2"),
        ({"reasoning_trace": "hm", "answer_text": "2"}, "hm", "2"),
        ({"solution": "<think>\nhm\n</think>\n\n2"}, "hm", "2"),
        ({"solution": "hm\n\n**Final Answer**\n2"}, "hm", "**Final Answer**\n2"),
        ({"solution": "so it is 2"}, "", "so it is 2"),
        ({"thinking": "cut o", "answer_text": ""}, "cut o", ""),
    ],
)
def test_thinking_and_answer_are_found_in_columns_of_many_names(
    row: dict[str, str], thinking: str, answer: str
) -> None:
    assert recorded_reply({**row}) == said(thinking, answer)


def test_a_response_that_a_limit_cut_stays_cut_and_a_failure_is_none() -> None:
    cut = recorded_reply({"thinking": "hm", "answer_text": "", "finish": "length"})
    assert cut is not None
    assert cut.finish is Finish.LENGTH
    assert recorded_reply({"thinking": "", "answer_text": None, "error": "503"}) is None


def test_a_question_is_found_within_a_template_and_the_longest_wins() -> None:
    short, long = said("short"), said("long")
    replay = Replay({"How much is 1+1?": [short], "How much is 1+1? Say it in French.": [long]}, Unknown.ERROR)
    assert replay("<user>How much   is 1+1?\nThink step by step.</user>", 0) == short
    assert replay("Problem: How much is 1+1? Say it in French.", 0) == long
    assert replay("How much is 1+2?", 0).error == "no response is recorded for this prompt"


def test_samples_of_a_question_go_by_seed() -> None:
    first, second = said("a"), said("b")
    replay = Replay({"q": [first, second]})
    assert [replay("q", seed) for seed in range(4)] == [first, second, first, second]


def test_an_unknown_prompt_gets_a_recorded_reply_always_the_same() -> None:
    replay = Replay({f"question number {number}": [said(str(number))] for number in range(50)})
    found = [replay(f"something else {number}", 5).thinking for number in range(30)]
    assert found == [replay(f"something else {number}", 5).thinking for number in range(30)]
    assert len(set(found)) > 10


def test_responses_of_ours_are_joined_with_their_problems(tmp_path: Path) -> None:
    problems = write(tmp_path / "problems.jsonl", {"id": "p1", "question": "Why?"})
    responses = write(tmp_path / "responses.jsonl", {"problem_id": "p1", "thinking": "hm", "answer_text": "so"})
    replay = read_replay(responses, problems=problems, unknown=Unknown.ERROR)
    assert replay("Why?", 0) == said("hm", "so")
    with pytest.raises(DataError, match=r"responses\.jsonl:1 has no question"):
        read_replay(responses)


def test_a_table_without_responses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no response"):
        read_replay(write(tmp_path / "a.jsonl", {"question": "Why?", "gold": "x"}))


@pytest.mark.parametrize("name", NUM_RESPONSES)
def test_real_traces_are_replayed(data_folder: Path, name: str) -> None:
    path = data_folder / "traces" / f"{name}.jsonl.gz"
    replay = read_replay(path, unknown=Unknown.ERROR)
    rows = [row.values for row in read_rows(path)]
    recorded = [reply for row in rows if (reply := recorded_reply(row))]
    assert len(rows) == NUM_RESPONSES[name]
    assert replay.num_replies == len(recorded)
    assert len(recorded) > 0.95 * len(rows)
    for row in rows[:40]:
        question = row.get("question") or row.get("problem") or row["prompt"]
        wanted = recorded_reply(row)
        assert wanted is None or wanted in replay.replies_to(f"Please solve this.\n\n{question}\n\nThink first.")
