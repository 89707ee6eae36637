"""A catalogue of damage to a good file, under every key of the description: the rows come out right, or one sentence
of bounded length and printable characters names the file (and the row, where the fault is in one).
"""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.archive_files import HOUR, HOURLY, T0, moment, open_files
from throughline.errors import ArchiveError, SettingsError, ThroughlineError

LONGEST = 900
FOREIGN = re.compile(
    r"pyarrow|Arrow|Traceback|CSV column #|codec can't|QuarantinedRow|Errno|\bNone\b|object at 0x|<class"
)
COUNT = 6
GOOD = "coin,t,o,h,l,c,v\n" + "".join(f"BTC,{T0 + hour * HOUR},1,2,0.5,1.25,100\n" for hour in range(COUNT))

Mutation = Callable[[str], str | bytes]


def on_row(number: int, edit: Callable[[list[str]], list[str]]) -> Mutation:
    """Return a mutation of the fields of one row (from 1, below the header)."""

    def apply(text: str) -> str:
        lines = text.splitlines()
        lines[number] = ",".join(edit(lines[number].split(",")))
        return "\n".join(lines) + "\n"

    return apply


def field(place: int, value: str, row: int = 3) -> Mutation:
    return on_row(row, lambda fields: [*fields[:place], value, *fields[place + 1 :]])


SAME: dict[str, Mutation] = {
    "as it is": lambda text: text,
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "old Mac line ends": lambda text: text.replace("\n", "\r"),
    "no last line end": lambda text: text.rstrip(),
    "empty lines between": lambda text: text.replace("\n", "\n\n"),
    "empty lines before": lambda text: "\n\n" + text,
    "every field quoted": lambda text: re.sub(r"[^,\n]+", lambda found: f'"{found[0]}"', text),
    "more columns": lambda text: re.sub("$", ",x", text.strip(), flags=re.MULTILINE).replace(",x", ",more", 1),
    "rows in another order": lambda text: "\n".join([text.split("\n")[0], *reversed(text.strip().split("\n")[1:])]),
    "a row said twice": lambda text: text + text.strip().rsplit("\n", 1)[1] + "\n",
    "gzip": lambda text: gzip.compress(text.encode()),
    "spaces around numbers": lambda text: re.sub(r",([0-9.]+)", r", \1 ", text),
    "signs and exponents": lambda text: text.replace(",1,2,", ",+1.0e0,2E+0,"),
}
NAMED: dict[str, tuple[Mutation, int | None]] = {
    "a text as a price": (field(2, "one"), 3),
    "a text with an escape": (field(2, "\x1b[31mred\x07"), 3),
    "a very long text": (field(2, "x" * 100_000), 3),
    "a comma for decimals": (field(2, '"1,5"'), 3),
    "digits of another script": (field(2, "１"), 3),
    "an underscore": (field(2, "1_0"), 3),
    "a hexadecimal number": (field(2, "0x1p3"), 3),
    "a currency sign": (field(2, "$1"), 3),
    "no time": (field(1, ""), 3),
    "a time in words": (field(1, "soon"), 3),
    "a time in seconds": (field(1, "1709251200"), 3),
    "a time with a fraction": (field(1, "1709251200000.5"), 3),
    "a time in scientific notation": (field(1, "1.7092512E+12"), 3),
    "a time beyond 64 bits": (field(1, "9" * 30), 3),
    "a negative time": (field(1, "-1709251200000"), 3),
    "no name": (field(0, ""), 3),
    "a blank name": (field(0, "  "), 3),
    "a name with a space": (field(0, "BTC "), 3),
    "a name with NBSP": (field(0, "\u00a0BTC"), 3),
    "a name with a bidi mark": (field(0, "B\u202eTC"), 3),
    "a name with a bell": (field(0, "B\x07TC"), 3),
    "a name with a line end": (field(0, '"B\nTC"'), 3),
    "a huge name": (field(0, "B" * 50_000), 3),
    "a name of another case": (field(0, "btc"), 3),
    "one field too few": (on_row(3, lambda fields: fields[:-1]), 3),
    "one field too many": (on_row(3, lambda fields: [*fields, "x"]), 3),
    "a thousand fields": (on_row(3, lambda fields: fields + ["9"] * 1000), 3),
    "only delimiters": (on_row(3, lambda _: [""] * 7), 3),
    "a quote left open": (field(2, '"1'), 3),
    "the header repeated": (lambda text: text + text.split("\n")[0] + "\n", COUNT + 1),
    "half a row at the end": (lambda text: text + "BTC,17092", COUNT + 1),
    "a note at the end": (lambda text: text + "# the end\n", COUNT + 1),
    "bytes that are not UTF-8": (lambda text: text.encode().replace(b"BTC", b"B\xffC", 3), None),
    "a NUL": (lambda text: text.replace("BTC", "B\0C", 1), None),
    "UTF-16": (lambda text: text.encode("utf-16"), None),
    "UTF-32": (lambda text: text.encode("utf-32"), None),
    "nothing": (lambda _: "", None),
    "white space": (lambda _: " \n \n", None),
    "a header alone": (lambda text: text.split("\n")[0] + "\n", None),
    "no header": (lambda text: text.split("\n", 1)[1], None),
    "a header in capitals": (lambda text: text.replace("coin,t,o,h,l,c,v", "COIN,T,O,H,L,C,V"), None),
    "spaces in the header": (lambda text: text.replace("coin,t,o,h,l,c,v", "coin, t, o, h, l, c, v"), None),
    "an escape in the header": (lambda text: text.replace("coin", "co\x1b[31min", 1), None),
    "a column named twice": (lambda text: text.replace("h,l,c", "h,c,c", 1), None),
    "a title above the header": (lambda text: "prices, by me\n" + text, None),
    "a million columns": (lambda text: "a," * 1_000_000 + "b\n" + text, None),
    "semicolons": (lambda text: text.replace(",", ";"), None),
    "tabs": (lambda text: text.replace(",", "\t"), None),
    "JSON": (lambda _: '[["BTC", 1, 2]]', None),
    "a web page": (lambda _: "<html><body>not found</body></html>", None),
    "Parquet by its first bytes": (lambda text: b"PAR1" + text.encode(), None),
    "random bytes": (lambda _: random.Random(7).randbytes(5000), None),
    "a zip cut off": (lambda text: b"PK\x03\x04" + text.encode(), None),
    "a gzip cut off": (lambda text: gzip.compress(text.encode())[:-9], None),
    "a gzip with a wrong sum": (lambda text: gzip.compress(text.encode())[:-8] + b"12345678", None),
}


def outcome(folder: Path, content: str | bytes, description: str = HOURLY) -> ThroughlineError | None:
    """Return the error of reading `content` in the place of the good file, None where the good rows come out."""
    try:
        panel = open_files(folder, {"bars.csv": content}, description).load(moment(T0), moment(T0).replace(day=2))
    except ThroughlineError as error:
        return error
    assert panel.instruments == ("BTC",)
    assert panel.quarantined == ()
    np.testing.assert_array_equal(panel.close[:COUNT, 0], [1.25] * COUNT)
    np.testing.assert_array_equal(panel.volume[:COUNT, 0], [100] * COUNT)
    assert np.isnan(panel.close[COUNT:, 0]).all()
    return None


def assert_fit_for_a_person(error: ThroughlineError, file: str) -> None:
    text = str(error)
    assert file in text
    assert len(text) < LONGEST
    assert text.isprintable()
    assert not FOREIGN.search(text), text


@pytest.mark.parametrize("name", SAME)
def test_what_changes_nothing_about_the_rows_is_read(tmp_path: Path, name: str) -> None:
    assert outcome(tmp_path, SAME[name](GOOD)) is None


@pytest.mark.parametrize("name", NAMED)
def test_damage_is_one_short_printable_sentence_with_the_file_and_the_row(tmp_path: Path, name: str) -> None:
    mutation, row = NAMED[name]
    error = outcome(tmp_path, mutation(GOOD))
    assert isinstance(error, ArchiveError)
    assert_fit_for_a_person(error, "bars.csv")
    if row is not None:
        assert re.search(rf"row {row}\b", str(error)), str(error)


VALUES = (
    '""', '"nope"', "0", "1", "-1", "999999", "9223372036854775808", "1.5", "1e308", "nan", "true", "[]", '["a", "a"]',
    '[1, "c"]', "{}", '"\\u001b[31m"', '"\\u0000"', '"' + "x" * 5000 + '"', "2024-01-01", '"../x.csv"', '"*"',
    '"{instrument}"',    '"/dev/zero"', '"%Y"', '";"', '"99999999999d"', "0x" + "f" * 4000,
)  # fmt: skip
KEYS = (
    "name", "schema", "benchmark", "availability", "survivors_only", "attrition_per_48h", "assumptions", "cleaning",
    "bars.file", "bars.format", "bars.columns", "bars.skip_lines", "bars.delimiter", "bars.encoding", "bars.nulls",
    "bars.decimal", "bars.thousands", "bars.instrument", "bars.instrument_from_file_name", "bars.only", "bars.time",
    "bars.time_unit", "bars.time_format", "bars.time_zone", "bars.stamp", "bars.interval", "bars.known", "bars.open",
    "bars.close", "bars.volume", "bars.volume_unit", "bars.quote", "bars.unknown", "references",
    "references.market_cap",
)  # fmt: skip


def with_key(key: str, value: str) -> str:
    table, _, name = key.rpartition(".")
    lines = [line for line in HOURLY.strip().splitlines() if table or not line.startswith(f"{name} =")]
    if table == "bars":
        lines = [line for line in lines if not line.startswith(f"{name} =")] + [f"{name} = {value}"]
    elif table:
        lines = [*lines, f"[{table}]", f"{name} = {value}"]
    else:
        lines = [f"{name} = {value}", *lines]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("key", KEYS)
def test_every_key_takes_every_kind_of_value_or_refuses_it_by_name(tmp_path: Path, key: str) -> None:
    for value in VALUES:
        try:
            error = outcome(tmp_path, GOOD, with_key(key, value))
        except AssertionError:
            continue  # read as described: other columns, other rows
        if error is not None:
            assert_fit_for_a_person(error, "bars.csv" if "bars.csv" in str(error) else str(tmp_path))
            if isinstance(error, SettingsError):
                assert key.rpartition(".")[2] in str(error) or "TOML" in str(error)


@given(st.data())
def test_random_edits_of_the_bytes_never_end_in_another_library_s_words(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("edits")
    content = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        piece = data.draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"'"]))
        )
        content[place : place + data.draw(st.integers(0, 3))] = piece
    try:
        error = outcome(folder, bytes(content))
    except AssertionError:
        return  # other digits are other rows
    if error is not None:
        assert_fit_for_a_person(error, "bars.csv")


def packed(form: str) -> bytes:
    """Return the good rows as Parquet, Feather or packed JSON."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import feather

    rows = [line.split(",") for line in GOOD.split()[1:]]
    if form == "json":
        return json.dumps([[row[0], int(row[1]), *map(float, row[2:])] for row in rows]).encode()
    names = GOOD.split()[0].split(",")
    columns = [[row[place] for row in rows] for place in range(len(names))]
    arrays = [pa.array(columns[0]), pa.array([int(text) for text in columns[1]])]
    arrays += [pa.array([float(text) for text in column]) for column in columns[2:]]
    sink = pa.BufferOutputStream()
    table = pa.table(dict(zip(names, arrays, strict=True)))
    if form == "parquet":
        pq.write_table(table, sink)
    else:
        feather.write_feather(table, sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("form", ["parquet", "feather", "json"])
def test_a_damaged_binary_file_is_one_sentence_and_never_ends_the_process(tmp_path: Path, form: str) -> None:
    good, dice = packed(form), random.Random(3)
    columns = '\ncolumns = ["coin", "t", "o", "h", "l", "c", "v"]' if form == "json" else ""
    description = HOURLY.replace('"bars.csv"', f'"bars.csv"\nformat = "{form}"') + columns
    assert outcome(tmp_path, good, description) is None
    for _ in range(150):
        content = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            place, kind = dice.randrange(len(content)), dice.random()
            if kind < 0.6:
                content[place] = dice.randrange(256)
            elif kind < 0.8:
                del content[place : place + dice.randint(1, 50)]
            else:
                content = content[: max(1, place)]
        try:
            error = outcome(tmp_path, bytes(content), description)
        except AssertionError:
            continue  # other digits are other rows
        if error is not None:
            assert_fit_for_a_person(error, "bars.csv")


def test_a_parquet_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    content = packed("parquet").replace(b"BTC", b"B\xffC")
    description = HOURLY.replace('"bars.csv"', '"bars.csv"\nformat = "parquet"')
    error = outcome(tmp_path, content, description)
    assert error is not None
    assert_fit_for_a_person(error, "bars.csv")
