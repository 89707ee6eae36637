"""Real gaps and real collapses through the whole flow: a gap never creates profit.

COCOS was exchanged 1000 to 1 in a gap of 97 hours (+107,652 % for whoever holds through it), BTCST 1 to 10 in one of
97 hours; LUNA stopped at 0.00005 and came back as another coin at 9.85; FTT fell by 95 % in a week.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.flow_slices import CLOSES, HOURLY, Bench, Slice, cut, experiment_of, provider_of
from throughline.experiment.identity import Experiment
from throughline.flow.market_view import midnight
from throughline.identity import parse_time, time_to_ms
from throughline.market.blocks import segment_ms
from throughline.market.panel import MarketDataProvider
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database

DAY = timedelta(days=1)
# Always in the market, and nothing but a halt ends a position: whoever holds through the gap would show it.
HOLDER = """
[strategy]
momentum_minimum = 0.0005
momentum_window_hours = 1
volatility_window_hours = 4
rearm_hours = 0
market_cap = { enabled = false }
volume_24h = { enabled = false }
volatility = { enabled = false }
[exits]
stop_loss = 0.9999999
take_profit = 1000
max_hold_hours = 2400
"""
# The usual barriers, with a trigger so weak that even a falling coin is bought.
BUYER = HOLDER.split("[exits]", maxsplit=1)[0]

COCOS = replace(
    HOURLY,
    name="hourly-cocos",
    instruments=("BTC/USDT", "COCOS/USDT"),
    first=date(2021, 1, 8),
    start=date(2021, 1, 14),
    end=date(2021, 1, 25),
    last=date(2021, 1, 25),
)
BTCST = replace(
    COCOS,
    name="hourly-btcst",
    instruments=("BTC/USDT", "BTCST/USDT"),
    first=date(2021, 3, 4),
    start=date(2021, 3, 10),
    end=date(2021, 3, 21),
    last=date(2021, 3, 21),
)
LUNA = replace(
    CLOSES,
    name="closes-luna",
    instruments=("BTCUSDT", "LUNAUSDT"),
    first=date(2022, 5, 1),
    start=date(2022, 5, 7),
    end=date(2022, 6, 3),
    last=date(2022, 6, 3),
)
FTT = replace(
    LUNA,
    name="closes-ftt",
    instruments=("BTCUSDT", "FTTUSDT"),
    first=date(2022, 10, 29),
    start=date(2022, 11, 4),
    end=date(2022, 11, 12),
    last=date(2022, 11, 12),
)


@dataclass(frozen=True)
class Story:
    """A run: its experiment and what it recorded."""

    piece: Slice
    experiment: Experiment
    provider: MarketDataProvider
    executions: dict[str, dict[str, Any]]
    outcomes: list[dict[str, Any]]
    shadows: list[dict[str, Any]]
    candidates: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def bench(database: Database, tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Bench:
    """Return a bench on the session's database."""
    scratch = tmp_path_factory.mktemp("gaps")
    return Bench(database, ArtifactStore(scratch / "artifacts"), scratch, repo)


@pytest.fixture(scope="module")
def stories(bench: Bench, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Story]:
    """Return each market held through (HOLDER) and bought with the usual barriers (BUYER)."""
    told = {}
    for piece in (COCOS, BTCST, LUNA, FTT):
        provider = provider_of(piece, cut(piece, shared_data, tmp_path_factory.mktemp(piece.name)), bench.repo)
        for word, text in (("holder", HOLDER), ("buyer", BUYER)):
            experiment = experiment_of(piece, provider, bench.scratch, seed=500, settings=text)
            bench.run(experiment, provider, piece.start, piece.end, 10)

            def bodies(table: str, of: Experiment = experiment) -> list[tuple[str, dict[str, Any]]]:
                return [(str(row.uuid), json.loads(row.body)) for row in bench.rows(of, table)]

            told[f"{piece.name} {word}"] = Story(
                piece,
                experiment,
                provider,
                dict(bodies("executions")),
                [body for _, body in bodies("outcomes")],
                [body for _, body in bodies("shadow_outcomes")],
                dict(bodies("candidates")),
            )
    return told


NAMES = [f"{piece.name} {word}" for piece in (COCOS, BTCST, LUNA, FTT) for word in ("holder", "buyer")]


def _best_percent(story: Story, instrument: str, segment: str, entered: str, ended: str, price: float | None) -> float:
    """Return the return of selling at the best price of the segment between entry and exit."""
    panel = story.provider.load(midnight(story.piece.start - DAY), midnight(story.piece.end + DAY))
    column = panel.instruments.index(instrument)
    opened = panel.open_time + (panel.interval_ms if panel.close_only else 0)
    since, until = time_to_ms(parse_time(entered)), time_to_ms(parse_time(ended))
    rows = (opened >= since) & (opened <= until) & (panel.segment_start[:, column] == segment_ms(segment))
    high = float(np.nanmax(panel.high[rows, column]))
    paid = float(panel.low[rows, column][0]) if price is None else price
    return 100.0 * (high / paid - 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_no_trade_earns_more_than_the_contiguous_bars_of_its_segment_allow(
    stories: dict[str, Story], name: str
) -> None:
    story = stories[name]
    assert story.executions, "nothing was bought: the test proves nothing"
    for body in story.outcomes:
        execution = story.executions[body["execution"]["uuid"]]
        best = _best_percent(
            story,
            body["instrument"],
            body["segment"],
            execution["fill_time"],
            body["exit_time"],
            float(execution["entry_price"]),
        )
        assert float(body["realized_pnl_percent"]) <= best + 1e-9
    for body in story.shadows:
        if body["return_percent"] is not None:
            candidate = story.candidates[body["candidate"]["uuid"]]
            best = _best_percent(
                story, candidate["instrument"], candidate["segment"], body["entry_time"], body["exit_time"], None
            )
            assert float(body["return_high_percent"]) <= best + 1e-9


@pytest.mark.parametrize(
    ("name", "instrument", "halted_on", "share"),
    [
        # last bar + 24 h, at half of the last close: no price is known by then
        ("hourly-cocos holder", "COCOS/USDT", date(2021, 1, 20), 0.5),
        ("hourly-btcst holder", "BTCST/USDT", date(2021, 3, 16), 0.5),
        # LUNA's close fell to 0.459 of the one before it, beyond what closes alone can tell from a split: it ends
        # there, and the fall counts in full
        ("closes-luna holder", "LUNAUSDT", date(2022, 5, 11), 1.0),
    ],
)
def test_who_holds_through_the_gap_is_halted_a_day_after_the_last_bar_and_a_doubtful_fall_counts_in_full(
    stories: dict[str, Story], name: str, instrument: str, halted_on: date, share: float
) -> None:
    story = stories[name]
    ended = [body for body in story.outcomes if body["instrument"] == instrument]
    assert len(ended) == 1 or share == 1.0, "one position was held into the gap and nothing else ended it"
    body = min(ended, key=lambda outcome: str(outcome["exit_time"]))
    assert body["termination_reason"] == "halted"
    assert body["partition"] == halted_on.isoformat()
    panel = story.provider.load(midnight(story.piece.start), midnight(story.piece.end + DAY))
    closes = panel.close[
        panel.open_time < time_to_ms(parse_time(body["exit_time"])), panel.instruments.index(instrument)
    ]
    last = float(closes[~np.isnan(closes)][-1])
    assert float(body["exit_price"]) == pytest.approx(share * last, rel=0.02), "a price of the old coin, not the new"
    assert ("doubtful_jump" in body["flags"]) == (share == 1.0)
    assert float(body["pnl_low_usd"]) <= float(body["realized_pnl_usd"]) <= float(body["pnl_high_usd"])
    shadows = [s for s in story.shadows if story.candidates[s["candidate"]["uuid"]]["instrument"] == instrument]
    assert {s["termination_reason"] for s in shadows} <= {"halted", "expired"}


@pytest.mark.parametrize(
    ("name", "instrument"), [("hourly-cocos holder", "COCOS/USDT"), ("closes-luna holder", "LUNAUSDT")]
)
def test_after_the_gap_the_ticker_is_another_instrument(stories: dict[str, Story], name: str, instrument: str) -> None:
    story = stories[name]
    segments = {body["segment"] for body in story.candidates.values() if body["instrument"] == instrument}
    assert len(segments) == 2 if instrument == "COCOS/USDT" else len(segments) >= 2  # LUNA's end has doubtful jumps
    for body in story.outcomes:
        assert body["segment"] == story.executions[body["execution"]["uuid"]]["segment"]


@pytest.mark.parametrize(("name", "instrument"), [("closes-luna buyer", "LUNAUSDT"), ("closes-ftt buyer", "FTTUSDT")])
def test_positions_in_a_collapse_end_as_stops_or_halts(stories: dict[str, Story], name: str, instrument: str) -> None:
    story = stories[name]
    worst = [
        body for body in story.outcomes if body["instrument"] == instrument and float(body["realized_pnl_usd"]) < 0
    ]
    reasons = [body["termination_reason"] for body in worst]
    assert reasons.count("stop_loss") >= 2
    for body in worst:
        if float(body["realized_pnl_percent"]) < -16:
            assert body["termination_reason"] in ("stop_loss", "halted")


@pytest.mark.parametrize("name", NAMES)
def test_the_equity_of_every_path_stays_within_what_was_there_and_what_was_earned(
    stories: dict[str, Story], bench: Bench, name: str
) -> None:
    story = stories[name]
    states = [json.loads(row.body) for row in bench.rows(story.experiment, "portfolio_states")]
    for path in ("pessimistic", "base", "optimistic"):
        for state in states:
            told = state["paths"][path]
            assert float(told["cash_usd"]) >= 0.0
            assert float(told["equity_usd"]) < 10_000.0 * 5, "more than five times the fund: a gap was booked as profit"
