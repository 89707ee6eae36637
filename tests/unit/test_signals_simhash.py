"""SimHash: the law of angles, small changes stay near while SHA-256 jumps, and fixed bits notice another seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.signal_series import walk
from throughline.identity import sha256_hex
from throughline.signals.simhash import (
    BAND_BITS,
    BANDS,
    BITS,
    COMPARED,
    SEED,
    band_keys,
    hamming,
    simhash,
    simhash_many,
    similarity,
    standardised,
)
from throughline.signals.vector import COMPONENTS, soulprint_hash, soulprint_vector, vector_text

K = len(COMPARED)
TIME = "2021-03-01T12:00:00.000000Z"
GOLDEN_MANY = [7124568747986598657, 9010283387834004853, 17200269849744943888]
GOLDEN_SIMHASH = 10447805106893901555
GOLDEN_PLANES = "4ca390874356f0c4"


def pairs_at(angle: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    a, b = random.normal(size=(2, n, K))
    a /= np.linalg.norm(a, axis=1)[:, None]
    b -= (a * b).sum(axis=1)[:, None] * a
    b /= np.linalg.norm(b, axis=1)[:, None]
    return a, math.cos(angle) * a + math.sin(angle) * b


@pytest.mark.parametrize("angle", [0.1, 0.5, math.pi / 2, 2.5])
def test_two_bits_are_equal_with_one_minus_the_angle_over_pi(angle: float) -> None:
    a, b = pairs_at(angle, 4000)
    differing = np.bitwise_count(simhash_many(a) ^ simhash_many(b)).mean() / BITS
    # the 64 planes are one draw: their own share of differing bits varies by about sqrt(p q / 64) / sqrt(k)
    assert 1 - differing == pytest.approx(1 - angle / math.pi, abs=0.015)


def test_similarity_estimates_the_cosine() -> None:
    a, b = pairs_at(0.8, 2000)
    found = [similarity(int(x), int(y)) for x, y in zip(simhash_many(a), simhash_many(b), strict=True)]
    assert np.mean(found) == pytest.approx(math.cos(0.8), abs=0.03)
    assert similarity(5, 5) == 1.0
    assert similarity(0, 2**64 - 1) == -1.0
    assert similarity(0, 2**32 - 1) == pytest.approx(0.0, abs=1e-12)
    assert hamming(0b1011, 0b0001) == 2


def test_opposite_vectors_differ_in_every_bit() -> None:
    a, _ = pairs_at(0.1, 50)
    assert (simhash_many(a) == ~simhash_many(-a)).all()


def test_a_tiny_change_stays_near_while_the_content_hash_jumps() -> None:
    near, far, digests = [], [], []
    for seed in range(60):
        values = soulprint_vector(walk(seed).at(63))
        touched = {**values, "momentum": (values["momentum"] or 0.0) + 0.000_001}
        own, other = simhash(values), simhash(touched)
        stranger = simhash(soulprint_vector(walk(seed + 1000).at(63)))
        assert own is not None
        assert other is not None
        assert stranger is not None
        near.append(hamming(own, other))
        far.append(hamming(own, stranger))
        hashes = [soulprint_hash(TIME, "A", vector_text(each)) for each in (values, touched)]
        digests.append(hamming(*(int(text, 16) for text in hashes)) / 256)
    assert max(near) <= 1
    assert np.mean(far) > 15
    assert 0.45 < np.mean(digests) < 0.55  # defect 8: the distance of digests says nothing


def test_the_many_give_what_each_gives_alone() -> None:
    vectors = [soulprint_vector(walk(seed, holes=0.1).at(40 + seed % 24)) for seed in range(40)]
    scores = np.array([standardised(values) for values in vectors])
    alone = [simhash(values) for values in vectors]
    assert None not in alone
    assert simhash_many(scores).tolist() == alone
    many = np.random.default_rng(1).normal(size=(9000, K))  # more than one chunk
    assert simhash_many(many)[[0, 4095, 4096, 8999]].tolist() == [
        int(simhash_many(many[row : row + 1])[0]) for row in (0, 4095, 4096, 8999)
    ]
    assert simhash_many(np.zeros((0, K))).shape == (0,)


def test_fixed_bits_notice_another_seed_or_schema() -> None:
    assert SEED == "simhash/1"
    assert simhash_many(np.eye(K)[:3]).tolist() == GOLDEN_MANY
    assert simhash(soulprint_vector(walk(20210301, holes=0.05).at(63))) == GOLDEN_SIMHASH
    assert sha256_hex(simhash_many(np.eye(K)).tobytes())[:16] == GOLDEN_PLANES


def test_standard_scores_are_centred_scaled_cut_and_zero_where_unknown() -> None:
    by_name = {component.name: component for component in COMPONENTS}
    place = {component.name: i for i, component in enumerate(COMPARED)}
    scores = standardised(
        {
            "momentum": by_name["momentum"].center + by_name["momentum"].scale,
            "lead": -1e6,
            "volatility": 1e6,
            "phase": 3.0,
        }
    )
    assert scores[place["momentum"]] == pytest.approx(1.0)
    assert scores[place["lead"]] == -4.0
    assert scores[place["volatility"]] == 4.0
    assert np.count_nonzero(scores) == 3
    assert "phase" not in place  # the circle is compared by sine and cosine


def test_less_than_half_of_a_vector_has_no_simhash() -> None:
    names = [component.name for component in COMPARED]
    needed = math.ceil(len(names) / 2)
    assert simhash(dict.fromkeys(names[: needed - 1], 0.5)) is None
    assert simhash({**dict.fromkeys(names[: needed - 1], 0.5), "phase": 1.0}) is None
    assert simhash(dict.fromkeys(names[:needed], 0.5)) is not None
    assert simhash({}) is None


def test_band_keys_are_the_lowest_bits_in_groups() -> None:
    value = 0b00001_11000_00000_10110  # written highest first
    assert band_keys(value, "momentum") == (
        "soulprint/1|momentum|b0|01101",
        "soulprint/1|momentum|b1|00000",
        "soulprint/1|momentum|b2|00011",
        "soulprint/1|momentum|b3|10000",
    )
    assert band_keys(None, "momentum") == ("soulprint/1|momentum|unknown",)
    assert band_keys(value | (2**64 - 2**20), "momentum") == band_keys(value, "momentum")


@given(st.integers(0, 2**64 - 1), st.integers(0, BITS - 1))
def test_one_flipped_bit_changes_at_most_one_band(value: int, bit: int) -> None:
    changed = set(band_keys(value, "s")) - set(band_keys(value ^ (1 << bit), "s"))
    assert len(changed) == (1 if bit < BANDS * BAND_BITS else 0)


def test_scores_that_are_not_scores_are_refused() -> None:
    for wrong in (np.zeros((2, K + 1)), np.full((1, K), math.nan), np.zeros(K)):
        with pytest.raises(ValueError, match="standardised"):
            simhash_many(wrong)
