"""The scripted engine in this process: order, pace, and faults that end as records."""

from thinkscale.engines.chat import ChatRequest
from thinkscale.engines.scripted import ScriptedEngine, ScriptedReply
from thinkscale.engines.scripted.faults import Fault, FaultPlan
from thinkscale.records import Finish, Message, Sampling


def echo(prompt: str, seed: int) -> ScriptedReply:
    return ScriptedReply(thinking=prompt, answer_text=str(seed))


def requests(*prompts: str) -> list[ChatRequest]:
    sampling = Sampling(max_tokens=100, seed=1)
    return [
        ChatRequest(key=text, messages=(Message(role="user", content=text),), sampling=sampling) for text in prompts
    ]


def test_without_a_pace_completions_come_in_order() -> None:
    found = list(ScriptedEngine("s", echo, len).answer(requests("long one", "b")))
    assert [item.request.key for item in found] == ["long one", "b"]
    assert (found[0].thinking, found[0].answer_text, found[0].thinking_tokens) == ("long one", "1", 8)
    assert (found[0].usage.prompt_tokens, found[0].usage.completion_tokens) == (8, 9)


def test_with_a_pace_requests_overlap_and_the_shortest_ends_first() -> None:
    engine = ScriptedEngine("s", echo, len, tokens_per_second=1000, concurrency=2)
    found = [item.request.key for item in engine.answer(requests("x" * 60, "yy", "z" * 20))]
    assert found == ["yy", "z" * 20, "x" * 60]
    alone = ScriptedEngine("s", echo, len, tokens_per_second=1000)
    assert [item.request.key for item in alone.answer(requests("x" * 30, "yy"))] == ["x" * 30, "yy"]


def test_a_fault_that_lasts_is_a_completion_with_its_reason_and_attempts() -> None:
    plan = FaultPlan(shares={Fault.STALL: 1.0})
    (found,) = ScriptedEngine("s", echo, len, faults=plan, most_attempts=3).answer(requests("a"))
    assert (found.finish, found.attempts, found.thinking) == (Finish.ERROR, 3, "")
    assert found.error == "stall: injected, 3 attempts"
    refused = FaultPlan(shares={Fault.BAD_REQUEST: 1.0})
    (found,) = ScriptedEngine("s", echo, len, faults=refused).answer(requests("a"))
    assert (found.finish, found.attempts) == (Finish.ERROR, 1)


def test_passing_faults_are_retried_alike_in_every_run() -> None:
    plan = FaultPlan(shares={Fault.SERVER_ERROR: 0.5})
    engine = ScriptedEngine("s", echo, len, faults=plan, most_attempts=20)
    found = list(engine.answer(requests(*(f"p{number}" for number in range(30)))))
    assert all(item.finish is Finish.END for item in found)
    assert max(item.attempts for item in found) > 1
    assert [item.attempts for item in found] == [
        item.attempts for item in engine.answer(requests(*(f"p{number}" for number in range(30))))
    ]
