"""The spend cap holds whatever happens, and money that was set aside is given back exactly once."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from thinkscale.engines.remote.prices import Price
from thinkscale.engines.remote.spend import Ledger, Reservation
from thinkscale.errors import ConfigError

PRICE = Price(input_usd=1.0, cached_input_usd=0.1, output_usd=4.0, batch_factor=0.5)


def reserved(ledger: Ledger, prompt_tokens: int, max_tokens: int) -> Reservation:
    reservation = ledger.reserve(prompt_tokens, max_tokens)
    assert reservation is not None
    return reservation


def test_a_reservation_is_the_worst_case_and_settling_takes_what_it_cost() -> None:
    ledger = Ledger(price=PRICE, cap_usd=10.0)
    reservation = reserved(ledger, 100_000, 200_000)  # 0.1 + 0.8
    assert reservation.usd == ledger.reserved_usd == 0.9
    assert ledger.left_usd == 9.1
    assert ledger.settle(reservation, 100_000, 50_000, 10_000) == 0.095  # 0.05 + 0.005 + 0.04
    assert (ledger.spent_usd, ledger.reserved_usd, ledger.left_usd) == (0.095, 0.0, 9.905)


def test_what_would_cross_the_cap_is_refused_while_the_last_cent_can_be_spent() -> None:
    ledger = Ledger(price=PRICE, cap_usd=1.0)
    first = reserved(ledger, 0, 250_000)
    assert ledger.left_usd == 0
    assert ledger.reserve(1, 0) is None
    ledger.settle(first, 0, 0, 250_000)
    assert ledger.spent_usd == 1.0
    assert ledger.reserve(1, 0) is None


def test_exhausted_only_when_nothing_is_in_flight_and_the_next_does_not_fit() -> None:
    ledger = Ledger(price=PRICE, cap_usd=1.0)
    assert not ledger.exhausted
    first = reserved(ledger, 0, 200_000)
    assert ledger.reserve(0, 100_000) is None
    assert not ledger.exhausted  # the first may turn out cheaper
    ledger.settle(first, 0, 0, 200_000)
    assert ledger.exhausted
    small = reserved(ledger, 0, 50_000)
    assert not ledger.exhausted
    ledger.release(small)
    assert not ledger.exhausted  # the last that asked did fit


def test_a_refused_request_fits_once_others_came_out_cheaper() -> None:
    ledger = Ledger(price=PRICE, cap_usd=1.0)
    first = reserved(ledger, 0, 200_000)
    assert ledger.reserve(0, 100_000) is None
    ledger.settle(first, 0, 0, 10_000)
    assert not ledger.exhausted
    assert ledger.reserve(0, 100_000) is not None


def test_a_failed_attempt_is_paid_for_what_it_brought_and_an_unsent_one_not_at_all() -> None:
    ledger = Ledger(price=PRICE, cap_usd=1.0)
    assert ledger.settle(reserved(ledger, 10_000, 100_000), 10_000, 0, 2_500) == 0.02
    ledger.release(reserved(ledger, 10_000, 100_000))
    assert (ledger.spent_usd, ledger.reserved_usd) == (0.02, 0.0)


def test_what_was_spent_before_counts() -> None:
    ledger = Ledger(price=PRICE, cap_usd=1.0, spent_usd=0.9)
    assert ledger.spent_usd == 0.9
    assert ledger.reserve(0, 25_001) is None
    assert ledger.reserve(0, 25_000) is not None


def test_a_batch_is_reserved_and_paid_at_its_own_price() -> None:
    ledger = Ledger(price=PRICE, cap_usd=1.0, batch=True)
    reservation = reserved(ledger, 0, 500_000)
    assert ledger.settle(reservation, 0, 0, 500_000) == ledger.spent_usd == 1.0


def test_more_than_was_reserved_is_counted_as_it_is() -> None:
    ledger = Ledger(price=PRICE, cap_usd=1.0)
    ledger.settle(reserved(ledger, 0, 100_000), 0, 0, 400_000)
    assert ledger.spent_usd == 1.6
    assert ledger.left_usd == 0
    assert ledger.reserve(1, 1) is None
    assert ledger.exhausted


def test_a_reservation_cannot_be_given_back_twice() -> None:
    ledger = Ledger(price=PRICE, cap_usd=1.0)
    reservation = reserved(ledger, 1, 1)
    ledger.settle(reservation, 1, 0, 1)
    with pytest.raises(ValueError, match="twice"):
        ledger.release(reservation)
    assert ledger.reserved_usd == 0


def test_without_a_cap_all_fits_and_is_counted() -> None:
    ledger = Ledger(price=PRICE)
    ledger.settle(reserved(ledger, 10**9, 10**9), 0, 0, 10**9)
    assert ledger.spent_usd == 4_000
    assert ledger.left_usd is None
    assert not ledger.exhausted


def test_without_a_price_nothing_is_counted() -> None:
    ledger = Ledger(price=None)
    assert ledger.settle(reserved(ledger, 10, 10), 10, 0, 10) == 0
    assert ledger.spent_usd == 0


def test_a_cap_without_a_price_is_refused_with_the_way_to_give_one() -> None:
    with pytest.raises(ConfigError) as raised:
        Ledger(price=None, cap_usd=5.0, model="my-model")
    assert "the price of my-model is not known" in str(raised.value)
    assert "my-model: {input: 1.0, output: 4.0}" in str(raised.value)


@pytest.mark.parametrize("cap", [-1.0, float("nan"), float("inf")])
def test_a_cap_must_be_an_amount(cap: float) -> None:
    with pytest.raises(ConfigError, match="must be an amount"):
        Ledger(price=PRICE, cap_usd=cap)


@pytest.mark.parametrize("seed", range(40))
def test_no_sequence_of_events_crosses_the_cap(seed: int) -> None:
    draw = random.Random(seed)
    # Prices with many digits, so that sums in floating point would differ by the order of events.
    rates = sorted(draw.uniform(0.01, 5) for _ in range(2))
    price = Price(input_usd=rates[1], cached_input_usd=rates[0], output_usd=draw.uniform(0.01, 20), batch_factor=0.3)
    ledger = Ledger(price=price, cap_usd=draw.uniform(0.01, 0.1), batch=draw.random() < 0.5)
    cap = ledger.cap_usd or 0
    opened: list[tuple[Reservation, int, int]] = []
    num_refused = 0
    for _ in range(600):
        if opened and draw.random() < 0.5:
            reservation, prompt, maximum = opened.pop(draw.randrange(len(opened)))
            if draw.random() < 0.1:
                ledger.release(reservation)
            else:
                ledger.settle(
                    reservation, prompt, draw.randint(0, prompt), draw.choice([maximum, draw.randint(0, maximum)])
                )
        else:
            prompt, maximum = draw.randint(0, 9_000), draw.randint(0, 9_000)
            got = ledger.reserve(prompt, maximum)
            num_refused += got is None
            opened += [(got, prompt, maximum)] if got else []
        assert ledger.spent_usd + ledger.reserved_usd <= cap * (1 + 1e-15)
        assert ledger.spent_usd <= cap
    for reservation, prompt, maximum in opened:
        ledger.settle(reservation, prompt, 0, maximum)
    assert ledger.spent_usd <= cap
    assert ledger.reserved_usd == 0
    assert num_refused > 0


def test_threads_share_one_cap() -> None:
    ledger = Ledger(price=PRICE, cap_usd=0.4)

    def work(_: int) -> int:
        reservation = ledger.reserve(0, 1_000)  # 0.004, so that exactly a hundred fit
        if reservation is None:
            return 0
        ledger.settle(reservation, 0, 0, 1_000)
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(400))) == 100
    assert ledger.spent_usd == 0.4
