"""A market cap that a source computes with the price at the open counts at the close, as it was when it was used."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from throughline.errors import SettingsError
from throughline.market.archive import open_archive

DESCRIPTION = """
name = "caps"
[bars]
file = "bars.csv"
instrument = "coin"
time = "day"
time_unit = "date"
stamp = "open"
interval = "1d"
open = "o"
high = "h"
low = "l"
close = "c"
[references.market_cap]
value = "cap"
known = "close"
"""
ROWS = "coin,day,o,h,l,c,cap\nA,2018-01-01,2.0,4.0,1.5,3.0,200\nA,2018-01-02,3.0,3.5,2.5,2.7,300\n"


def caps(folder: Path, description: str) -> list[float]:
    (folder / "a.toml").write_text(description, encoding="utf-8")
    (folder / "bars.csv").write_text(ROWS, encoding="utf-8")
    provider = open_archive(folder / "a.toml", folder)
    panel = provider.load(datetime(2018, 1, 1, tzinfo=UTC), datetime(2018, 1, 3, tzinfo=UTC))
    return [float(value) for value in panel.references["market_cap"].values[:, 0]]


def test_a_cap_at_the_open_is_restated_with_the_price_at_the_close(tmp_path: Path) -> None:
    assert caps(tmp_path, DESCRIPTION) == [200.0, 300.0]
    assert caps(tmp_path, DESCRIPTION + 'priced_at = "open"\n') == pytest.approx([300.0, 270.0])


def test_only_bars_with_an_open_can_restate_a_value(tmp_path: Path) -> None:
    closes = DESCRIPTION.replace('open = "o"\nhigh = "h"\nlow = "l"\n', "")
    with pytest.raises(SettingsError, match="priced_at"):
        caps(tmp_path, closes + 'priced_at = "open"\n')
    with pytest.raises(SettingsError, match="priced_at"):
        caps(tmp_path, DESCRIPTION + 'priced_at = "noon"\n')


def test_where_a_value_is_priced_is_part_of_the_source(tmp_path: Path) -> None:
    hashes = set()
    for text in (DESCRIPTION, DESCRIPTION + 'priced_at = "open"\n'):
        caps(tmp_path, text)
        hashes.add(open_archive(tmp_path / "a.toml", tmp_path).description.source_hash)
    assert len(hashes) == 2
