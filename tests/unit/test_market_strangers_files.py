"""What a stranger's files did silently: rows of two kinds, links, copies, quotes, times a day or twelve hours off. Each
is read rightly or refused by a sentence that names the place.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.archive_files import DAY, T0, Bar, bars, moment, put
from throughline.errors import ThroughlineError
from throughline.market.archive import ArchiveProvider, open_archive
from throughline.market.names import look_key
from throughline.market.stamps import _with_all_digits

HEADER = "coin,time,open,high,low,close,volume\n"
KEYS: dict[str, Any] = {
    "file": "bars.csv",
    "instrument": "coin",
    "time": "time",
    "time_unit": "ms",
    "stamp": "open",
    "interval": "1h",
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "volume_unit": "quote",
}
CAPS = """
[references.market_cap]
file = "caps.csv"
instrument = "coin"
time = "time"
time_unit = "ms"
value = "cap"
known = "stamp"
[references.market_cap.map]
file = "map.csv"
instrument = "pair"
key = "id"
"""
ROWS = bars(48)


def text(rows: list[Bar], name: str = "AAA") -> str:
    return "".join(f"{name},{','.join(map(str, row))}\n" for row in rows)


def plain(rows: list[Bar]) -> str:
    return "time,open,high,low,close,volume\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def opened(folder: Path, extra: str = "", top: str = "", **changes: Any) -> ArchiveProvider:
    keys = {key: value for key, value in (KEYS | changes).items() if value is not None}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
    document = f'name = "x"\n{top}\n[bars]\n' + "\n".join(lines) + "\n" + extra
    (folder / "a.toml").write_text(document, encoding="utf-8")
    return open_archive(folder / "a.toml", folder)


def refusal(folder: Path, extra: str = "", top: str = "", **changes: Any) -> str:
    with pytest.raises(ThroughlineError) as caught:
        _ = opened(folder, extra, top, **changes).description
    words = str(caught.value)
    assert words.isprintable()
    assert len(words) < 900
    return words


def closes(provider: ArchiveProvider, days: int = 2) -> list[float]:
    panel = provider.load(moment(T0), datetime.fromtimestamp(T0 / 1000 + days * 86_400, UTC))
    return [float(value) for value in panel.close[:, 0]]


def longer(rows: list[Bar], count: int) -> list[Bar]:
    """Return the bars of `count` intervals that these bars make."""
    result = []
    for start in range(0, len(rows), count):
        part = rows[start : start + count]
        high, low = max(row[2] for row in part), min(row[3] for row in part)
        result.append((part[0][0], part[0][1], high, low, part[-1][4], sum(row[5] for row in part)))
    return result


@given(count=st.sampled_from([2, 4, 6, 12]), first=st.booleans())
def test_bars_of_two_intervals_under_one_name_are_refused(
    tmp_path_factory: pytest.TempPathFactory, count: int, first: bool
) -> None:
    # A bar of 4 h contains the hour that opens with it: it would be that hour, three hours before it was known.
    folder = tmp_path_factory.mktemp("two")
    parts = [text(longer(ROWS, count)), text(ROWS)]
    put(folder, "bars.csv", HEADER + "".join(parts if first else reversed(parts)))
    words = refusal(folder)
    assert "two intervals" in words
    assert words.count("bars.csv: row") == 2


def test_running_and_complete_candles_of_every_hour_are_the_complete_ones(tmp_path: Path) -> None:
    running = [(at, o, max(o, (o + c) / 2), min(o, (o + c) / 2), (o + c) / 2, 1.0) for at, o, _, _, c, _ in ROWS]
    put(tmp_path, "bars.csv", HEADER + text(running) + text(ROWS))
    assert closes(opened(tmp_path)) == [row[4] for row in ROWS]


def test_rows_of_two_markets_under_one_name_in_one_file_are_refused(tmp_path: Path) -> None:
    other = [(at, *(round(price * 1.002, 6) for price in prices), volume) for at, *prices, volume in ROWS]
    put(tmp_path, "bars.csv", HEADER + text(ROWS) + text(other))
    words = refusal(tmp_path)
    assert "bars.csv: row 1 and" in words
    assert "bars.csv: row 49 both give the bar of 'AAA'" in words


def test_one_file_that_links_give_two_names_is_refused_and_a_copy_is_told(tmp_path: Path) -> None:
    pattern = {"file": "{instrument}/1h.csv", "instrument": None}
    put(tmp_path, "AAA/1h.csv", plain(ROWS))
    (tmp_path / "BBB").symlink_to(tmp_path / "AAA")
    assert "one file (a link)" in refusal(tmp_path, **pattern)
    (tmp_path / "BBB").unlink()
    assert opened(tmp_path, **pattern).description.doubts == ()
    put(tmp_path, "BBB/1h.csv", plain(ROWS[:-1]))
    (told,) = opened(tmp_path, **pattern).description.doubts
    assert "'AAA' and 'BBB' look like one coin" in told
    assert "47 bars" in told


def test_two_coins_that_stand_at_one_price_are_no_copies(tmp_path: Path) -> None:
    still = [(row[0], 1.0, 1.0, 1.0, 1.0, 7.0) for row in ROWS]
    dead = [(row[0], 1e-6, 2e-6, 1e-6, (1 + place % 2) * 1e-6, 0.5) for place, row in enumerate(ROWS)]
    for rows in (still, dead):
        put(tmp_path, "bars.csv", HEADER + text(rows, "AAA") + text(rows, "BBB"))
        assert opened(tmp_path).description.doubts == ()


@pytest.mark.parametrize("names", [("AAA_old", "AAA_new"), ("AAA_part1", "AAA_part2"), ("2023AAA", "2024AAA")])
@pytest.mark.parametrize("overlap", [0, 1])
def test_file_names_that_make_two_instruments_of_one_series_are_refused(
    tmp_path: Path, names: tuple[str, str], overlap: int
) -> None:
    put(tmp_path, f"{names[0]}.csv", plain(ROWS[: 24 + overlap]))
    put(tmp_path, f"{names[1]}.csv", plain(ROWS[24:]))
    words = refusal(tmp_path, file="*.csv", instrument=None, instrument_from_file_name=True)
    assert "instrument in pieces" in words
    assert (
        len(opened(tmp_path, file="{instrument}.csv", instrument=None).load(moment(T0), moment(T0 + DAY)).instruments)
        == 2
    )


def test_what_a_pattern_names_and_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    pattern = {"file": "{instrument}.csv", "instrument": None}
    put(tmp_path, "AAA.csv", plain(ROWS))
    put(tmp_path, "._AAA.csv", b"\0\5\26\7\0\2")  # what macOS writes beside a file on a foreign disk
    assert closes(opened(tmp_path, **pattern)) == [row[4] for row in ROWS]
    (tmp_path / "BBB.csv").symlink_to("nowhere.csv")
    assert "BBB.csv: is a link to 'nowhere.csv', where nothing is" in refusal(tmp_path, **pattern)
    (tmp_path / "BBB.csv").unlink()
    os.mkfifo(tmp_path / "CCC.csv")
    assert "CCC.csv: is no plain file" in refusal(tmp_path, **pattern)
    assert "CCC.csv: is no plain file" in refusal(tmp_path, file="CCC.csv")
    (tmp_path / "CCC.csv").unlink()
    (tmp_path / "deep" / "DDD").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    assert "link: is a link to a folder" in refusal(tmp_path, file="**/{instrument}.csv", instrument=None)
    assert "deep: is a folder" in refusal(tmp_path, file="deep", format="csv")


def test_a_folder_that_may_not_be_read_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "AAA/1h.csv", plain(ROWS))
    put(tmp_path, "BBB/1h.csv", plain(ROWS))
    scandir = os.scandir

    def closed(path: Any) -> Any:
        if str(path).endswith("BBB"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    words = refusal(tmp_path, file="*/[0-9]h.csv", instrument=None, instrument_from_file_name=True)
    assert "BBB: cannot be read (Permission denied)" in words


def test_a_file_name_that_is_no_unicode_is_one_sentence(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/A\xff-b-c.csv")).write_text(plain(ROWS))
    assert "<U+DCFF>" in refusal(tmp_path, file="{instrument}-*.csv", instrument=None)


@pytest.mark.parametrize(("first", "last"), [('"buy', 'x"'), ('"buy', '"'), ('"', '"')])
@pytest.mark.parametrize("distance", [1, 2, 10])
@pytest.mark.parametrize("front", [True, False])
def test_rows_between_two_stray_quotes_of_an_unread_column_are_not_lost_without_a_word(
    tmp_path: Path, first: str, last: str, distance: int, front: bool
) -> None:
    notes = {10: first, 10 + distance: last}
    lines = text(ROWS).splitlines()
    if front:
        whole = ["note," + HEADER.strip(), *(f"{notes.get(row, 'n')},{line}" for row, line in enumerate(lines))]
    else:
        whole = [HEADER.strip() + ",note", *(f"{line},{notes.get(row, 'n')}" for row, line in enumerate(lines))]
    put(tmp_path, "bars.csv", "\n".join(whole) + "\n")
    words = refusal(tmp_path)
    assert "row 11 holds a quote" in words


def test_a_text_of_several_lines_in_an_unread_column_is_read(tmp_path: Path) -> None:
    lines = [f'{line},"one, two\nthree, ""four"""' for line in text(ROWS).splitlines()]
    put(tmp_path, "bars.csv", HEADER.strip() + ",note\n" + "\n".join(lines) + "\n")
    assert closes(opened(tmp_path)) == [row[4] for row in ROWS]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("%Y-%m-%d %H:%M %p", "%p (AM or PM) counts only with %I"),
        ("%Y-%m-%d %H:%M %Z", "%Z reads the name of a zone and ignores it"),
        ("%Y-%m-%d %I:%M", "needs %p"),
    ],
)
def test_a_form_that_reads_other_times_than_the_texts_say_is_refused(tmp_path: Path, form: str, words: str) -> None:
    put(tmp_path, "bars.csv", HEADER + text(ROWS))
    assert words in refusal(tmp_path, time_unit=None, time_format=form, time_zone="America/New_York")


def test_days_as_closes_are_refused_since_they_would_be_known_a_day_too_early(tmp_path: Path) -> None:
    days = [(at, *rest) for at, *rest in bars(30, step=DAY)]
    put(
        tmp_path,
        "bars.csv",
        HEADER + "".join(f"AAA,{moment(row[0]):%Y-%m-%d},{','.join(map(str, row[1:]))}\n" for row in days),
    )
    daily = {"interval": "1d", "stamp": "close"}
    assert "bars.stamp is" in refusal(tmp_path, time_unit="date", **daily)
    assert "bars.stamp is" in refusal(tmp_path, time_unit=None, time_format="%Y-%m-%d", time_zone="UTC", **daily)
    assert "row 1, column 'time'" in refusal(tmp_path, time_unit="iso", time_zone="UTC", **daily)
    assert closes(opened(tmp_path, time_unit="date", interval="1d"), 30) == [row[4] for row in days]


def test_numbers_side_by_side_must_have_all_their_digits(tmp_path: Path) -> None:
    days = bars(30, step=DAY)
    keys = {"interval": "1d", "time_unit": None, "time_format": "%Y%m%d", "time_zone": "UTC"}
    for form, fits in (("%Y%m%d", True), ("%Y%-m%-d", False)):
        lines = "".join(f"AAA,{moment(row[0]).strftime(form)},{','.join(map(str, row[1:]))}\n" for row in days)
        put(tmp_path, "bars.csv", HEADER + lines)
        if fits:
            assert closes(opened(tmp_path, **keys), 30) == [row[4] for row in days]
        else:
            assert "row 1, column 'time' ('202431') leaves digits out" in refusal(tmp_path, **keys)


@given(
    st.integers(0, 99 * 365 * 86_400),
    st.sampled_from(["%Y%m%d%H%M%S", "%y%m%d %I:%M %p", "%d.%m.%Y (%H:%M)", "%Y%m%dT%H%M%S.%f", "%b %d, %Y %H%M"]),
)
def test_every_text_that_a_form_writes_has_all_its_digits(seconds: int, form: str) -> None:
    when = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert re.fullmatch(_with_all_digits(form), when.strftime(form))


def test_months_described_as_days_are_refused(tmp_path: Path) -> None:
    rows = [
        (int(datetime(2015 + place // 12, place % 12 + 1, 1, tzinfo=UTC).timestamp() * 1000), *row[1:])
        for place, row in enumerate(bars(40))
    ]
    put(tmp_path, "bars.csv", HEADER + text(rows))
    assert "bars stand 31 d apart where the description says 1 d" in refusal(tmp_path, interval="1d")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"open": 6}, "bars.close and bars.open are one column, number 6 ('close')"),
        ({"close": 2}, "bars.time and bars.close are one column"),
        ({"instrument": 6}, "bars.instrument and bars.close are one column"),
        ({"instrument": "time"}, "bars.instrument is the same column as time"),
        ({"instrument": "close"}, "bars.close is the same column as instrument"),
        ({"only": []}, "bars.only is an empty list"),
        ({"delimiter": "¦"}, "bars.delimiter is '¦'"),
        ({"delimiter": '"'}, "bars.delimiter"),
        ({"delimiter": "\n"}, "bars.delimiter"),
        ({"columns": ["", "x"]}, "an entry that is empty"),
        ({"file": "c\\bars.csv"}, "divided by /"),
        ({"file": "bars"}, "has no ending"),
    ],
)
def test_a_setting_that_means_something_else_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    put(tmp_path, "bars.csv", HEADER + text(ROWS))
    assert words in refusal(tmp_path, **changes)


def test_names_in_a_description_and_a_map_are_the_same_in_both_unicode_forms(tmp_path: Path) -> None:
    one, other = "\u00c9", "E\u0301"
    put(tmp_path, "bars.csv", HEADER + text(ROWS, one))
    put(tmp_path, "caps.csv", f"coin,time,cap\n{one},{T0},5\n")
    put(tmp_path, "map.csv", f"pair,id\n{other},{other}\n")
    provider = opened(tmp_path, CAPS, top=f'benchmark = "{other}"', only=[other])
    assert provider.description.benchmark == one
    panel = provider.load(moment(T0), moment(T0 + DAY))
    assert panel.references["market_cap"].values[0, 0] == 5


@pytest.mark.parametrize("name", ["bbb", "BBB ", "ＢＢＢ", "BBB\u200b", " BBB"])
def test_a_map_that_spells_an_instrument_otherwise_is_refused_and_not_left_out(tmp_path: Path, name: str) -> None:
    put(tmp_path, "bars.csv", HEADER + text(ROWS, "AAA") + text(bars(48, scale=3), "BBB"))
    put(tmp_path, "caps.csv", f"coin,time,cap\na,{T0},5\nb,{T0},5\n")
    put(tmp_path, "map.csv", f"pair,id\nAAA,a\n{name},b\n")
    words = refusal(tmp_path, CAPS)
    assert "map.csv: row 2, column 'pair'" in words
    assert "'BBB'" in words
    assert look_key(name) == look_key("BBB")


def test_keys_of_a_table_without_its_file_are_said_to_lack_it(tmp_path: Path) -> None:
    put(tmp_path, "bars.csv", HEADER + text(ROWS))
    words = refusal(tmp_path, '[references.market_cap]\nvalue = "volume"\nknown = "close"\ntime = "time"\n')
    assert "references.market_cap.file is missing, though time is given" in words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git LFS pointer"),
        (b"<!-- x --><html>", "web page or XML"),
        (b"<Error><Code>AccessDenied</Code></Error>", "web page or XML"),
        ((HEADER + text(ROWS)).encode("utf-32"), "UTF-32"),
        ((HEADER + text(ROWS)).encode("utf-16-le"), "UTF-16"),
        ((HEADER + text(ROWS)).encode("utf-16-be"), "UTF-16"),
        (b"x" * 200_000, "a field of more than 131,072 characters"),
        (HEADER.strip().encode(), "has no rows"),
        ((HEADER + text(ROWS) + HEADER).encode(), "the header line stands here once more"),
        (b"coin" + b"\0" * (3 << 20), "NUL characters from byte 1,048,576 on"),
        (gzip.compress(b"\n" * (80 << 20)), "more than 300 times its size"),
    ],
    ids=["lfs", "comment", "xml", "utf-32", "utf-16-le", "utf-16-be", "long", "header", "twice", "nul", "bomb"],
)
def test_a_file_that_is_something_else_is_called_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    put(tmp_path, "bars.csv", content)
    assert words in refusal(tmp_path)


def test_archives_and_workbooks_are_called_what_they_are(tmp_path: Path) -> None:
    head = b"AAA.csv".ljust(257, b"\0") + b"ustar\x0000" + b"\0" * 300
    put(tmp_path, "bars.csv", gzip.compress(head))
    assert "a tar archive" in refusal(tmp_path)
    for members, words in (
        (["[Content_Types].xml", "xl/workbook.xml"], "Excel workbook"),
        (["AAA/"], "holds 0 files; a zip"),
        (["bars.csv", ".DS_Store"], None),
    ):
        with zipfile.ZipFile(tmp_path / "bars.csv", "w") as packed:
            for member in members:
                packed.writestr(member, HEADER + text(ROWS) if member == "bars.csv" else "")
        if words is None:
            assert closes(opened(tmp_path)) == [row[4] for row in ROWS]
        else:
            assert words in refusal(tmp_path)


def test_utf16_without_a_mark_is_read_in_both_orders(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        put(tmp_path, "bars.csv", (HEADER + text(ROWS)).encode(encoding))
        assert closes(opened(tmp_path, encoding="utf-16")) == [row[4] for row in ROWS]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ('"1.5"', "is a text, and the rows before it hold a number"),
        ("true", "(true) is true or false"),
        ("[1]", "is a list"),
    ],
)
def test_a_json_value_of_another_kind_is_named_with_its_row(tmp_path: Path, cell: str, words: str) -> None:
    rows = [json.dumps(["AAA", *row]) for row in ROWS]
    rows[3] = rows[3].replace(f", {ROWS[3][1]},", f", {cell},")
    put(tmp_path, "bars.json", f"[{','.join(rows)}]")
    refused = refusal(tmp_path, file="bars.json", columns=HEADER.strip().split(","))
    assert "row 4, column 'open'" in refused
    assert words in refused


def test_json_takes_whole_numbers_of_any_size_and_no_half_characters(tmp_path: Path) -> None:
    names = HEADER.strip().split(",")
    put(tmp_path, "bars.json", json.dumps([["AAA", *row[:5], 10**19 + place] for place, row in enumerate(ROWS)]))
    panel = opened(tmp_path, file="bars.json", columns=names).load(moment(T0), moment(T0 + DAY))
    assert panel.volume[0, 0] == 1e19
    put(tmp_path, "bars.json", json.dumps([["A\ud800", *row] for row in ROWS]))
    assert "row 1, column 'coin'" in refusal(tmp_path, file="bars.json", columns=names)
    assert "columns = [...]" in refusal(tmp_path, file="bars.json")


def test_a_volume_of_minus_zero_is_zero(tmp_path: Path) -> None:
    put(tmp_path, "bars.csv", HEADER + text(ROWS).replace(f",{ROWS[5][5]}\n", ",-0.0\n"))
    volume = opened(tmp_path).load(moment(T0), moment(T0 + DAY)).volume
    assert volume[5, 0] == 0
    assert not np.signbit(volume[5, 0])


def test_a_parquet_file_of_a_billion_equal_values_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from throughline.market import arrow_file

    names, columns = HEADER.strip().split(",")[1:], zip(*ROWS, strict=True)
    table = {"coin": pa.array(["AAA"] * len(ROWS)), **dict(zip(names, map(pa.array, columns), strict=True))}
    pq.write_table(pa.table(table), tmp_path / "bars.parquet")
    assert closes(opened(tmp_path, file="bars.parquet")) == [row[4] for row in ROWS]
    monkeypatch.setattr(arrow_file, "_MOST_VALUES", 7 * len(ROWS) - 1)
    assert "bars.parquet: holds more than" in refusal(tmp_path, file="bars.parquet")


def test_a_position_that_names_another_column_in_another_file_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "AAA.csv", plain(ROWS))
    turned = plain(ROWS).replace("open,high", "high,open", 1)
    put(tmp_path, "BBB.csv", turned)
    keys = {"file": "{instrument}.csv", "instrument": None}
    assert "column number 2 is 'open' in one and 'high' in the other" in refusal(tmp_path, open=2, high=3, **keys)
    assert opened(tmp_path, **keys).description.name == "x"


def test_a_text_for_no_value_counts_with_spaces_around_it_too(tmp_path: Path) -> None:
    put(tmp_path, "bars.csv", HEADER + text(ROWS) + f"AAA,{T0 + 48 * 3_600_000}, - ,-,- , -,-\n")
    assert closes(opened(tmp_path, nulls=["-"])) == [row[4] for row in ROWS]


def test_names_that_differ_in_punctuation_and_instruments_without_a_believed_row_are_told(tmp_path: Path) -> None:
    late = [(at + 1_800_000, *rest) for at, *rest in bars(48, scale=7)]
    put(tmp_path, "bars.csv", HEADER + text(ROWS, "A/USDT") + text(bars(48, scale=3), "AUSDT") + text(late, "B"))
    punctuation, nothing = opened(tmp_path).description.doubts
    assert "'A/USDT' and 'AUSDT'" in punctuation
    assert "'B': not one row is believed (48 misaligned_time)" in nothing


def test_a_named_pipe_as_description_is_refused_and_waits_for_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.toml")
    with pytest.raises(ThroughlineError, match="is a named pipe"):
        open_archive(tmp_path / "a.toml", tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("AAAUSDT-1h-2024-02", "AAAUSDT-1h-2024-03"),
        ("AAAUSDT-1h-2023-12", "AAAUSDT-1h-2024-01"),
        ("AAA_202402", "AAA_202403"),
        ("AAA_USDT_2024_02_01", "AAA_USDT_2024_02_02"),
        ("AAA-1", "AAA-2"),
        ("AAA Feb 2024", "AAA Mar 2024"),
    ],
)
def test_the_pattern_that_a_refusal_advises_reads_the_files(tmp_path: Path, names: tuple[str, str]) -> None:
    put(tmp_path, f"{names[0]}.csv", plain(ROWS[:24]))
    put(tmp_path, f"{names[1]}.csv", plain(ROWS[24:]))
    words = refusal(tmp_path, file="*.csv", instrument=None, instrument_from_file_name=True)
    advised = words.split('for example file = "')[1].split('"')[0]
    panel = opened(tmp_path, file=advised, instrument=None).load(moment(T0), moment(T0 + DAY))
    assert panel.instruments == (re.split(r"[-_ ](?:\d|Feb|Mar)", names[0])[0],)


def test_a_data_folder_and_a_description_that_may_not_be_looked_at_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "bars.csv", HEADER + text(ROWS))
    provider = opened(tmp_path)
    stat = Path.stat

    def closed(path: Path, **keys: Any) -> os.stat_result:
        if path.name in (tmp_path.name, "a.toml"):
            raise PermissionError(13, "Permission denied")
        return stat(path, **keys)

    monkeypatch.setattr(Path, "stat", closed)
    with pytest.raises(ThroughlineError, match=r"may not be read \(Permission denied\); give the folder"):
        _ = provider.description
    with pytest.raises(ThroughlineError, match=r"a\.toml: may not be read"):
        open_archive(tmp_path / "a.toml", tmp_path)
