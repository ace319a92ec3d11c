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


def _studies() -> dict[str, str]:
    from thinkscale.config.study import shipped_studies

    return {name: text.splitlines()[0].lstrip("# ") for name, text in shipped_studies().items()}


def _sources() -> dict[str, str]:
    from thinkscale.sources.catalogue import describe_sources

    return describe_sources()


def _benchmarks() -> dict[str, str]:
    from thinkscale.sources.benchmark_catalogue import describe_benchmarks

    return describe_benchmarks()


def _formats() -> dict[str, str]:
    from thinkscale.thinking.formats import FORMATS

    return {name: f"{item.think_open!r} ... {item.answer_open!r}" for name, item in FORMATS.items()}


def _methods() -> dict[str, str]:
    return {
        "truncation": "thinking cut at a budget, then a forced answer",
        "budget_forcing": "every budget, with the end of thinking suppressed n times, and a wait string put there",
        "class_conditional": "asked for short or for long thinking, not truncated",
        "token_conditional": "told a number of tokens, not truncated",
        "token_conditional_forced": "told a number of tokens, and cut there",
        "step_conditional": "told a number of steps, not truncated",
        "step_conditional_forced": "told a number of steps, and cut behind the last",
        "minimum": "thinking that cannot end before a number of tokens, with nothing put in its way",
        "rejection": "sampled again until the thinking ends within the budget, a bounded number of times",
        "direct": "an answer at once: the thinking is never opened",
        "majority": "the answer that most of k samples give, for every k up to evaluate.samples",
        "pass": "whether any of k samples is right",
        "best_of_n": "of k samples the one that a scorer likes best (evaluate.scorers)",
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


def _templates() -> dict[str, str]:
    from thinkscale.thinking.prompts import TEMPLATES

    return {
        name: f"{item.key[:8]}; {', '.join(item.kinds)}; {item.title}\n{item.text}" for name, item in TEMPLATES.items()
    }


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
    "studies": _studies,
    "sources": _sources,
    "benchmarks": _benchmarks,
    "formats": _formats,
    "methods": _methods,
    "graders": _graders,
    "engines": _engines,
    "models": _models,
    "domains": _domains,
    "prompts": _prompts,
    "templates": _templates,
}
