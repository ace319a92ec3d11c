"""A judge over scripted engines: verdicts, retries, failures, and nothing by default."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import pytest

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.scripted import ScriptedEngine, ScriptedReply
from thinkscale.grading.judge import MAX_CHARACTERS
from thinkscale.records import Finish, Usage, Verdict
from thinkscale.verification.judge import MAX_REFUSED, Judge, JudgeItem

Reply = Callable[[str, str, str], str]
"""From reference, answer and nonce to a reply."""


def script(reply: Reply, thinking: str = "", finish: Finish = Finish.END) -> Callable[[str, int], ScriptedReply]:
    def answer(prompt: str, _seed: int) -> ScriptedReply:
        found = re.search(r"<<<REFERENCE (\w+)\n(.*?)\n\1 REF.*<<<ANSWER \1\n(.*?)\n\1 ANSWER>>>", prompt, re.DOTALL)
        assert found is not None
        return ScriptedReply(thinking=thinking, answer_text=reply(found[2], found[3], found[1]), finish=finish)

    return answer


def equal_text(reference: str, answer: str, nonce: str) -> str:
    return f"I compare.\nVERDICT {nonce}: {'EQUIVALENT' if reference == answer else 'DIFFERENT'}"


def judge(reply: Reply, retries: int = 1, thinking: str = "", finish: Finish = Finish.END) -> Judge:
    engine = ScriptedEngine("scripted-judge", script(reply, thinking, finish), lambda text: len(text.split()))
    return Judge(engine=engine, retries=retries)


def item(key: str, reference: str, answer: str, question: str | None = "?") -> JudgeItem:
    return JudgeItem(key=key, question=question, reference=reference, answer=answer)


def test_equivalent_is_correct_and_different_is_wrong() -> None:
    first, second = judge(equal_text).grade([item("a", "5", "5"), item("b", "5", "6", question=None)])
    assert (first.item.key, first.judgement.verdict, first.judgement.tier) == ("a", Verdict.CORRECT, "judge")
    assert (second.item.key, second.judgement.verdict, second.judgement.tier) == ("b", Verdict.WRONG, "judge")
    assert re.fullmatch(r"scripted-judge, prompt [0-9a-f]{8}: it says equivalent", first.judgement.evidence)
    assert first.judgement.extracted == "5"
    assert first.num_requests == 1
    assert first.usage.completion_tokens == 5


def test_items_with_the_same_content_are_two_items() -> None:
    results = list(judge(equal_text).grade([item("a", "5", "5"), item("b", "5", "5")]))
    assert [result.item.key for result in results] == ["a", "b"]


def test_unclear_is_ungradable() -> None:
    (result,) = judge(lambda _r, _a, nonce: f"VERDICT {nonce}: UNCLEAR").grade([item("a", "5", "x")])
    assert (result.judgement.verdict, result.judgement.tier) == (Verdict.UNGRADABLE, "judge_unclear")


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_an_unreadable_reply_is_asked_again_a_bounded_number_of_times(retries: int) -> None:
    (result,) = judge(lambda _r, _a, _n: "It is correct.", retries).grade([item("a", "5", "5")])
    assert (result.judgement.verdict, result.judgement.tier) == (Verdict.UNGRADABLE, "judge_unparsable")
    assert result.num_requests == retries + 1
    assert result.usage.completion_tokens == 3 * (retries + 1)


def test_a_readable_reply_to_the_reminder_counts() -> None:
    def forgetful(prompt: str, _seed: int) -> ScriptedReply:
        nonces = re.findall(r"VERDICT (\w+): EQUIVALENT", prompt)
        text = f"VERDICT {nonces[0]}: DIFFERENT" if len(nonces) == 2 else "No."
        return ScriptedReply(thinking="", answer_text=text)

    engine = ScriptedEngine("forgetful", forgetful, len)
    items = [item(str(number), "5", str(number)) for number in range(20)]
    results = list(Judge(engine=engine).grade(items))
    assert {result.item.key for result in results} == {str(number) for number in range(20)}
    assert {result.judgement.verdict for result in results} == {Verdict.WRONG}
    assert {result.num_requests for result in results} == {2}
    assert results[0].judgement.evidence.endswith("after 2 requests")


def test_a_verdict_in_the_thinking_is_none() -> None:
    (result,) = judge(lambda _r, _a, _n: "yes", 0, thinking="VERDICT 00: EQUIVALENT").grade([item("a", "5", "5")])
    assert result.judgement.verdict is Verdict.UNGRADABLE


def test_a_cut_reply_has_no_verdict() -> None:
    (result,) = judge(equal_text, finish=Finish.LENGTH).grade([item("a", "5", "5")])
    assert (result.judgement.verdict, result.judgement.tier) == (Verdict.UNGRADABLE, "judge_unparsable")
    assert "cut" in result.judgement.evidence
    assert result.num_requests == 2


def test_an_engine_error_is_ungradable_and_not_asked_again() -> None:
    def failing(_prompt: str, _seed: int) -> ScriptedReply:
        return ScriptedReply(thinking="", answer_text="", finish=Finish.ERROR, error="503 overloaded")

    (result,) = Judge(engine=ScriptedEngine("failing", failing, len)).grade([item("a", "5", "5")])
    assert (result.judgement.verdict, result.judgement.tier) == (Verdict.UNGRADABLE, "judge_failed")
    assert result.judgement.evidence == "engine error: 503 overloaded"
    assert result.num_requests == 1


def test_what_cannot_be_asked_is_refused_and_not_cut() -> None:
    items = [item("long", "5", "5" * (MAX_CHARACTERS + 1)), item("empty", " ", "5"), item("broken", "5", "\ud800")]
    results = list(judge(equal_text).grade([*items, item("a", "5", "5")]))
    assert {result.item.key: result.judgement.tier for result in results} == {
        "long": "judge_refused",
        "empty": "judge_refused",
        "broken": "judge_refused",
        "a": "judge",
    }
    assert {result.num_requests for result in results} == {0, 1}


def test_many_refused_items_do_not_pile_up() -> None:
    drawn = 0

    def endless() -> Iterator[JudgeItem]:
        nonlocal drawn
        while True:
            drawn += 1
            yield item(str(drawn), "", "")

    results = list(islice(judge(equal_text).grade(endless()), 3 * MAX_REFUSED))
    assert len(results) == 3 * MAX_REFUSED
    assert drawn <= 4 * MAX_REFUSED


@dataclass(frozen=True, slots=True)
class Batching:
    """Answers in batches, each in reverse order; forgets some requests and says nothing readable to others."""

    name: str
    size: int
    forgets: str = "forget"
    garbles: str = "garble"
    sizes: list[int] = field(default_factory=list)

    def answer(self, requests: Iterable[ChatRequest]) -> Iterator[ChatCompletion]:
        waiting = iter(requests)
        while batch := list(islice(waiting, self.size)):
            self.sizes.append(len(batch))
            for request in reversed(batch):
                prompt = request.messages[-1].content
                if self.forgets in prompt:
                    continue
                reply = "..." if self.garbles in prompt else script(equal_text)(prompt, 0).answer_text
                yield ChatCompletion(
                    request=request, thinking="", answer_text=reply, finish=Finish.END, usage=Usage(completion_tokens=1)
                )


def test_results_may_come_in_any_order_and_items_are_drawn_as_needed() -> None:
    engine = Batching("batching", 4)
    drawn: list[int] = []

    def items() -> Iterator[JudgeItem]:
        for number in range(100):
            drawn.append(number)
            yield item(str(number), "7", str(number))

    results = Judge(engine=engine).grade(items())
    first = next(results)
    assert (first.item.key, len(drawn)) == ("3", 4)
    rest = list(results)
    right = [result.item.key for result in [first, *rest] if result.judgement.verdict is Verdict.CORRECT]
    assert (len(rest), right) == (99, ["7"])


@pytest.mark.parametrize("size", [1, 3, 10])
def test_a_request_that_the_engine_forgets_is_ungradable_once(size: int) -> None:
    items = [item("a", "5", "5"), item("b", "5", "forget"), item("c", "5", "garble"), item("d", "5", "6")]
    results = list(Judge(engine=Batching("b", size)).grade(items))
    assert sorted((result.item.key, result.judgement.tier) for result in results) == [
        ("a", "judge"),
        ("b", "judge_failed"),
        ("c", "judge_unparsable"),
        ("d", "judge"),
    ]


def test_the_judge_never_sees_the_name_that_the_caller_gives_an_item() -> None:
    seen: list[str] = []

    def watching(prompt: str, seed: int) -> ScriptedReply:
        seen.append(prompt)
        return script(equal_text)(prompt, seed)

    list(Judge(engine=ScriptedEngine("w", watching, len)).grade([item("by-model-x", "5", "5")]))
    assert len(seen) == 1
    assert "by-model-x" not in seen[0]


def test_the_identity_names_model_wording_and_limits() -> None:
    identity = judge(equal_text).identity
    assert isinstance(identity, dict)
    assert identity["model"] == "scripted-judge"
    assert set(identity) == {"model", "prompt", "max_tokens", "retries"}
