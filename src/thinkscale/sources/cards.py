"""The card of a data set (README.md): what is in it, how it was made, under which licences, and how to load it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from thinkscale.keys import JSON
from thinkscale.sources.catalogue import entries

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"))
HUB_LICENCES = frozenset({"apache-2.0", "mit", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc", "cc0-1.0"})
"""Names that the Hub knows, of those in the catalogue."""
PAPER_FUNNEL = "59,029 -> 54,116 -> 51,581 -> 24,496 -> 1,000"
WHAT = {
    "problems": "questions with their answers",
    "responses": "a model's thinking and answer to each question",
    "grades": "a verdict on each response",
    "labels": "named facts about the questions: domain, difficulty, length of the trace",
    "fates": "what each stage did with each question, and why",
    "examples": "conversations to train on; `trained` turns carry the loss",
    "pairs": "preferences: `chosen` is better than `rejected`",
    "scores": "the verdict on each generation of an evaluation",
    "cells": "accuracy and thinking tokens at each point of an evaluation",
    "steps": "the log of a training run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card states."""

    repository: str
    tables: Mapping[str, int]
    """Table to its rows; the first is the one that loads by default."""
    sources: Mapping[str, int] = field(default_factory=dict)
    """Source to the rows of the first table that came from it."""
    commits: Mapping[str, str] = field(default_factory=dict)
    """Source to the commit that was read, where a run knows it."""
    recipe: str = ""
    """As YAML, without the folders of the machine."""
    provenance: Mapping[str, JSON] = field(default_factory=dict)
    funnel: Sequence[tuple[str, str, str, int]] = ()
    """Stage, decision, reason, problems."""
    benchmarks: Sequence[str] = ()
    """What the recipe evaluates, and so what its selection was checked against."""
    is_selected: bool = False


def card(facts: CardFacts) -> str:
    """The text of README.md."""
    title = facts.repository.rpartition("/")[2]
    parts = [
        f"---\n{yaml.safe_dump(_front_matter(facts), sort_keys=False)}---\n",
        f"# {title}\n",
        _contents(facts),
        _loading(facts),
        sources_section(facts),
        funnel_section(facts),
        contamination_section(facts),
        making_section(facts),
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(facts: CardFacts) -> dict[str, object]:
    licences = {_licence(source) for source in facts.sources}
    single = next(iter(licences)) if len(licences) == 1 else ""
    licence: dict[str, object] = {"license": single}
    if single not in HUB_LICENCES:
        licence = {"license": "other", "license_name": "those-of-the-sources", "license_link": "#sources"}
    largest = max(facts.tables.values(), default=0)
    return {
        **licence,
        "pretty_name": facts.repository.rpartition("/")[2],
        "language": ["en"],
        "task_categories": ["text-generation"],
        "tags": ["reasoning", "thinkscale"],
        "size_categories": [next((name for limit, name in SIZES if largest < limit), "10M<n<100M")],
        "configs": [
            {
                "config_name": name,
                **({"default": True} if number == 0 else {}),
                "data_files": [{"split": "train", "path": f"data/{name}.parquet"}],
            }
            for number, name in enumerate(facts.tables)
        ],
    }


def _licence(source: str) -> str:
    entry = entries().get(source)
    return entry.licence if entry else "not stated"


def _contents(facts: CardFacts) -> str:
    rows = [f"| `{name}` | {count:,} | {WHAT.get(name, '')} |" for name, count in facts.tables.items()]
    return "\n".join(["| table | rows | what |", "|---|---:|---|", *rows, ""])


def _loading(facts: CardFacts) -> str:
    first, *others = facts.tables
    lines = ["## How to load", "", "```python", "from datasets import load_dataset", ""]
    lines += [f'{first} = load_dataset("{facts.repository}", "{first}", split="train")']
    lines += [f'{name} = load_dataset("{facts.repository}", "{name}", split="train")' for name in others]
    notes = ["", "Columns `extra` hold JSON text.", ""] if {"problems"} & set(facts.tables) else [""]
    return "\n".join([*lines, "```", *notes])


def sources_section(facts: CardFacts) -> str:
    """Where rows came from, and their licences; empty where that is not known."""
    if not facts.sources:
        return ""
    rows = []
    for name, count in sorted(facts.sources.items(), key=lambda pair: (-pair[1], pair[0])):
        rows.append(f"| {name} | {count:,} | {_licence(name)} | {_where(name, facts)} |")
    texts = "Texts keep the licences of their owners, whatever a repository says of competition problems."
    return "\n".join(
        ["## Sources", "", "| source | rows | licence | where |", "|---|---:|---|---|", *rows, "", texts, ""]
    )


def _where(name: str, facts: CardFacts) -> str:
    entry = entries().get(name)
    if entry is None:
        return "not in the catalogue"
    commit = facts.commits.get(name) or entry.revision
    return f"{entry.repository} at {commit}" if commit else entry.repository


def funnel_section(facts: CardFacts) -> str:
    """Counts of all fates; empty where there are none."""
    if not facts.funnel:
        return ""
    rows = [f"| {stage} | {decision} | {reason} | {count:,} |" for stage, decision, reason, count in facts.funnel]
    head = ["## What was kept, and why", "", "| stage | decision | reason | problems |", "|---|---|---|---:|"]
    return "\n".join([*head, *rows, "", f"For comparison, s1 (arXiv 2501.19393): {PAPER_FUNNEL}.", ""])


def contamination_section(facts: CardFacts) -> str:
    """What the rows were checked against."""
    if not facts.is_selected:
        said = "These rows went through no selection, and were checked against no benchmark."
    elif not facts.benchmarks:
        said = "The recipe names no benchmark, so no row was checked against one."
    else:
        found = sum(count for _, _, reason, count in facts.funnel if reason.startswith("contaminated"))
        said = f"Questions were checked against {', '.join(facts.benchmarks)}; {found:,} were dropped for an overlap."
    return f"## Contamination\n\n{said}\n"


def making_section(facts: CardFacts) -> str:
    """Versions, seed and recipe; empty where nothing is known."""
    known = facts.provenance
    libraries = known.get("libraries")
    git = known.get("git")
    lines = [f"- seed {known['seed']}"] if "seed" in known else []
    lines += [f"- thinkscale {known['thinkscale']}"] if "thinkscale" in known else []
    lines += [f"- its source at {git['commit']}"] if isinstance(git, dict) and git.get("commit") else []
    if isinstance(libraries, dict) and libraries:
        lines.append("- " + ", ".join(f"{name} {version}" for name, version in sorted(libraries.items())))
    recipe = ["", "```yaml", facts.recipe.rstrip(), "```"] if facts.recipe else []
    return "\n".join(["## How it was made", "", *lines, *recipe, ""]) if lines or recipe else ""
