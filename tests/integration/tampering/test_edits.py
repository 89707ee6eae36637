"""Cell edit, body and hash together, link re-pointed, sequence or time edited: each named, and nothing else."""

from __future__ import annotations

import pytest

from tests.integration.tampering.conftest import BATCH, BATCHES, Range

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(
    "kind", ["cell edit", "body and hash edited together", "link re-pointed", "sequence or time edited"]
)
def test_what_was_edited_is_named(shooting_range: Range, kind: str, batch: int) -> None:
    numbers = range(batch * BATCH, (batch + 1) * BATCH)
    assert [item for number in numbers for item in shooting_range.wrong(kind, number)] == []
