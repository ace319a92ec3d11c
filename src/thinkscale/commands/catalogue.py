"""list: what there is of one kind, each name with a line of what it is."""

from thinkscale.engines.models import ModelCard, known_models
from thinkscale.engines.serving.footprint import footprint_of_card
from thinkscale.engines.serving.plan import REASONING_TOKENS, fewest_gpus
from thinkscale.errors import ConfigError

GPU_SIZES_GIB = (24, 80)


def catalogue(kind: str) -> dict[str, str]:
    """Name to description. Raises ConfigError on a kind that does not exist."""
    if kind not in KINDS:
        raise ConfigError(f"there is no list of {kind!r}; there are {', '.join(KINDS)}")
    return KINDS[kind]()


def _recipes() -> dict[str, str]:
    from thinkscale.config import shipped_recipes

    return {name: text.splitlines()[0].lstrip("# ") for name, text in shipped_recipes().items()}


def _sources() -> dict[str, str]:
    from thinkscale.sources.catalogue import describe_sources

    return describe_sources()


def _benchmarks() -> dict[str, str]:
    from thinkscale.sources.benchmarks import catalogue as benchmarks

    return {name: str(entry["title"]) for name, entry in benchmarks().items()}


def _formats() -> dict[str, str]:
    from thinkscale.thinking.formats import FORMATS

    return {name: f"{item.think_open!r} ... {item.answer_open!r}" for name, item in FORMATS.items()}


def _methods() -> dict[str, str]:
    return {
        "truncation": "thinking cut at a budget, then a forced answer",
        "budget_forcing": "every budget, with the end of thinking suppressed by a wait string n times",
        "class_conditional": "asked for short or for long thinking, not truncated",
    }


def _graders() -> dict[str, str]:
    from thinkscale.verification.panel import GRADERS

    return dict(GRADERS)


def _engines() -> dict[str, str]:
    return {
        "local": "a Hugging Face model in this process (pip install 'thinkscale[local]')",
        "openai": "servers behind OpenAI's interface, one pool: vLLM (`thinkscale serve`), SGLang, hosted ones",
        "anthropic": "Anthropic's models, with their thinking kept apart",
        "scripted": "a script instead of a model, for the lab and for tests",
    }


def _prompts() -> dict[str, str]:
    from thinkscale.thinking.prompts import SYSTEM_PROMPTS

    return dict(SYSTEM_PROMPTS)


def _models() -> dict[str, str]:
    return {
        **{name: _model_line(card) for name, card in known_models().items()},
        "lab": "the lab's model, shipped with this package; runs on any machine with the `local` engine",
        "FOLDER": "a folder of a Hugging Face model, such as ./out/model: begin it with ./ or / or ~",
        "OWNER/NAME": "a Hub id, such as Qwen/Qwen2.5-3B; fetched by transformers where it is not yet on this machine",
    }


def _model_line(card: ModelCard) -> str:
    """Roles, size, thinking format, and how few GPUs of two usual sizes serve one trace of up to 32,768 tokens."""
    footprint = footprint_of_card(card)
    length = min(footprint.context_tokens, REASONING_TOKENS)
    needs = {memory: fewest_gpus(footprint, memory, length) for memory in GPU_SIZES_GIB}
    if needs[GPU_SIZES_GIB[0]] == 1:
        del needs[GPU_SIZES_GIB[1]]
    fits = " or ".join(f"{gpus} x {memory:g}" for memory, gpus in needs.items() if gpus) or "several machines of 80"
    return f"{'+'.join(card.roles)}, {card.parameters_billions:g} B, {_thinking(card)}, needs {fits} GiB"


def _thinking(card: ModelCard) -> str:
    return "no thinking markers" if card.thinking_format == "none" else f"thinks in {card.thinking_format}"


def _domains() -> dict[str, str]:
    from thinkscale.curation.taxonomy import DOMAINS

    return dict(DOMAINS)


KINDS = {
    "recipes": _recipes,
    "sources": _sources,
    "benchmarks": _benchmarks,
    "formats": _formats,
    "methods": _methods,
    "graders": _graders,
    "engines": _engines,
    "models": _models,
    "domains": _domains,
    "prompts": _prompts,
}
