"""The card of a model (README.md): what it is, how to prompt and serve it, what made it, and how well it does.

The front matter is what the Hub reads: base model, data sets, and the results of the evaluation as a model index. The
text is complete without the Hub. Nothing is said that the run does not know: a licence is never guessed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from thinkscale.records import Cell
from thinkscale.sources.cards import CardFacts, contamination_section, funnel_section, making_section, sources_section
from thinkscale.sources.catalogue import entries
from thinkscale.sources.hub import GITHUB
from thinkscale.sources.model_results import by_benchmark, evaluation_section, key_of, model_index, setting_of
from thinkscale.thinking.formats import FORCED_ANSWER, ThinkingFormat

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCardFacts:
    """What a model's card states."""

    data: CardFacts
    """Repository, sources, funnel, recipe and provenance: as on the card of a data set."""
    base_model: str
    """A Hub id, or a name of this project or of a folder, without the folder's place."""
    licence: str = ""
    """By its Hub name; empty where nobody said it."""
    method: str = "sft"
    """`sft`, `dpo`, `simpo`."""
    format: ThinkingFormat | None = None
    notice: Sequence[str] = ()
    """What must be read first, as the recipe says it."""
    told: Sequence[str] = ()
    """What happened in the training, in sentences."""
    hyperparameters: Sequence[tuple[str, str]] = ()
    """In force, name and value."""
    figures: Mapping[str, str] = field(default_factory=dict)
    """Path in the repository to what it shows."""
    cells: Sequence[Cell] = ()
    """Of this model; none where it was not evaluated."""
    base_cells: Sequence[Cell] = ()
    """The same points of the base model."""
    context_tokens: int | None = None


def model_card(facts: ModelCardFacts) -> str:
    """The text of README.md."""
    title = facts.data.repository.rpartition("/")[2]
    parts = [
        f"---\n{yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True)}---\n",
        f"# {title}\n",
        "".join(f"> {item}\n" for item in facts.notice),
        _summary(facts),
        _prompting(facts),
        _serving(facts),
        evaluation_section(facts.cells, facts.base_cells),
        _training(facts),
        sources_section(facts.data),
        funnel_section(facts.data),
        contamination_section(facts.data) if facts.data.recipe else "",
        _limits(facts),
        making_section(facts.data),
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(facts: ModelCardFacts) -> dict[str, object]:
    head: dict[str, object] = {}
    if facts.licence:
        head["license"] = facts.licence
    if HUB_ID.fullmatch(facts.base_model):
        head |= {"base_model": facts.base_model, "base_model_relation": "finetune"}
    if found := list(dict.fromkeys(_hub_sources(facts.data.sources))):
        head["datasets"] = found
    head |= {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "language": ["en"],
        "tags": ["reasoning", "test-time-scaling", "thinkscale", "trl", facts.method],
    }
    if facts.cells:
        name = facts.data.repository.rpartition("/")[2]
        head["model-index"] = [{"name": name, "results": list(model_index(facts.cells))}]
    return head


def _hub_sources(sources: Mapping[str, int]) -> Iterator[str]:
    for name in sources:
        entry = entries().get(name)
        if entry is not None and not entry.repository.startswith(GITHUB) and HUB_ID.fullmatch(entry.repository):
            yield entry.repository


def _summary(facts: ModelCardFacts) -> str:
    base = facts.base_model
    named = f"[{base}](https://huggingface.co/{base})" if HUB_ID.fullmatch(base) else f"A model named `{base}`"
    how = {
        "sft": "taught to think before it answers: supervised fine-tuning on traces",
        "dpo": "trained to prefer the chosen one of two replies: DPO on pairs",
        "simpo": "trained to prefer the chosen one of two replies: SimPO on pairs",
    }
    lines = [f"{named}, {how.get(facts.method, f'trained by {facts.method}')}."]
    if facts.method == "sft" and (examples := facts.data.tables.get("examples")):
        lines[0] = lines[0].removesuffix(".") + f", {examples:,} of them."
    if not facts.licence:
        lines.append("No licence is stated here: that of the base model and those of the sources apply.")
    return "\n".join([*lines, ""])


def _prompting(facts: ModelCardFacts) -> str:
    if facts.format is None:
        return ""
    opening = facts.format.think_open
    limit = f"{min(facts.context_tokens // 2, 32_768)}" if facts.context_tokens else "4096"
    return "\n".join(
        [
            "## How to prompt",
            "",
            "The model's own chat template, then the opening of its thinking:",
            "",
            "```python",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            f'tokenizer = AutoTokenizer.from_pretrained("{facts.data.repository}")',
            f'model = AutoModelForCausalLM.from_pretrained("{facts.data.repository}", dtype="auto")',
            'messages = [{"role": "user", "content": "How many positive divisors has 360?"}]',
            "prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)",
            f"ids = tokenizer(prompt + {opening!r}, add_special_tokens=False, return_tensors='pt')",
            f"output = model.generate(**ids, max_new_tokens={limit})",
            "print(tokenizer.decode(output[0][ids['input_ids'].shape[1]:]))",
            "```",
            "",
            f"Thinking ends with `{facts.format.think_end}`; `{_shown(facts.format.answer_open)}` opens the answer,",
            "which the end of the turn closes. A response without it was cut off in its thinking and has no answer.",
            "",
        ]
    )


def _shown(text: str) -> str:
    return text.replace("\n", "\\n")


def _serving(facts: ModelCardFacts) -> str:
    if facts.format is None:
        return ""
    name, form = facts.data.repository, facts.format
    return "\n".join(
        [
            "## How to serve it, and how to set how long it thinks",
            "",
            "```bash",
            f"vllm serve {name}    # or: thinkscale serve {name}, which also says how many GPUs",
            f"thinkscale evaluate --model {name} --thinking-format {form.name} --engine openai \\",
            "    --endpoint http://127.0.0.1:8000/v1 --benchmark math500 --out forced \\",
            "    --method budget_forcing --budget 4000 --waits 2",
            "```",
            "",
            f"Budget forcing (arXiv 2501.19393): to go on thinking, a `{form.think_end}` that comes too early is left",
            "out and `Wait` put in its place; to stop, what is put behind the thinking is",
            f"`{_shown(form.answer_open)}{FORCED_ANSWER}`.",
            "",
        ]
    )


def _training(facts: ModelCardFacts) -> str:
    lines = ["## Training", "", *(f"- {item}" for item in facts.told), ""] if facts.told else []
    for path, shown in facts.figures.items():
        lines += [f"![{shown}]({path})", ""]
    if facts.hyperparameters:
        lines += ["Hyperparameters in force:", "", "| name | value |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in facts.hyperparameters] + [""]
    return "\n".join(lines)


def _limits(facts: ModelCardFacts) -> str:
    return "\n".join(["## Limits", "", *(f"- {item}" for item in _limits_told(facts)), ""])


def _limits_told(facts: ModelCardFacts) -> Iterator[str]:
    if facts.cells:
        names = ", ".join(by_benchmark(facts.cells))
        yield f"It was measured on {names} alone: nothing is known of other tasks and languages, or of its safety."
        budgets = [cell.budget_tokens for cell in facts.cells if cell.budget_tokens is not None]
        if budgets and not any(cell.budget_tokens is None for cell in facts.cells):
            yield f"Thinking longer than {max(budgets):,} tokens was not measured."
        cut = max(facts.cells, key=lambda cell: cell.cut_off / max(cell.num_scores, 1))
        if cut.cut_off:
            yield (
                f"Up to {100 * cut.cut_off / cut.num_scores:.1f}% of the responses were cut off by a limit "
                f"({cut.benchmark}, {setting_of(cut)})."
            )
        yield from _worse(facts)
    else:
        yield "Nothing is known of how well it answers, in any language or task, or of its safety."
    yield "Its thinking is generated text: it can be wrong where the answer is right, and need not be how it got there."


def _worse(facts: ModelCardFacts) -> Iterator[str]:
    base = {key_of(cell): cell for cell in facts.base_cells}
    pairs = [(cell, base[key_of(cell)]) for cell in facts.cells if key_of(cell) in base]
    worse = [cell for cell, other in pairs if cell.accuracy < other.accuracy]
    if worse:
        yield f"At {len(worse):,} of {len(pairs):,} points of the evaluation it answers fewer problems than its base."
