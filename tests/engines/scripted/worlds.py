"""What the server tests share: a script whose replies can be counted by hand, and raw requests."""

from thinkscale.engines.scripted import ScriptedReply
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.faults import Fault, FaultPlan

THINKING = "one two three. " * 16
ANSWER = "It is four."
"""240 and 11 characters: 60 and 3 tokens of four characters."""
THINKING_TOKENS, ANSWER_TOKENS = 60, 3


def script(_prompt: str, _seed: int) -> ScriptedReply:
    return ScriptedReply(thinking=THINKING, answer_text=ANSWER)


def backend() -> ScriptedBackend:
    return ScriptedBackend(script, name="toy")


def always(fault: Fault, seed: int = 42) -> FaultPlan:
    return FaultPlan(shares={fault: 1.0}, permanent_share=1.0, seed=seed)


def chat(text: str = "hi", /, **more: object) -> dict[str, object]:
    return {"model": "toy", "messages": [{"role": "user", "content": text}], "max_tokens": 100, **more}
