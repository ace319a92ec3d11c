"""Gauges."""

from thinkscale.engines.meter import Meter, meter_text


def test_tokens_a_second_are_a_mean_over_the_last_twenty() -> None:
    meter = Meter()
    assert meter.tokens_per_second(now=100.0) == 0.0
    for second in range(1, 61):
        meter.completion_tokens += 10 if second <= 30 else 40
        rate = meter.tokens_per_second(now=100.0 + second)
        if second == 30:
            assert rate == 10.0
    assert rate == 40.0


def test_what_is_read_twice_in_an_instant_is_no_rate() -> None:
    meter = Meter(completion_tokens=5)
    meter.tokens_per_second(now=1.0)
    meter.completion_tokens = 500
    assert meter.tokens_per_second(now=1.2) == 0.0


def cents(read: int, written: int) -> float:
    return 0.01 * read + 0.02 * written


def test_what_is_in_flight_is_part_of_what_is_spent() -> None:
    meter = Meter(price=cents, spent_usd=1.0, open_prompt_tokens=10, open_completion_tokens=20)
    assert meter.reading(done=0, total=10)["spent_usd"] == 1.5


def test_a_reading_projects_the_mean_price_of_a_row() -> None:
    meter = Meter(price=cents, spent_usd=1.5, max_spend_usd=20.0, in_flight=3, limit=8, lanes=2)
    row = meter.reading(done=30, total=100)
    assert (row["spent_usd"], row["projected_usd"], row["max_spend_usd"]) == (1.5, 5.0, 20.0)
    assert (row["in_flight"], row["in_flight_limit"], row["lanes"]) == (3, 8, 2)
    assert meter.reading(done=0, total=100)["projected_usd"] is None
    assert meter.reading(done=5, total=None)["projected_usd"] is None
    assert "spent_usd" not in Meter().reading(1, 2)


def test_the_text_names_only_what_is_there() -> None:
    assert Meter().text(0, 10) == "0 tok/s"
    meter = Meter(price=cents, spent_usd=1.2, in_flight=64, limit=64, retries=3, from_cache=1500)
    assert meter.text(10, 117) == "0 tok/s, 64 in flight, 3 retries, 1,500 from cache, $1.20 of about $14.04"
    assert meter_text({**Meter(limit=1).reading(0, 0), "tokens_per_second": 1204.4}) == "1,204 tok/s, 0 in flight"
