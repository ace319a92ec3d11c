"""What a model is told about how long to think: a class, a number of tokens, or a number of steps.

A condition is a short text (`short`, `tokens:1024`, `steps:16`, `countdown:16`; empty where nothing is said), so that
it can stand in keys and records as it is. The wording is ours; the ideas are s1's, section 4 and appendix E.
"""

from collections.abc import Mapping

from thinkscale.errors import ConfigError

CLASS_PROMPTS: Mapping[str, str] = {
    "short": "Think briefly: take only the steps that the answer needs.",
    "long": "Think at length: go slowly, then check every step before you answer.",
}
STEP_TOKENS = 100
"""What a step counts as where steps are compared with tokens (s1, table 13)."""

_NUMBERED: Mapping[str, str] = {
    "tokens": "Use at most {number} tokens to think, then answer.",
    "steps": "Use at most {number} steps to think, with an empty line after each, then answer.",
    "lines": "Use at most {number} steps to think, each on a line of its own, then answer.",
    "countdown": (
        "Use at most {number} steps to think, then answer. Begin each step with a line that says how many are left, "
        "such as `{number} steps left`, and count down to `0 steps left`."
    ),
}
STEP_KINDS: Mapping[str, str] = {"blank_lines": "steps", "lines": "lines", "countdown": "countdown"}
"""The condition of each format of steps (`evaluate.step_format`)."""


def numbered(kind: str, number: int) -> str:
    """The condition that states a number of tokens or steps."""
    return f"{kind}:{number}"


def instruction(condition: str) -> str:
    """The line that follows the question, empty for the empty condition. Raises ConfigError on any other text."""
    if not condition:
        return ""
    kind, _, number = condition.partition(":")
    if condition in CLASS_PROMPTS:
        return CLASS_PROMPTS[condition]
    if kind in _NUMBERED and number.isdecimal():
        return _NUMBERED[kind].format(number=number)
    raise ConfigError(f"there is no condition {condition!r}; there are short, long, and {', '.join(_NUMBERED)} with :N")


def condition_of(method: str, budget_tokens: int | None, variant: str, step_format: str = "blank_lines") -> str:
    """The condition under which a score was made, from the columns that name its cell."""
    if method == "class_conditional":
        return variant
    if method.startswith("token_conditional") and budget_tokens is not None:
        return numbered("tokens", budget_tokens)
    if method.startswith("step_conditional"):
        return numbered(STEP_KINDS[step_format], int(variant))
    return ""
