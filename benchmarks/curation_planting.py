r"""Planted copies and planted look-alikes of benchmark items, for the recall and the false hits of decontamination.

A *copy* states the same problem in the same words: only spacing, LaTeX spelling, punctuation, case, wrappers, notes or
instructions around it differ. A *look-alike* is another problem: other numbers, another relation, another question on
the same set-up, the same opening or the same closing instruction.

An edit is a function of the text and a seeded `random.Random`; it returns None where the text offers nothing to edit,
and the next item is tried. The order of items is drawn once, so the same seed plants the same rows everywhere.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from curation_wrappers import Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A benchmark item: its benchmark, its place there, its question, its answer, its options where it has some."""

    benchmark: str
    row: int
    question: str
    answer: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A text made from `item` by the edit named `kind`."""

    item: Item
    kind: str
    text: str


def plant(items: Sequence[Item], edits: dict[str, Edit], per_kind: int, seed: int) -> list[Planted]:
    """`per_kind` texts of each kind (fewer where too few items can be edited so), each from another item."""
    planted = []
    for kind, edit in edits.items():
        draw = random.Random(f"{seed}/{kind}")
        order = list(range(len(items)))
        draw.shuffle(order)
        made = 0
        for place in order:
            text = edit(items[place].question, draw)
            if text is None or text == items[place].question:
                continue
            planted.append(Planted(item=items[place], kind=kind, text=text))
            made += 1
            if made == per_kind:
                break
    return planted


def plant_options(items: Sequence[Item], number: int, seed: int) -> list[Planted]:
    """So many items of multiple choice with their options behind the question, in one of three layouts, shuffled."""
    draw = random.Random(f"{seed}/options")
    planted = []
    for item in draw.sample([item for item in items if item.options], number):
        options = draw.sample(item.options, len(item.options))
        layout = draw.choice(("({}) {}", "{}. {}", "- {1}"))
        lines = [layout.format(letter, option) for letter, option in zip("ABCDEFGHIJ", options, strict=False)]
        planted.append(Planted(item=item, kind="options", text="\n".join((item.question, *lines))))
    return planted
