"""Bad input of every class stops with a sentence that names file, row or column, or is quarantined under its rule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.archive_files import HOURLY, open_files
from throughline.errors import ArchiveError
from throughline.market.archive import ArchiveProvider, open_archive

T0 = 1_609_459_200_000  # 2021-01-01
HOUR = 3_600_000
START, END = datetime(2021, 1, 1, tzinfo=UTC), datetime(2021, 1, 2, tzinfo=UTC)

DESCRIPTION = f"""{HOURLY}[references.market_cap]
file = "caps.csv"
instrument = "id"
time = "at"
time_unit = "iso"
value = "cap"
known = "stamp"
zero_means_missing = true
[references.market_cap.map]
file = "map.csv"
instrument = "coin"
key = "id"
"""
CAPS = "id,at,cap\nbitcoin,2021-01-01T00:00:00Z,1000\n"
MAP = "coin,id\nBTC,bitcoin\nETH,\n"


def bar(hour: float, text: str = "1,2,0.5,1,100", coin: str = "BTC") -> str:
    return f"{coin},{round(T0 + hour * HOUR)},{text}\n"


HEADER = "coin,t,o,h,l,c,v\n"
GOOD = HEADER + "".join(bar(hour) for hour in range(5))


def make(
    folder: Path, bars: str | bytes = GOOD, caps: str = CAPS, mapping: str = MAP, edit: Any = ()
) -> ArchiveProvider:
    text = DESCRIPTION
    for old, new in edit:
        assert old in text
        text = text.replace(old, new, 1)
    return open_files(folder, {"bars.csv": bars, "caps.csv": caps, "map.csv": mapping}, text)


STOPPED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "missing column": ({"bars": GOOD.replace("o,h,l", "o,high,l")}, ["bars.csv", "'h'", "'high'"]),
    "column named twice": ({"bars": GOOD.replace("l,c,v", "l,c,c,v")}, ["bars.csv", "'c'", "2 times"]),
    "text in a numeric column": ({"bars": GOOD + bar(5, "1,2,0.5,one,1")}, ["bars.csv", "row 6", "'c'", "'one'"]),
    "thousands separators": ({"bars": GOOD + bar(5, '"1,000",2000,1,1,1')}, ["bars.csv", "row 6", "'o'", "separators"]),
    "decimal comma": (
        {"bars": GOOD.replace(",", ";").replace("0.5", "0,5"), "edit": [('time = "t"', 'delimiter = ";"\ntime = "t"')]},
        ["bars.csv", "row 1", "'l'", "'0,5'"],
    ),
    "text in the time column": ({"bars": GOOD + "BTC,soon,1,2,1,1,1\n"}, ["bars.csv", "row 6", "'t'", "'soon'"]),
    "no time": ({"bars": GOOD + "BTC,,1,2,1,1,1\n"}, ["bars.csv", "row 6", "'t'", "no time"]),
    "no instrument": ({"bars": GOOD + bar(5, coin="")}, ["bars.csv", "row 6", "'coin'", "empty"]),
    "seconds said to be milliseconds": (
        {"bars": GOOD.replace("000,1,2", ",1,2")},
        ["bars.csv", "row 1", "'t'", "mend the unit"],
    ),
    "milliseconds said to be seconds": ({"edit": [('"ms"', '"s"')]}, ["bars.csv", "row 1", "'t'", "mend the unit"]),
    "time beyond 64 bits": ({"bars": GOOD + "BTC,99999999999999999999,1,2,1,1,1\n"}, ["bars.csv", "row 6", "'t'"]),
    "time overflowing in its unit": (
        {"bars": GOOD + "BTC,9200000000000000000,1,2,1,1,1\n", "edit": [('"ms"', '"s"')]},
        ["bars.csv", "row 6", "'t'", "mend the unit"],
    ),
    "naive times": ({"caps": CAPS.replace("Z,", ",")}, ["caps.csv", "row 1", "'at'", "time_zone"]),
    "zoned times where none are promised": (
        {"edit": [('"iso"', '"iso"\ntime_zone = "UTC"')]},
        ["caps.csv", "row 1", "'at'", "without zone"],
    ),
    "ambiguous local time": (
        {
            "caps": CAPS.replace("2021-01-01T00:00:00Z", "2021-10-31T02:30:00"),
            "edit": [('"iso"', '"iso"\ntime_zone = "Europe/Berlin"')],
        },
        ["caps.csv", "'at'", "twice or never"],
    ),
    "no date": (
        {"caps": CAPS.replace("2021-01-01T00:00:00Z", "01/02/2021"), "edit": [('"iso"', '"date"')]},
        ["caps.csv", "row 1", "'at'", "'01/02/2021'"],
    ),
    "wrong delimiter": ({"bars": GOOD.replace(",", ";")}, ["bars.csv", "'c'", "'coin;t;o", "delimiter"]),
    "not UTF-8": ({"bars": GOOD.encode() + b"\xff\xfe,1,1,1,1,1,1\n"}, ["bars.csv", "UTF-8"]),
    "not UTF-8 in the header": ({"bars": b"\xff\xfe" + GOOD.encode()}, ["bars.csv", "UTF-8"]),
    "empty file": ({"bars": ""}, ["bars.csv", "empty"]),
    "header only": ({"bars": HEADER}, ["bars.csv", "no rows"]),
    "row with too few fields": ({"bars": GOOD + "BTC,1\n"}, ["bars.csv", "CSV"]),
    "mapping without its key column": ({"mapping": "coin,other\nBTC,x\n"}, ["map.csv", "'id'", "'other'"]),
    "instrument mapped twice": ({"mapping": MAP + "BTC,other\n"}, ["map.csv", "row 3", "'coin'", "'BTC'"]),
    "mapping without an instrument": ({"mapping": MAP + ",other\n"}, ["map.csv", "row 3", "'coin'"]),
    "text among the caps": (
        {"caps": CAPS + "bitcoin,2021-01-02T00:00:00Z,n/a\n"},
        ["caps.csv", "row 2", "'cap'", "n/a"],
    ),
    "caps without a column": ({"caps": CAPS.replace("cap\n", "kap\n")}, ["caps.csv", "'cap'"]),
    "unknown instrument wanted": (
        {"edit": [('volume = "v"', 'only = ["DOGE"]\nvolume = "v"')]},
        ["mine.toml", "only", "DOGE"],
    ),
    "nothing believable": ({"bars": HEADER + bar(0, "-1,2,0.5,1,1")}, ["bars.csv", "non_positive_price"]),
}


@pytest.mark.parametrize("name", STOPPED)
def test_bad_input_is_stopped_naming_file_row_and_column(tmp_path: Path, name: str) -> None:
    files, words = STOPPED[name]
    with pytest.raises(ArchiveError) as caught:
        make(tmp_path, **files).load(START, END)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


QUARANTINED: dict[str, tuple[str, str]] = {
    "negative price": (bar(5, "-1,2,0.5,1,100"), "non_positive_price"),
    "zero price": (bar(5, "1,2,0,1,100"), "non_positive_price"),
    "NaN": (bar(5, "nan,2,0.5,1,100"), "missing_price"),
    "empty price": (bar(5, ",2,0.5,1,100"), "missing_price"),
    "infinity": (bar(5, "1,inf,0.5,1,100"), "infinite_price"),
    "number too large for a float": (bar(5, "1,1e999,0.5,1,100"), "infinite_price"),
    "price too large to record": (bar(5, "1e20,1e20,1e20,1e20,1"), "huge_price"),
    "tiny price": (bar(5, "1e-16,1e-16,1e-16,1e-16,1"), "tiny_price"),
    "high below low": (bar(5, "1,0.5,2,1,100"), "high_below_low"),
    "open above high": (bar(5, "3,2,0.5,1,100"), "open_outside_range"),
    "close below low": (bar(5, "1,2,0.5,0.4,100"), "close_outside_range"),
    "negative volume": (bar(5, "1,2,0.5,1,-100"), "negative_volume"),
    "volume overflow": (bar(5, "1,2,0.5,1,1e300"), "huge_volume"),
    "misaligned": (bar(5.25), "misaligned_time"),
    "a +900 % print": (bar(5, "1,11,0.5,10,100"), "jump_up"),
}


@pytest.mark.parametrize("name", QUARANTINED)
def test_a_bad_row_is_quarantined_under_its_rule_and_the_rest_goes_on(tmp_path: Path, name: str) -> None:
    rows, rule = QUARANTINED[name]
    provider = make(tmp_path, GOOD + rows + bar(6))
    panel = provider.load(START, END)
    assert {row.rule for row in panel.quarantined} == {rule} == set(provider.quarantine_counts)
    assert all(row.instrument == "BTC" and row.detail.startswith("open=") for row in panel.quarantined)
    there = np.flatnonzero(~np.isnan(panel.close[:, 0])).tolist()
    assert there == [0, 1, 2, 3, 4, 6]
    assert (panel.segment_start[6:, 0] == T0).all()


def test_rows_that_contradict_are_listed_and_the_bar_spans_them(tmp_path: Path) -> None:
    panel = make(tmp_path, GOOD + bar(5) + bar(5, "1,2,0.5,1.5,100") + bar(6)).load(START, END)
    assert [row.rule for row in panel.quarantined] == ["conflicting_duplicate"] * 2
    assert {row.detail[-27:] for row in panel.quarantined} == {
        " low=0.5 close=1 volume=100",
        "ow=0.5 close=1.5 volume=100",
    }
    assert panel.close[5, 0] == 1


def test_an_archive_in_which_nothing_is_believed_says_which_row_broke_which_rule(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError) as caught:
        make(tmp_path, HEADER + bar(0, "-1,2,0.5,1,1") + bar(1, "0,2,0.5,1,1")).load(START, END)
    assert str(caught.value) == (
        f"{tmp_path / 'bars.csv'}: row 1: none of the 2 rows is believed; this one, 'BTC' stamped "
        "2021-01-01T00:00:00.000000Z, broke the rule non_positive_price (a price is zero or negative): open=-1 high=2 "
        "low=0.5 close=1 volume=1; mend the columns, the interval, or stamp in the description"
    )
    with pytest.raises(ArchiveError, match="none of its 2 rows is a bar in which anybody traded"):
        make(tmp_path, HEADER + bar(0, ",,,,") + bar(1, "2,2,2,2,0")).load(START, END)


def test_the_order_of_rows_and_their_repetition_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    lines = GOOD.splitlines(keepends=True)
    tidy = make(tmp_path / "a").load(START, END)
    provider = make(tmp_path / "b", lines[0] + "".join(reversed(lines[1:])) + lines[3])
    untidy = provider.load(START, END)
    np.testing.assert_array_equal(tidy.close, untidy.close)
    np.testing.assert_array_equal(tidy.segment_start, untidy.segment_start)
    assert untidy.quarantined == ()
    assert provider.dropped == 1


def test_an_unknown_volume_is_unknown_and_not_zero(tmp_path: Path) -> None:
    panel = make(tmp_path, GOOD + bar(5, "1,2,0.5,1,")).load(START, END)
    assert np.isnan(panel.volume[5, 0])
    assert panel.close[5, 0] == 1


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("bitcoin,2021-01-01T03:00:00Z,-5\n", "negative_market_cap"),
        ("bitcoin,2021-01-01T03:00:00Z,inf\n", "infinite_market_cap"),
        ("bitcoin,2021-01-01T03:00:00Z,1e25\n", "huge_market_cap"),
        ("bitcoin,2021-01-01T03:00:00Z,7\nbitcoin,2021-01-01T03:00:00Z,8\n", "conflicting_market_cap"),
        ("bitcoin,2021-01-01T03:00:00Z,0\n", None),
        ("bitcoin,2021-01-01T03:00:00Z,\n", None),
        ("bitcoin,2021-01-01T00:00:00Z,1000\n", None),
        ("other,2021-01-01T03:00:00Z,-5\n", None),
    ],
)
def test_a_bad_reference_value_never_reaches_a_panel(tmp_path: Path, row: str, rule: str | None) -> None:
    panel = make(tmp_path, caps=CAPS + row).load(START, END)
    assert {item.rule for item in panel.quarantined} == ({rule} if rule else set())
    assert set(panel.references["market_cap"].values[:, 0]) == {1000.0}


def test_a_reference_is_known_from_its_availability_until_it_is_too_old(tmp_path: Path) -> None:
    caps = CAPS + "bitcoin,2021-01-01T03:00:00Z,2000\n"
    edit = [('known = "stamp"', 'known = "stamp+2h"\nmax_age = "6h"')]
    cap = make(tmp_path, caps=caps, edit=edit).load(START, END).references["market_cap"]
    # The close of slot i is at i + 1 hours: the first value is known from 02:00, the second from 05:00 until 09:00.
    wanted = [np.nan, 1000, 1000, 1000, 2000, 2000, 2000, 2000, 2000, *[np.nan] * 15]
    np.testing.assert_array_equal(cap.values[:, 0], wanted)
    assert cap.available_at[1, 0] == T0 + 2 * HOUR
    assert cap.event_time[1, 0] == T0
    assert cap.event_time[9, 0] == -1


def test_a_column_may_say_when_each_value_became_known(tmp_path: Path) -> None:
    caps = (
        "id,at,cap,seen\n"
        "bitcoin,2021-01-01T00:00:00Z,1,2021-01-01T04:00:00Z\n"
        "bitcoin,2021-01-01T02:00:00Z,2,2021-01-01T03:00:00Z\n"
        "bitcoin,2021-01-01T06:00:00Z,9,2021-01-01T05:00:00Z\n"
    )
    panel = make(tmp_path, caps=caps, edit=[('known = "stamp"', 'known_column = "seen"')]).load(START, END)
    cap = panel.references["market_cap"]
    # What tells of an earlier event than is known already is not looked at; what was known before its event is refused.
    np.testing.assert_array_equal(cap.values[:, 0], [np.nan, np.nan, *[2.0] * 22])
    assert [row.rule for row in panel.quarantined] == ["market_cap_known_before_its_event"]


PARQUET: dict[str, tuple[Callable[[Any], Any], str]] = {
    "text as numbers": (lambda pa: pa.array(["1", "x"]), "row 2, column 'c' ('x')"),
    "truth values": (lambda pa: pa.array([True, False]), "column 'c' holds bool"),
    "lists": (lambda pa: pa.array([[1.0], [2.0]]), "column 'c' holds list"),
}


def parquet(folder: Path, close: Any = None, time: Any = None) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"coin": pa.array(["A", "A"]), "t": time or pa.array([T0, T0 + HOUR]), "c": close or pa.array([1.0, 1.1])}
    pq.write_table(pa.table(columns), folder / "bars.parquet")
    text = DESCRIPTION.split("[references")[0].replace("bars.csv", "bars.parquet")
    for line in ('open = "o"', 'high = "h"', 'low = "l"', 'volume = "v"', 'volume_unit = "quote"'):
        text = text.replace(line + "\n", "")
    (folder / "mine.toml").write_text(text)
    return folder / "mine.toml"


@pytest.mark.parametrize("name", PARQUET)
def test_a_parquet_column_of_another_type_is_refused(tmp_path: Path, name: str) -> None:
    import pyarrow as pa

    make_column, words = PARQUET[name]
    path = parquet(tmp_path, close=make_column(pa))
    with pytest.raises(ArchiveError) as caught:
        open_archive(path, tmp_path).load(START, END)
    assert words in str(caught.value)
    assert "bars.parquet" in str(caught.value)


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path)
    data = (tmp_path / "bars.parquet").read_bytes()
    (tmp_path / "bars.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(ArchiveError, match=r"bars\.parquet: cannot be read as Parquet"):
        open_archive(path, tmp_path).load(START, END)


def test_parquet_timestamps_and_whole_floats_are_times(tmp_path: Path) -> None:
    import pyarrow as pa

    stamps = [datetime(2021, 1, 1, hour, tzinfo=UTC) for hour in (0, 1)]
    path = parquet(tmp_path, time=pa.array(stamps, pa.timestamp("us", "UTC")))
    path.write_text(path.read_text().replace('"ms"', '"iso"'))
    first = open_archive(path, tmp_path).load(START, END)
    second = open_archive(parquet(tmp_path, time=pa.array([float(T0), float(T0 + HOUR)])), tmp_path).load(START, END)
    np.testing.assert_array_equal(first.close, second.close)
    assert first.close[:2, 0].tolist() == [1.0, 1.1]
    with pytest.raises(ArchiveError, match="whole Unix times"):
        open_archive(parquet(tmp_path, time=pa.array([float(T0), 0.5])), tmp_path).load(START, END)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    provider = make(tmp_path)
    (tmp_path / "caps.csv").unlink()
    with pytest.raises(ArchiveError, match=r"caps\.csv: no such file"):
        provider.load(START, END)
    with pytest.raises(ArchiveError, match=r"nowhere: no such folder"):
        open_archive(tmp_path / "mine.toml", tmp_path / "nowhere").load(START, END)


@pytest.mark.parametrize(
    ("start", "end", "word"),
    [
        (datetime(2021, 1, 5, tzinfo=UTC), datetime(2021, 1, 6, tzinfo=UTC), "ends on 2021-01-01"),
        (END, START, "the end after the start"),
        (START.replace(hour=3), END, "whole UTC days"),
        (datetime(2021, 1, 1), END, "time zone"),  # noqa: DTZ001
    ],
)
def test_a_window_that_makes_no_sense_is_refused(tmp_path: Path, start: datetime, end: datetime, word: str) -> None:
    with pytest.raises(ArchiveError, match=word):
        make(tmp_path).load(start, end)


def test_one_file_per_instrument_takes_the_name_from_the_file(tmp_path: Path) -> None:
    for coin in ("WIF", "PEPE"):
        (tmp_path / f"{coin}.csv").write_text("date,c\n2021-01-01 00:00:00,1\n2021-01-01 01:00:00,1.5\n")
    (tmp_path / "mine.toml").write_text(
        'name = "x"\n[bars]\nfile = "*.csv"\ninstrument_from_file_name = true\ntime = "date"\ntime_unit = "iso"\n'
        'time_zone = "UTC"\nstamp = "close"\ninterval = "1h"\nclose = "c"\n'
    )
    panel = open_archive(tmp_path / "mine.toml", tmp_path).load(datetime(2020, 12, 31, tzinfo=UTC), END)
    assert panel.instruments == ("PEPE", "WIF")
    assert panel.close[23].tolist() == [1.0, 1.0]  # a stamp at the close belongs to the bar before it
    assert panel.close[24].tolist() == [1.5, 1.5]
    assert panel.close_only


def test_base_volume_becomes_quote_volume_and_own_columns_need_belief(tmp_path: Path) -> None:
    text = DESCRIPTION.split("[references")[0].replace('volume_unit = "quote"', 'volume_unit = "base"')
    text += '[references.market_cap]\nvalue = "cap"\nknown = "close"\n'
    (tmp_path / "mine.toml").write_text(text)
    rows = f"A,{T0},1,2,0.5,2,10,500\nA,{T0 + HOUR},1,90,0.5,80,10,40000\n"
    (tmp_path / "bars.csv").write_text("coin,t,o,h,l,c,v,cap\n" + rows)
    panel = open_archive(tmp_path / "mine.toml", tmp_path).load(START, END)
    assert panel.volume[0, 0] == 20
    assert panel.quarantined[0].rule == "jump_up"
    cap = panel.references["market_cap"]
    assert cap.values[:3, 0].tolist() == [500.0, 500.0, 500.0]  # the cap of a bad print is as bad as its price
    assert cap.available_at[0, 0] == T0 + HOUR
