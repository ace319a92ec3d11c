"""What decontamination finds and what it wrongly takes: known overlaps, planted copies and look-alikes, labelled hits.

python benchmarks/curation_recall.py --out benchmarks/curation_recall.json [--unlabelled /somewhere/hits.jsonl]

The pool and the benchmarks are those of THINKSCALE_DATA; two rules side by side, `default` and `s1`.
- Known overlaps: pairs that a slow reference finds (lower case, everything but a-z and 0-9 dropped, exact equality).
- Planted copies and look-alikes (curation_edits.py, curation_wrappers.py, curation_lookalikes.py): 100 of each, and as
  many as there are up to 50 of each kind for the intervals by kind. A copy is found where a hit names its item.
- Precision: rows of the pool with their strongest hit beyond the exact ones, read one by one: all of them where there
  are at most 300, else those with the smallest hash, so that a changed rule keeps the pairs and labels that it still
  hits.
- Recall on real pairs: of those labelled `same`, drawn by shared words whatever the rules say. The default rule's
  numbers were chosen on them; so the same is done for pairs that were read afterwards (questions of LIMO).

curation_labels/ holds hashes of both texts, places, a label and a reason, never the texts. `same`: the row states the
item's whole problem; wording, layout, notes, the form of the answer or the value of its parameter may differ.
`variant`: the same template or set-up with other numbers, signs or another question. `different`: anything else.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from curation_data import ascii_key, held_out_items, items, label_rows, pair_key, place, pool, read_labels, text_hash
from curation_edits import COPIES
from curation_lookalikes import mixed_with
from curation_planting import Item, Planted, plant, plant_options
from curation_quality import second_reader
from curation_rules import RULES, Hit, Rule, duplicates_of, s1_slowly

from thinkscale.statistics.intervals import wilson_interval

SEED = 2026
HUNDRED = 100
PER_KIND = 50
SHORT_WORDS = 8
SAMPLE = 300
SENTENCE = " It is the seventh question of the second sheet."
LABELS = ("same", "variant", "different")

Pair = tuple[int, int]
Labels = dict[tuple[str, str], dict[str, str]]


def rate(successes: int, trials: int) -> dict[str, Any]:
    """A proportion with its 95% Wilson interval."""
    if not trials:
        return {"of": 0}
    low, high = wilson_interval(successes, trials)
    return {
        "count": successes,
        "of": trials,
        "rate": round(successes / trials, 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def exact_pairs() -> set[Pair]:
    """(row of the pool, item) with the same ASCII key."""
    by_key: dict[str, list[int]] = {}
    for number, item in enumerate(items()):
        by_key.setdefault(ascii_key(item.question), []).append(number)
    by_key.pop("", None)
    return {(row, number) for row, found in enumerate(pool()) for number in by_key.get(ascii_key(found.text), ())}


def known_overlaps(hits: dict[str, set[Pair]], exact: set[Pair]) -> dict[str, Any]:
    """Benchmark items and rows of the exact overlaps by pair of files, and what each rule misses."""
    files = {(items()[item].benchmark, pool()[row].source) for row, item in exact}
    listed = {
        f"{benchmark} by {source}": {
            "items": len({item for row, item in exact if _files(row, item) == (benchmark, source)}),
            "rows": len({row for row, item in exact if _files(row, item) == (benchmark, source)}),
        }
        for benchmark, source in sorted(files)
    }
    missed = {
        rule: [f"{place(pool()[row])} in {place(items()[item])}" for row, item in sorted(exact - found)]
        for rule, found in hits.items()
    }
    return {"listed": listed, "pairs": len(exact), "missed": missed}


def _files(row: int, item: int) -> tuple[str, str]:
    return items()[item].benchmark, pool()[row].source


def maths_items() -> list[Item]:
    """The items that copies are planted of: the four benchmarks of free answers."""
    return [item for item in items() if not item.options]


def found_of(planted: Sequence[Planted], rule: Rule) -> list[bool]:
    """For each planted text whether a hit names the item that it was made of."""
    numbers = {(item.benchmark, item.row): number for number, item in enumerate(items())}
    hits = {(hit.text, hit.item) for hit in rule([made.text for made in planted], items(), None)}
    return [(number, numbers[made.item.benchmark, made.item.row]) in hits for number, made in enumerate(planted)]


def planted_rates(planted: Sequence[Planted]) -> dict[str, Any]:
    """Rates at which planted texts hit their items, of all and by kind, for each rule."""
    found = {name: found_of(planted, rule) for name, rule in RULES.items()}
    kinds = list(dict.fromkeys(made.kind for made in planted))
    places = {kind: [number for number, made in enumerate(planted) if made.kind == kind] for kind in kinds}
    return {
        name: {
            "all": rate(sum(flags), len(flags)),
            "kinds": {kind: rate(sum(flags[number] for number in places[kind]), len(places[kind])) for kind in kinds},
        }
        for name, flags in found.items()
    }


def a_hundred(planted: Sequence[Planted]) -> list[Planted]:
    """The first hundred when kinds take turns."""
    turns: Counter[str] = Counter()
    ranked = []
    for made in planted:
        ranked.append((turns[made.kind], made))
        turns[made.kind] += 1
    return [made for _, made in sorted(ranked, key=lambda pair: pair[0])][:HUNDRED]


def planted_copies() -> dict[str, Any]:
    """Recall on planted copies: a hundred, all, short items, every item with a sentence behind, and with options."""
    copies = plant(maths_items(), COPIES, PER_KIND, SEED)
    every = [Planted(item=item, kind="sentence_after", text=item.question + SENTENCE) for item in maths_items()]
    short = [item for item in maths_items() if len(item.question.split()) < SHORT_WORDS]
    return {
        "hundred": planted_rates(a_hundred(copies)),
        "all": planted_rates(copies),
        "short": planted_rates(plant(short, COPIES, len(short), SEED)),
        "every_item": planted_rates(every),
        "options": planted_rates(plant_options(items(), 2 * HUNDRED, SEED)),
    }


def planted_lookalikes() -> dict[str, Any]:
    """False hits on planted look-alikes: a hundred and all."""
    lent = [row.text for row in pool() if row.source in {"gsm8k_train", "math_train"}]
    made = plant(maths_items(), mixed_with(lent), PER_KIND * 2, SEED)
    return {"hundred": planted_rates(a_hundred(made)), "all": planted_rates(made)}


def strongest(hits: Iterable[Hit], exact: set[Pair]) -> list[Hit]:
    """The strongest hit of each row that has none of the exact pairs, one of rows with the same text, in hash order."""
    settled = {row for row, _ in exact}
    best: dict[int, Hit] = {}
    for hit in hits:
        if hit.text not in settled and (hit.text not in best or hit.share > best[hit.text].share):
            best[hit.text] = hit
    pairs = {_pair(hit.text, hit.item): hit for hit in best.values()}
    return [pairs[key] for key in sorted(pairs, key=lambda key: text_hash("/".join(key)))]


def _pair(row: int, item: int) -> tuple[str, str]:
    return pair_key(pool()[row].text, items()[item].question)


def rows_hit(hits: Sequence[Hit], exact: set[Pair]) -> dict[str, Any]:
    """How many rows and pairs a rule hits, of which file, how many items they touch, and by what reasons."""
    beyond = strongest(hits, exact)
    return {
        "rows": len({hit.text for hit in hits}),
        "rows_by_source": dict(Counter(pool()[row].source for row in sorted({hit.text for hit in hits}))),
        "items_touched": dict(Counter(items()[item].benchmark for item in sorted({hit.item for hit in hits}))),
        "pairs": len({(hit.text, hit.item) for hit in hits}),
        "different_texts_beyond_exact": len(beyond),
        "reasons_beyond_exact": dict(Counter(hit.reason for hit in beyond)),
    }


def precision(hits: Sequence[Hit], exact: set[Pair], labels: Labels) -> dict[str, Any]:
    """Of the hits beyond the exact pairs that were read: how many are what, in all and by reason."""
    drawn = strongest(hits, exact)[:SAMPLE]
    return {"all": _shares(drawn, labels)} | {
        reason: _shares([hit for hit in drawn if hit.reason == reason], labels)
        for reason in sorted({hit.reason for hit in drawn})
    }


def _shares(hits: Sequence[Hit], labels: Labels) -> dict[str, Any]:
    found = Counter(_label(hit, labels) for hit in hits)
    read = sum(found[label] for label in LABELS)
    return {
        "read": {label: found[label] for label in LABELS},
        "unlabelled": found["unlabelled"],
        "same": rate(found["same"], read),
        "same_or_variant": rate(found["same"] + found["variant"], read),
    }


def _label(hit: Hit, labels: Labels) -> str:
    found = labels.get(_pair(hit.text, hit.item))
    return found["label"] if found else "unlabelled"


def labelled_pairs(found: dict[str, set[tuple[str, str]]], labels: Labels, drawn: str) -> dict[str, Any]:
    """How many of the pairs drawn so, label by label, each rule hits; `found` are the hashes of the pairs it hits."""
    wanted = {
        label: [pair for pair, by in labels.items() if by["label"] == label and drawn in by["drawn"]]
        for label in LABELS
    }
    return {
        rule: {label: rate(sum(pair in hits for pair in pairs), len(pairs)) for label, pairs in wanted.items()}
        for rule, hits in found.items()
    }


def held_out(texts: Sequence[str], answers: Sequence[str | None]) -> dict[str, Any]:
    """The same for pairs of pool rows and LIMO's questions, which were labelled after the rule had its numbers."""
    others = held_out_items()
    found = {
        name: {pair_key(texts[hit.text], others[hit.item].question) for hit in rule(texts, others, answers)}
        for name, rule in RULES.items()
    }
    return labelled_pairs(found, read_labels("held_out"), "held_out")


def s1_sample(labels: Labels) -> dict[str, Any]:
    """What a seeded sample of the rows that s1's rule drops is, exact pairs among them."""
    found = Counter(by["label"] for by in labels.values() if "s1" in by["drawn"])
    total = sum(found.values())
    return {
        "sample": dict(found),
        "same": rate(found["same"], total),
        "same_or_variant": rate(found["same"] + found["variant"], total),
    }


def main() -> None:
    """Measures, prints a summary and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--unlabelled", type=Path, help="the sampled hits without a label, with texts, to be read")
    options = parser.parse_args()
    texts, answers = [row.text for row in pool()], [row.answer or None for row in pool()]
    hits: dict[str, list[Hit]] = {}
    seconds = {}
    for name, rule in RULES.items():
        start = time.perf_counter()
        hits[name] = rule(texts, items(), answers)
        seconds[name] = round(time.perf_counter() - start, 2)
    pairs = {name: {(hit.text, hit.item) for hit in found} for name, found in hits.items()}
    exact, labels = exact_pairs(), read_labels("overlaps")
    report = {
        "rows": len(texts),
        "items": dict(Counter(item.benchmark for item in items())),
        "known_overlaps": known_overlaps(pairs, exact),
        "s1_differs_from_reference": len(pairs["s1"] ^ s1_slowly(texts, items())),
        "copies": planted_copies(),
        "lookalikes": planted_lookalikes(),
        "rows_hit": {name: rows_hit(found, exact) for name, found in hits.items()},
        "precision": {"default": precision(hits["default"], exact, labels), "s1": s1_sample(labels)},
        "labelled_pairs": labelled_pairs(
            {rule: {_pair(row, item) for row, item in found} for rule, found in pairs.items()}, labels, "candidate"
        ),
        "held_out": held_out(texts, answers),
        "quality_rules_second_reader": second_reader(),
        "duplicates": duplicates_of(pool(), label_rows("duplicates")),
    }
    sys.stdout.write(json.dumps({**report, "seconds": seconds}, indent=1) + "\n")
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if options.unlabelled:
        unread = [hit for hit in strongest(hits["default"], exact)[:SAMPLE] if _label(hit, labels) == "unlabelled"]
        lines = [json.dumps([hit.text, hit.item, hit.reason, hit.share, hit.span]) for hit in unread]
        options.unlabelled.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
