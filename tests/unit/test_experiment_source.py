"""An experiment whose source is another one by now: the sentence says what to do about it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from throughline.clock import FixedClock
from throughline.configuration import Configuration
from throughline.errors import SettingsError
from throughline.experiment.choice import Chosen, open_provider
from throughline.experiment.identity import current_code_hash, make_experiment
from throughline.market.simulated import SimulatedProvider


@pytest.mark.parametrize(
    ("code", "cure", "other"),
    [
        (current_code_hash(), "put the description of its archive back", "makes an experiment of this release"),
        ("1" * 64, "makes an experiment of this release", "put the description"),
    ],
)
def test_the_remedy_for_another_source_depends_on_whether_throughline_has_changed(
    code: str, cure: str, other: str
) -> None:
    source = SimulatedProvider(7).description.source_hash
    made = make_experiment("demo", date(2024, 3, 2), Configuration(), source, 7, lock="0" * 64, code=code)
    with pytest.raises(SettingsError) as refused:
        open_provider(Chosen(made, {"seed": 8}, True), FixedClock(datetime(2024, 4, 1, tzinfo=UTC)))
    assert cure in str(refused.value)
    assert other not in str(refused.value)
