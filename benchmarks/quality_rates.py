"""How often each question rule hits on the real pool, and how often it is wrong by a reader's labels; s1's beside.

python benchmarks/quality_rates.py --out benchmarks/quality_rates.json
python benchmarks/quality_rates.py --show RULE     # the hits to label, in their order, with their keys

Labels (curation_labels/quality.json) are by key of the question, never its text: `fault` where the rule's claim is true
and the row is worse for it, `sound` where the claim is true and the question is whole all the same, so that dropping it
would lose a good row, `false` where the claim is not true. Hits are read in the order of a hash, 40 at most.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from thinkscale.curation.quality import DEFAULT_RULES, S1_RULES, QuestionRule, question_rules, rule_names
from thinkscale.curation.quality.columns import question_fault_table
from thinkscale.grading.answers import boxes
from thinkscale.keys import content_key, seed_from
from thinkscale.statistics.intervals import wilson_interval

HERE = Path(__file__).resolve().parent
LABELS = HERE / "curation_labels" / "quality.json"
READ = 40
SAME_CLAIM = {"s1_asymptote": "asymptote_figure"}
"""Rules that say the same as another, and are read with its sample."""
SOURCES = {
    "math_train": ("math_train.jsonl.gz", "problem"),
    "deepscaler": ("deepscaler_difficulty.jsonl.gz", "problem"),
    "dapo": ("dapo_math_17k.jsonl.gz", "problem"),
    "gsm8k": ("gsm8k_train.jsonl.gz", "question"),
    "aime": ("aime_1983_2023.jsonl.gz", "problem"),
    "numina": ("numina_cot_2k.jsonl.gz", "instruction"),
}


def pool(data: Path) -> pl.DataFrame:
    """The 75,154 questions with their references: source, question, reference."""
    return pl.concat(_source(data, name) for name in SOURCES)


def _source(data: Path, name: str) -> pl.DataFrame:
    file, question = SOURCES[name]
    rows = pl.read_ndjson(data / "pool" / file, infer_schema_length=None)
    answers = rows.get_column("answer" if "answer" in rows.columns else "response").to_list()
    return pl.DataFrame(
        {
            "source": [name] * rows.height,
            "question": rows.get_column(question),
            "reference": [_reference(name, answer) for answer in answers],
        }
    )


def _reference(source: str, answer: str) -> str:
    if source == "numina":
        return next((box.text for box in reversed(boxes(answer))), "")
    return answer.rpartition("####")[2].strip() if source == "gsm8k" else answer


def key_of(question: str) -> str:
    """The name of a question in the file of labels."""
    return content_key(question)[:12]


def sample(rule: str, hits: pl.DataFrame) -> pl.DataFrame:
    """The first 40 hits by a hash that depends on rule and question alone; two rows of one question are one."""
    rule = SAME_CLAIM.get(rule, rule)
    ordered = hits.with_columns(
        key=pl.col("question").map_elements(key_of, return_dtype=pl.String),
        order=pl.col("question").map_elements(lambda text: seed_from("quality", rule, text), return_dtype=pl.Int64),
    )
    return ordered.unique("order", keep="first", maintain_order=True).sort("order").head(READ)


def rate(name: str, hits: pl.DataFrame, labels: dict[str, str]) -> dict[str, Any]:
    """One row of the table: hits by source, and what the reader said of the sample."""
    said = [labels[key] for key in sample(name, hits).get_column("key") if key in labels]
    false, sound = said.count("false"), said.count("false") + said.count("sound")
    found: dict[str, Any] = {
        "rule": name,
        "drops": name in DEFAULT_RULES,
        "hits": hits.height,
        "by_source": dict(hits.group_by("source").len().sort("source").iter_rows()),
        "read": len(said),
        "false_positives": false,
        "sound": sound,
    }
    if said:
        found["false_positive_interval"] = [round(bound, 3) for bound in wilson_interval(false, len(said))]
        found["sound_interval"] = [round(bound, 3) for bound in wilson_interval(sound, len(said))]
    return found


def show(name: str, rule: QuestionRule, hits: pl.DataFrame) -> None:
    """The hits to read: key, evidence, text, reference."""
    sys.stdout.write(f"{name}: {rule.claim}\n")
    for row in sample(name, hits).iter_rows(named=True):
        sys.stdout.write(
            f"\n{row['key']} [{row['source']}] <<{row['evidence']}>>\n{row['question']}\n= {row['reference']}\n"
        )


def main() -> None:
    """Prints the table, or the hits of one rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", choices=rule_names())
    options = parser.parse_args()
    rows = pool(options.data)
    faults = question_fault_table(rows, rule_names())
    hits = faults.join(rows.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64)), on="row")
    by_rule = {name: hits.filter(pl.col("reason") == name) for name in rule_names()}
    if options.show:
        show(options.show, question_rules()[options.show], by_rule[options.show])
        return
    labels = json.loads(LABELS.read_text()) if LABELS.is_file() else {}
    rates = [rate(name, by_rule[name], labels.get(SAME_CLAIM.get(name, name), {})) for name in rule_names()]
    seconds, rows_lost = cpu_seconds(rows), lost(hits)
    found = {"questions": rows.height, "cpu_seconds": seconds, "rows_lost": rows_lost, "rules": rates}
    if options.out:
        options.out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(table(seconds, rows_lost, rates))


def cpu_seconds(rows: pl.DataFrame) -> dict[str, float]:
    """The CPU time of a set of rules over the whole pool, the least of three."""
    sets = {"default": DEFAULT_RULES, "s1": S1_RULES, "all": rule_names()}
    found = {}
    for name, rules in sets.items():
        times = []
        for _ in range(3):
            start = time.process_time()
            question_fault_table(rows, rules)
            times.append(time.process_time() - start)
        found[name] = round(min(times), 2)
    return found


def lost(hits: pl.DataFrame) -> dict[str, int]:
    """How many rows a set of rules drops."""
    sets = {"default": DEFAULT_RULES, "s1": S1_RULES}
    return {
        name: hits.filter(pl.col("reason").is_in(list(rules))).get_column("row").n_unique()
        for name, rules in sets.items()
    }


def table(seconds: dict[str, float], rows_lost: dict[str, int], rates: list[dict[str, Any]]) -> str:
    """The table as Markdown."""
    lines = [
        f"CPU seconds: {seconds}; rows lost: {rows_lost}",
        "",
        "| rule | drops | hits | by source | read | false | whole |",
    ]
    lines.append("|---|---|--:|---|--:|--:|--:|")
    for row in rates:
        by_source = ", ".join(f"{source} {count}" for source, count in row["by_source"].items())
        shares = [_share(row, "false_positives", "false_positive_interval"), _share(row, "sound", "sound_interval")]
        cells = [row["rule"], "yes" if row["drops"] else "", row["hits"], by_source, row["read"], *shares]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _share(row: dict[str, Any], count: str, interval: str) -> str:
    bounds = row.get(interval)
    return f"{row[count]} ({bounds[0]:.0%} to {bounds[1]:.0%})" if isinstance(bounds, list) else ""


if __name__ == "__main__":
    main()
