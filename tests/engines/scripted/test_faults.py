"""Fault plans: pure, repeatable, of the shares that were asked for; and their texts on the command line."""

import pytest

from thinkscale.engines.scripted.faults import NO_FAULTS, Fault, FaultPlan, parse_shares
from thinkscale.errors import ConfigError


def test_shares_of_first_attempts_are_those_asked_for() -> None:
    plan = FaultPlan(shares={Fault.STALL: 0.05, Fault.SERVER_ERROR: 0.2})
    found = [plan.fault(f"request {number}", 1) for number in range(10_000)]
    assert abs(found.count(Fault.STALL) - 500) < 100  # 4.6 standard deviations of a binomial with p 0.05
    assert abs(found.count(Fault.SERVER_ERROR) - 2000) < 185
    assert found.count(None) + found.count(Fault.STALL) + found.count(Fault.SERVER_ERROR) == 10_000


def test_a_decision_depends_on_seed_request_and_attempt_alone() -> None:
    plan, same = (FaultPlan(shares={Fault.TORN_STREAM: 0.5}, seed=3) for _ in range(2))
    other = FaultPlan(shares={Fault.TORN_STREAM: 0.5}, seed=4)
    asked = [(f"r{number}", attempt) for number in range(50) for attempt in (1, 2, 3)]
    decisions = {ask: plan.fault(*ask) for ask in asked}
    assert {ask: same.fault(*ask) for ask in reversed(asked)} == decisions
    assert {ask: other.fault(*ask) for ask in asked} != decisions
    assert any(decisions[f"r{number}", 1] and not decisions[f"r{number}", 2] for number in range(50))


def test_permanent_faults_meet_every_attempt_and_others_do_not() -> None:
    shares = {Fault.STALL: 0.5}
    always = FaultPlan(shares=shares, permanent_share=1.0)
    hit = [f"r{number}" for number in range(40) if always.fault(f"r{number}", 1)]
    assert hit
    assert all(always.fault(key, attempt) is Fault.STALL for key in hit for attempt in range(1, 20))
    sometimes = FaultPlan(shares=shares)
    assert all(any(sometimes.fault(key, attempt) is None for attempt in range(1, 20)) for key in hit)


def test_a_bad_request_is_bad_on_every_attempt_and_never_later_than_the_first() -> None:
    plan = FaultPlan(shares={Fault.BAD_REQUEST: 0.5})
    for number in range(40):
        decisions = {plan.fault(f"r{number}", attempt) for attempt in range(1, 10)}
        assert len(decisions) == 1


def test_no_plan_means_no_fault() -> None:
    assert {NO_FAULTS.fault(f"r{number}", 1) for number in range(20)} == {None}


def test_shares_are_read_from_texts() -> None:
    assert parse_shares(["rate_limit=0.05", " stall = 1e-2"]) == {Fault.RATE_LIMIT: 0.05, Fault.STALL: 0.01}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["rain=0.1"], "there is no fault 'rain'; there are rate_limit, "),
        (["stall"], "'stall' has no share; write for instance stall=0.05"),
        (["stall=lots"], "'lots' is no number"),
        (["stall=1.5"], "a share lies between 0 and 1"),
        (["stall=0.1", "stall=0.2"], "--fault stall is given twice"),
    ],
)
def test_a_wrong_text_is_named(texts: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        parse_shares(texts)


def test_shares_over_one_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"they sum to 1\.2"):
        FaultPlan(shares={Fault.STALL: 0.6, Fault.MALFORMED: 0.6})
