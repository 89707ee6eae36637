"""The feature vector is a function of what the snapshot says: of all of it that it reads, and of nothing else."""

from __future__ import annotations

import copy
import math
from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feature_cases import SCANNED, snapshot
from throughline.features.vector import (
    FEATURES,
    NAMES,
    REFERENCES,
    Category,
    FeatureVector,
    feature_schema,
    feature_vector,
    vector_hash,
)
from throughline.identity import hash_body, score_text
from throughline.signals.vector import NAMES as SIGNALS

DECIDED = datetime(2021, 3, 4, 5, 30, tzinfo=UTC)
READ = [
    *(("scan_row", "features", name) for name in SCANNED),
    *(("scan_row", "references", name) for name in REFERENCES),
    *(("signals", "values", name) for name in SIGNALS),
    ("scores", "confidence"),
    ("scores", "opportunity"),
    ("scan_row", "notional_usd"),
]


def whole(seed: int = 1) -> dict[str, Any]:
    return snapshot(np.random.default_rng(seed), DECIDED, missing=0.0)


def changed(told: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    other = copy.deepcopy(told)
    at = other
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return other


def shuffled(value: Any, rng: np.random.Generator) -> Any:
    if not isinstance(value, dict):
        return value
    keys = list(value)
    rng.shuffle(keys)
    return {key: shuffled(value[key], rng) for key in keys}


def test_every_category_of_the_seed_has_features_and_every_name_is_there_once() -> None:
    assert {item.category for item in FEATURES} == set(get_args(Category))
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("path", READ, ids=lambda path: path[-1])
def test_the_hash_changes_with_each_value_that_is_read(path: tuple[str, ...]) -> None:
    told = whole()
    assert feature_vector(changed(told, path, "0.123456789")).hash != feature_vector(told).hash


@pytest.mark.parametrize("path", READ, ids=lambda path: path[-1])
def test_what_is_missing_stays_missing_and_is_no_number(path: tuple[str, ...]) -> None:
    told = whole()
    lacking = feature_vector(changed(told, path, None))
    gone = [name for name in NAMES if lacking.values[name] is None]
    assert gone, "nothing shows that the value is missing"
    assert np.isnan(lacking.numbers()[[NAMES.index(name) for name in gone]]).all()
    for number in ("1", "0.5", "0"):
        there = feature_vector(changed(told, path, number))
        assert number == "0" or all(there.values[name] is not None for name in gone)  # a ratio to 0 is undefined
        assert lacking.hash != there.hash


def test_a_reference_that_the_source_does_not_know_is_missing() -> None:
    told = whole()
    told["scan_row"]["references"] = {}
    assert feature_vector(told).values["lp_locked_share"] is None


@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_keys_other_keys_and_later_data_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    told = snapshot(rng, DECIDED, missing=0.3)
    other = shuffled(told, rng)
    other |= {"verdicts": {"x": "1"}, "outcome": {"return": "9"}, "inputs": [{"value": "1"}], "instrument": "XYZ"}
    other["scan_row"]["features"]["unheard_of"] = "7"
    other["signals"]["math"] = {"probability": "0.5"}
    assert feature_vector(other) == feature_vector(told)


@given(seed=st.integers(0, 2**32 - 1), missing=st.floats(0, 1))
def test_the_vector_says_its_own_hash_and_its_numbers_say_its_texts(seed: int, missing: float) -> None:
    vector = feature_vector(snapshot(np.random.default_rng(seed), DECIDED, missing=missing))
    assert vector.hash == vector_hash(vector.values)
    assert vector.hash == hash_body("feature_vector", {"schema": feature_schema(), "values": dict(vector.values)})
    texts = [None if math.isnan(number) else score_text(number) for number in vector.numbers().tolist()]
    assert texts == [vector.values[name] for name in NAMES]


@given(st.dictionaries(st.text(max_size=6), st.none() | st.text(max_size=8), max_size=8))
def test_the_short_way_to_the_hash_is_the_canonical_one(values: dict[str, str | None]) -> None:
    try:
        expected = hash_body("feature_vector", {"schema": feature_schema(), "values": values})
    except (ValueError, UnicodeEncodeError):
        return  # two keys that are one after NFC, or half a surrogate: no hash either way
    assert vector_hash(values) == expected


def test_hour_and_weekday_are_those_of_the_decision_in_utc() -> None:
    vector = feature_vector(whole())
    assert (vector.values["hour"], vector.values["weekday"]) == ("5.5", "3")


def test_age_is_counted_from_the_first_bar_of_the_segment() -> None:
    told = whole()
    told["scan_row"]["segment"] = "ABC@20210303T053000Z"
    assert feature_vector(told).values["age_days"] == "1"


def test_a_body_written_by_hand_has_no_vector() -> None:
    with pytest.raises((KeyError, TypeError)):
        feature_vector(whole() | {"scan_row": None})


def test_a_vector_of_another_schema_has_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    vector = feature_vector(whole())
    monkeypatch.setattr("throughline.features.vector.feature_schema", lambda: "0" * 64)
    assert vector_hash(vector.values) != vector.hash
    assert isinstance(vector, FeatureVector)
