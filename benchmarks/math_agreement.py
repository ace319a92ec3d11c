"""Agreement of our mathematical grader, math-verify and a plain sympy grader with labels that others made.

python benchmarks/math_agreement.py --out benchmarks/math_agreement.json --details /somewhere/details.json

`--out` gets counts and ids of disagreements; `--details` gets the texts, which keep their owners' licences and are not
committed. A verdict other than correct or wrong (undecided, no answer) is a disagreement with either label; `accepts as
labelled` asks only whether it was correct, which is all that graders with two verdicts can be asked.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from math_cases import CHOICE_BENCHES, EXTRACTION, LABELLED, OUTPUTS, Ours, answer_of, rows

from thinkscale.grading import Outcome, compare, extract_answer, extract_choice
from thinkscale.grading.verdicts import Judgement
from thinkscale.records import Kind, Verdict
from thinkscale.thinking.formats import recognised_format, split_text
from thinkscale.verification.peers import PeerGraders
from thinkscale.verification.symbolic.grader import SymbolicGrader

Details = dict[str, list[dict[str, Any]]]
PEERS = ("math_verify", "sympy", "string")


def agrees(judgement: Judgement, label: bool) -> bool:
    """Whether a verdict is the one that the label asks for."""
    return judgement.verdict is (Verdict.CORRECT if label else Verdict.WRONG)


def labelled(ours: Ours, peers: PeerGraders, details: Details) -> dict[str, Any]:
    """Hand-labelled pairs: without a convention, and by convention."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows(LABELLED):
        group = row["convention"] or "no convention"
        counts[group]["rows"] += 1
        rules, final = _labelled_verdicts(ours, row)
        counts[group]["tier 1"] += agrees(rules, row["label"])
        counts[group]["tiers 1 and 2"] += agrees(final, row["label"])
        counts[group]["accepts as labelled"] += (final.verdict is Verdict.CORRECT) is bool(row["label"])
        counts[group]["wrongly decided"] += final.verdict is not Verdict.UNGRADABLE and not agrees(final, row["label"])
        for name in PEERS:
            counts[group][name] += agrees(peers.judge(name, row["pred"] or "", row["gold"] or ""), row["label"])
        if not agrees(final, row["label"]):
            found = {"verdict": final.verdict, "tier": final.tier, "evidence": final.evidence}
            details[f"labelled: {group}"].append({**row, **found})
    return {group: dict(found) for group, found in counts.items()}


def _labelled_verdicts(ours: Ours, row: dict[str, Any]) -> tuple[Judgement, Judgement]:
    gold, pred = row["gold"] or "", row["pred"] or ""
    if row["kind"] == "mcq_text":
        ours_letter, theirs = extract_choice(pred), extract_choice(gold) or extract_choice(gold.splitlines()[-1])
        same = ours_letter is not None and theirs is not None and ours_letter.text == theirs.text
        judgement = Judgement(verdict=Verdict.CORRECT if same else Verdict.WRONG, tier="letter")
        return judgement, judgement
    if row["kind"] == "think_text":
        pred = split_text(pred, recognised_format(pred)).answer
    both = ours.pair(pred, gold)
    return both.rules, both.final


def extraction(ours: Ours, peers: PeerGraders, details: Details) -> dict[str, Any]:
    """Cases of extraction (the text found, or its value) and of normalising (both spellings are equal)."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows(EXTRACTION):
        kind, text, expected = row["kind"], row["input"], row["expected"]
        counts[kind]["rows"] += 1
        right = _extracts(row) if kind == "extract" else agrees(ours.answer(text, expected).final, True)
        counts[kind]["ours"] += right
        for name in PEERS:
            counts[kind][name] += agrees(peers.judge(name, text, expected), True)
        if not right:
            details[f"extraction: {kind}"].append(row)
    return {kind: dict(found) for kind, found in counts.items()}


def _extracts(row: dict[str, Any]) -> bool:
    text, expected = row["input"], row["expected"]
    if "choice" in row["test"]:
        found = extract_choice(text)
        return (found.text if found else text) == expected
    found = extract_answer(text, last_number=True)
    if found is None:
        return expected == ""
    answer = answer_of(expected) if expected else ""
    return found.text == answer or compare(found.text, answer).outcome is Outcome.EQUAL


def references() -> Iterator[tuple[str, str, str, list[str], str]]:
    """Bench, id, question, reference answers and full solution of problems whose solutions the data has."""
    for name in ("math500", "aime24"):
        for number, row in enumerate(rows(f"benchmarks/{name}.jsonl")):
            yield name, str(number), "", [str(row["answer"])], row["solution"]
    for number, row in enumerate(rows("benchmarks/gsm8k_test.jsonl")):
        solution, _, answer = row["answer"].rpartition("####")
        yield "gsm8k", str(number), "", [answer.strip()], f"{solution}\nThe answer is {answer.strip()}"
    for row in rows("benchmarks/olympiadbench_oe_en.jsonl.gz"):
        yield "olympiadbench", str(row["id"]), "", row["final_answer"], "\n".join(row["solution"])
    for number, row in enumerate(rows("pool/aime_1983_2023.jsonl.gz")):
        yield "aime_1983_2023", str(number), "", [str(row["answer"])], str(row.get("solution") or "")


def reference_counts(ours: Ours, details: Details) -> dict[str, Any]:
    """Each reference against itself, and each full solution that states an answer against its reference."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for bench, identity, _, answers, solution in references():
        for answer in answers:
            counts[bench]["references"] += 1
            itself = ours.answer(answer, answer)
            counts[bench]["equal to itself"] += agrees(itself.final, True)
            if not agrees(itself.final, True):
                details[f"references: {bench}"].append({"id": identity, "answer": answer, "how": "itself"})
        if extract_answer(solution) is None:
            counts[bench]["solutions that box or name no answer"] += 1
            continue
        counts[bench]["solutions"] += 1
        found = ours.text(solution, ", ".join(answers)).final
        counts[bench]["solutions correct"] += agrees(found, True)
        if not agrees(found, True):
            how = {"verdict": found.verdict, "extracted": found.extracted, "evidence": found.evidence}
            details[f"references: {bench}"].append({"id": identity, "answer": answers, **how})
    return {bench: dict(found) for bench, found in counts.items()}


def outputs(ours: Ours, details: Details) -> dict[str, Any]:
    """Real outputs: our verdicts against the recorded score, by bench, and the tiers that decided."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    tiers: Counter[str] = Counter()
    for row in rows(OUTPUTS):
        kind = Kind.CHOICE if row["bench"] in CHOICE_BENCHES else Kind.MATH
        both = ours.text(str(row["response"] or ""), str(row["gt"]), kind)
        final, recorded = both.final, "right" if row["score"] else "wrong"
        counts[row["bench"]][f"{final.verdict}, recorded {recorded}"] += 1
        counts["all"][f"{final.verdict}, recorded {recorded}"] += 1
        tiers[final.tier] += 1
        counts[row["bench"]]["undecided by the rules"] += both.rules.undecided
        counts["all"]["undecided by the rules"] += both.rules.undecided
        if not agrees(final, bool(row["score"])):
            found = {"verdict": final.verdict, "tier": final.tier, "extracted": final.extracted}
            known = {name: row[name] for name in ("model", "bench", "idx", "gt", "pred", "score")}
            details[f"outputs: {final.verdict}, recorded {recorded}"].append({**known, **found, "why": final.evidence})
    return {"confusion": {bench: dict(sorted(found.items())) for bench, found in counts.items()}, "tiers": dict(tiers)}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description="agreement of mathematical graders")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--details", type=Path)
    options = parser.parse_args()
    details: Details = defaultdict(list)
    with SymbolicGrader() as symbolic, PeerGraders() as peers:
        ours = Ours(symbolic)
        found = {
            "labelled_pairs": labelled(ours, peers, details),
            "extraction_cases": extraction(ours, peers, details),
            "references": reference_counts(ours, details),
            "outputs": outputs(ours, details),
        }
    found["disagreements"] = {group: [_identity(row) for row in listed] for group, listed in details.items()}
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    if options.details:
        options.details.write_text(json.dumps(details, indent=1, default=str) + "\n")
    shown = {name: part for name, part in found.items() if name != "disagreements"}
    sys.stdout.write(json.dumps(shown, indent=1) + "\n")


def _identity(row: dict[str, Any]) -> str:
    if "bench" in row:
        return f"{row['model']}/{row['bench']}/{row['idx']}"
    return str(row.get("id") or f"{row.get('source')}/{row.get('test')}/{row.get('input')}")


if __name__ == "__main__":
    main()
