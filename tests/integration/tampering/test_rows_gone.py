"""Row delete, insert in the past, tail truncation, full rewrite from row k: the row, or the first row and the count."""

from __future__ import annotations

import pytest

from tests.integration.tampering.conftest import BATCH, BATCHES, Range

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("kind", ["row delete", "insert in the past", "tail truncation", "full rewrite from row k"])
def test_what_is_gone_or_new_is_named(shooting_range: Range, kind: str, batch: int) -> None:
    numbers = range(batch * BATCH, (batch + 1) * BATCH)
    assert [item for number in numbers for item in shooting_range.wrong(kind, number)] == []
