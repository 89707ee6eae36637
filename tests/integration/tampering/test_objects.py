"""Artifact byte flip, seal edit, grant or trigger changed: the object is named, and nothing else."""

from __future__ import annotations

import pytest

from tests.integration.tampering.conftest import BATCH, BATCHES, Range

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("kind", ["artifact byte flip", "seal edit", "grant or trigger changed"])
def test_the_object_that_was_changed_is_named(shooting_range: Range, kind: str, batch: int) -> None:
    numbers = range(batch * BATCH, (batch + 1) * BATCH)
    assert [item for number in numbers for item in shooting_range.wrong(kind, number)] == []
