import pytest

from thinkscale.errors import DataError
from thinkscale.handover.rows import SHAPES, written
from thinkscale.records import Example, Message
from thinkscale.thinking.formats import FORMATS

ASKED = (Message(role="system", content="Be brief."), Message(role="user", content="1 + 1?"))
REPLY = Message(role="assistant", content="2", thinking="one and one", trained=True)
EXAMPLE = Example(problem_id="p", response_key="k", messages=(*ASKED, REPLY))
S1 = "<|im_start|>think\none and one\n<|im_start|>answer\n2"


def test_thinking_stands_in_the_text_with_the_markers_of_its_format() -> None:
    texts = {name: written(EXAMPLE, item)[-1].content for name, item in FORMATS.items()}
    assert texts == {
        "s1": S1,
        "think_tags": "<think>\none and one\n</think>\n\n2",
        "sky_t1": (
            "<|begin_of_thought|>\n\none and one\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n2<|end_of_solution|>"
        ),
    }


def test_each_shape_has_the_fields_that_its_readers_look_for() -> None:
    turns = written(EXAMPLE, FORMATS["s1"])
    system, user = ({"role": turn.role, "content": turn.content} for turn in ASKED)
    reply = {"role": "assistant", "content": S1}
    assert {name: shape(turns) for name, shape in SHAPES.items()} == {
        "messages": {"messages": [system, user, reply]},
        "prompt_completion": {"prompt": [system, user], "completion": [reply]},
        "sharegpt": {
            "system": "Be brief.",
            "conversations": [{"from": "human", "value": "1 + 1?"}, {"from": "gpt", "value": S1}],
        },
        "alpaca": {"instruction": "1 + 1?", "input": "", "output": S1, "system": "Be brief."},
    }


def test_an_answer_without_thinking_has_no_markers() -> None:
    plain = Example(problem_id="p", response_key="k", messages=(ASKED[1], Message(role="assistant", content="2")))
    assert written(plain, FORMATS["s1"])[-1].content == "2"


@pytest.mark.parametrize(
    "messages", [(), ASKED, (REPLY, ASKED[1], REPLY)], ids=["none", "no answer", "two trained turns"]
)
def test_an_example_that_the_formats_cannot_say_is_refused(messages: tuple[Message, ...]) -> None:
    with pytest.raises(DataError, match="p: only examples that end with their one trained assistant turn"):
        written(Example(problem_id="p", response_key="k", messages=messages), FORMATS["s1"])


def test_alpaca_holds_one_round_only() -> None:
    first = Message(role="assistant", content="2")
    turns = written(
        Example(problem_id="p", response_key="k", messages=(ASKED[1], first, ASKED[1], REPLY)), FORMATS["s1"]
    )
    with pytest.raises(DataError, match="one question and one answer"):
        SHAPES["alpaca"](turns)
    assert len(SHAPES["sharegpt"](turns)["conversations"]) == 4  # type: ignore[arg-type]
