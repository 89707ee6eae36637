"""The soulprint: names, missing parts, text, check and hash; fixed values notice any change of the schema."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.signal_series import walk
from throughline.identity import canonical_bytes
from throughline.signals.vector import (
    COMPONENTS,
    NAMES,
    SOULPRINT_SCHEMA,
    require_vector,
    rounded,
    signal_days,
    soulprint_hash,
    soulprint_vector,
    vector_from_text,
    vector_text,
)

GOLDEN: dict[str, str | None] = {
    "chrono_resonance": "0.678342",
    "drift": "-0.659056",
    "imbalance": "0.053765",
    "lead": "3.5875",
    "momentum": "0.205094",
    "own_cycle": "0.066898",
    "phase": "-0.087415",
    "phase_cos": "0.996182",
    "phase_sin": "-0.087303",
    "psi": "0.246077",
    "range": "0.010859",
    "resonance_excess": "0.148013",
    "slope": "0.003785",
    "spectral_entropy": "0.919102",
    "temporal_warp": "0.562061",
    "time_scale": "1",
    "trend_t": "1.204798",
    "volatility": "0.022162",
}
GOLDEN_HASH = "d78da3afa64e328c1c0049582072fb4469e38956b9bee14b299e86bba27b7cb2"
TIME = "2021-03-01T12:00:00.000000Z"
REFERENCED = {"chrono_resonance", "resonance_excess", "temporal_warp", "time_scale", "lead"}
ASKED_FOR = {
    *("chrono_resonance", "resonance_excess", "temporal_warp", "time_scale", "lead", "own_cycle", "phase_sin"),
    *("phase_cos", "drift", "psi", "slope", "momentum", "volatility", "spectral_entropy", "imbalance"),
}


def test_the_components_are_sorted_unique_and_complete() -> None:
    assert list(NAMES) == sorted(set(NAMES))
    assert set(NAMES) >= ASKED_FOR
    assert list(soulprint_vector(walk(1).at(63))) == list(NAMES)
    assert all(component.scale > 0 and component.doc for component in COMPONENTS)


def test_a_full_window_gives_every_component() -> None:
    assert all(value is not None and math.isfinite(value) for value in soulprint_vector(walk(1).at(63)).values())


def test_fixed_values_notice_a_change_of_the_schema() -> None:
    texts = vector_text(soulprint_vector(walk(20210301, holes=0.05).at(63)))
    assert texts == GOLDEN
    assert SOULPRINT_SCHEMA == "soulprint/1"
    assert soulprint_hash(TIME, "BTC/USDT", texts) == GOLDEN_HASH


@pytest.mark.parametrize("component", COMPONENTS, ids=NAMES)
def test_each_component_begins_exactly_at_its_least_number_of_bars(component: object) -> None:
    assert dataclasses.is_dataclass(component)
    name, least = component.name, component.least_bars
    assert soulprint_vector(walk(2).at(least - 1))[name] is not None
    assert soulprint_vector(walk(2).at(least - 2))[name] is None


def test_a_hole_is_not_a_bar() -> None:
    series = walk(3)
    series.close[5:25] = math.nan  # 44 bars are left of 64
    found = soulprint_vector(series.at(63))
    assert found["psi"] is None
    assert found["chrono_resonance"] is not None


def test_without_a_reference_only_what_needs_it_is_missing() -> None:
    window = walk(4).at(63)
    found = soulprint_vector(dataclasses.replace(window, reference_close=np.full(64, math.nan)))
    assert {name for name, value in found.items() if value is None} == REFERENCED
    whole = soulprint_vector(window)
    assert {name: value for name, value in found.items() if value is not None} == {
        name: value for name, value in whole.items() if name not in REFERENCED
    }


def test_a_reference_with_holes_counts_the_bars_that_both_have() -> None:
    window = walk(4).at(63)
    rare = np.where(
        np.arange(64) % 9 < 4, math.nan, window.reference_close
    )  # 35 bars: enough to align, not to resonate
    found = soulprint_vector(dataclasses.replace(window, reference_close=rare))
    assert {name for name, value in found.items() if value is None} == {"chrono_resonance", "resonance_excess"}


def test_without_volume_or_range_only_those_are_missing() -> None:
    unknown = np.full(64, math.nan)
    found = soulprint_vector(dataclasses.replace(walk(4).at(63), volume=unknown, high=unknown))
    assert {name for name, value in found.items() if value is None} == {"imbalance", "range"}


def test_a_price_that_never_moves_has_no_shape_but_a_level() -> None:
    flat = np.full(64, 3.0)
    found = soulprint_vector(dataclasses.replace(walk(4).at(63), close=flat, high=flat, low=flat))
    assert {name: value for name, value in found.items() if value is not None} == {
        "imbalance": 0.0,
        "momentum": 0.0,
        "range": 0.0,
        "slope": 0.0,
        "volatility": 0.0,
    }


def test_an_empty_window_knows_nothing() -> None:
    series = walk(5)
    series.close[:] = math.nan
    found = soulprint_vector(dataclasses.replace(series.at(63), high=series.close, low=series.close))
    assert {name for name, value in found.items() if value is not None} <= {"imbalance"}
    assert set(found.values()) == {None}


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.4), st.floats(1e-6, 1e6))
@settings(max_examples=30, deadline=None)
def test_the_unit_of_the_price_does_not_matter_and_bounds_hold(seed: int, holes: float, unit: float) -> None:
    window = walk(seed, holes=holes).at(63)
    found = soulprint_vector(window)
    scaled = soulprint_vector(
        dataclasses.replace(window, close=unit * window.close, high=unit * window.high, low=unit * window.low)
    )
    for name, value in found.items():
        assert (scaled[name] is None) == (value is None), name
        if value is None:
            continue
        assert scaled[name] == pytest.approx(value, abs=1e-5), name
        low, high = {
            "imbalance": (-1, 1),
            "lead": (-8, 8),
            "phase": (-3.141593, 3.141593),
            "phase_cos": (-1, 1),
            "phase_sin": (-1, 1),
            "resonance_excess": (-1, 1),
            "time_scale": (0, 2),
        }.get(name, (-math.inf, math.inf))
        if name in {"chrono_resonance", "own_cycle", "spectral_entropy"}:
            low, high = 0, 1
        assert low <= value <= high, name


@given(st.dictionaries(st.sampled_from(NAMES), st.none() | st.floats(-1e3, 1e3)))
def test_text_and_back_is_the_same_vector(values: dict[str, float | None]) -> None:
    whole = require_vector(values)
    assert list(whole) == list(NAMES)
    assert vector_from_text(vector_text(values)) == whole
    canonical_bytes(vector_text(values))  # fit for a record


def test_rounding_is_half_even_on_six_decimals_and_knows_no_negative_zero() -> None:
    assert rounded(0.0000005) == 0.0
    assert math.copysign(1.0, rounded(-1e-9)) == 1.0
    assert rounded(2.5e-6 + 1e-12) == 3e-6
    assert vector_text({"momentum": -1e-9})["momentum"] == "0"
    assert vector_text({"momentum": 0.1 + 0.2})["momentum"] == "0.3"


@pytest.mark.parametrize("value", [math.nan, math.inf, "0.5", True, [1.0], 1j])
def test_a_value_that_is_no_finite_number_is_named(value: object) -> None:
    with pytest.raises(ValueError, match=r"^drift is "):
        require_vector({"phase": 0.5, "drift": value})


def test_an_unknown_component_is_named_and_a_part_of_the_vector_is_enough() -> None:
    with pytest.raises(ValueError, match=r"^entropy, warp: no component of soulprint/1"):
        require_vector({"warp": 1.0, "phase": 0.5, "entropy": 1.0})
    found = require_vector({"phase": 0.5, "drift": 0.3})  # the seed's own example
    assert {name: value for name, value in found.items() if value is not None} == {"drift": 0.3, "phase": 0.5}
    assert require_vector({"drift": np.float32(0.5), "lead": 2})["lead"] == 2.0


def test_text_that_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match=r"^phase is 'half'"):
        vector_from_text({"phase": "half"})
    with pytest.raises(ValueError, match="drift"):
        vector_from_text({"drift": "NaN"})


def test_the_hash_covers_time_subject_and_every_component() -> None:
    texts = vector_text(soulprint_vector(walk(6).at(63)))
    hashes = {soulprint_hash(TIME, "A", texts), soulprint_hash(TIME, "B", texts)}
    hashes.add(soulprint_hash("2021-03-01T13:00:00.000000Z", "A", texts))
    hashes |= {soulprint_hash(TIME, "A", {**texts, name: None}) for name in NAMES}
    assert len(hashes) == 3 + len(NAMES)
    assert soulprint_hash(TIME, "A", dict(reversed(texts.items()))) == soulprint_hash(TIME, "A", texts)


def test_one_vector_cannot_have_two_hashes() -> None:
    texts = vector_text({"drift": 0.3})
    for other in ({"drift": "0.3"}, {**texts, "drift": "0.30"}, {**texts, "drift": "0.30000001"}, {**texts, "x": None}):
        with pytest.raises(ValueError, match=r"vector"):
            soulprint_hash(TIME, "A", other)


@pytest.mark.parametrize(("interval_ms", "days"), [(3_600_000, 3), (300_000, 1), (86_400_000, 65), (4 * 3_600_000, 11)])
def test_the_days_a_window_reaches_back(interval_ms: int, days: int) -> None:
    assert signal_days(interval_ms) == days


def test_bars_have_a_length() -> None:
    with pytest.raises(ValueError, match="interval_ms"):
        signal_days(0)
