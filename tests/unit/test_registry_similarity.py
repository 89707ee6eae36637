"""The index of soulprints: against exact cosine, as of an instant, and unmoved by what came later (defect 8)."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.registry.patterns import share_by_chance
from throughline.registry.similarity import NEVER, SoulprintIndex, empty_index, unit_rows
from throughline.signals.simhash import COMPARED, simhash_many

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def index_of(n: int, seed: int = 1, spread: int = 1) -> SoulprintIndex:
    rng = np.random.default_rng(seed)
    scores = np.clip(rng.standard_normal((n, len(COMPARED))), -4, 4)
    return SoulprintIndex(
        uuid=rng.integers(0, 256, (n, 16), np.uint8),
        simhash=simhash_many(scores),
        unit=unit_rows(scores),
        known_from=np.sort(rng.integers(0, spread * max(1, n), n)).astype(np.int64),
        known_until=np.full(n, NEVER, np.int64),
        profit_percentage=rng.standard_normal(n).astype(np.float32),
        won=rng.random(n) < 0.4,
    )


def vector(seed: int) -> dict[str, float | None]:
    rng = np.random.default_rng(seed)
    return {item.name: item.center + item.scale * float(rng.standard_normal()) for item in COMPARED}


def exact(index: SoulprintIndex, seed: int, rows: int, k: int) -> set[uuid.UUID]:
    told = vector(seed)
    scores = np.array([[np.clip((told[c.name] - c.center) / c.scale, -4, 4) for c in COMPARED]])  # type: ignore[operator]
    cosine = index.unit[:rows].astype(float) @ unit_rows(scores)[0].astype(float)
    best = np.argsort(-cosine)[:k]
    return {uuid.UUID(bytes=index.uuid[place].tobytes()) for place in best}


def at(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def test_below_the_number_of_candidates_the_answer_is_that_of_exact_cosine() -> None:
    index = index_of(3000)
    for seed in range(20):
        found = index.search(vector(seed), None, 20)
        assert {hit.uuid for hit in found.hits} == exact(index, seed, 3000, 20)
        assert [hit.similarity for hit in found.hits] == sorted((hit.similarity for hit in found.hits), reverse=True)
        assert found.searched == 3000
        assert found.searched_wins == int(index.won.sum())


def test_above_it_nearly_all_of_the_true_nearest_are_found() -> None:
    index = index_of(60_000)
    shares = [
        len({hit.uuid for hit in index.search(vector(seed), None, 20).hits} & exact(index, seed, 60_000, 20)) / 20
        for seed in range(20)
    ]
    assert np.mean(shares) > 0.97


def test_a_trade_itself_is_found_at_similarity_one_and_distance_zero() -> None:
    told = vector(3)
    scores = np.array([[np.clip((told[c.name] - c.center) / c.scale, -4, 4) for c in COMPARED]])  # type: ignore[operator]
    index = index_of(500)
    index.unit[77] = unit_rows(scores)[0]
    index.simhash[77] = simhash_many(scores)[0]
    hit = index.search(told, None, 1).hits[0]
    assert hit.uuid.bytes == index.uuid[77].tobytes()
    assert (hit.hamming, round(hit.similarity, 6)) == (0, 1.0)


@given(st.integers(0, 2000), st.integers(1, 30), st.integers(0, 10**6))
def test_what_closed_later_never_enters_an_answer(moment: int, k: int, seed: int) -> None:
    index = index_of(400, spread=5)
    rows = int(np.searchsorted(index.known_from, moment, "right"))
    before = replace(index, **{name: getattr(index, name)[:rows] for name in index.__dataclass_fields__})
    assert index.search(vector(seed), at(moment), k) == before.search(vector(seed), None, k)


def test_what_was_corrected_is_known_until_its_correction_and_what_is_held_never() -> None:
    index = index_of(50, spread=1)
    index.known_from[:] = 10
    index.known_until[4], index.known_until[5] = 1000, -NEVER
    corrected, held = (uuid.UUID(bytes=index.uuid[place].tobytes()) for place in (4, 5))

    def names(moment: int | None) -> set[uuid.UUID]:
        return {hit.uuid for hit in index.search(vector(1), None if moment is None else at(moment), 50).hits}

    assert corrected in names(999)
    assert corrected not in names(1000) | names(None)
    assert held not in names(999) | names(1000) | names(None)
    assert index.search(vector(1), at(999), 1).searched == 49


def test_trades_that_are_not_alike_are_not_called_so() -> None:
    index = index_of(200)
    found = index.search(vector(1), None, 200, least_similarity=0.3)
    assert 0 < len(found.hits) < 200
    assert min(hit.similarity for hit in found.hits) >= 0.3


@given(st.sets(st.sampled_from([item.name for item in COMPARED]), min_size=1, max_size=8), st.integers(0, 10**6))
def test_a_vector_of_few_components_is_compared_on_these_alone(names: set[str], seed: int) -> None:
    index = index_of(400)
    told = {name: round(value or 0.0, 6) for name, value in vector(seed).items() if name in names}
    places = [place for place, item in enumerate(COMPARED) if item.name in names]
    asked = np.array([np.clip((told[c.name] - c.center) / c.scale, -4, 4) for c in COMPARED if c.name in names])  # type: ignore[operator]
    rows = index.unit[:, places].astype(float)
    cosine = rows @ asked / (np.linalg.norm(rows, axis=1) * np.linalg.norm(asked))
    found = index.search(told, None, 400, least_similarity=0.5)
    assert set(found.compared) == names
    expected = {index.uuid[place].tobytes() for place in np.flatnonzero(cosine >= 0.5 + 1e-5)}
    certain = {hit.uuid.bytes for hit in found.hits if hit.similarity >= 0.5 + 1e-5}
    assert certain == expected
    assert all(hit.hamming is None for hit in found.hits)


def test_a_phase_is_compared_by_its_coordinates_so_that_the_ends_of_the_circle_are_neighbours() -> None:
    index = index_of(500)
    near, far = (index.search({"phase": angle}, None, 50) for angle in (3.14, -3.14))
    assert near.compared == ("phase_cos", "phase_sin")
    assert len({hit.uuid for hit in near.hits} & {hit.uuid for hit in far.hits}) > 45
    both = index.search({"phase": 0.5, "phase_cos": -1.0, "phase_sin": 0.0}, None, 50)
    assert [hit.uuid for hit in both.hits] == [
        hit.uuid for hit in index.search({"phase_cos": -1.0, "phase_sin": 0.0}, None, 50).hits
    ]


def test_the_share_that_is_near_by_chance_is_that_of_random_directions() -> None:
    rng = np.random.default_rng(5)
    assert share_by_chance(1, 0.5) == 0.5
    for k in (2, 3, 5, 9, 17):
        drawn = rng.standard_normal((200_000, k))
        share = float(np.mean(drawn[:, 0] / np.linalg.norm(drawn, axis=1) >= 0.5))
        assert share_by_chance(k, 0.5) == pytest.approx(share, abs=0.004)


def test_a_vector_without_a_component_that_is_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="give at least one of chrono_resonance, drift"):
        index_of(5).search({"drift": None}, None, 5)


def test_an_empty_index_answers_with_nothing() -> None:
    assert empty_index().search(vector(1), None, 5).searched == 0


@pytest.mark.parametrize("wrong", [{"k": 0}, {"as_of": datetime(2024, 1, 1)}, {"vector": {"ghost": 1.0}}])  # noqa: DTZ001
def test_impossible_questions_are_refused(wrong: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"vector": vector(1), "as_of": None, "k": 5} | wrong
    with pytest.raises(ValueError, match=r"k is 0|has no time zone|no component"):
        index_of(10).search(**asked)


def test_the_order_of_rows_of_one_instant_does_not_change_the_answer() -> None:
    index = index_of(300)
    index.known_from[:] = 7
    order = np.random.default_rng(2).permutation(300)
    other = replace(index, **{name: getattr(index, name)[order] for name in index.__dataclass_fields__})
    first, second = (item.search(vector(5), None, 20) for item in (index, other))
    assert {hit.uuid for hit in first.hits} == {hit.uuid for hit in second.hits}
