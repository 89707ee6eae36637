from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughline.learning.drift import Drift, drift_report
from throughline.learning.types import F64, I64

NAMES = tuple(f"f{number:02d}" for number in range(10))


def rows(rng: np.random.Generator, count: int) -> F64:
    """Columns as features are: heavy tails, steps, a flag, skew; some values missing, one column never."""
    drawn = rng.standard_t(3, (count, len(NAMES)))
    drawn[:, 1] = np.round(drawn[:, 1])
    drawn[:, 2] = drawn[:, 2] > 1.0
    drawn[:, 3] = np.exp(drawn[:, 3])
    drawn[rng.random(drawn.shape) < 0.1] = np.nan
    drawn[:, 0] = np.nan_to_num(drawn[:, 0])
    return drawn


def days(reference: int, current: int, lasting: int = 30) -> tuple[I64, I64]:
    """Rows of `lasting` days on either side, one after the other."""
    return np.arange(reference) % lasting, 1_000 + np.arange(current) % lasting


def named(report: tuple[Drift, ...]) -> dict[tuple[str, str], Drift]:
    return {(item.feature, item.test): item for item in report}


def alarms(replays: int, world: Callable[[np.random.Generator], tuple[F64, I64]], first_now: int) -> float:
    rng = np.random.default_rng(replays)
    raised = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(replays):
            values, day = world(rng)
            now = day >= first_now
            found = drift_report(
                values[~now], values[now], NAMES[: values.shape[1]], (day[~now], day[now]), permutations=399
            )
            raised += any(item.drifted for item in found)
    return raised / replays


@pytest.mark.parametrize(("count", "replays"), [(120, 100), (600, 50)])
def test_without_drift_anywhere_an_alarm_over_all_features_is_raised_in_five_percent_at_most(
    count: int, replays: int
) -> None:
    def independent(rng: np.random.Generator) -> tuple[F64, I64]:
        return rows(rng, 2 * count), np.arange(2 * count) % 60

    assert alarms(replays, independent, 30) <= 0.05 + 2.0 * np.sqrt(0.05 * 0.95 / replays)


def test_what_the_reference_knows_as_well_is_no_drift() -> None:
    # Three weeks out of the ordinary, now and once before: the deals of blocks alone find it drifted.
    rng = np.random.default_rng(5)
    day = np.repeat(np.arange(120), 4)
    values = rng.standard_normal((len(day), 3))
    now = day >= 95
    values[now, 0] += 1.5
    told = drift_report(values[~now], values[now], NAMES[:3], (day[~now], day[now]), permutations=399)[0]
    assert (told.feature, told.drifted) == ("f00", True)
    values[(day >= 20) & (day < 48), 0] += 1.8
    again = named(drift_report(values[~now], values[now], NAMES[:3], (day[~now], day[now]), permutations=399))
    assert again["f00", "values"].p is not None
    assert again["f00", "values"].p <= 0.05
    assert not again["f00", "values"].drifted


def test_rows_that_share_their_day_and_wild_days_that_come_in_clusters_raise_no_more_alarms() -> None:
    # Row by row, Kolmogorov-Smirnov's test raises an alarm in most of these reports (benchmarks/drift.py).
    def clustered(rng: np.random.Generator) -> tuple[F64, I64]:
        day = np.repeat(np.arange(120), 6)
        spread = np.exp(0.5 * np.convolve(rng.standard_normal(122), np.ones(3) / np.sqrt(3.0), "valid"))
        shared = rng.standard_normal((120, 4))[day]
        return spread[day, None] * (shared + rng.standard_normal((len(day), 4))), day

    assert alarms(100, clustered, 90) <= 0.05 + 2.0 * np.sqrt(0.05 * 0.95 / 100)


def test_the_column_that_moved_is_named_first_and_the_others_are_left_alone() -> None:
    rng = np.random.default_rng(2)
    reference, current = rows(rng, 500), rows(rng, 500)
    current[:, 6] += 0.8
    report = drift_report(reference, current, NAMES, days(500, 500))
    assert (report[0].feature, report[0].test) == ("f06", "values")
    assert [item.feature for item in report if item.drifted] == ["f06"]
    assert report[0].psi is not None
    assert report[0].psi > 0.1


def test_a_column_that_goes_missing_is_drift_though_its_values_stay() -> None:
    rng = np.random.default_rng(3)
    reference, current = rows(rng, 400), rows(rng, 400)
    current[rng.random(400) < 0.25, 0] = np.nan
    found = named(drift_report(reference, current, NAMES, days(400, 400)))
    assert found["f00", "missing"].drifted
    assert found["f00", "missing"].statistic == pytest.approx(0.25, abs=0.06)
    assert found["f00", "missing"].current == 400
    assert not found["f00", "values"].drifted


def test_a_change_of_spread_alone_is_drift() -> None:
    rng = np.random.default_rng(4)
    reference, current = rng.standard_normal((600, 1)), 1.6 * rng.standard_normal((600, 1))
    assert drift_report(reference, current, ["score"], days(600, 600))[0].drifted


def test_too_few_known_values_say_nothing_and_raise_no_alarm() -> None:
    reference, current = np.full((50, 2), np.nan), np.full((50, 2), np.nan)
    reference[:, 1], current[:9, 1] = np.arange(50.0), 1e9
    found = named(drift_report(reference, current, ["a", "b"], days(50, 50)))
    assert found["a", "values"].p is None
    assert not found["a", "values"].drifted
    assert ("a", "missing") not in found  # missing everywhere, then and now
    assert found["b", "values"].p is None
    assert found["b", "missing"].drifted
    assert drift_report(np.zeros((0, 1)), np.zeros((0, 1)), ["a"], days(0, 0))[0].p is None


def test_a_constant_column_has_no_drift_until_it_moves() -> None:
    same = np.ones((100, 1))
    still = drift_report(same, same, ["flag"], days(100, 100))[0]
    assert (still.drifted, still.p, still.psi) == (False, 1.0, None)
    assert drift_report(same, same * 2.0, ["flag"], days(100, 100))[0].drifted


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(12, 60), st.integers(12, 60), st.permutations(range(4)))
def test_neither_the_order_of_rows_nor_of_columns_matters(seed: int, n: int, m: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    reference, current = rows(rng, n)[:, :4], rows(rng, m)[:, :4]
    names = NAMES[:4]
    before, now = days(n, m, lasting=12)
    told = drift_report(reference, current, names, (before, now), permutations=99)
    one, two = rng.permutation(n), rng.permutation(m)
    moved = drift_report(
        reference[one][:, order],
        current[two][:, order],
        [names[k] for k in order],
        (before[one], now[two]),
        permutations=99,
    )
    assert moved == told
    adjusted = [item.adjusted for item in told if item.adjusted is not None]
    assert adjusted == sorted(adjusted)
    for item in told:
        if item.p is not None and item.adjusted is not None:
            assert 0.0 <= item.p <= item.adjusted <= 1.0
            assert item.drifted == (item.adjusted <= 0.05)


def test_few_days_say_nothing_however_many_rows_they_have() -> None:
    reference, current = np.zeros((500, 1)), np.ones((500, 1))
    assert drift_report(reference, current, ["a"], days(500, 500, lasting=5))[0].drifted
    report = drift_report(reference, current, ["a"], days(500, 500, lasting=4))
    assert [(item.p, item.drifted) for item in report] == [(None, False)]


def test_columns_without_names_rows_without_days_and_impossible_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="give one column a name"):
        drift_report(np.zeros((20, 2)), np.zeros((20, 2)), ["a"], days(20, 20))
    with pytest.raises(ValueError, match="give each row a day"):
        drift_report(np.zeros((20, 1)), np.zeros((20, 1)), ["a"], days(20, 19))
    with pytest.raises(ValueError, match="between 0 and 1"):
        drift_report(np.zeros((20, 1)), np.zeros((20, 1)), ["a"], days(20, 20), level=5.0)
