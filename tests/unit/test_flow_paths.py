"""What a path carries from day to day: its sizes, and its state as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from throughline.configuration import SizingSettings
from throughline.flow.paths import size_scale, state_body, state_from
from throughline.market.blocks import segment_ms, segment_name
from throughline.trading.types import PathState, Position

FUND = SizingSettings(small_fund_usd=1000.0)
T0 = 1_609_459_200_000
HELD = Position(
    key="018d38fb-2680-8f85-b507-995b9647bf77",
    instrument="A@B/USDT",
    segment=T0,
    entry_time=T0 + 3_600_000,
    entry_bar=T0 + 3_600_000,
    last_bar_close=T0 + 7_200_000,
    entry_price=1.25e-8,
    raw_entry_price=1.2e-8,
    quantity=8e9,
    initial_quantity=1e10,
    notional=125.0,
    entry_fee=0.125,
    entry_costs=0.5,
    last_price=1.5e-8,
    traded_close=T0 + 3_600_000,
    traded_price=1.4e-8,
    low_quantity=8e9,
    high_quantity=8.5e9,
    exit_reason="stop_loss",
    sold_value=25.0,
    exit_value=24.9,
    exit_fees=0.1,
    low_gain=-1.25,
    high_gain=3.5,
    flags=("partial_exit",),
)


@pytest.mark.parametrize(("cash", "scale"), [(1000.0, 1.0), (2500.0, 1.0), (400.0, 0.4), (0.0, 1e-6)])
def test_sizes_shrink_with_what_is_left_of_the_fund_and_never_grow(cash: float, scale: float) -> None:
    assert size_scale(PathState(cash=cash), FUND) == pytest.approx(scale)


def test_open_positions_and_what_was_sold_of_them_count_as_what_is_left() -> None:
    left = 100.0 + 8e9 * 1.5e-8 + (24.9 - 0.1)
    assert size_scale(PathState(cash=100.0, positions=(HELD,)), FUND) == pytest.approx(left / 1000.0)


def test_a_state_reads_back_exactly_as_it_was_written() -> None:
    state = PathState(cash=123.456, positions=(HELD, replace(HELD, key="b", exit_reason=None, flags=())))
    assert state_from(state_body(state)) == state


def test_what_an_exit_rule_carries_is_in_the_state_and_a_state_of_an_older_release_has_none() -> None:
    carried = PathState(cash=1.0, positions=(replace(HELD, slots={"trailing_stop.highest": 1.2345e-8}),))
    body = state_body(carried)
    assert body["positions"][0]["slots"] == {"trailing_stop.highest": "0.000000012345"}
    assert state_from(body) == carried
    assert "slots" not in state_body(PathState(cash=1.0, positions=(HELD,)))["positions"][0]


def test_a_segment_s_start_is_read_from_its_name_whatever_the_ticker_holds() -> None:
    assert segment_ms(segment_name("A@B/USDT", T0)) == T0
