"""Re-denominations, splits, filled gaps and thin bars through the whole flow: what is booked, labelled and reported.

Every coin rises by 13 % on 4 March 2024 at 12:00 and is bought at the next open; what happens eight hours later is its
name. The bars are written here, in the layout of a plain CSV file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.integration.flow_slices import CODE, LOCK, Bench
from tests.integration.small_home import TableGates
from throughline.analytics.report import build_report
from throughline.analytics.sentences import warning_sentences
from throughline.analytics.tear_sheet.page import tear_sheet_html
from throughline.configuration import Configuration, load_configuration
from throughline.dossier.record_text import describe
from throughline.experiment.identity import Experiment, make_experiment
from throughline.market.archive import open_archive
from throughline.market.panel import MarketDataProvider
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database

HOUR = 3_600_000
FIRST, START, END = date(2024, 3, 1), date(2024, 3, 4), date(2024, 3, 8)
T0 = 1_709_251_200_000  # 2024-03-01T00:00Z
BOUGHT = 85  # the hour from T0 in whose open the coins are bought
EVENT = BOUGHT + 8
ARCHIVE = """
name = "jumps"
[bars]
file = "bars.csv"
instrument = "coin"
time = "time"
time_unit = "ms"
stamp = "open"
interval = "1h"
open = "open"
high = "high"
low = "low"
close = "close"
volume = "volume"
volume_unit = "quote"
"""
FILLED = ("FILLED", "QUARTER", "FOURFOLD")
"""Coins for which twenty hours without trading are filled with flat candles before the event."""
DOUBTFUL = {"TENFOLD", "DOUBLE", "SPLIT", "QUARTER", "FOURFOLD"}
SETTINGS = "[strategy.market_cap]\nenabled = false\n"
SCALES = {
    "TENFOLD": 9.7,
    "DOUBLE": 1.94,
    "SPLIT": 0.001,
    "FILLED": 1.35,
    "QUARTER": 0.25,
    "FOURFOLD": 4.0,
    "THIN": 1.0,
    "CALM": 1.0,
    "LATER": 1.0,
    "QUIET": 1.0,
}


def lines(coin: str, scale: float) -> Iterator[str]:
    last = 2.0
    for hour in range(8 * 24):
        rises = {"QUIET": 10**6, "LATER": BOUGHT + 13}.get(coin, BOUGHT - 1)
        event = EVENT + 20 if coin in FILLED else EVENT
        level = 2.0 * (1.13 if hour >= rises else 1.0) * (scale if hour >= event else 1.0)
        jumps = hour == event
        opened = level if jumps else last
        close = level * (1.012 if hour % 2 else 1.0)
        volume = 500_000.0
        if coin in FILLED and EVENT <= hour < EVENT + 20:
            opened, close, volume = last, last, 0.0
        if coin == "THIN" and hour == BOUGHT:
            volume = 60.0
        low, high = min(opened, close), max(opened, close)
        yield f"{coin},{T0 + hour * HOUR},{opened:.9g},{high:.9g},{low:.9g},{close:.9g},{volume}"
        last = float(f"{close:.9g}")


@dataclass(frozen=True)
class Told:
    """A run: what it recorded, by coin."""

    experiment: Experiment
    provider: MarketDataProvider
    outcomes: Mapping[str, Mapping[str, Any]]
    shadows: Mapping[str, Mapping[str, Any]]
    dispositions: Mapping[str, Mapping[str, Any]]
    labelled: list[str]
    details: Mapping[str, int]


@pytest.fixture(scope="module")
def bench(database: Database, tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Bench:
    scratch = tmp_path_factory.mktemp("jumps")
    return Bench(database, ArtifactStore(scratch / "artifacts"), scratch, repo)


def _run(bench: Bench, name: str, coins: list[str], settings: str) -> Told:
    folder = bench.scratch / name
    folder.mkdir()
    rows = [line for coin in coins for line in lines(coin, SCALES[coin])]
    (folder / "bars.csv").write_text("\n".join(["coin,time,open,high,low,close,volume", *rows]), encoding="utf-8")
    (folder / "a.toml").write_text(ARCHIVE, encoding="utf-8")
    (folder / "config.toml").write_text(settings, encoding="utf-8")
    provider = open_archive(folder / "a.toml", folder)
    configuration: Configuration = load_configuration(folder / "config.toml")
    source = provider.description.source_hash
    experiment = make_experiment("backtest", START, configuration, source, 3, lock=LOCK, code=CODE)
    results = bench.run(experiment, provider, START, END, gates=TableGates())

    def bodies(table: str) -> list[dict[str, Any]]:
        return [json.loads(row.body) for row in bench.rows(experiment, table)]

    names = {body["uuid"]: body["instrument"] for body in _candidates(bench, experiment)}
    by_coin: dict[str, dict[str, dict[str, Any]]] = {}
    for table in ("outcomes", "shadow_outcomes", "dispositions"):
        first = by_coin.setdefault(table, {})
        for body in bodies(table):  # by day: a coin's first trade is the one that its name is about
            first.setdefault(names[body["candidate"]["uuid"]], body)
    left_out = [dict(r.details).get("doubtful_jump", 0) for r in results if r.asset == "trade_features"]
    return Told(
        experiment,
        provider,
        by_coin["outcomes"],
        by_coin["shadow_outcomes"],
        by_coin["dispositions"],
        [f"{body['instrument']} {body['source']}" for body in bodies("trade_features")],
        {"doubtful_jump": sum(left_out)},
    )


def _candidates(bench: Bench, experiment: Experiment) -> list[dict[str, Any]]:
    rows = bench.rows(experiment, "candidates")
    return [json.loads(row.body) | {"uuid": str(row.uuid)} for row in rows]


@pytest.fixture(scope="module")
def told(bench: Bench) -> Told:
    return _run(
        bench, "jumps", [coin for coin in SCALES if coin != "LATER"], SETTINGS + "[sizing]\nmax_positions = 10\n"
    )


@pytest.mark.parametrize("coin", ["TENFOLD", "DOUBLE"])
def test_a_re_denomination_in_adjacent_bars_gains_the_target_at_most(told: Told, coin: str) -> None:
    body = told.outcomes[coin]
    assert body["flags"] == ["doubtful_jump"]
    assert body["termination_reason"] == "profit_target"
    assert 0.0 < float(body["realized_pnl_percent"]) <= 30.0
    assert float(body["pnl_low_usd"]) <= 0.0 < float(body["realized_pnl_usd"]) < float(body["pnl_high_usd"])


def test_a_split_is_booked_as_the_fall_that_it_looks_like_and_says_that_it_may_be_none(told: Told) -> None:
    body = told.outcomes["SPLIT"]
    assert (body["flags"], body["termination_reason"]) == (["doubtful_jump"], "stop_loss")
    assert float(body["realized_pnl_percent"]) < -99.0
    assert float(body["pnl_high_usd"]) > -20.0  # value unchanged: the costs alone


@pytest.mark.parametrize(("coin", "reason"), [("QUARTER", "stop_loss"), ("FOURFOLD", "profit_target")])
def test_a_split_over_a_gap_is_doubtful_and_says_between_which_results_it_lies(
    told: Told, coin: str, reason: str
) -> None:
    body = told.outcomes[coin]
    assert (body["flags"], body["termination_reason"]) == (["doubtful_jump", "gap"], reason)
    assert float(body["pnl_low_usd"]) <= float(body["realized_pnl_usd"]) <= float(body["pnl_high_usd"])
    assert float(body["realized_pnl_percent"]) < 30.0
    shadow = told.shadows[coin]
    bounds = [float(shadow[name]) for name in ("return_low_percent", "return_high_percent")]
    assert bounds == pytest.approx(sorted([0.0, 100.0 * (SCALES[coin] - 1.0)]), abs=6.0)


def test_hours_filled_with_candles_of_no_volume_gain_the_target_at_most(told: Told) -> None:
    body = told.outcomes["FILLED"]
    assert 25.0 < float(body["realized_pnl_percent"]) <= 30.0
    assert body["flags"] == ["gap"]


def test_a_volume_limit_below_the_smallest_position_is_a_disposition(told: Told) -> None:
    body = told.dispositions["THIN"]
    assert body["disposition"] == "below_minimum"
    assert "below the smallest position" in body["reason"]
    assert "THIN" not in told.outcomes


def test_doubtful_ends_are_no_labels_and_are_counted(told: Told) -> None:
    assert {coin for coin, body in told.shadows.items() if "doubtful_jump" in body["flags"]} == DOUBTFUL
    assert not [line for line in told.labelled if line.split()[0] in DOUBTFUL]
    assert {"FILLED shadow", "FILLED executed", "THIN shadow", "CALM executed"} <= set(told.labelled)
    assert told.details["doubtful_jump"] == 10  # five executed, five shadows


def test_doubtful_trades_are_listed_in_report_page_and_story(told: Told, bench: Bench) -> None:
    report = build_report(bench.engine, bench.store, told.provider, told.experiment, START, END, check_chain=False)
    assert {row["instrument"] for row in report.doubtful["trades"]} == DOUBTFUL
    (sentence,) = [item for item in warning_sentences(report) if "doubtful price jump" in item]
    head, *lines = sentence.splitlines()
    assert head.startswith("5 trades cross a doubtful price jump. If a jump is a split")
    assert "10 label(s)" in head
    assert [line.split()[0] for line in lines] == [row["instrument"] for row in report.doubtful["trades"]]
    page = tear_sheet_html(report)
    for row in report.doubtful["trades"]:
        assert row["candidate"] in sentence
        assert row["candidate"] in page
    assert report.as_json()["doubtful"]["labels_left_out"] == 10
    story = "\n".join(describe("outcomes", told.outcomes["TENFOLD"]))
    assert "doubtful price jump" in story
    assert "flags: doubtful_jump" in "\n".join(describe("shadow_outcomes", told.shadows["SPLIT"]))


def test_a_fund_that_cannot_pay_the_smallest_position_enters_nothing_and_says_so_once(bench: Bench) -> None:
    """51 USD in five slots are 10.20 USD each; the split costs the first of them, and 8 USD are below the minimum."""
    settings = SETTINGS + "[sizing]\nsmall_fund_usd = 51\ntarget_volatility = 10\n"
    small = _run(bench, "small", ["SPLIT", "LATER", "QUIET"], settings)
    assert small.dispositions["SPLIT"]["disposition"] == "taken"
    assert small.dispositions["LATER"]["disposition"] == "below_minimum"
    report = build_report(bench.engine, bench.store, small.provider, small.experiment, START, END, check_chain=False)
    assert report.stopped["base"] == START
    sentences = [item for item in warning_sentences(report) if "nothing is entered any more" in item]
    assert len(sentences) == 1
    assert "$10.00" in sentences[0]
    assert "base from the end of 2024-03-04 on" in sentences[0]
