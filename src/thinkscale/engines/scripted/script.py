"""What a script is: a pure function from a prompt and a seed to a reply."""

from collections.abc import Callable
from dataclasses import dataclass

from thinkscale.records import Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedReply:
    """What a script says to a prompt."""

    thinking: str
    answer_text: str
    finish: Finish = Finish.END
    error: str | None = None


Script = Callable[[str, int], ScriptedReply]
"""From the text of the last user turn and a seed to a reply; pure."""
