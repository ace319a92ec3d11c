"""What the benchmarks of mathematical grading share: reading the real data, and grading a text as production does."""

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thinkscale.grading import Outcome, compare, extract_answer
from thinkscale.grading.verdicts import Judgement, judge_by_rules
from thinkscale.records import Finish, Kind, Problem, Response, Role, Sampling, Verdict
from thinkscale.verification.symbolic.grader import SymbolicGrader

DATA = Path(os.environ.get("THINKSCALE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))
LABELLED = "graders/labelled_pairs.jsonl"
EXTRACTION = "graders/extraction_cases.jsonl"
OUTPUTS = "outputs/qwen25_3b_matheval_graded.jsonl.gz"
CHOICE_BENCHES = frozenset({"aqua", "sat_math"})


def rows(name: str) -> Iterator[dict[str, Any]]:
    """The rows of a file of THINKSCALE_DATA."""
    path = DATA / name
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    yield from (json.loads(line) for line in text.splitlines())


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """The verdict of tier 1 alone, and of tiers 1 and 2."""

    rules: Judgement
    final: Judgement


class Ours:
    """Our grader as production runs it: the rules, then symbols where they are undecided."""

    def __init__(self, symbolic: SymbolicGrader) -> None:
        self._symbolic = symbolic

    def text(self, text: str, reference: str, kind: Kind = Kind.MATH, last_number: bool = False) -> Both:
        """A whole response against a reference."""
        rules = judge_by_rules(*_records(text, reference, kind), last_number=last_number)
        return Both(rules=rules, final=self._decided(rules, reference))

    def pair(self, text: str, reference: str) -> Both:
        """A text of a hand-written case: its answer by the ladder; else the text itself is the answer; where that is
        undecided, its last number or formula."""
        gold = answer_of(reference)
        if extract_answer(text) is not None:
            return self.text(text, gold)
        plain = self.answer(text, gold)
        if plain.final.undecided:
            last = self.text(text, gold, last_number=True)
            return plain if last.rules.verdict is Verdict.NO_ANSWER else last
        return plain

    def answer(self, answer: str, reference: str) -> Both:
        """An answer that needs no finding against a reference."""
        found = compare(answer, reference)
        verdict = {Outcome.EQUAL: Verdict.CORRECT, Outcome.DIFFERENT: Verdict.WRONG}
        rules = Judgement(
            verdict=verdict.get(found.outcome, Verdict.UNGRADABLE),
            extracted=answer,
            tier=found.tier,
            evidence=found.evidence,
        )
        return Both(rules=rules, final=self._decided(rules, reference))

    def _decided(self, rules: Judgement, reference: str) -> Judgement:
        if not rules.undecided:
            return rules
        final = self._symbolic.decide(rules, reference)
        return final if final.settled else self._symbolic.decide(rules, reference, alone=True)


def answer_of(text: str) -> str:
    """The answer in a reference that is a text, else the text."""
    found = extract_answer(text)
    return found.text if found else text


def _records(text: str, reference: str, kind: Kind) -> tuple[Problem, Response]:
    problem = Problem(id="p", source="benchmark", question="", reference=reference, kind=kind)
    response = Response(
        key="r",
        role=Role.EVALUATION,
        problem_id="p",
        model="",
        sample=0,
        thinking="",
        answer_text=text,
        thinking_tokens=0,
        answer_tokens=0,
        finish=Finish.END,
        sampling=Sampling(max_tokens=1),
    )
    return problem, response
