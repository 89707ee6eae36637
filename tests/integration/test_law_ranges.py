"""Ranges: what comes later never changes what was sealed; what is missing before is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.flow_slices import (
    CLOSES,
    DAILY,
    HOURLY,
    SIMULATED,
    Bench,
    Slice,
    context,
    cut,
    experiment_of,
    provider_of,
)
from throughline.errors import MissingPredecessor, SettingsError
from throughline.flow import STAGES
from throughline.flow.market_view import midnight
from throughline.identity import parse_time, time_to_ms
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def bench(database: Database, tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Bench:
    """Return a bench on the session's database."""
    scratch = tmp_path_factory.mktemp("ranges")
    return Bench(database, ArtifactStore(scratch / "artifacts"), scratch, repo)


@pytest.mark.parametrize("piece", [HOURLY, DAILY, CLOSES], ids=lambda piece: piece.name)
def test_a_range_and_its_continuation_equal_the_whole_and_change_nothing_before(
    bench: Bench, shared_data: Path, tmp_path: Path, piece: Slice
) -> None:
    # Two experiments cannot have equal seals (every record carries its own), so the whole is run in the same one
    # again: a difference anywhere would be refused as a conflict, and the seals are compared besides.
    provider = provider_of(piece, cut(piece, shared_data, tmp_path), bench.repo)
    experiment = experiment_of(piece, provider, bench.scratch, seed=101)
    middle = piece.start + (piece.end - piece.start) // 2
    bench.run(experiment, provider, piece.start, middle)
    first = bench.seals(experiment)
    assert any(json.loads(row.body)["open_positions"] for row in bench.rows(experiment, "portfolio_states")[-1:])
    outcomes = len(bench.rows(experiment, "outcomes"))
    assert all(row.partition <= middle for row in bench.rows(experiment, "outcomes"))
    bench.run(experiment, provider, middle + DAY, piece.end)
    assert bench.seals(experiment, middle) == first
    assert len(bench.rows(experiment, "outcomes")) > outcomes
    whole = bench.seals(experiment)
    bench.run(experiment, provider, piece.start, piece.end)
    assert bench.seals(experiment) == whole


def test_what_optional_exit_rules_carry_from_day_to_day_gives_what_one_range_gives(
    bench: Bench, shared_data: Path, tmp_path: Path
) -> None:
    exits = "[exits.trailing_stop]\npercent = 0.08\n[exits.roi_table]\nsteps = [[0, 0.25], [24, 0.02]]\n"
    piece = replace(HOURLY, name="hourly-rules", settings=HOURLY.settings + exits, end=HOURLY.start + 4 * DAY)
    provider = provider_of(piece, cut(piece, shared_data, tmp_path), bench.repo)
    experiment = experiment_of(piece, provider, bench.scratch, seed=107)
    for day in (piece.start + k * DAY for k in range(5)):
        bench.run(experiment, provider, day, day)
    daily = bench.seals(experiment)
    bench.run(experiment, provider, piece.start, piece.end)  # refuses if a single hash differed
    assert bench.seals(experiment) == daily
    outcomes = [json.loads(row.body) for row in bench.rows(experiment, "outcomes")]
    assert {"trailing_stop", "roi_table"} <= {body["termination_reason"] for body in outcomes}
    states = [json.loads(row.body) for row in bench.rows(experiment, "portfolio_states")]
    positions = [position for body in states for position in body["paths"]["base"]["positions"]]
    assert positions
    assert all(set(position["slots"]) == {"trailing_stop.highest"} for position in positions)


def test_a_file_that_ends_earlier_gives_the_same_seals_up_to_its_end(
    bench: Bench, shared_data: Path, tmp_path: Path
) -> None:
    last = HOURLY.end - 3 * DAY
    short = provider_of(HOURLY, cut(HOURLY, shared_data, tmp_path / "short", last), bench.repo)
    whole = provider_of(HOURLY, cut(HOURLY, shared_data, tmp_path / "whole"), bench.repo)
    experiment = experiment_of(HOURLY, short, bench.scratch, seed=102)
    assert experiment_of(HOURLY, whole, bench.scratch, seed=102).id == experiment.id
    bench.run(experiment, short, HOURLY.start, last)
    before = bench.seals(experiment)
    bench.run(experiment, whole, HOURLY.start, HOURLY.end)  # refuses if a single hash up to `last` differed
    assert bench.seals(experiment, last) == before
    assert len(bench.seals(experiment)["outcomes"]) == len(before["outcomes"]) + 3


def test_two_epochs_in_one_home_are_two_experiments(bench: Bench, shared_data: Path, tmp_path: Path) -> None:
    provider = provider_of(DAILY, cut(DAILY, shared_data, tmp_path), bench.repo)
    one = experiment_of(DAILY, provider, bench.scratch, seed=103)
    two = experiment_of(DAILY, provider, bench.scratch, seed=103, epoch=DAILY.start + DAY)
    assert one.id != two.id
    bench.run(one, provider, DAILY.start, DAILY.start + 5 * DAY)
    first = bench.seals(one)
    bench.run(two, provider, DAILY.start + DAY, DAILY.start + 5 * DAY)
    assert bench.seals(one) == first
    # bars are the same whoever reads them; everything else belongs to its experiment
    day = (DAILY.start + 2 * DAY).isoformat()
    assert bench.seals(two)["market_bars"][day] == first["market_bars"][day]
    assert bench.seals(two)["portfolio_state"][day] != first["portfolio_state"][day]
    state = json.loads(bench.rows(two, "portfolio_states")[0].body)
    assert state["previous"] is None, "the portfolio is flat before the epoch"


@pytest.mark.parametrize(
    "asset", ["market_scan", "trade_candidates", "research_snapshots", "portfolio_state", "outcomes"]
)
def test_a_stage_whose_input_day_is_missing_names_the_day_and_the_asset(bench: Bench, asset: str) -> None:
    provider = provider_of(SIMULATED, bench.scratch, bench.repo)
    experiment = experiment_of(SIMULATED, provider, bench.scratch, seed=104)
    ctx = context(experiment, provider, bench.database, bench.store)
    STAGES["market_bars"](ctx, [SIMULATED.start])
    with pytest.raises(
        MissingPredecessor,
        match=rf"(market_\w+|trade_candidates|portfolio_state) of {SIMULATED.start + DAY} is not sealed",
    ):
        STAGES[asset](ctx, [SIMULATED.start + DAY])


def test_a_session_without_the_state_of_the_day_before_is_refused_and_the_day_named(bench: Bench) -> None:
    provider = provider_of(SIMULATED, bench.scratch, bench.repo)
    experiment = experiment_of(SIMULATED, provider, bench.scratch, seed=105)
    ctx = context(experiment, provider, bench.database, bench.store)
    days = [SIMULATED.start + k * DAY for k in range(3)]
    for asset in ("market_bars", "market_scan", "trade_candidates", "research_snapshots"):
        STAGES[asset](ctx, days)
    STAGES["portfolio_state"](ctx, days[:1])
    with pytest.raises(MissingPredecessor, match=f"portfolio_state of {days[1]} is not sealed"):
        STAGES["portfolio_state"](ctx, days[2:])
    assert list(bench.seals(experiment)["portfolio_state"]) == [days[0].isoformat()], "it failed closed"
    STAGES["portfolio_state"](ctx, days[1:])


def test_shadows_go_on_from_the_day_before_and_are_refused_without_it(bench: Bench) -> None:
    provider = provider_of(SIMULATED, bench.scratch, bench.repo)
    experiment = experiment_of(SIMULATED, provider, bench.scratch, seed=108)
    days = [SIMULATED.start + k * DAY for k in range(4)]
    ctx = context(experiment, provider, bench.database, bench.store)
    for asset in ("market_bars", "market_scan", "trade_candidates", "research_snapshots", "portfolio_state"):
        STAGES[asset](ctx, days)
    STAGES["shadow_outcomes"](ctx, days[:1])
    with pytest.raises(MissingPredecessor, match=f"shadow_outcomes of {days[1]} is not sealed"):
        STAGES["shadow_outcomes"](ctx, days[2:])
    for day in days[1:]:  # each as a process of its own has it: the state is read back from its record
        STAGES["shadow_outcomes"](context(experiment, provider, bench.database, bench.store), [day])
    day_by_day = bench.seals(experiment)["shadow_outcomes"]
    STAGES["shadow_outcomes"](ctx, days)  # as one range: refused if a single hash differed
    assert bench.seals(experiment)["shadow_outcomes"] == day_by_day
    states = [json.loads(row.body) for row in bench.rows(experiment, "shadow_states")]
    assert [state["partition"] for state in states] == [day.isoformat() for day in days]
    assert [state["previous"] is None for state in states] == [True, False, False, False]
    assert all(state["open_shadows"] for state in states), "nothing was carried over midnight"
    resolved = {row.columns["candidate_uuid"] for row in bench.rows(experiment, "shadow_outcomes")}
    open_now = {shadow["candidate"]["uuid"] for shadow in states[-1]["shadows"]}
    candidates = {str(row.uuid) for row in bench.rows(experiment, "candidates")}
    assert {str(key) for key in resolved} | open_now == candidates
    assert not open_now & {str(key) for key in resolved}


def test_research_that_starts_in_another_process_gives_the_same_documents(bench: Bench) -> None:
    provider = provider_of(SIMULATED, bench.scratch, bench.repo)
    experiment = experiment_of(SIMULATED, provider, bench.scratch, seed=109)
    ctx = context(experiment, provider, bench.database, bench.store)
    days = [SIMULATED.start, SIMULATED.start + DAY]
    for asset in ("market_bars", "market_scan", "trade_candidates", "research_snapshots"):
        STAGES[asset](ctx, days)  # research finds the signals that the candidates measured
    seals = bench.seals(experiment)["research_snapshots"]
    assert bench.rows(experiment, "research_docs")
    for day in days:  # a fresh view measures them anew; another hash would be refused
        STAGES["research_snapshots"](context(experiment, provider, bench.database, bench.store), [day])
    assert bench.seals(experiment)["research_snapshots"] == seals


def test_days_before_the_epoch_no_days_and_holes_are_refused(bench: Bench) -> None:
    provider = provider_of(SIMULATED, bench.scratch, bench.repo)
    ctx = context(experiment_of(SIMULATED, provider, bench.scratch, seed=106), provider, bench.database, bench.store)
    with pytest.raises(SettingsError, match="the epoch of experiment"):
        STAGES["market_bars"](ctx, [SIMULATED.start - DAY])
    with pytest.raises(SettingsError, match="have holes"):
        STAGES["market_bars"](ctx, [SIMULATED.start, SIMULATED.start + 2 * DAY])
    with pytest.raises(SettingsError, match="no day was asked for"):
        STAGES["market_bars"](ctx, [])


def test_slots_and_cash_hold_across_midnight_and_times_are_kept_to_the_bar(bench: Bench) -> None:
    provider = provider_of(SIMULATED, bench.scratch, bench.repo)
    experiment = experiment_of(
        SIMULATED, provider, bench.scratch, seed=107, settings="[sizing]\nmax_positions = 2\nsmall_fund_usd = 200.0\n"
    )
    bench.run(experiment, provider, SIMULATED.start, SIMULATED.end, 1)
    executions = {row.uuid: json.loads(row.body) for row in bench.rows(experiment, "executions")}
    outcomes = [json.loads(row.body) for row in bench.rows(experiment, "outcomes")]
    ended = {body["execution"]["uuid"]: parse_time(body["exit_time"]) for body in outcomes}
    intervals = [
        (parse_time(body["fill_time"]), ended.get(str(key), datetime(2100, 1, 1, tzinfo=UTC)))
        for key, body in executions.items()
    ]
    assert len(intervals) > 4
    for moment, _ in intervals:
        assert sum(1 for start, stop in intervals if start <= moment < stop) <= 2
    crossing = [body for body in outcomes if body["exit_time"][:10] != body["label"]["t0"][:10]]
    assert crossing, "nothing was held across midnight"
    limits = [body for body in outcomes if body["termination_reason"] == "time_limit"]
    assert limits
    panel = provider.load(midnight(SIMULATED.start), midnight(SIMULATED.end + DAY))
    for body in limits:
        assert body["exit_bar_open"] == body["exit_time"], "a time limit is at a bar's open"
        due = parse_time(body["label"]["t0"]) + timedelta(hours=48)
        ended = parse_time(body["exit_time"])
        assert ended >= due
        assert body["partition"] == body["exit_time"][:10]
        if "partial_exit" in body["flags"]:
            continue  # more than a bar would take: the remainder is carried, the exit is where the last of it went
        column = panel.instruments.index(body["instrument"])
        rows = (panel.open_time >= time_to_ms(due)) & (panel.open_time < time_to_ms(ended))
        assert not (panel.volume[rows, column] > 0).any(), "the first bar from 48 hours on with any volume closes it"
    punctual = [body for body in limits if body["time_in_market_seconds"] == 48 * 3600]
    assert punctual
    for body in punctual:
        assert date.fromisoformat(body["partition"]) == date.fromisoformat(body["label"]["t0"][:10]) + 2 * DAY
    for row in bench.rows(experiment, "portfolio_states"):
        paths = json.loads(row.body)["paths"]
        for path in paths.values():
            assert len(path["positions"]) <= 2
            assert float(path["cash_usd"]) >= 0.0
