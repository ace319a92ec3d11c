"""Prices: by name, by the user's file first, exact to the picodollar, and unknown where nobody gave one."""

from pathlib import Path

import pytest

from thinkscale.engines.remote.prices import (
    Price,
    PriceTable,
    built_in_prices,
    gpu_hour_usd,
    load_prices,
    price_of,
    to_picodollars,
)
from thinkscale.errors import ConfigError, DataError

FILE = """
models:
  my-model: {input: 1, output: 2}
  gpt-*: {input: 9, cached_input: 3, output: 27, batch_factor: 0.25, noted: "2026-11"}
  gpt-4o-*: {input: 8, output: 24}
gpu_hour_usd:
  H100: 3.25
"""


def table(tmp_path: Path, text: str) -> PriceTable:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    return load_prices(path)


def test_a_request_of_a_known_model_by_hand() -> None:
    price = price_of("gpt-4o-mini")
    assert price is not None
    # 1,000 prompt tokens, 400 of them cached, 2,000 written: 600 x 0.15 + 400 x 0.075 + 2,000 x 0.60 millionths.
    assert price.usd(1_000, 400, 2_000) == pytest.approx((90 + 30 + 1_200) / 1e6, rel=1e-12)
    assert price.picodollars(1_000, 400, 2_000) == 1_320_000_000
    assert price.picodollars(1_000, 400, 2_000, batch=True) == 660_000_000


def test_more_cached_than_read_is_counted_as_all_cached() -> None:
    price = Price(input_usd=2, cached_input_usd=1, output_usd=4)
    assert price.picodollars(10, 25, 0) == price.picodollars(10, 10, 0) == 10_000_000


def test_a_price_finer_than_a_picodollar_a_token_is_rounded_up() -> None:
    price = Price(input_usd=0.0000001, cached_input_usd=0, output_usd=0)
    assert price.picodollars(1, 0, 0) == 1


@pytest.mark.parametrize(
    ("model", "pattern"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o-20*"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini-20*"),
        ("gpt-5-mini", "gpt-5-mini"),
        ("o3-mini", "o3-mini"),
        ("claude-opus-4-20250514", "claude-opus-4-20*"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5-20*"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-*"),
    ],
)
def test_names_and_dated_names_find_their_entry(model: str, pattern: str) -> None:
    price = price_of(model)
    assert price is not None
    assert price.pattern == pattern
    assert price.noted


@pytest.mark.parametrize(
    "model", ["my-model", "gpt-4o-audio-preview", "gpt-4o-realtime", "gpt-5-pro", "o1-pro", "GPT-4o", ""]
)
def test_a_model_without_an_entry_has_no_price(model: str) -> None:
    assert price_of(model) is None


def test_every_built_in_entry_is_dearer_uncached_and_says_when_it_was_noted() -> None:
    prices = built_in_prices()
    assert prices.source == "provider's public price page"
    assert len(prices.models) > 40
    for name, entry in prices.models.items():
        assert 0 < entry.input < entry.output, name
        assert entry.noted[:3] == "202", name
        assert price_of(name) is not None


def test_the_users_file_goes_before_the_built_in_table_and_the_longest_glob_wins(tmp_path: Path) -> None:
    overrides = table(tmp_path, FILE)
    general, longer, exact = (price_of(name, overrides) for name in ("gpt-5", "gpt-4o-mini", "my-model"))
    assert general is not None
    assert (general.pattern, general.input_usd, general.cached_input_usd) == ("gpt-*", 9, 3)
    assert general.source == str(tmp_path / "prices.yaml")
    assert general.picodollars(0, 0, 100, batch=True) == 675_000_000
    assert longer is not None
    assert (longer.pattern, longer.cached_input_usd, longer.batch_factor) == ("gpt-4o-*", 8, 1)
    assert exact is not None
    assert exact.usd(500_000, 0, 250_000) == 1.0
    untouched = price_of("o1", overrides)
    assert untouched is not None
    assert untouched.input_usd == 15


def test_what_a_gpu_costs_can_be_overridden_and_may_be_unknown(tmp_path: Path) -> None:
    overrides = table(tmp_path, FILE)
    assert gpu_hour_usd("H100", overrides) == 3.25
    assert gpu_hour_usd("H100") == built_in_prices().gpu_hour_usd["H100"]
    assert gpu_hour_usd("A100", overrides) == gpu_hour_usd("A100")
    assert gpu_hour_usd("abacus", overrides) is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("models:\n  x: {input: 1}\n", ("prices.yaml:2", "models.x.output is missing")),
        ("models:\n  x: {input: 1, output: 2, inptu: 3}\n", ("prices.yaml:2", "inptu is not a setting")),
        ("models:\n  x: {input: cheap, output: 2}\n", ("prices.yaml:2", "must be a number")),
        ("models:\n  x: {input: -1, output: 2}\n", ("prices.yaml:2", "greater than or equal to 0")),
        ("models:\n  x:\n    input: .inf\n    output: 2\n", ("prices.yaml:3", "x.input")),
        ("models:\n  x: {input: 1, cached_input: 2, output: 2}\n", ("prices.yaml:2", "must not be above input")),
        ("models:\n  x: {input: 1, output: 2, batch_factor: 0}\n", ("prices.yaml:2", "batch_factor")),
        ("modles: {}\n", ("prices.yaml:1", "did you mean models?")),
        ("models:\n  x: {input: 1, output: 2}\n  x: {input: 3, output: 4}\n", ("prices.yaml:3", "given twice")),
    ],
)
def test_a_wrong_price_file_is_refused_with_line_and_field(tmp_path: Path, text: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as raised:
        table(tmp_path, text)
    for part in parts:
        assert part in str(raised.value)


def test_an_absent_price_file_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        load_prices(tmp_path / "absent.yaml")


def test_dollars_become_whole_picodollars_on_the_side_that_is_asked_for() -> None:
    assert to_picodollars(0.1, up=False) == to_picodollars(0.1, up=True) == 100_000_000_000
    assert to_picodollars(1e-13, up=False) == 0
    assert to_picodollars(1e-13, up=True) == 1
