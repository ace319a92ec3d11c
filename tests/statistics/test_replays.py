"""The determinism certificate of a handful of replays, by hand."""

import pytest

from thinkscale.records import Replay
from thinkscale.statistics import certificates, wilson_interval


def replay(number: int, first: int | None = None, batch: str = "shuffled", dtype: str = "float32") -> Replay:
    return Replay(
        model="student",
        benchmark="b",
        problem_id=f"p{number}",
        sample=0,
        num_tokens=100,
        first_difference=first,
        batch=batch,
        engine="lab",
        conditions={"dtype": dtype},
    )


def test_a_certificate_by_hand() -> None:
    replays = [replay(0), replay(1, 40), replay(2, 7, "alone"), replay(3, batch="alone"), replay(4)]
    (found,) = certificates(replays)
    assert (found.num_replayed, found.num_equal, found.is_repeatable) == (5, 3, False)
    assert found.agreement.value == 0.6
    assert (found.agreement.low, found.agreement.high) == wilson_interval(3, 5)
    assert found.first_differences == (7, 40)
    assert (found.num_tokens, found.tokens_before_difference) == (500, 347)
    assert [(item.batch, item.num_equal, item.num_replayed) for item in found.batches] == [
        ("shuffled", 2, 3),
        ("alone", 1, 2),
    ]
    assert "3 of 5" in found.sentence
    assert "token 7" in found.sentence


def test_complete_agreement_states_what_it_proves() -> None:
    (found,) = certificates([replay(number) for number in range(16)])
    assert found.is_repeatable
    assert found.agreement.low == pytest.approx(0.806, abs=1e-3)  # Wilson, 16 of 16
    assert "at least 81%" in found.sentence


def test_other_conditions_are_another_certificate() -> None:
    assert [item.conditions for item in certificates([replay(0), replay(1, dtype="float64")])] == [
        {"dtype": "float32"},
        {"dtype": "float64"},
    ]
    assert certificates([]) == []
