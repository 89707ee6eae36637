"""Sealing a day: canonical bytes, roots that depend on the day alone, and differences counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.identity import canonical_bytes, content_hash, decimal_text, seal_of
from throughline.market.blocks import (
    _decimal,
    _decimal_array,
    block_hashes,
    day_blocks,
    diff_blocks,
    parse_blocks,
    root_of,
    segment_name,
)
from throughline.market.panel import MarketPanel, QuarantinedRow, Reference

HOUR = 3_600_000
START = 1_609_459_200_000  # 2021-01-01


def panel(
    seed: int = 1, days: int = 3, names: tuple[str, ...] = ("AAA", "BÉE", 'C"C'), close_only: bool = False
) -> MarketPanel:
    rng = np.random.default_rng(seed)
    shape = (24 * days, len(names))
    close = np.round(rng.uniform(1e-7, 3, shape), 9)
    close[rng.random(shape) < 0.1] = np.nan
    close[:24, 0] = np.nan
    volume = np.where(rng.random(shape) < 0.2, np.nan, rng.uniform(0, 1e6, shape))
    volume[np.isnan(close)] = np.nan
    open_time = START + HOUR * np.arange(shape[0])
    segment = np.full(shape, START - HOUR)
    segment[30:, 1] = open_time[30]
    event = np.repeat((open_time // (24 * HOUR) * 24 * HOUR)[:, None], len(names), axis=1)
    cap = np.where(np.arange(len(names)) == 2, np.nan, np.repeat((event[:, :1] / 1e5), len(names), axis=1))
    known = np.where(np.isnan(cap), -1, event)
    return MarketPanel(
        interval_ms=HOUR,
        open_time=open_time,
        instruments=names,
        open=close,
        high=close * 1.5,
        low=close / 3,
        close=close,
        volume=volume,
        segment_start=segment,
        references={"market_cap": Reference(cap, known, known, "caps:cap")},
        quarantined=(QuarantinedRow("AAA", START + 5 * HOUR, "jump_up", "close=9"),),
        close_only=close_only,
    )


@pytest.mark.parametrize("close_only", [False, True])
def test_lines_are_the_canonical_bytes_of_what_they_say(close_only: bool) -> None:
    for day in (1, 2, 3):
        blocks = day_blocks(panel(close_only=close_only), date(2021, 1, day))
        bodies = parse_blocks(blocks.lines)
        assert [canonical_bytes(body) for body in bodies] == list(blocks.lines)
        assert [body["instrument"] for body in bodies] == ["AAA", "BÉE", 'C"C']
        assert (
            blocks.root == seal_of(content_hash("market_bars", line) for line in blocks.lines) == root_of(blocks.lines)
        )
        assert len(block_hashes(blocks.lines)) == 3


def test_a_line_says_all_that_the_panel_says_of_the_day() -> None:
    whole = panel()
    body = parse_blocks(day_blocks(whole, date(2021, 1, 2)).lines)[1]
    rows = 24 + np.array(body["bars"]["slots"])
    for name in ("open", "high", "low", "close"):
        assert body["bars"][name] == [decimal_text(float(value)) for value in getattr(whole, name)[rows, 1]]
    for text, value in zip(body["bars"]["volume"], whole.volume[rows, 1], strict=True):
        assert text == (None if np.isnan(value) else decimal_text(float(value)))
    names = dict(body["segments"])
    assert list(names.values()) == ["BÉE@20201231T230000Z", "BÉE@20210102T060000Z"]
    (state,) = body["references"]["market_cap"]
    assert state[0] == 0
    assert state[2] == "2021-01-02T00:00:00.000000Z"


def test_quarantined_rows_are_in_the_line_of_their_day_even_without_a_bar() -> None:
    blocks = day_blocks(panel(), date(2021, 1, 1))
    assert blocks.quarantined == {"jump_up": 1}
    body = parse_blocks(blocks.lines)[0]
    assert body["bars"]["slots"] == []
    assert body["quarantined"] == [{"detail": "close=9", "rule": "jump_up", "time": "2021-01-01T05:00:00.000000Z"}]
    assert day_blocks(panel(), date(2021, 1, 2)).quarantined == {}


def test_a_day_without_anything_has_the_root_of_nothing() -> None:
    whole = panel()
    empty = replace(whole, close=np.full_like(whole.close, np.nan), quarantined=())
    blocks = day_blocks(empty, date(2021, 1, 1))
    assert (blocks.lines, blocks.bars) == ((), 0)
    assert blocks.root == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_day_that_the_panel_does_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="2021-01-04"):
        day_blocks(panel(), date(2021, 1, 4))


def test_differences_are_counted_fact_by_fact() -> None:
    old = panel()
    close = old.close.copy()
    there = np.flatnonzero(~np.isnan(close[24:48, 1])) + 24
    close[there[0], 1] = 7.0
    close[there[1], 1] = np.nan
    missing = np.flatnonzero(np.isnan(close[24:48, 2])) + 24
    close[missing[0], 2] = 1.0
    new = replace(old, close=close, quarantined=(*old.quarantined, QuarantinedRow("AAA", START + 30 * HOUR, "x", "y")))
    day = date(2021, 1, 2)
    diff = diff_blocks(day_blocks(old, day).lines, day_blocks(new, day).lines)
    assert (diff.added, diff.changed, diff.removed) == (2, 1, 1)
    assert diff.instruments == ("AAA", "BÉE", 'C"C') or diff.instruments == ("AAA", 'C"C', "BÉE")
    assert diff_blocks(day_blocks(old, day).lines, day_blocks(panel(), day).lines).empty


def test_a_line_that_is_not_canonical_is_refused() -> None:
    line = day_blocks(panel(), date(2021, 1, 2)).lines[0]
    with pytest.raises(ValueError, match="line 1"):
        parse_blocks([line.replace(b'"bars":', b'"bars": ')])


@given(st.lists(st.floats(0, 1e19) | st.floats(0, 1e-6) | st.just(float("nan")), max_size=8))
def test_quick_number_text_is_decimal_text(values: list[float]) -> None:
    import json

    wanted = [None if value != value else decimal_text(value) for value in values]
    assert json.loads(_decimal_array(values)) == wanted
    assert all(_decimal(value) == text for value, text in zip(values, wanted, strict=True) if text is not None)


def test_segment_names_say_ticker_and_start() -> None:
    assert segment_name("LUNAUSDT", 1_653_976_800_000) == "LUNAUSDT@20220531T060000Z"
    with pytest.raises(ValueError, match="no segment"):
        segment_name("LUNAUSDT", -1)
