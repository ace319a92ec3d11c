"""Thinking formats: splitting of texts, and ids under the lab's tokenizer."""

import pytest

from thinkscale.engines.catalogue import model_path, open_tokenizer
from thinkscale.errors import ConfigError, ModelError
from thinkscale.records import Message
from thinkscale.thinking.formats import FORMATS, BoundFormat, ThinkingFormat, find_format, split_text

USER = (Message(role="user", content="Compute 7 a+5 modulo 10."),)


@pytest.mark.parametrize(
    ("name", "text", "thinking", "answer", "terminated"),
    [
        ("think_tags", "<think>\n2+2=4\n</think>\n\nIt is 4.", "2+2=4", "It is 4.", True),
        ("think_tags", "2+2=4\n</think>\n\nIt is 4.", "2+2=4", "It is 4.", True),
        ("think_tags", "<think>\n2+2=4 Wait", "2+2=4 Wait", "", False),
        ("think_tags", "It is 4.", "", "It is 4.", True),
        ("think_tags", "<think>a</think>b</think>c", "a</think>b", "c", True),
        ("s1", "<|im_start|>think\nabc\n<|im_start|>answer\n4", "abc", "4", True),
        ("s1", "abc\n<|im_start|>answer\n4", "abc", "4", True),
        ("s1", "<|im_start|>think\nabc", "abc", "", False),
        (
            "sky_t1",
            "<|begin_of_thought|>\n\nabc\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n4\n\n<|end_of_solution|>",
            "abc",
            "4",
            True,
        ),
        ("sky_t1", "<|begin_of_thought|>\n\nabc <|end_of_thought|> 4", "abc ", "4", True),
        ("sky_t1", "<|begin_of_thought|>\n\nabc", "abc", "", False),
    ],
)
def test_split_text(name: str, text: str, thinking: str, answer: str, terminated: bool) -> None:
    parts = split_text(text, find_format(name))
    assert (parts.thinking, parts.answer, parts.terminated) == (thinking, answer, terminated)


def test_an_unknown_format_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="s1, think_tags, sky_t1"):
        find_format("s2")


@pytest.mark.lab
@pytest.mark.parametrize("name", list(FORMATS))
def test_a_training_row_reads_as_the_format_says_and_splits_again(name: str) -> None:
    bound = BoundFormat(find_format(name), open_tokenizer("lab"))
    ids = bound.training_ids(USER, "7 a+5=2", r"Final Answer: \boxed{2}")
    assert ids.completion[-1] == bound.eos_id
    assert bound.decode(ids.completion).startswith(bound.format.think_open)
    prompt = bound.thinking_prompt(USER)
    assert (ids.prompt + ids.completion)[: len(prompt)] == prompt, "what is trained is what evaluation continues"
    assert bound.decode(ids.completion[: ids.thinking_tokens]).endswith("7 a+5=2\n")
    whole = bound.decode((*ids.prompt, *ids.completion[:-1]))
    parts = split_text(whole.split("assistant\n", 1)[1], bound.format)
    assert (parts.thinking, parts.answer, parts.terminated) == ("7 a+5=2", r"Final Answer: \boxed{2}", True)


@pytest.mark.lab
def test_a_cut_is_closed_with_a_line_break_and_a_forced_answer() -> None:
    bound = BoundFormat(find_format("s1"), open_tokenizer("lab"))
    closing = bound.closing(bound.encode("7 a+5=2"), cut=True)
    assert bound.decode(closing.marker) == "\n<|im_start|>answer\n"
    assert bound.decode(closing.forced) == "Final Answer:"
    after_break = bound.closing(bound.encode("7 a+5=2\n"), cut=True)
    assert bound.decode(after_break.marker) == "<|im_start|>answer\n"
    natural = bound.closing(bound.encode("7 a+5=2\n"), cut=False)
    assert (bound.decode(natural.marker), natural.forced) == ("<|im_start|>answer\n", ())


@pytest.mark.lab
def test_a_marker_of_several_tokens_is_refused_with_its_name() -> None:
    odd = ThinkingFormat(name="odd", think_open="<reason>", think_end="</reason>", answer_open="</reason>")
    with pytest.raises(ModelError, match="</reason>"):
        BoundFormat(odd, open_tokenizer("lab"))


def test_the_lab_model_is_a_folder_of_the_package() -> None:
    assert model_path("lab").endswith("lab/model")
