"""Replies as token ids: rendered in the prompt's format, and gone on with exactly where a cut was."""

import asyncio

import pytest

from thinkscale.engines.catalogue import open_tokenizer
from thinkscale.engines.scripted import ScriptedReply
from thinkscale.engines.scripted.asking import Answer, Ask
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.pieces import overlap
from thinkscale.records import Finish, Message, Sampling
from thinkscale.thinking.formats import FORMATS, BoundFormat, Tokenizer

pytest.importorskip("transformers")
QUESTION = "Compute 7 a+5 b*3 c-4 modulo 10."
THINKING, ANSWER = "7 a+5=2 b*3=6 c-4=2\nWait\n7 a+5=2 b*3=6 c-4=2", "Final Answer: 2"


def script(prompt: str, _seed: int) -> ScriptedReply:
    if prompt != QUESTION:
        return ScriptedReply(thinking="", answer_text="what?")
    return ScriptedReply(thinking=THINKING, answer_text=ANSWER)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return open_tokenizer("lab")


@pytest.fixture(scope="module")
def bound(tokenizer: Tokenizer) -> BoundFormat:
    return BoundFormat(FORMATS["s1"], tokenizer)


@pytest.fixture(scope="module")
def backend(tokenizer: Tokenizer) -> ScriptedBackend:
    return ScriptedBackend(script, name="toy", tokenizer=tokenizer)


def said(
    backend: ScriptedBackend, ids: tuple[int, ...], max_tokens: int = 500, stop_ids: tuple[int, ...] = ()
) -> tuple[tuple[int, ...], Answer]:
    ask = Ask(sampling=Sampling(max_tokens=max_tokens), ids=ids, stop_ids=stop_ids)
    answer = asyncio.run(backend.reply(ask, 4))
    assert all(len(piece.ids) == piece.num_tokens <= 4 for piece in answer.pieces)
    return tuple(token for piece in answer.pieces for token in piece.ids), answer


def test_a_thinking_prompt_gets_the_recorded_thinking_up_to_its_stop_id(
    backend: ScriptedBackend, bound: BoundFormat
) -> None:
    prompt = bound.thinking_prompt((Message(role="user", content=QUESTION),))
    ids, answer = said(backend, prompt, stop_ids=bound.think_stop_ids)
    assert ids == (*bound.encode(THINKING + "\n"), bound.think_stop_ids[0])
    assert (answer.finish, answer.stop_id) == (Finish.END, bound.think_stop_ids[0])
    assert "".join(piece.text for piece in answer.pieces) == THINKING + "\n"
    whole, answer = said(backend, prompt)
    assert whole == (*bound.encode(THINKING + "\n"), *bound.encode(bound.format.answer_open + ANSWER), bound.eos_id)
    assert (answer.finish, answer.stop_id) == (Finish.END, None)


def test_a_draft_that_is_sent_back_brings_exactly_the_rest(backend: ScriptedBackend, bound: BoundFormat) -> None:
    prompt = bound.thinking_prompt((Message(role="user", content=QUESTION),))
    whole, _ = said(backend, prompt)
    for cut in range(1, len(whole)):
        head, answer = said(backend, prompt, max_tokens=cut)
        assert answer.finish is Finish.LENGTH
        assert head + said(backend, prompt + head)[0] == whole


def test_a_closed_thinking_gets_the_answer_also_after_a_cut_and_forced_words(
    backend: ScriptedBackend, bound: BoundFormat
) -> None:
    prompt = bound.thinking_prompt((Message(role="user", content=QUESTION),))
    thinking = bound.encode(THINKING + "\n")
    closing = bound.closing(thinking, cut=False)
    assert said(backend, (*prompt, *thinking, *closing.marker))[0] == (*bound.encode(ANSWER), bound.eos_id)
    forced = bound.closing(thinking[:5], cut=True)
    ids, _ = said(backend, (*prompt, *thinking[:5], *forced.marker, *forced.forced))
    assert bound.decode(ids[:-1]).strip() == "2"


def test_a_wait_string_brings_the_thinking_again(backend: ScriptedBackend, bound: BoundFormat) -> None:
    prompt = bound.thinking_prompt((Message(role="user", content=QUESTION),))
    ids, _ = said(backend, (*prompt, *bound.encode("2 Wait\n")), stop_ids=bound.think_stop_ids)
    assert ids[:-1] == bound.encode(THINKING + "\n")


def test_chat_counts_with_the_tokenizer(backend: ScriptedBackend, bound: BoundFormat) -> None:
    messages = (Message(role="user", content=QUESTION),)
    answer = asyncio.run(backend.reply(Ask(sampling=Sampling(max_tokens=500), messages=messages), 4))
    counts = [sum(piece.num_tokens for piece in answer.pieces if piece.thinking is thinks) for thinks in (True, False)]
    assert counts == [len(bound.encode(THINKING)), len(bound.encode(ANSWER))]
    assert answer.prompt_tokens == len(bound.direct_prompt(messages))


@pytest.mark.parametrize(
    ("prompt", "reply", "size"),
    [
        ("abcab", "abx", 2),
        ("abab", "abab", 4),
        ("xabab", "ababc", 4),
        ("abc", "x", 0),
        ("aaab", "aab", 3),
        ("", "a", 0),
    ],
)
def test_the_longest_end_that_begins_the_reply_is_found(prompt: str, reply: str, size: int) -> None:
    assert overlap(prompt, reply) == size
    assert overlap(tuple(prompt.encode()), tuple(reply.encode())) == size


def held(
    backend: ScriptedBackend, ids: tuple[int, ...], min_tokens: int, stop_ids: tuple[int, ...], max_tokens: int = 500
) -> tuple[int, ...]:
    sampling = Sampling(max_tokens=max_tokens)
    ask = Ask(sampling=sampling, ids=ids, stop_ids=stop_ids, min_tokens=min_tokens, logprobs=True)
    answer = asyncio.run(backend.reply(ask, 4))
    found = tuple(token for piece in answer.pieces for token in piece.ids)
    assert answer.logprobs == (0.0,) * len(found)
    return found


@pytest.mark.parametrize("behind", [1, 5, 200])
def test_held_open_a_recording_goes_on_behind_its_stop_and_ends_as_soon_as_it_may(
    backend: ScriptedBackend, bound: BoundFormat, behind: int
) -> None:
    prompt = bound.thinking_prompt((Message(role="user", content=QUESTION),))
    stops = bound.think_stop_ids
    thinking = bound.encode(THINKING + "\n")
    said_after = (*bound.encode(bound.format.answer_open + ANSWER)[1:], *thinking)
    least = len(thinking) + behind
    ids = held(backend, prompt, least, stops)
    assert len(ids) == least + 1
    assert ids[: len(thinking)] == thinking
    endless = said_after * 20
    assert ids[len(thinking) : least] == endless[:behind]
    assert ids[-1] in stops
    assert not any(token in stops for token in ids[:-1])
    assert held(backend, prompt, len(thinking), stops) == said(backend, prompt, stop_ids=stops)[0]
    assert held(backend, prompt, least, stops, max_tokens=least) == ids[:-1]


def test_held_open_a_draft_that_is_sent_back_brings_exactly_the_rest(
    backend: ScriptedBackend, bound: BoundFormat
) -> None:
    prompt = bound.thinking_prompt((Message(role="user", content=QUESTION),))
    stops = bound.think_stop_ids
    least = len(bound.encode(THINKING + "\n")) + 30
    whole = held(backend, prompt, least, stops)
    for cut in range(1, len(whole)):
        assert whole[:cut] + held(backend, prompt + whole[:cut], max(0, least - cut), stops) == whole
