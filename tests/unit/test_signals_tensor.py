"""Tensor analytics: energies of known arrays, modes that only the past can move, and a hash of what was stored."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.signal_series import walk, with_another_future
from throughline.signals.tensor import (
    SCALES,
    TENSOR_FEATURES,
    fit_modes,
    mode_energies,
    project,
    tensor_hash,
    tensor_row,
)
from throughline.signals.window import F64


def random_tensor(seed: int, rows: int = 40) -> F64:
    return np.random.default_rng(seed).normal(size=(rows, len(TENSOR_FEATURES), len(SCALES)))


def test_an_array_of_rank_one_has_all_its_energy_in_the_first_of_every_mode() -> None:
    tensor = np.einsum("t,f,s->tfs", np.arange(1.0, 6.0), np.array([1.0, -2.0]), np.array([3.0, 1.0, 0.5]))
    found = mode_energies(tensor)
    for energies, length in ((found.time, 5), (found.feature, 2), (found.scale, 3)):
        assert len(energies) == length
        assert energies[0] == pytest.approx(1.0)
        assert energies[1:] == pytest.approx(0.0, abs=1e-12)


def test_two_separate_blocks_share_the_energy_by_their_squares() -> None:
    tensor = np.zeros((2, 2, 2))
    tensor[0, 0, 0], tensor[1, 1, 1] = 3.0, 4.0
    found = mode_energies(tensor)
    for energies in (found.time, found.feature, found.scale):
        assert energies == pytest.approx([16 / 25, 9 / 25])


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-200, 1e-3, 1e200]))
@settings(max_examples=30, deadline=None)
def test_energies_add_up_to_one_and_do_not_depend_on_the_unit(seed: int, unit: float) -> None:
    tensor = random_tensor(seed, 12)
    found, scaled = mode_energies(tensor), mode_energies(unit * tensor)
    for name in ("time", "feature", "scale"):
        energies = getattr(found, name)
        assert energies.sum() == pytest.approx(1.0)
        assert (np.diff(energies) <= 1e-12).all()
        assert getattr(scaled, name) == pytest.approx(energies, abs=1e-9)


def test_a_row_is_the_features_at_every_scale() -> None:
    series = walk(1)
    row = tensor_row(series.at(63))
    assert row.shape == (len(TENSOR_FEATURES), len(SCALES))
    assert row[0].tolist() == pytest.approx([math.log(series.close[63] / series.close[64 - bars]) for bars in SCALES])
    assert np.isfinite(row).all()
    short = tensor_row(walk(1).at(19))  # 20 bars: enough for 16 and 32, not for 64
    assert np.isfinite(short).all(axis=0).tolist() == [True, True, False]


def test_the_modes_explain_what_they_were_fitted_on() -> None:
    random = np.random.default_rng(3)
    direction, profile = np.array([0.5, 0.5, 0.5, -0.5]), np.array([2.0, 1.0, 2.0]) / 3
    strength = random.normal(size=200)
    past = np.einsum("t,f,s->tfs", strength, direction, profile) + 0.01 * random.normal(size=(200, 4, 3))
    modes = fit_modes(past, 1, 1)
    assert modes.rows == 200
    assert modes.feature_basis[:, 0] == pytest.approx(direction, abs=0.02)
    assert modes.scale_basis.shape == (3, 1)
    assert modes.energies.feature[0] > 0.99
    coordinates = project(modes, past)[:, 0, 0]
    assert abs(np.corrcoef(coordinates, strength)[0, 1]) > 0.999


def test_all_modes_are_a_change_of_axes_that_keeps_every_length() -> None:
    past = random_tensor(4)
    modes = fit_modes(past, len(TENSOR_FEATURES), len(SCALES))
    standard = (past - modes.center) / modes.spread
    found = project(modes, past)
    assert (found**2).sum(axis=(1, 2)) == pytest.approx((standard**2).sum(axis=(1, 2)))
    for basis in (modes.feature_basis, modes.scale_basis):
        assert basis.T @ basis == pytest.approx(np.eye(len(basis)), abs=1e-12)
        assert (basis[np.abs(basis).argmax(axis=0), range(len(basis))] > 0).all()


@given(st.integers(0, 2**32 - 1), st.integers(66, 110))
@settings(max_examples=10, deadline=None)
def test_later_data_change_neither_the_fit_nor_the_projection_as_of_a_time(seed: int, row: int) -> None:
    series = walk(seed, rows=120)
    other = with_another_future(series, row, seed + 1)
    results = []
    for history in (series, other):
        tensor = np.array([tensor_row(history.at(t)) for t in range(63, 120)])
        past = tensor[: row - 63]  # rows before the one that is projected
        modes = fit_modes(past, 2, 2)
        parts = (modes.center, modes.spread, modes.feature_basis, modes.scale_basis)
        results.append(b"".join(part.tobytes() for part in parts) + project(modes, tensor[[row - 63]]).tobytes())
    assert results[0] == results[1]


def test_a_feature_that_stands_still_does_not_disturb() -> None:
    past = random_tensor(5)
    past[:, 1, :] = 0.1
    modes = fit_modes(past, 2, 2)
    assert np.isfinite(project(modes, past)).all()
    assert modes.feature_basis[1] == pytest.approx([0.0, 0.0], abs=1e-12)
    past[:] = 0.1
    with pytest.raises(ValueError, match="no feature varies"):
        fit_modes(past, 1, 1)


def test_what_cannot_be_analysed_is_refused() -> None:
    tensor = random_tensor(6)
    with pytest.raises(ValueError, match="zero everywhere"):
        mode_energies(np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="leave out the times"):
        mode_energies(np.where(tensor > 2, np.nan, tensor))
    with pytest.raises(ValueError, match="2 rows"):
        fit_modes(tensor[:1], 1, 1)
    with pytest.raises(ValueError, match="5 feature"):
        fit_modes(tensor, 5, 1)
    with pytest.raises(ValueError, match="agree"):
        project(fit_modes(tensor, 1, 1), tensor[:, :2])
    with pytest.raises(ValueError, match="shape"):
        mode_energies(np.ones((2, 2)))


def test_the_hash_is_of_the_rounded_values_their_places_and_their_labels() -> None:
    tensor = random_tensor(7, 5)
    found = tensor_hash(tensor)
    assert tensor_hash(np.round(tensor, 6)) == found
    assert tensor_hash(np.asfortranarray(tensor)) == found
    assert tensor_hash(tensor, TENSOR_FEATURES[::-1]) != found
    assert tensor_hash(tensor[::-1]) != found
    touched, missing = tensor.copy(), tensor.copy()
    touched[2, 1, 1] += 0.000_002
    missing[2, 1, 1] = math.nan
    assert len({found, tensor_hash(touched), tensor_hash(missing), tensor_hash(tensor[:4])}) == 4
    assert tensor_hash(np.full((1, 4, 3), math.nan)) != tensor_hash(np.zeros((1, 4, 3)))
    assert tensor_hash(np.full((1, 4, 3), -1e-9)) == tensor_hash(np.zeros((1, 4, 3)))
    assert tensor_hash(np.full((1, 4, 3), 0.25)) == "0ea53982f3f9b8cd906448a955312e7ba5b981e55b5bc9dfc306ff83b6761e34"


def test_what_has_no_six_decimals_has_no_hash() -> None:
    for wrong in (1e300, math.inf):
        with pytest.raises(ValueError, match="beyond 9e9"):
            tensor_hash(np.full((1, 4, 3), wrong))
    with pytest.raises(ValueError, match="4 features"):
        tensor_hash(np.zeros((1, 2, 3)))
