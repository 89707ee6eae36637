"""Every example of a layout in examples/archives/README.md reads files of that layout rightly; other ways to write
numbers, times and columns are read rightly or refused by name.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.archive_files import DAY, HOUR, LAYOUTS, T0, bars, moment, put, zipped
from throughline.errors import ArchiveError, SettingsError
from throughline.market.archive import open_archive
from throughline.market.columns import number_pattern
from throughline.market.panel import MarketPanel

DESCRIPTION = """
name = "x"
[bars]
file = "bars.csv"
instrument = "coin"
time = "time"
time_unit = "ms"
stamp = "open"
interval = "1h"
close = "close"
"""


def examples(repo: Path) -> dict[str, str]:
    text = (repo / "examples" / "archives" / "README.md").read_text(encoding="utf-8")
    part = text.split("## Layouts of common sources\n")[1].split("\n## ")[0]
    sections = re.split(r"^### ", part, flags=re.MULTILINE)[1:]
    return {one.split("\n")[0]: re.search(r"```toml\n(.*?)```", one, re.DOTALL)[1] for one in sections}  # type: ignore[index]


def panel_of(folder: Path, text: str, days: int = 4) -> MarketPanel:
    (folder / "a.toml").write_text(text, encoding="utf-8")
    return open_archive(folder / "a.toml", folder).load(moment(T0), moment(T0) + timedelta(days=days))


def edited(**changes: Any) -> str:
    lines = []
    for line in DESCRIPTION.strip().splitlines():
        key = line.partition(" = ")[0]
        lines.append(f"{key} = {changes.pop(key)}" if key in changes else line)
    return "\n".join(
        [*(line for line in lines if not line.endswith("None")), *(f"{k} = {v}" for k, v in changes.items())]
    )


def test_every_example_has_a_writer_and_every_writer_an_example(repo: Path) -> None:
    assert set(examples(repo)) == set(LAYOUTS)


@pytest.mark.parametrize("title", LAYOUTS)
def test_the_example_of_a_layout_reads_its_files(repo: Path, tmp_path: Path, title: str) -> None:
    text = examples(repo)[title]
    step = DAY if 'interval = "1d"' in text else HOUR
    rows = bars(4 if step == DAY else 30, step=step, scale=1000 if title == "European CSV" else 1)
    LAYOUTS[title](tmp_path, rows)
    panel = panel_of(tmp_path, text)
    assert panel.instruments == ("AAAUSDT",)
    np.testing.assert_array_equal(panel.close[: len(rows), 0], [bar[4] for bar in rows])
    np.testing.assert_array_equal(panel.open[: len(rows), 0], [bar[1] for bar in rows])
    np.testing.assert_array_equal(panel.low[: len(rows), 0], [bar[3] for bar in rows])
    assert np.isnan(panel.close[len(rows) + 1 :, 0]).all()
    if "volume = " in text:
        np.testing.assert_allclose(panel.volume[: len(rows), 0], [bar[5] for bar in rows], rtol=1e-6)


def close_rows(header: str = "coin,time,close\n", count: int = 3) -> str:
    return header + "".join(f"AAA,{T0 + hour * HOUR},{1.5 + hour}\n" for hour in range(count))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bars.csv.gz", gzip.compress(close_rows().encode())),
        ("bars.csv.bz2", bz2.compress(close_rows().encode())),
        ("bars.csv.xz", lzma.compress(close_rows().encode())),
        ("bars.csv.zip", zipped("whatever.csv", close_rows())),
        ("bars.zip", zipped("whatever.csv", close_rows())),
        ("bars.csv", gzip.compress(close_rows().encode())),
        ("bars.csv", b"\xef\xbb\xbf" + close_rows().encode()),
        ("bars.csv", close_rows().replace("\n", "\r\n").encode()),
        ("bars.csv", close_rows().replace("\n", "\n\n").encode()),
        ("bars.csv", re.sub(r"([^,\n]+)", r'"\1"', close_rows()).encode()),
    ],
    ids=(  # not of the bytes: a gzip header holds the time of day, and both workers must collect the same names
        "gzip",
        "bzip2",
        "xz",
        "zip beside csv",
        "zip",
        "gzip by content",
        "byte order mark",
        "Windows line ends",
        "empty lines",
        "quoted",
    ),
)
def test_a_packed_or_marked_file_reads_as_the_plain_one(tmp_path: Path, name: str, content: bytes) -> None:
    put(tmp_path, name, content)
    panel = panel_of(tmp_path, edited(file=f'"{name}"'))
    assert panel.close[:3, 0].tolist() == [1.5, 2.5, 3.5]


def test_columns_by_position_by_no_name_and_by_given_names_are_the_same_columns(tmp_path: Path) -> None:
    put(tmp_path, "bars.csv", close_rows(",time,close\n"))
    for changes in (
        {"instrument": '""'},
        {"instrument": "1", "time": "2", "close": "3"},
        {"skip_lines": "1", "columns": '["coin", "time", "close"]'},
        {"columns": '["coin", "time", "close"]'},
    ):
        assert panel_of(tmp_path, edited(**changes)).close[:3, 0].tolist() == [1.5, 2.5, 3.5]


def test_a_header_that_only_some_files_have_is_left_out_where_columns_are_named(tmp_path: Path) -> None:
    put(tmp_path, "AAA-1.csv", f"{T0},1.5\n")
    put(tmp_path, "AAA-2.csv", f"time,close\n{T0 + HOUR},2.5\n")
    text = edited(file='"{instrument}-*.csv"', instrument="None", columns='["time", "close"]')
    assert panel_of(tmp_path, text).close[:2, 0].tolist() == [1.5, 2.5]


def test_times_of_every_form_are_the_same_instants(tmp_path: Path) -> None:
    at = moment(T0 + 14 * HOUR)
    forms: list[tuple[object, dict[str, str]]] = [
        (int(at.timestamp()), {"time_unit": '"s"'}),
        (int(at.timestamp()), {"time_unit": '"unix"'}),
        (int(at.timestamp() * 1e3), {"time_unit": '"unix"'}),
        (int(at.timestamp() * 1e6), {"time_unit": '"unix"'}),
        (int(at.timestamp() * 1e9), {"time_unit": '"unix"'}),
        (f"{int(at.timestamp())}.0", {"time_unit": '"unix"'}),
        ("2024-03-01T14:00:00Z", {"time_unit": '"iso"'}),
        ("2024-03-01T14:00:00.000000+00:00", {"time_unit": '"iso"'}),
        ("2024-03-01T15:00+01:00", {"time_unit": '"iso"'}),
        (" 2024-03-01 14:00:00 ", {"time_unit": '"iso"', "time_zone": '"UTC"'}),
        ("2024-03-01 15:00:00", {"time_unit": '"iso"', "time_zone": '"Europe/Berlin"'}),
        ("2024-03-01 02-PM", {"time_unit": "None", "time_format": '"%Y-%m-%d %I-%p"', "time_zone": '"UTC"'}),
        ("1.3.2024 15.00", {"time_unit": "None", "time_format": '"%d.%m.%Y %H.%M"', "time_zone": '"Europe/Berlin"'}),
        ("Mar 1, 2024 14:00 +0000", {"time_unit": "None", "time_format": '"%b %d, %Y %H:%M %z"'}),
    ]
    for text, changes in forms:
        put(tmp_path, "bars.csv", f'coin,time,close\nAAA,"{text}",7\n')
        panel = panel_of(tmp_path, edited(**changes))
        assert np.flatnonzero(~np.isnan(panel.close[:, 0])).tolist() == [14], text


@given(st.datetimes(datetime(2001, 1, 1), datetime(2099, 12, 31)))  # noqa: DTZ001
def test_a_unix_time_tells_its_own_unit_from_2001_on(naive: datetime) -> None:
    import pyarrow as pa

    from throughline.market.columns import Rows
    from throughline.market.layout import FileLayout, TableLayout
    from throughline.market.stamps import read_stamps

    second = int(naive.replace(tzinfo=UTC, microsecond=0).timestamp())
    array = pa.array([second, second * 1000, second * 1_000_000, second * 1_000_000_000])
    source = FileLayout("x.csv", "csv")
    rows = Rows("x.csv", source, {"t": array}, 4, ("t",))
    stamps = read_stamps(rows, "t", TableLayout(source, "coin", "t", "unix", None))
    assert stamps.tolist() == [second * 1000] * 4


@pytest.mark.parametrize(
    ("decimal", "thousands", "right", "wrong"),
    [
        (".", None, ["1", "-1.5", "1e-6", ".5", "5.", "NaN", "inf"], ["1,5", "1.2.3", "1_000", "0x10", "", "１"]),
        (",", None, ["1,5", "1,5e-6", ",5"], ["1.5", "60.358", "1.234,5"]),
        (",", ".", ["60.358", "1.234.567,89", "12345,6", "0,5"], ["60.35", "1.2345", "1,234.5"]),
        (".", ",", ["60,358", "1,234,567.89", "12345.6"], ["60,35", "1.234,5"]),
        (".", "'", ["1'000.5"], ["1'00"]),
    ],
)
def test_marks_in_numbers_are_taken_as_described_and_nothing_else(
    decimal: str, thousands: str | None, right: list[str], wrong: list[str]
) -> None:
    pattern = re.compile(number_pattern(decimal, thousands)[0])
    assert [text for text in right if not pattern.match(text)] == []
    assert [text for text in wrong if pattern.match(text)] == []


@given(st.floats(1e-6, 1e12), st.sampled_from([(".", ","), (",", "."), (",", " "), (".", None), (",", None)]))
def test_a_number_written_with_marks_is_read_back(value: float, marks: tuple[str, str | None]) -> None:
    import pyarrow as pa

    from throughline.market.columns import Rows
    from throughline.market.layout import FileLayout

    decimal, thousands = marks
    text = f"{value:,.6f}".replace(",", "_").replace(".", decimal).replace("_", thousands or "")
    rows = Rows(
        "x.csv", FileLayout("x.csv", "csv", decimal=decimal, thousands=thousands), {"v": pa.array([text])}, 1, ("v",)
    )
    assert rows.numbers("v")[0] == float(f"{value:.6f}")


@pytest.mark.parametrize("last", [HOUR - 1, HOUR - 1000, HOUR])
def test_a_close_stamped_with_the_last_instant_of_its_bar_is_the_close(tmp_path: Path, last: int) -> None:
    put(tmp_path, "bars.csv", f"coin,time,close\nAAA,{T0 + last},7\n")
    assert panel_of(tmp_path, edited(stamp='"close"')).close[0, 0] == 7


REFUSED: dict[str, tuple[str | bytes, dict[str, str], list[str]]] = {
    "no header": (close_rows(""), {}, ["no header line", "columns = [...]"]),
    "no header, columns by position": (
        close_rows(""),
        {"instrument": "1", "time": "2", "close": "3"},
        ["no header line", "columns = [...]"],
    ),
    "a line above the header": ("made by x\n" + close_rows(), {}, ["line 2", "skip_lines = 1"]),
    "lines above the header that columns do not explain": (
        "made by x\n" + close_rows(),
        {"columns": '["coin", "time", "close"]'},
        ["row 1 has 1 fields", "columns names 3"],
    ),
    "columns in another order than the header": (
        close_rows(),
        {"columns": '["time", "coin", "close"]'},
        ["'coin'", "position 1", "mend columns"],
    ),
    "no such position": (close_rows(), {"close": "9"}, ["column number 9", "3 columns"]),
    "two columns without a name": (close_rows(",,close\n"), {"time": '""', "instrument": "1"}, ["2 times", "position"]),
    "another delimiter": (close_rows().replace(",", ";"), {}, ["'close'", 'delimiter = ";"']),
    "a column of another case": (close_rows("coin,time,Close\n"), {}, ["did you mean 'Close'"]),
    "a unit that no time has": (close_rows() + "AAA,17,1\n", {"time_unit": '"unix"'}, ["row 4", "(17)"]),
    "a text of another form": (
        close_rows(),
        {"time_unit": "None", "time_format": '"%d.%m.%Y %H"', "time_zone": '"UTC"'},
        ["row 1", "'1709251200000'"],
    ),
    "a word for no value": (close_rows() + f"AAA,{T0},None\n", {}, ["row 4", "'None'", "nulls = ['None']"]),
    "bytes of another encoding": ("coin,time,close\nÄ,1,1\n".encode("latin-1"), {}, ["line 2", "0xC4", "latin-1"]),
    "UTF-16": (close_rows().encode("utf-16"), {}, ["UTF-16", 'encoding = "utf-16"']),
    "JSON": ('[["AAA", 1, 2], ["AAA", 2, 3]]', {}, ["looks like JSON", 'format = "json"']),
    "a web page": ("<!DOCTYPE html><html>\n<body>404, not found</body>", {}, ["looks like a web page"]),
    "two files in one zip": (b"", {}, []),
    "a long row": (close_rows() + "AAA,1,2,3\n", {}, ["row 4 (line 5)", "4 fields", "has 3"]),
    "a quote left open": (close_rows() + 'AAA,"1,2\n', {}, ["row 4", "quote"]),
    "a damaged gzip": (gzip.compress(close_rows().encode() * 50)[:-20], {}, ["gzip", "damaged"]),
    "zstd": (b"\x28\xb5\x2f\xfd123", {}, ["looks like zstd", "unpack"]),
    "Parquet": (b"PAR1xxxx", {}, ["looks like Parquet", 'format = "parquet"']),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_not_as_described_is_refused_with_what_it_looks_like(tmp_path: Path, name: str) -> None:
    content, changes, words = REFUSED[name]
    put(tmp_path, "bars.csv", content)
    if name == "two files in one zip":
        import io
        import zipfile

        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as packed:
            packed.writestr("a.csv", close_rows())
            packed.writestr("b.csv", close_rows())
        put(tmp_path, "bars.csv", buffer.getvalue())
        words = ["2 files", "'a.csv'", "'b.csv'", "unpack"]
    with pytest.raises(ArchiveError) as caught:
        panel_of(tmp_path, edited(**changes))
    for word in ("bars.csv", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": 1}', "no list of rows"),
        ("[]", "no rows"),
        ("[1, 2]", "no list of rows"),
        ('[["AAA", 1, 2], ["AAA", 1]]', "row 2 is not a list of 3 values"),
        ('[["AAA", 1, 2], {"a": 1}]', "row 2 is not a list"),
        ('[["AAA", 1709251200000, 2], ["AAA", "x", 3]]', "row 2, column 'time' ('x')"),
        ('[["AAA", 1709251200000, true]]', "row 1, column 'close' (true)"),
        ('[["AAA", 1709251200000, 2],', "line 1"),
        ("[" * 100_000, "nested too deeply"),
        ('[["AAA", ' + "9" * 5000 + ", 2]]", "digits"),
        ('[{"a": 1, "a": 2}]', "names 'a' twice"),
        ('{"coin": "AAA", "time": 1}\n{"coin": "AAA", "time": 2}\n', "looks like JSON lines"),
        ('["AAA", 1, 2]\n["AAA", 2, 3]\n', "looks like JSON lines"),
        ('[["AAA", 99999999999999999999999, 2]]', "too large"),
    ],
)
def test_a_json_file_of_another_form_is_refused_naming_the_row(tmp_path: Path, content: str, words: str) -> None:
    put(tmp_path, "bars.json", content)
    with pytest.raises(ArchiveError) as caught:
        panel_of(tmp_path, edited(file='"bars.json"', columns='["coin", "time", "close"]'))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600


def test_json_objects_name_their_columns_themselves(tmp_path: Path) -> None:
    put(
        tmp_path,
        "bars.json",
        f'[{{"coin": "AAA", "time": {T0}, "close": "1.5"}}, {{"coin": "AAA", "time": {T0 + HOUR}}}]',
    )
    panel = panel_of(tmp_path, edited(file='"bars.json"'))
    assert panel.close[0, 0] == 1.5
    assert np.isnan(panel.close[1:, 0]).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file": '"bars.parquet"', "delimiter": '";"'}, ["bars.delimiter", "not read"]),
        ({"file": '"bars.parquet"', "decimal": '","'}, ["bars.decimal", "not read"]),
        ({"file": '"bars.feather"', "columns": '["a"]'}, ["bars.columns", "not read"]),
        ({"file": '"bars.xlsx"'}, ["bars.file", "xlsx", "feather"]),
        ({"file": '"{instrument}.csv"'}, ["bars.instrument", "more than once"]),
        ({"file": '"{coin}.csv"'}, ["bars.file", "'{coin}'", "{instrument}"]),
        ({"instrument": "None", "file": '"{instrument}/{instrument}.csv"'}, ["bars.file", "twice"]),
        ({"file": '"a*/../b.csv"'}, ["bars.file", "'..'"]),
        ({"file": '"a**.csv"'}, ["bars.file", "'**'"]),
        ({"columns": '["a", "a"]'}, ["bars.columns", "'a' twice"]),
        ({"thousands": '"."'}, ["bars.thousands"]),
        ({"thousands": '"0"'}, ["bars.thousands"]),
        ({"skip_lines": "-1"}, ["bars.skip_lines", "between"]),
        ({"close": "0"}, ["bars.close", "counts from 1"]),
        ({"close": "true"}, ["bars.close", "text"]),
        ({"time_format": '"%Y"'}, ["bars.time_unit", "exclude"]),
        ({"time_unit": "None", "time_format": '"%Y"', "time_zone": '"UTC"'}, ["bars.time_format", "month and day"]),
        ({"time_unit": "None", "time_format": '"%Q"', "time_zone": '"UTC"'}, ["bars.time_format", "cannot be read"]),
        ({"time_unit": "None", "time_format": '"%Y-%m-%d"'}, ["bars.time_zone", "no %z"]),
        ({"time_unit": "None", "time_format": '"%Y-%m-%d %z"', "time_zone": '"UTC"'}, ["bars.time_zone", "%z"]),
        ({"encoding": '"klingon"'}, ["bars.encoding", "latin-1"]),
        ({"file": '"a\\u0000b.csv"'}, ["bars.file", "<U+0000>"]),
        ({"interval": '"99999999999999999999h"'}, ["bars.interval"]),
        ({"interval": '"999999999999h"'}, ["bars.interval", "hundred years"]),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused_by_key(
    tmp_path: Path, changes: dict[str, str], words: list[str]
) -> None:
    (tmp_path / "a.toml").write_text(edited(**changes))
    with pytest.raises(SettingsError) as caught:
        open_archive(tmp_path / "a.toml", tmp_path)
    for word in ("a.toml", *words):
        assert word in str(caught.value)


def test_a_small_file_that_unpacks_to_more_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from throughline.market import unpacking

    monkeypatch.setattr(unpacking, "LARGEST", 1 << 20)
    put(tmp_path, "bars.csv.gz", gzip.compress(b"coin,time,close\n" + b" " * (3 << 20)))
    with pytest.raises(ArchiveError, match="split it"):
        panel_of(tmp_path, edited(file='"bars.csv.gz"'))
