from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.configuration import CanarySettings
from throughline.learning.evidence import log_evidence, running_maximum
from throughline.learning.judge import judge, noninferior_gains, tail_gains, worse_gains
from throughline.learning.pairs import DayUnits, Pairs, day_units, pairs_of
from throughline.learning.types import Health, Judgement, Observation

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = 3_600_000
DAY = 24 * HOUR
T0 = int(START.timestamp() * 1000)
SETTINGS = CanarySettings(max_drawdown=0.6, max_loss_streak=8)
CAP = SETTINGS.gain_cap
WELL = Health(decisions=1_000)


def seen(
    day: int,
    number: int,
    net: float,
    takes: tuple[bool, bool],
    *,
    hold: int = DAY,
    stopped: bool = False,
    lost: bool = False,
    pnl: float | None = None,
) -> Observation:
    decided = T0 + day * DAY + number * HOUR
    return Observation(
        f"{day:04d}-{number:02d}", decided, decided + hold, net, stopped, lost, *takes, pnl is not None, pnl
    )


def look(
    rows: Sequence[Observation], days: float, health: Health = WELL, used: CanarySettings = SETTINGS, **more: Any
) -> Judgement:
    as_of = START + timedelta(days=days)
    return judge(rows, health, used, started=START, as_of=as_of, position_usd=2_000.0, **more)


def season(seed: int, days: int, edge: float, *, per_day: int = 8, refused: float = 0.3) -> list[Observation]:
    """Days on which the incumbent takes everything and the challenger refuses what earns `edge` less than the rest."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in range(days):
        for number in range(per_day):
            ours = bool(rng.random() >= refused)
            net = float(np.clip(0.08 * rng.standard_t(3), -0.18, 0.30)) - (0.0 if ours else edge)
            pnl = 0.5 if number == 0 and ours else None  # the executed arm neither falls nor loses
            rows.append(seen(day, number, net, (ours, True), hold=30 * HOUR, pnl=pnl))
    return rows


ROWS = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.integers(0, 7),
        st.floats(-1.0, 1.0),
        st.tuples(st.booleans(), st.booleans()),
        st.integers(1, 80),
        st.booleans(),
        st.booleans(),
    ),
    max_size=40,
    unique_by=lambda row: row[:2],
).map(
    lambda rows: [
        seen(day, number, net, takes, hold=hold * HOUR, stopped=stopped, lost=lost, pnl=net * 300.0 if lost else None)
        for day, number, net, takes, hold, stopped, lost in rows
    ]
)


@given(ROWS, st.integers(0, 2**32), st.floats(0.0, 14.0))
def test_the_order_of_the_rows_does_not_matter(rows: list[Observation], seed: int, days: float) -> None:
    shuffled = list(rows)
    Random(seed).shuffle(shuffled)
    assert look(shuffled, days) == look(rows, days)


@given(ROWS, st.floats(0.0, 14.0))
def test_what_resolves_after_the_look_only_keeps_its_day_open(rows: list[Observation], days: float) -> None:
    now = T0 + int(days * DAY)
    known = [row for row in rows if row.resolved <= now]
    still = {datetime.fromtimestamp(row.decided / 1000, UTC).date() for row in rows if row.resolved > now}
    assert look(rows, days) == look(known, days, open_days=still)


@given(ROWS, st.lists(st.floats(0.0, 14.0), min_size=2, max_size=6))
def test_a_later_look_never_takes_back_what_an_earlier_one_had_found(
    rows: list[Observation], looks: list[float]
) -> None:
    told = [look(rows, days) for days in sorted(looks)]
    for before, after in pairwise(told):
        assert after.units >= before.units
        assert after.worse >= before.worse >= 1.0
        assert after.tail >= before.tail
        assert after.lost >= before.lost
        assert after.noninferior >= before.noninferior
        assert after.spent <= before.spent
        if before.verdict == "roll_back":
            assert after.verdict == "roll_back"


@given(ROWS, st.floats(0.0, 14.0))
def test_looking_every_hour_finds_no_more_than_looking_once_at_the_end(rows: list[Observation], days: float) -> None:
    every = [look(rows, hour / 24.0) for hour in range(0, int(days * 24) + 1, 6)]
    last = look(rows, int(days * 24) / 24.0)
    assert max(item.worse for item in every) <= last.worse


@given(ROWS, st.floats(0.0, 200.0))
def test_watching_a_champion_never_promotes_or_rejects(rows: list[Observation], days: float) -> None:
    assert look(rows, days, watching=True).verdict in {"extend", "roll_back"}


@given(ROWS, st.floats(0.0, 89.0))
def test_models_that_agree_are_never_told_apart(rows: list[Observation], days: float) -> None:
    same = [replace(row, incumbent_takes=row.challenger_takes, executed=False, pnl_usd=None) for row in rows]
    told = look(same, days)
    assert (told.worse, told.noninferior, told.tail, told.lost) == (1.0, 1.0, 1.0, 1.0)
    assert told.verdict == "extend"
    assert told.disagreements == 0
    assert told.days_to_verdict is None


@given(ROWS, st.floats(0.5, 14.0))
def test_a_look_is_the_e_process_of_its_parts(rows: list[Observation], days: float) -> None:
    told = look(rows, days)
    now = T0 + int(days * DAY)
    still = [row.decided // DAY for row in rows if row.resolved > now] + [now // DAY]
    units = day_units(pairs_of([row for row in rows if row.decided // DAY < min(still)]), CAP)
    assert told.units == len(units)
    assert told.pairs == units.candidates.sum()
    if len(units):
        for (gains, width), value in (
            (worse_gains(units, CAP), told.worse),
            (noninferior_gains(units, SETTINGS, CAP), told.noninferior),
            ((tail_gains(units.stop_difference, units.tail_bound, SETTINGS.tail_margin), 1.0), told.tail),
            ((tail_gains(units.loss_difference, units.tail_bound, 0.0), 1.0), told.lost),
        ):
            assert math.log(value) == pytest.approx(float(running_maximum(log_evidence(gains, width))[-1]), abs=1e-8)


@given(ROWS, st.sampled_from([0.1, 0.35, 1.0, 2.5]))
def test_units_keep_their_bounds(rows: list[Observation], cap: float) -> None:
    units = day_units(pairs_of(rows), cap)
    assert (units.per_disagreement <= units.above * (1 + 1e-12)).all()
    assert (-units.per_disagreement <= units.below * (1 + 1e-12)).all()
    assert (np.diff(units.above) >= 0).all()
    assert (np.diff(units.below) >= 0).all()
    assert (np.abs(units.stop_difference) <= units.tail_bound).all()
    for gains, width in (worse_gains(units, cap), noninferior_gains(units, SETTINGS, cap)):
        assert (gains >= -1.0 - 1e-12).all()
        assert (width >= 1.0 - 1e-12).all()
        assert (gains[units.disagreements == 0] == 0.0).all()
    share = units.disagreements / units.candidates
    assert units.difference == pytest.approx(units.per_disagreement * share)


@given(ROWS, st.integers(0, 9))
def test_bounds_of_a_unit_do_not_depend_on_any_outcome(rows: list[Observation], shift: int) -> None:
    other = [replace(row, net_return=(-1.0) ** shift * 0.01 * shift) for row in rows]
    units, others = (day_units(pairs_of(item), CAP) for item in (rows, other))
    assert np.array_equal(units.above, others.above)
    assert np.array_equal(units.below, others.below)


@given(ROWS, st.floats(-1.5, 9.0), st.integers(0, 39))
def test_a_loss_counts_down_to_the_stake_and_a_gain_up_to_the_cap(
    rows: list[Observation], net: float, place: int
) -> None:
    if not rows:
        return
    row = rows[place % len(rows)]
    rows = [replace(item, net_return=net) if item is row else replace(item, net_return=0.0) for item in rows]
    units = day_units(pairs_of(rows), CAP)
    side = row.challenger_takes - row.incumbent_takes
    assert float(units.difference @ units.candidates) == pytest.approx(side * min(max(net, -1.0), CAP), abs=1e-12)
    assert units.capped == (side != 0 and net > CAP)


def test_a_unit_can_lose_the_stake_by_a_trade_that_is_added_and_gain_it_by_one_that_is_refused() -> None:
    ours, theirs = (True, False), (False, True)
    added = [seen(0, 0, 0.1, ours), seen(0, 1, 0.1, (True, True))]
    refused = [seen(1, 0, 0.1, theirs)]
    mixed = [seen(2, 0, 0.1, ours), seen(2, 1, 0.1, ours), seen(2, 2, 0.1, theirs), seen(3, 0, 0.1, (True, True))]
    only = day_units(pairs_of(added), CAP)
    assert (only.above[0], only.below[0]) == (CAP, 1.0)
    assert day_units(pairs_of(refused), CAP).above[0] == 1.0
    units = day_units(pairs_of([*mixed, *(replace(row, decided=row.decided + 5 * DAY) for row in added)]), CAP)
    assert units.above == pytest.approx([(2 * CAP + 1) / 3] * 3)  # the widest so far, though the last day is narrower
    assert units.below == pytest.approx([(CAP + 2) / 3] * 2 + [1.0])


def test_stop_rates_are_compared_among_what_each_took() -> None:
    both, ours, theirs = (True, True), (True, False), (False, True)
    rows = [
        seen(0, 0, -0.15, both, stopped=True),
        seen(0, 1, 0.1, both),
        seen(0, 2, -0.15, ours, stopped=True),
        seen(0, 3, 0.1, theirs),
        seen(0, 4, 0.1, theirs),
        seen(0, 5, -0.15, (False, False), stopped=True),
    ]
    units = day_units(pairs_of(rows), CAP)
    assert units.stop_difference[0] == pytest.approx(2 / 3 - 1 / 4)
    # At most: everything with a positive share is stopped and nothing else.
    assert units.tail_bound[0] == pytest.approx(2 * (1 / 3 - 1 / 4) + 1 / 3)
    assert units.difference[0] == pytest.approx((-0.15 - 0.1 - 0.1) / 6)


# --- guards ---------------------------------------------------------------------------------------------------------


def harmless(days: int = 6) -> list[Observation]:
    return [seen(day, number, 0.01, (True, True), pnl=5.0) for day in range(days) for number in range(2)]


def test_nothing_trips_a_guard_where_all_is_well() -> None:
    told = look(harmless(), 9)
    assert (told.verdict, told.guards, told.trades) == ("extend", (), 12)


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (Health(decisions=100, errors=2), "2 of 100 decisions failed"),
        (Health(decisions=100, incomplete=21), "21 of 100 lacked features"),
        (Health(decisions=100, latency_ms=90_000_001), "latency 90,000,001 ms"),
    ],
)
def test_each_guard_on_health_trips_alone(health: Health, words: str) -> None:
    told = look(harmless(), 9, health)
    assert told.verdict == "roll_back"
    assert len(told.guards) == 1
    assert words in told.reason
    assert told.days_to_verdict == 0.0


def test_each_guard_on_health_lets_pass_what_is_just_allowed() -> None:
    health = Health(decisions=100, errors=1, incomplete=20, latency_ms=90_000_000)
    assert look(harmless(), 9, health).guards == ()


def test_one_incomplete_decision_of_the_first_three_is_no_third_of_them() -> None:
    assert look([], 0.2, Health(decisions=3, incomplete=1)).guards == ()


def test_the_drawdown_guard_trips_alone_and_stays_tripped() -> None:
    falls = [50.0, -700.0, 5.0, -510.0]
    rows = [seen(day, 0, 0.0, (True, True), pnl=pnl) for day, pnl in enumerate(falls)]
    assert look(rows[:3], 9).guards == ()
    told = look(rows, 9)
    assert told.verdict == "roll_back"
    assert told.guards == ("drawdown 0.60 positions (at most 0.6)",)
    recovered = [*rows, seen(5, 0, 0.5, (True, True), pnl=5_000.0)]
    assert look(recovered, 9).verdict == "roll_back"


def test_a_drawdown_counts_from_the_start_as_well() -> None:
    assert look([seen(0, 0, -0.7, (True, True), pnl=-1_201.0)], 9).verdict == "roll_back"


def test_the_loss_streak_guard_trips_alone() -> None:
    losses = [seen(day, 0, -0.01, (True, True), pnl=-1.0) for day in range(8)]
    assert look(losses[:7], 12).guards == ()
    told = look(losses, 12)
    assert told.verdict == "roll_back"
    assert told.guards == ("8 losses in a row (fewer than 8)",)
    broken = [*losses[:4], replace(losses[4], pnl_usd=1.0), *losses[5:]]
    assert look(broken, 12).guards == ()


def test_guards_see_executed_trades_as_soon_as_they_are_resolved() -> None:
    # The day is still open for the tests (it has not ended), the trade is not.
    loss = seen(0, 0, -0.7, (True, True), hold=HOUR, pnl=-1_500.0)
    assert look([loss], 0.01).verdict == "extend"
    told = look([loss], 0.1)
    assert (told.verdict, told.units, told.trades) == ("roll_back", 0, 1)


def test_guards_speak_before_the_tests() -> None:
    told = look(season(1, 80, -0.10), 80, Health(decisions=10, errors=10))
    assert "a guard tripped" in told.reason


# --- tail -----------------------------------------------------------------------------------------------------------


def test_a_challenger_that_is_stopped_out_more_often_is_rolled_back_by_the_tail_test_alone() -> None:
    # What it refuses earns as much as what it takes, but is never stopped.
    rows = []
    rng = np.random.default_rng(5)
    for day in range(60):
        for number in range(6):
            ours = number < 3
            stopped = bool(ours and rng.random() < 0.5)
            rows.append(seen(day, number, 0.0, (ours, True), stopped=stopped))
    told = look(rows, 65)
    assert (told.verdict, told.worse, told.lost) == ("roll_back", 1.0, 1.0)
    assert told.tail >= 100.0
    assert "stopped out more often" in told.reason
    assert look([replace(row, stopped=row.stopped and row.decided < T0 + 3 * DAY) for row in rows], 65).tail < 100.0


def test_total_losses_go_to_a_test_of_their_own() -> None:
    rows = [
        seen(day, number, -1.0 if number == 0 and day % 3 == 0 else 0.20, (number < 3, True), lost=number == 0)
        for day in range(30)
        for number in range(6)
    ]
    told = look(rows, 35)
    assert told.verdict == "roll_back"
    assert told.lost >= 100.0
    assert told.tail == 1.0
    assert "loses everything more often" in told.reason


def test_stops_that_both_models_took_say_nothing() -> None:
    rows = [seen(day, k, -0.15, (True, True), stopped=True) for day in range(40) for k in range(4)]
    assert look(rows, 45).tail == 1.0


# --- paired test, promotion, limit ----------------------------------------------------------------------------------


def test_a_clearly_worse_challenger_is_rolled_back() -> None:
    told = look(season(2, 80, -0.06), 83)  # what it refuses earns 6 %
    assert told.verdict == "roll_back"
    assert "earns less" in told.reason
    assert told.worse >= 20.0
    assert told.spent == pytest.approx(1.0 / max(told.worse, told.tail, told.lost))


def test_a_watched_champion_that_is_better_stays_what_it_is() -> None:
    rows = season(3, 80, 0.05)
    assert look(rows, 83).verdict == "promote"
    assert look(rows, 83, watching=True).verdict == "extend"
    assert look(rows, 400, watching=True).verdict == "extend"


def test_a_champion_that_turns_worse_is_rolled_back_by_the_watch_too() -> None:
    told = look(season(2, 80, -0.06), 83, watching=True)
    assert told.verdict == "roll_back"


def test_a_clearly_better_challenger_is_promoted_but_only_after_the_minimum_of_everything() -> None:
    rows = season(3, 80, 0.05)
    assert look(rows, 83).verdict == "promote"
    verdicts = [look(rows, day).verdict for day in range(84)]
    first = verdicts.index("promote")
    assert set(verdicts[:first]) == {"extend"}
    assert first > 2
    told = look(rows, 83)
    for name, least, words in (
        ("minimum_hours", 83 * 24 + 1, f"{83 * 24} of {83 * 24 + 1} hours"),
        ("minimum_pairs", told.pairs + 1, f"{told.pairs} of {told.pairs + 1} pairs"),
        ("minimum_trades", told.trades + 1, f"{told.trades} of {told.trades + 1} executed trades"),
    ):
        asked = SETTINGS.model_copy(update={name: least})
        waits = look(rows, 83, used=asked)
        assert waits.verdict == "extend", name
        assert words in waits.reason
        assert look(rows, 83, used=SETTINGS.model_copy(update={name: least - 1})).verdict == "promote", name


def test_evidence_for_promotion_does_not_promote_where_the_mean_is_bad_by_now() -> None:
    used = SETTINGS.model_copy(update={"minimum_trades": 0})
    good = [seen(day, k, -0.05, (k > 5, True)) for day in range(45) for k in range(8)]
    bad = [seen(day, k, 0.34, (k > 5, True)) for day in range(45, 54) for k in range(8)]
    assert look(good, 47, used=used).verdict == "promote"
    told = look([*good, *bad], 56, used=used)
    assert told.noninferior >= 20.0 > told.worse
    assert told.mean_difference is not None
    assert told.mean_difference < -SETTINGS.margin
    assert told.verdict == "extend"
    assert "its mean now is" in told.reason


def test_too_little_evidence_extends_and_never_promotes() -> None:
    assert look([], 0).verdict == "extend"
    nothing = look([], 10)
    assert (nothing.verdict, nothing.units, nothing.mean_difference, nothing.spent) == ("extend", 0, None, 1.0)
    assert nothing.days_to_verdict is None
    few = season(4, 4, 0.05)
    assert look(few, 7).verdict == "extend"


def test_the_limit_rejects_and_not_a_moment_earlier() -> None:
    rows = season(6, 20, 0.0)
    assert look(rows, 89.99).verdict == "extend"
    told = look(rows, 90)
    assert told.verdict == "reject"
    assert "90 days are over" in told.reason
    assert look([], 400).verdict == "reject"


def test_a_day_waits_for_its_end_its_last_candidate_and_every_earlier_day() -> None:
    slow, quick = seen(0, 0, 0.1, (True, False), hold=3 * DAY), seen(1, 0, -0.1, (True, False), hold=HOUR)
    assert look([quick], 1.5).units == 0  # the day has not ended: more may be decided
    assert look([quick], 2).units == 1
    assert look([slow, quick], 2).units == 0  # the earlier day is open: no jumping the queue
    assert look([slow, quick], 3).units == 2
    assert look([quick], 2, open_days=[date(2024, 3, 1)]).units == 0
    assert look([quick], 2, open_days=[date(2024, 3, 2)]).units == 0
    assert look([quick], 2, open_days=[date(2024, 3, 3)]).units == 1


def test_what_was_decided_before_the_trial_does_not_count() -> None:
    assert look([seen(-3, 0, -0.9, (True, True), pnl=-5_000.0), *harmless()], 9) == look(harmless(), 9)


def test_an_absurd_gain_counts_as_the_cap_and_decides_nothing() -> None:
    rows = season(7, 20, 0.0)
    calm = look(rows, 25)
    absurd = replace(rows[8 * 10 + 1], net_return=1e6, challenger_takes=True, incumbent_takes=False)
    told = look([*(row for row in rows if row.candidate != absurd.candidate), absurd], 25)
    assert told.verdict == "extend"
    assert "(1 gains counted as 35 %)" in told.reason
    assert told.mean_difference is not None
    assert calm.mean_difference is not None
    assert abs(told.mean_difference - calm.mean_difference) <= 0.7 / 8 / 20 + 1e-9
    assert told.noninferior <= 20.0
    assert "(0 gains counted as 35 %)" in calm.reason


def test_gains_count_up_to_the_profit_target_where_that_is_larger() -> None:
    rows = [seen(0, 0, 0.55, (True, False))]
    for target, counted in ((0.3, 0.35), (0.5, 0.5), (0.6, 0.55)):
        assert look(rows, 3, take_profit=target).mean_difference == pytest.approx(counted)


def test_one_total_loss_weighs_as_much_as_three_full_gains() -> None:
    rows = [seen(day, 0, net, (True, False), lost=net == -1.0) for day, net in enumerate([0.33, 0.33, 0.33, -1.0])]
    assert look(rows, 8).mean_difference == pytest.approx(-0.0025)


def test_days_to_a_verdict_shrink_as_evidence_gathers_and_are_right_where_it_grows_evenly() -> None:
    # Trades that only the challenger takes: what it refuses must be watched far longer (see the judge's docstring).
    rows = [seen(day, k, -0.05, (True, k > 0)) for day in range(80) for k in range(4)]
    told = [look(rows, day) for day in range(8, 60)]
    open_looks = [item for item in told if item.verdict == "extend"]
    end = 8 + len(open_looks)
    assert told[len(open_looks)].verdict == "roll_back"
    for day, item in enumerate(open_looks, start=8):
        assert item.days_to_verdict is not None
        assert day + item.days_to_verdict >= end - 1
    assert open_looks[-1].days_to_verdict < 6
    assert open_looks[-1].days_to_verdict < open_looks[0].days_to_verdict


def test_a_candidate_that_comes_twice_or_without_numbers_is_refused() -> None:
    row = seen(0, 0, 0.1, (True, True))
    with pytest.raises(ValueError, match="0000-00 was observed twice"):
        look([row, replace(row, net_return=0.2)], 3)
    with pytest.raises(ValueError, match="0000-00 has no finite return"):
        look([replace(row, net_return=math.nan)], 3)
    with pytest.raises(ValueError, match="without a finite PnL"):
        look([replace(row, executed=True)], 3)


# --- errors over many replays; benchmarks/judge.py measures them in earnest ------------------------------------------


def replay(rng: np.random.Generator, days: int, adds: float, worth: tuple[float, float], rugs: float) -> DayUnits:
    """Units of `days` days of 8 correlated candidates, of which 30 % are decided differently.

    adds: share of those that only the challenger takes. worth: mean return of what it adds and of what it refuses, in
    which the share `rugs` is lost whole.
    """
    shape = (days, 8)
    shared = math.sqrt(0.3) * rng.standard_normal((days, 1))
    body = 0.1 * np.clip(shared + math.sqrt(0.7) * rng.standard_normal(shape), -1.8, 1.8)
    differs = rng.random(shape) < 0.3
    added = rng.random(shape) < adds
    rug = differs & (rng.random(shape) < rugs)
    mean = np.where(added, *worth)
    net = np.where(rug, -1.0, body + np.where(differs, (mean + rugs) / (1.0 - rugs), 0.0)).ravel()
    decided = T0 + np.repeat(np.arange(days), 8) * DAY + np.tile(np.arange(8), days) * HOUR
    return day_units(
        Pairs(
            decided=decided,
            resolved=decided + DAY,
            net_return=net,
            stopped=net <= -0.15,
            lost=rug.ravel(),
            challenger=(~differs | added).ravel(),
            incumbent=(~differs | ~added).ravel(),
            executed=np.zeros(net.shape, dtype=bool),
            pnl_usd=np.full(net.shape, np.nan),
        ),
        CAP,
    )


def shares(days: int, adds: float, worth: tuple[float, float], rugs: float, replays: int = 300) -> tuple[float, float]:
    """Return the shares of replays in which 'it earns less' and 'it is not worse' were ever shown."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(replays):
        units = replay(rng, days, adds, worth, rugs)
        tests = worse_gains(units, CAP), noninferior_gains(units, SETTINGS, CAP)
        found.append([running_maximum(log_evidence(gains, width))[-1] >= math.log(20.0) for gains, width in tests])
    worse, noninferior = np.mean(found, axis=0)
    return float(worse), float(noninferior)


@pytest.mark.parametrize("rugs", [0.05, 0.10])
def test_a_challenger_that_adds_worse_trades_with_rugs_is_seldom_found_not_worse(rugs: float) -> None:
    # With losses cut off at 35 % it was in 37 % and 81 % of the replays.
    assert shares(120, 1.0, (-0.03, 0.0), rugs)[1] <= 0.05


def test_a_challenger_that_refuses_rugs_is_seldom_found_to_earn_less() -> None:
    # With losses cut off at 35 %: 69 %.
    assert shares(120, 0.0, (0.0, -0.03), 0.10)[0] <= 0.05


@pytest.mark.parametrize("adds", [0.0, 1.0])
def test_equal_models_are_seldom_found_to_differ_with_rugs_and_without(adds: float) -> None:
    for rugs in (0.0, 0.03):
        assert shares(120, adds, (0.0, 0.0), rugs)[0] <= 0.05


@pytest.mark.parametrize("worth", [-0.06, -0.09])
def test_a_challenger_that_adds_what_loses_and_refuses_what_loses_as_much_is_equal(worth: float) -> None:
    # Bets by the bound of each day would weigh additions nearly three times as much as refusals: 19 % and 46 %.
    assert shares(180, 0.5, (worth, worth), 0.0, replays=200)[0] <= 0.05


def test_the_power_without_rugs() -> None:
    assert shares(120, 0.0, (0.0, 0.0), 0.0)[1] >= 0.2  # promotion of an equal model
    assert shares(180, 0.0, (0.0, 0.03), 0.0, replays=100)[0] >= 0.75  # rollback of one that refuses what gains 3 %
    assert shares(120, 1.0, (-0.03, 0.0), 0.0, replays=100)[0] >= 0.75  # rollback of one that adds what loses 3 %
