"""Gates in the flow: a verdict is data, a bad day is blocked, the rest goes on, the ledger's own gates are hard."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.flow_slices import SIMULATED, Bench, Gates, context, experiment_of, provider_of
from throughline.errors import GateClosed
from throughline.experiment.identity import Experiment
from throughline.flow import STAGES, DayResult
from throughline.market.panel import MarketDataProvider
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database

DAY = timedelta(days=1)
BAD = SIMULATED.start + 3 * DAY
SETTINGS = "[sizing]\nmax_positions = 3\nsmall_fund_usd = 300.0\n"


@pytest.fixture(scope="module")
def bench(database: Database, tmp_path_factory: pytest.TempPathFactory, repo: Any) -> Bench:
    """Return a bench on the session's database."""
    scratch = tmp_path_factory.mktemp("gates")
    return Bench(database, ArtifactStore(scratch / "artifacts"), scratch, repo)


@pytest.fixture(scope="module")
def provider(bench: Bench) -> MarketDataProvider:
    """Return the simulated market."""
    return provider_of(SIMULATED, bench.scratch, bench.repo)


Ran = tuple[Experiment, dict[Any, DayResult]]


def _run(bench: Bench, provider: MarketDataProvider, seed: int, gates: Gates) -> Ran:
    experiment = experiment_of(SIMULATED, provider, bench.scratch, seed=seed, settings=SETTINGS)
    results = bench.run(experiment, provider, SIMULATED.start, SIMULATED.end, 3, gates)
    return experiment, {(item.asset, item.day): item for item in results}


@pytest.fixture(scope="module")
def blocked(bench: Bench, provider: MarketDataProvider) -> Ran:
    """Return an experiment whose bars failed on one day."""
    return _run(bench, provider, 301, Gates({("market_bars", BAD): "few_rows_are_quarantined"}))


def _of_day(bench: Bench, experiment: Experiment, table: str, day: Any) -> list[dict[str, Any]]:
    return [json.loads(row.body) for row in bench.rows(experiment, table) if row.partition == day]


def test_a_day_whose_bars_fail_has_no_rows_below_them_and_says_which_rule_broke(bench: Bench, blocked: Ran) -> None:
    experiment, results = blocked
    bars = results["market_bars", BAD]
    assert bars.verdict is not None
    assert not bars.verdict.passed
    assert bars.rows > 0, "the bars are there to be looked at"
    for asset in ("market_scan", "trade_candidates", "research_snapshots"):
        assert results[asset, BAD].status == "blocked"
        assert results[asset, BAD].rows == 0
        assert results[asset, BAD].blocked_by == {"asset": "market_bars", "rows": 3, "rule": "few_rows_are_quarantined"}
        assert bench.seals(experiment)[asset][BAD.isoformat()][1] == "blocked"
    for table in ("market_scans", "candidates", "research_docs", "dispositions", "executions", "outcomes"):
        assert _of_day(bench, experiment, table, BAD) == []
    others = {key: item for key, item in results.items() if key[1] != BAD}
    assert {item.status for item in others.values()} == {"sealed"}


def test_positions_carry_over_a_blocked_day_and_their_trades_are_flagged(bench: Bench, blocked: Ran) -> None:
    experiment, _ = blocked
    (before,) = _of_day(bench, experiment, "portfolio_states", BAD - DAY)
    (state,) = _of_day(bench, experiment, "portfolio_states", BAD)
    assert state["blocked"] is True
    assert before["blocked"] is False
    for path, told in state["paths"].items():
        held = [item["key"] for item in told["positions"]]
        assert held == [item["key"] for item in before["paths"][path]["positions"]]
        assert told["closed"] == []
        assert told["taken"] == 0
        assert told["cash_usd"] == before["paths"][path]["cash_usd"]
    carried = {item["key"] for item in state["paths"]["base"]["positions"]}
    assert carried, "nothing was held over the blocked day: choose another"
    ended = {
        json.loads(row.body)["candidate"]["uuid"]: json.loads(row.body) for row in bench.rows(experiment, "outcomes")
    }
    assert carried <= ended.keys()
    for key, body in ended.items():
        assert ("blocked_day" in body["flags"]) == (key in carried)
        assert body["termination_reason"] != "halted" or key not in carried


def test_the_rest_of_the_range_goes_on_after_a_blocked_day(bench: Bench, blocked: Ran) -> None:
    experiment, results = blocked
    later = [item for (asset, day), item in results.items() if asset == "trade_candidates" and day > BAD]
    assert sum(item.rows for item in later) > 0
    assert len(bench.seals(experiment)["outcomes"]) == (SIMULATED.end - SIMULATED.start).days + 1


def test_a_blocked_day_obeys_the_law(bench: Bench, provider: MarketDataProvider, blocked: Ran) -> None:
    experiment, _ = blocked
    before = bench.seals(experiment)
    gates = Gates({("market_bars", BAD): "few_rows_are_quarantined"})
    for chunk in (1, 60):  # a single other hash would be refused as a conflict
        bench.run(experiment, provider, SIMULATED.start, SIMULATED.end, chunk, gates)
    assert bench.seals(experiment) == before


@pytest.mark.parametrize("asset", ["trade_candidates", "research_snapshots", "market_scan"])
def test_where_decisions_fail_their_gate_no_entry_is_taken_but_exits_go_on(
    bench: Bench, provider: MarketDataProvider, asset: str
) -> None:
    seed = 310 + len(asset)
    experiment, results = _run(bench, provider, seed, Gates({(asset, BAD): "some_rule"}))
    candidates = _of_day(bench, experiment, "candidates", BAD)
    dispositions = _of_day(bench, experiment, "dispositions", BAD)
    assert len(dispositions) == len(candidates)
    if asset == "market_scan":
        assert candidates == []
    else:
        assert candidates
        assert {body["disposition"] for body in dispositions} == {"gate_closed"}
        assert f"{asset} broke 'some_rule' in 3 row(s)" in dispositions[0]["reason"]
    assert _of_day(bench, experiment, "executions", BAD) == []
    (state,) = _of_day(bench, experiment, "portfolio_states", BAD)
    assert state["blocked"] is False, "the bars of the day are good: barriers are tested on them"
    (before,) = _of_day(bench, experiment, "portfolio_states", BAD - DAY)
    held = {item["key"] for item in before["paths"]["base"]["positions"]}
    still = {item["key"] for item in state["paths"]["base"]["positions"]}
    ended = {body["candidate"]["uuid"] for body in _of_day(bench, experiment, "outcomes", BAD)}
    assert held - still == ended
    assert results["outcomes", BAD].status == "sealed"
    assert all("blocked_day" not in json.loads(row.body)["flags"] for row in bench.rows(experiment, "outcomes"))


@pytest.mark.parametrize(("asset", "held"), [("executions", 3), ("outcomes", 3)])
def test_the_ledger_s_own_gates_are_hard_the_days_before_are_sealed_then_the_run_stops(
    bench: Bench, provider: MarketDataProvider, asset: str, held: int
) -> None:
    experiment = experiment_of(SIMULATED, provider, bench.scratch, seed=330 + len(asset), settings=SETTINGS)
    gates = Gates({(asset, BAD): "ledger_rule"})
    with pytest.raises(GateClosed, match=rf"{asset} of {BAD} broke the rule 'ledger_rule' in 3 row\(s\)"):
        bench.run(experiment, provider, SIMULATED.start, SIMULATED.end, 60, gates)
    days = bench.seals(experiment)[asset]
    assert [day for day in days if day < BAD.isoformat()] == [
        (SIMULATED.start + k * DAY).isoformat() for k in range(held)
    ]
    assert all(day <= BAD.isoformat() for day in days), "nothing after it was written"


def test_what_stands_on_a_ledger_asset_that_failed_its_gate_is_refused(
    bench: Bench, provider: MarketDataProvider
) -> None:
    experiment = experiment_of(SIMULATED, provider, bench.scratch, seed=345, settings=SETTINGS)
    gates = Gates({("executions", BAD): "ledger_rule"})
    with pytest.raises(GateClosed):
        bench.run(experiment, provider, SIMULATED.start, SIMULATED.end, 60, gates)
    ctx = context(experiment, provider, bench.database, bench.store, gates)
    before = [SIMULATED.start + k * DAY for k in range((BAD - SIMULATED.start).days)]
    assert {item.status for item in STAGES["outcomes"](ctx, before)} == {"sealed"}
    with pytest.raises(GateClosed, match=f"executions of {BAD} failed its gate: rule ledger_rule is broken by 3 rows"):
        STAGES["outcomes"](ctx, [BAD])
    assert BAD.isoformat() not in bench.seals(experiment)["outcomes"]


def test_a_missing_or_stale_verdict_closes_the_gate(bench: Bench, provider: MarketDataProvider) -> None:
    class NewSuite(Gates):
        def suite(self, asset: str) -> tuple[str, str]:
            return f"{asset}-2", "f" * 64

    experiment = experiment_of(SIMULATED, provider, bench.scratch, seed=360, settings=SETTINGS)
    days = [SIMULATED.start]
    STAGES["market_bars"](context(experiment, provider, bench.database, bench.store), days)
    newer = context(experiment, provider, bench.database, bench.store, NewSuite())
    with pytest.raises(GateClosed, match=rf"market_bars of {SIMULATED.start} has only a verdict of an older suite"):
        STAGES["market_scan"](newer, days)
    assert "market_scan" not in bench.seals(experiment)
    STAGES["market_bars"](newer, days)  # judging again with the new suite opens it
    assert STAGES["market_scan"](newer, days)[0].status == "sealed"


def test_great_expectations_judges_the_same_way(bench: Bench, provider: MarketDataProvider) -> None:
    from throughline.quality.runner import GreatExpectationsRunner

    settings = SETTINGS + "[gates]\nmax_quarantined_share = 0.0\n"
    experiment = experiment_of(SIMULATED, provider, bench.scratch, seed=350, settings=settings)
    gates = GreatExpectationsRunner(experiment.configuration.gates)
    results = bench.run(experiment, provider, SIMULATED.start, SIMULATED.end, 60, gates)
    bars = {item.day: item for item in results if item.asset == "market_bars"}
    bad = {day for day, item in bars.items() if sum(item.details["quarantined"].values())}
    assert 0 < len(bad) < len(bars), "the test needs days with and without a refused row"
    scans = {item.day: item for item in results if item.asset == "market_scan"}
    assert {day for day, item in scans.items() if item.status == "blocked"} == bad
    for day in bad:
        refused = sum(bars[day].details["quarantined"].values())
        assert scans[day].blocked_by == {"asset": "market_bars", "rows": refused, "rule": "few_rows_are_quarantined"}
    assert {item.status for item in results if item.asset == "outcomes"} == {"sealed"}
