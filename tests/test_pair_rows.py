"""Pairs in the shapes that others publish, read as ours; and what is refused, by its place."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from thinkscale.commands.pair_rows import read_pairs
from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Message, Pair, to_row
from thinkscale.sources.files import write_rows
from thinkscale.store.tables import write_table

USER = Message(role="user", content="1 + 1?")
GOOD, BAD = Message(role="assistant", content="2"), Message(role="assistant", content="3")


def read(tmp_path: Path, *rows: Mapping[str, object], name: str = "pairs.jsonl") -> list[Pair]:
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return list(read_pairs(path))


def turn(role: str, content: str) -> dict[str, JSON]:
    return {"role": role, "content": content}


def said(who: str, value: str) -> dict[str, JSON]:
    return {"from": who, "value": value}


ASKED, TWO, THREE = turn("user", "1 + 1?"), turn("assistant", "2"), turn("assistant", "3")
SHAPES: dict[str, dict[str, Any]] = {
    "plain texts": {"prompt": "1 + 1?", "chosen": "2", "rejected": "3"},
    "ultrafeedback": {"prompt": "1 + 1?", "chosen": [ASKED, TWO], "rejected": [ASKED, THREE], "messages": [ASKED, TWO]},
    "magpie": {"chosen": [ASKED, TWO], "rejected": [ASKED, THREE]},
    "trl conversational": {"prompt": [ASKED], "chosen": [TWO], "rejected": [THREE]},
    "sky-t1": {"conversations": [said("human", "1 + 1?")], "chosen": said("gpt", "2"), "rejected": said("gpt", "3")},
    "openai": {"messages": [ASKED], "chosen": TWO, "rejected": THREE},
    "alpaca": {"instruction": "1 + 1?", "input": "", "chosen": "2", "rejected": "3"},
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_the_same_pair(tmp_path: Path, name: str) -> None:
    (found,) = read(tmp_path, SHAPES[name])
    assert (found.prompt, found.chosen, found.rejected) == ((USER,), GOOD, BAD)
    (plain,) = read(tmp_path, SHAPES["plain texts"])
    assert found.problem_id == plain.problem_id


def test_a_system_turn_comes_from_the_conversation_or_from_a_field(tmp_path: Path) -> None:
    in_turns = {**SHAPES["sky-t1"], "conversations": [said("system", "Be brief."), said("human", "1 + 1?")]}
    in_field = {**SHAPES["sky-t1"], "system": "Be brief."}
    one, other = read(tmp_path, in_turns, in_field)
    assert one == other
    assert one.prompt == (Message(role="system", content="Be brief."), USER)
    with pytest.raises(DataError, match="in `system` and in the conversation too"):
        read(tmp_path, {**in_turns, "system": "Be brief."})


def test_several_rounds_stay_in_the_prompt(tmp_path: Path) -> None:
    more = [turn("user", "Hello"), turn("assistant", "Hi"), ASKED]
    conversation, history = read(
        tmp_path,
        {"chosen": [*more, TWO], "rejected": [*more, THREE]},
        {**SHAPES["alpaca"], "history": [["Hello", "Hi"]]},
    )
    assert [item.content for item in conversation.prompt] == ["Hello", "Hi", "1 + 1?"]
    assert history.prompt == conversation.prompt


def test_our_own_tables_come_back_as_they_were(tmp_path: Path) -> None:
    pair = Pair(
        problem_id="p7",
        prompt=(Message(role="system", content="s"), USER),
        chosen=Message(role="assistant", content="2", thinking="one\nand one"),
        rejected=BAD,
        why="correct",
    )
    write_table(tmp_path / "pairs.parquet", Pair, [pair])
    assert list(read_pairs(tmp_path)) == list(read_pairs(tmp_path / "pairs.parquet")) == [pair]
    assert read(tmp_path, to_row(pair)) == [pair]


def test_parquet_and_json_arrays_of_others_are_read(tmp_path: Path) -> None:
    rows = [SHAPES["ultrafeedback"], SHAPES["ultrafeedback"]]
    write_rows(tmp_path / "rows.parquet", rows)
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    found = list(read_pairs(tmp_path / "rows.parquet"))
    assert len(found) == 2
    assert found == list(read_pairs(tmp_path / "rows.json")) == read(tmp_path, *rows)


def test_thinking_is_taken_out_of_a_text_with_markers(tmp_path: Path) -> None:
    sky = "<|begin_of_thought|>\n\nhm\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n2\n\n<|end_of_solution|>"
    row: dict[str, JSON] = {"prompt": "1 + 1?", "chosen": sky, "rejected": "<think>\nno end"}
    (found,) = read(tmp_path, row)
    assert found.chosen == Message(role="assistant", content="2", thinking="hm")
    assert found.rejected == Message(role="assistant", content="", thinking="no end")


def test_pairs_of_one_prompt_share_their_name_whatever_their_ids(tmp_path: Path) -> None:
    plain = SHAPES["plain texts"]
    found = read(tmp_path, {**plain, "uuid": "a"}, {**plain, "id": "b", "rejected": "4"}, {**plain, "prompt_id": "c"})
    assert found[0].problem_id == found[1].problem_id
    assert found[2].problem_id == "c"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "q", "chosen": "a"}, "no `rejected`; a row of pairs has prompt"),
        ({"chosen": "a", "rejected": "b"}, "no prompt; a row of pairs has"),
        ({"prompt": "", "chosen": "a", "rejected": "b"}, "no prompt"),
        ({"chosen": [ASKED, TWO], "rejected": [turn("user", "2 + 2?"), THREE]}, "differ before their last turns"),
        (
            {"prompt": "else", "chosen": [ASKED, TWO], "rejected": [ASKED, THREE]},
            "not what `chosen` and `rejected` begin",
        ),
        ({"chosen": [ASKED], "rejected": [ASKED]}, "`chosen` ends with a turn of the user"),
        ({"prompt": [TWO], "chosen": [TWO], "rejected": [THREE]}, "the prompt ends with a turn of the assistant"),
        ({"prompt": [turn("tool", "x")], "chosen": [TWO], "rejected": [THREE]}, "of the role 'tool'; pairs hold"),
        ({"prompt": ["q"], "chosen": [TWO], "rejected": [THREE]}, "turn 0 of `prompt` is no turn"),
        ({"prompt": "q", "chosen": {"content": "a"}, "rejected": [THREE]}, "turn 0 of `chosen` lacks `role`"),
        ({"prompt": "q", "chosen": 3, "rejected": 4}, "turn 0 of `chosen` is no turn"),
        ({"instruction": "q", "history": [["a"]], "chosen": "x", "rejected": "y"}, "round 0 of `history`"),
    ],
)
def test_a_row_that_is_no_pair_is_refused_by_its_place(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, SHAPES["magpie"], row)
    assert "pairs.jsonl:2: " in str(caught.value)
    assert message in str(caught.value)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("x")
    for source in (tmp_path, tmp_path / "pairs.txt", tmp_path / "absent.jsonl"):
        with pytest.raises(DataError, match="neither a run nor a table of pairs"):
            list(read_pairs(source))


def test_a_text_that_is_json_by_itself_stays_a_text(tmp_path: Path) -> None:
    (found,) = read(tmp_path, {"prompt": '{"a": 1}', "chosen": "[1, 2]", "rejected": "[]"})
    assert (found.prompt[0].content, found.chosen.content, found.rejected.content) == ('{"a": 1}', "[1, 2]", "[]")
