"""An audit from a stream of rows: counts, agreement, the range over graders, and the disputes in a file."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from thinkscale.errors import DataError
from thinkscale.grading.verdicts import Judgement
from thinkscale.records import Verdict
from thinkscale.verification.audit import Audit, AuditCounts, audit_json, audit_text, auditing
from thinkscale.verification.decisions import Case, load_decisions

C, W, N, U = Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER, Verdict.UNGRADABLE
GRADERS = ("rules", "symbols", "judge")


Row = tuple[str, Case, dict[str, Judgement]]


def row(number: int, *verdicts: Verdict) -> Row:
    judgements = {
        name: Judgement(verdict=verdict, extracted="x", tier="t", evidence=name)
        for name, verdict in zip(GRADERS, verdicts, strict=False)
    }
    return str(number), Case(question="q", reference="r", answer=f"answer {number}"), judgements


def rows() -> Iterator[Row]:
    agreed = [(C, C, C)] * 60 + [(W, W, W)] * 25
    disputed = [(C, W, C)] * 6 + [(W, C, U)] * 2 + [(N, W, N)] * 5 + [(U, C, U)] * 2
    yield from (row(number, *pattern) for number, pattern in enumerate(agreed + disputed))


def audit(rows: Iterable[Row], graders: Sequence[str], disputes: Path | None = None) -> Audit:
    with auditing(graders, disputes) as auditor:
        for item in rows:
            auditor.add(*item)
        return auditor.finish()


def test_an_audit_counts_and_ranges_over_graders(tmp_path: Path) -> None:
    result = audit(rows(), GRADERS, tmp_path / "disputes.jsonl")
    assert (result.num_rows, result.num_disputed) == (100, 15)
    assert [item.of_all.value for item in result.headlines] == [0.66, 0.64, 0.66]
    assert (result.range_of_all.low, result.range_of_all.high) == (0.64, 0.66)
    assert result.range_of_decided.low == 0.64
    assert result.range_of_decided.high == pytest.approx(66 / 91)
    assert [(pair.first, pair.second, pair.agreement.value) for pair in result.pairs] == [
        ("rules", "symbols", 0.85),
        ("rules", "judge", 0.98),
        ("symbols", "judge", 0.85),
    ]
    # 85 rows agree wholly, 13 have one pair of three, 2 none; categories: C 196, W 88, N 10, U 6 of 300
    observed = (85 + 13 / 3) / 100
    chance = (196**2 + 88**2 + 10**2 + 6**2) / 300**2
    assert result.fleiss_kappa == pytest.approx((observed - chance) / (1 - chance))


def test_disputes_wait_for_a_person_and_agreement_does_not(tmp_path: Path) -> None:
    path = tmp_path / "disputes.jsonl"
    audit(rows(), GRADERS, path)
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [item["id"] for item in found] == [str(number) for number in range(85, 100)]
    assert {item["decision"] for item in found} == {None}
    assert {name: grade["verdict"] for name, grade in found[0]["grades"].items()} == {
        "rules": "correct",
        "symbols": "wrong",
        "judge": "correct",
    }
    decisions = load_decisions(path)
    assert decisions.num_open == 15
    assert decisions.find(row(85)[1]) is None


def test_a_second_audit_keeps_what_was_decided(tmp_path: Path) -> None:
    path = tmp_path / "disputes.jsonl"
    audit(rows(), GRADERS, path)
    text = path.read_text(encoding="utf-8").replace('"decision": null', '"decision": "correct"', 1)
    path.write_text(text, encoding="utf-8")
    audit(rows(), GRADERS, path)
    decisions = load_decisions(path)
    assert decisions.num_open == 14
    found = decisions.find(row(85)[1])
    assert found is not None
    assert found.verdict is C


def test_a_file_that_cannot_be_read_stops_the_audit_before_it_starts(tmp_path: Path) -> None:
    path = tmp_path / "disputes.jsonl"
    path.write_text('{"decision": "yes"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"disputes\.jsonl:1"), auditing(GRADERS, path):
        pytest.fail("the audit began")


def test_an_audit_that_fails_leaves_the_file_and_the_folder_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "disputes.jsonl"
    audit(rows(), GRADERS, path)
    before = path.read_bytes()
    with pytest.raises(DataError):
        audit([row(900, C, W, C), row(901, C, C)], GRADERS, path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["disputes.jsonl"]


def test_an_audit_without_a_file_is_the_same() -> None:
    assert audit(rows(), GRADERS).num_disputed == 15


def test_one_grader_and_no_rows_are_audits_too() -> None:
    result = audit(iter([]), ("rules",))
    assert (result.num_rows, result.pairs, result.fleiss_kappa) == (0, (), None)
    assert result.headlines[0].of_all.reason == "no rows"
    assert "range over graders" in audit_text(result)
    assert audit_json(result)["rows"] == 0  # type: ignore[index,call-overload]  # a JSON object


def test_counts_are_bounded_by_the_combinations_of_verdicts() -> None:
    counts = AuditCounts(GRADERS)
    for item in rows():
        counts.add(item[2])
    assert len(counts.patterns) == 6


def test_a_row_of_other_graders_is_an_error() -> None:
    with pytest.raises(DataError, match="judged by rules, symbols, the audit is of rules, symbols, judge"):
        audit([row(0, C, C)], GRADERS)


def test_the_text_is_aligned_and_says_every_number() -> None:
    text = audit_text(audit(rows(), GRADERS))
    assert text.startswith("100 rows, 3 graders, 15 rows disputed\n")
    lines = text.splitlines()
    heading = next(line for line in lines if line.startswith("grader"))
    rules = next(line for line in lines if line.startswith("rules  "))
    assert len(heading) == len(rules)
    assert rules.split()[:6] == ["rules", "66", "27", "5", "0", "2"]
    assert "64.0% to 66.0%" in text
    assert "rules / judge" in text
    assert "Fleiss' kappa over all 3 graders: 0.780" in text
    assert all(line == line.rstrip() for line in lines)


def test_the_json_holds_all_of_it_and_can_be_written() -> None:
    found = json.loads(json.dumps(audit_json(audit(rows(), GRADERS))))
    assert found["verdicts"] == ["correct", "wrong", "no_answer", "cut_off", "ungradable"]
    assert found["pairs"][0]["table"][0] == [60, 6, 0, 0, 0]
    assert found["headlines"][0]["counts"]["no_answer"] == 5
    assert set(found["pairs"][0]["kappa"]) == {"value", "low", "high", "reason"}
