"""Small inputs of public bug reports (../shared/data/bug_inputs), each read rightly or refused by name."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from throughline.errors import ArchiveError
from throughline.market.archive import open_archive
from throughline.market.panel import MarketPanel

KLINES = (
    'columns = ["open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count", "tbv", '
    '"tbq", "ignore"]'
)
COLUMNS = 'columns = ["date", "open", "high", "low", "close", "volume"]'


@pytest.fixture
def inputs(shared_data: Path) -> Path:
    folder = shared_data / "bug_inputs"
    if not folder.is_dir():
        pytest.skip("the small inputs of bug reports (../shared/data/bug_inputs) are not on this machine")
    return folder


def panel(folder: Path, scratch: Path, edits: tuple[tuple[str, str], ...] = (), name: str = "a.toml") -> MarketPanel:
    text = (folder / name).read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (scratch / "a.toml").write_text(text)
    return open_archive(scratch / "a.toml", folder).load(
        datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 9, tzinfo=UTC)
    )


READ: dict[str, tuple[tuple[tuple[str, str], ...], tuple[str, ...]]] = {
    "close_stamps_end_in_999": ((), ("AAA",)),
    "gzipped_csv": ((), ("AAA", "BBB", "CCC")),
    "hive_partitioned_parquet": ((), ("AAA", "BBB", "CCC")),
    "unnamed_index_column": ((), ("AAA",)),
    "headerless_klines": (
        (("*.csv", "{instrument}-1h-*.csv"), ("instrument_from_file_name = true", KLINES)),
        ("AAAUSDT",),
    ),
    "json_instead_of_csv": (
        (("*.json", "{instrument}-1h.json"), ("instrument_from_file_name = true", COLUMNS), ('format = "csv"', "")),
        ("AAA_USDT",),
    ),
    "line_above_the_header": ((('time = "unix"', 'time = "unix"\nskip_lines = 1'),), ("AAA/USDT", "BBB/USDT")),
    "milliseconds_then_microseconds": (
        (
            ("*.csv", "{instrument}-1h-*.csv"),
            ("instrument_from_file_name = true", ""),
            ('time_unit = "ms"', 'time_unit = "unix"'),
        ),
        ("AAAUSDT",),
    ),
    "monthly_files_of_one_pair": (
        (("*.csv", "{instrument}-1h-*.csv"), ("instrument_from_file_name = true", "")),
        ("AAAUSDT",),
    ),
    "one_file_name_per_folder": (
        (("*/1h.csv", "{instrument}/1h.csv"), ("instrument_from_file_name = true", "")),
        ("NEW", "OLD"),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_a_layout_of_a_bug_report_can_be_described(inputs: Path, tmp_path: Path, name: str) -> None:
    edits, instruments = READ[name]
    found = panel(inputs / name, tmp_path, edits)
    assert found.instruments[: len(instruments)] == instruments
    assert found.quarantined == ()
    assert (~np.isnan(found.close)).sum(axis=0).min() >= 90


def test_monthly_files_read_as_the_same_rows_joined_by_hand(inputs: Path, tmp_path: Path) -> None:
    many = panel(inputs / "monthly_files_of_one_pair", tmp_path, READ["monthly_files_of_one_pair"][0])
    one = panel(inputs / "monthly_files_truth", tmp_path)
    np.testing.assert_array_equal(many.close, one.close)
    np.testing.assert_array_equal(many.segment_start, one.segment_start)


REFUSED: dict[str, list[str]] = {
    "headerless_klines": ["AAAUSDT-1h-2024-03.csv", "no header line", "columns = [...]"],
    "json_instead_of_csv": ["AAA_USDT-1h.json", "looks like JSON", 'format = "json"'],
    "line_above_the_header": ["bars.csv", "line 2", "skip_lines = 1"],
    "milliseconds_then_microseconds": ["2024-12.csv", "2025-01.csv", "{instrument}-*.csv"],
    "monthly_files_of_one_pair": ["2024-02.csv", "2024-03.csv", "{instrument}-*.csv"],
    "one_file_name_per_folder": ["NEW/1h.csv", "OLD/1h.csv", "{instrument}/1h.csv"],
    "one_long_row": ["bars.csv", "row 301", "8 fields"],
    "reference_matches_nothing": ["references.market_cap", "joins nothing", "'alpha-coin'", "'AAA'", "map"],
    "ticker_spelled_three_ways": ["bars.csv", "row 25", "'AAA '", "space"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_input_of_a_bug_report_is_refused_by_name(inputs: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        panel(inputs / name, tmp_path)
    for word in REFUSED[name]:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 900


def test_a_ticker_in_two_cases_alone_is_refused_with_both(inputs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(inputs / "ticker_spelled_three_ways", folder)
    text = (folder / "bars.csv").read_text()
    (folder / "bars.csv").write_text(text.replace("AAA ,", "AAA,").replace("BBB ,", "BBB,").replace("CCC ,", "CCC,"))
    with pytest.raises(ArchiveError, match=r"'AAA' .* and 'aaa' "):
        panel(folder, tmp_path)
