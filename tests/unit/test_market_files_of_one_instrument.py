"""Which instrument a file or row is of is never guessed: names, patterns, pieces; files outside the data folder."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.archive_files import HOUR, T0, bars, moment, put
from throughline.errors import ArchiveError
from throughline.market.archive import ArchiveProvider, open_archive
from throughline.market.names import alike, look_key, name_fault
from throughline.market.paths import DataFolders, find_files, instrument_of

TEXT = """
name = "x"
[bars]
file = "{file}"
{instrument}
time = "time"
time_unit = "ms"
stamp = "open"
interval = "1h"
open = "open"
high = "high"
low = "low"
close = "close"
"""
STEM = "instrument_from_file_name = true"
COIN = 'instrument = "coin"'


def rows(count: int = 30, start: int = T0, scale: float = 1.0, coin: str | None = None, step: int = HOUR) -> str:
    lead = "" if coin is None else "coin,"
    name = "" if coin is None else f"{coin},"
    text = f"{lead}time,open,high,low,close\n"
    return text + "".join(f"{name}{at},{o},{h},{low},{c}\n" for at, o, h, low, c, _ in bars(count, start, step, scale))


def archive(folder: Path, file: str, instrument: str = "", also: tuple[Path, ...] = ()) -> ArchiveProvider:
    (folder / "a.toml").write_text(TEXT.replace("{file}", file).replace("{instrument}\n", instrument + "\n", 1))
    return open_archive(folder / "a.toml", folder, also=also)


def instruments(provider: ArchiveProvider) -> tuple[str, ...]:
    day = moment(T0)
    return provider.load(day, day.replace(day=2)).instruments


@pytest.mark.parametrize(
    ("pattern", "path", "name"),
    [
        ("{instrument}-1h-*.csv", "AAAUSDT-1h-2024-02.csv", "AAAUSDT"),
        ("{instrument}-{year}-{month}.csv", "BTC-USDT-2024-02.csv", "BTC-USDT"),
        ("{instrument}_{year}{month}{day}.csv", "A_20240203.csv", "A"),
        ("{instrument}/1h.csv", "AAA/1h.csv", "AAA"),
        ("**/{instrument}.csv", "x/y/AAA.csv", "AAA"),
        ("symbol={instrument}/part-*.csv", "symbol=AAA%2FUSDT/part-0.csv", "AAA/USDT"),
        ("[ab]*/{instrument}?.csv", "bin/AAA1.csv", "AAA"),
        ("./x/../{instrument}.csv", "AAA.csv", "AAA"),
    ],
)
def test_a_pattern_takes_the_instrument_from_its_place_in_the_path(
    tmp_path: Path, pattern: str, path: str, name: str
) -> None:
    (tmp_path / "x").mkdir()
    put(tmp_path, path, rows())
    folders = DataFolders(tmp_path)
    (found,) = find_files(folders, pattern)
    assert instrument_of(folders, pattern, found) == name
    assert instruments(archive(tmp_path, pattern)) == (name,)


def test_a_path_that_a_pattern_reads_in_two_ways_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "BTC-USDT-2024.csv", rows())
    with pytest.raises(ArchiveError) as caught:
        instruments(archive(tmp_path, "{instrument}-*.csv"))
    for word in ("BTC-USDT-2024.csv", "'BTC'", "'BTC-USDT'", "{year}-{month}"):
        assert word in str(caught.value)


@pytest.mark.parametrize("pattern", ["{instrument}*.csv", "*{instrument}.csv", "x/{instrument}*/*.csv"])
def test_a_wildcard_beside_the_instrument_is_refused_as_two_readings_and_is_no_pattern_for_folders(
    tmp_path: Path, pattern: str
) -> None:
    put(tmp_path, "BTC.csv", rows())
    put(tmp_path, "x/BTC/a.csv", rows())
    with pytest.raises(ArchiveError, match=r"reads the instrument as 'B' or as 'BT'|as 'C' or as 'TC'"):
        instruments(archive(tmp_path, pattern))


@given(
    st.text(st.characters(codec="ascii", exclude_characters="/*?[]{}\\\0", categories=("L", "N", "P")), min_size=1),
    st.sampled_from(["", "a-", "x_"]),
    st.sampled_from([".csv", "-1h.csv", "_2024.csv"]),
)
def test_the_name_that_a_template_finds_is_the_one_it_was_made_with(name: str, before: str, after: str) -> None:
    folders = DataFolders(Path("data"))
    assert instrument_of(folders, before + "{instrument}" + after, Path("data") / (before + name + after)) == name


def test_monthly_files_of_one_pair_are_one_instrument(tmp_path: Path) -> None:
    text = rows(60).splitlines(keepends=True)
    put(tmp_path, "one/AAA.csv", "".join(text))
    put(tmp_path, "many/AAA-1h-2024-02.csv", "".join(text[:31]))
    put(tmp_path, "many/AAA-1h-2024-03.csv", "".join([text[0], *text[29:]]))  # overlapping by two equal bars
    day = moment(T0)
    (tmp_path / "x").mkdir()
    one = archive(tmp_path, "one/{instrument}.csv").load(day, day.replace(day=4))
    provider = archive(tmp_path, "many/{instrument}-1h-*.csv")
    many = provider.load(day, day.replace(day=4))
    assert many.instruments == ("AAA",)
    assert provider.dropped == 2
    np.testing.assert_array_equal(one.close, many.close)
    np.testing.assert_array_equal(one.segment_start, many.segment_start)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("OLD/1h.csv", "NEW/1h.csv"),
        ("AAAUSDT-1h-2024-02.csv", "AAAUSDT-1h-2024-03.csv"),
        ("AAAUSDT-1h-2024-02.csv", "AAAUSDT-1h-2024-02-05.csv"),
        ("AAA_20240101.csv", "AAA_20240201.csv"),
        ("AAA-Feb-2024.csv", "AAA-Mar-2024.csv"),
        ("AAA-2024Q1.csv", "AAA-2024Q2.csv"),
        ("AAA-1h.csv", "AAA-4h.csv"),
        ("AAA.csv", "AAA (1).csv"),
        ("a/AAA.csv", "b/AAA.csv"),
        ("part-0.csv", "part-1.csv"),
        ("AAA.1.csv", "AAA.2.csv"),
        ("2024-01-01.csv", "2024-01-02.csv"),
    ],
)
def test_file_names_that_cannot_be_an_instrument_each_are_refused_with_the_pattern_to_write(
    tmp_path: Path, first: str, second: str
) -> None:
    put(tmp_path, first, rows())
    put(tmp_path, second, rows(start=T0 + 40 * HOUR))
    with pytest.raises(ArchiveError) as caught:
        instruments(archive(tmp_path, "**/*.csv", STEM))
    for word in (Path(first).name, Path(second).name, "{instrument}"):
        assert word in str(caught.value)


COPIES = (
    *("AAA (1)", "AAA(1)", "AAA-1", "AAA 2", "AAA copy", "AAA copy 2", "AAA - Copy", "AAA - Copy (2)", "AAA-Copy1"),
    *("AAA (copy)", "AAA (another copy)", "AAA (3rd copy)", "Copy of AAA", "AAA - Kopie", "AAA (1) (1)"),
)


@pytest.mark.parametrize("pattern", ["{instrument}.csv", "*.csv"])
@pytest.mark.parametrize("copy", COPIES)
def test_a_second_download_of_a_file_is_refused_as_an_instrument_of_its_own(
    tmp_path: Path, copy: str, pattern: str
) -> None:
    put(tmp_path, "AAA.csv", rows())
    put(tmp_path, f"{copy}.csv", rows())
    with pytest.raises(ArchiveError) as caught:
        instruments(archive(tmp_path, pattern, "" if "{" in pattern else STEM))
    for word in ("AAA.csv", f"{copy}.csv", f"'{copy}' is what a browser or file manager calls a second copy of 'AAA'"):
        assert word in str(caught.value)


def test_an_archive_may_say_that_both_names_are_instruments(tmp_path: Path) -> None:
    for name in ("AAA", "AAA-1", "BBB"):
        put(tmp_path, f"{name}.csv", rows())
    assert instruments(archive(tmp_path, "{instrument}.csv", 'only = ["AAA", "AAA-1"]')) == ("AAA", "AAA-1")


def test_a_second_download_of_a_folder_is_refused_too(tmp_path: Path) -> None:
    put(tmp_path, "symbol=AAA/part.csv", rows())
    put(tmp_path, "symbol=AAA copy/part.csv", rows())
    with pytest.raises(ArchiveError, match="a second copy of 'AAA'"):
        instruments(archive(tmp_path, "*/part.csv", 'instrument = "symbol"'))


@pytest.mark.parametrize("names", [("AAA_1", "AAA"), ("A8", "A"), ("BTC-240329", "BTC"), ("AAA (1)",), ("COPY", "CO")])
def test_a_name_that_no_browser_or_file_manager_makes_of_another_is_an_instrument(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        put(tmp_path, f"{name}.csv", rows())
    assert instruments(archive(tmp_path, "{instrument}.csv")) == tuple(sorted(names))


def test_a_second_download_of_a_part_of_an_instrument_is_read_as_the_same_part(tmp_path: Path) -> None:
    put(tmp_path, "AAA-2024.csv", rows())
    put(tmp_path, "AAA-2024 (1).csv", rows())
    provider = archive(tmp_path, "{instrument}-2024*.csv")
    assert instruments(provider) == ("AAA",)
    assert provider.dropped == 30


def test_names_with_numbers_in_them_are_instruments_each(tmp_path: Path) -> None:
    for name in ("1INCH", "C98", "AAA_USDT", "BBB_USDT", "BTC.D", "A8"):
        put(tmp_path, f"{name}.csv", rows())
    assert len(instruments(archive(tmp_path, "*.csv", STEM))) == 6


def test_a_pattern_may_say_that_numbered_files_are_an_instrument_each(tmp_path: Path) -> None:
    put(tmp_path, "BTC_240329.csv", rows())
    put(tmp_path, "BTC_240628.csv", rows())
    assert instruments(archive(tmp_path, "{instrument}.csv")) == ("BTC_240329", "BTC_240628")


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (rows(scale=3), ["differ in 30 of the 30 bars", "row 1"]),
        (rows(start=T0 + 20 * HOUR, scale=3), ["differ in 10 of the 10 bars"]),
        (rows(start=T0 + HOUR // 2), ["without one common bar"]),
        (rows(start=T0 + 30 * HOUR, step=4 * HOUR), ["3,600 s and 14,400 s apart"]),
        (re.sub("$", ",7", rows(start=T0 + 30 * HOUR).strip(), flags=re.MULTILINE).replace(",7", ",cap", 1), ["'cap'"]),
    ],
)
def test_files_that_give_one_instrument_and_cannot_both_be_of_it_are_refused(
    tmp_path: Path, second: str, words: list[str]
) -> None:
    put(tmp_path, "x/AAA.csv", rows())
    put(tmp_path, "y/AAA.csv", second)
    with pytest.raises(ArchiveError) as caught:
        instruments(archive(tmp_path, "*/{instrument}.csv"))
    for word in ("x/AAA.csv", "y/AAA.csv", "'AAA'", *words):
        assert word in str(caught.value)


def test_files_whose_column_gives_one_instrument_and_contradict_each_other_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "binance.csv", rows(coin="AAA"))
    put(tmp_path, "kraken.csv", rows(coin="AAA", scale=1.1))
    with pytest.raises(ArchiveError, match=r"binance\.csv and .*kraken\.csv both give 'AAA' and differ in 30 of"):
        instruments(archive(tmp_path, "*.csv", COIN))


def test_files_whose_column_gives_one_instrument_in_two_intervals_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", rows(coin="AAA") + rows(coin="BBB").split("\n", 1)[1])
    put(tmp_path, "b.csv", rows(coin="AAA", start=T0 + 40 * HOUR, step=4 * HOUR))
    with pytest.raises(
        ArchiveError, match=r"a\.csv and .*b\.csv both give 'AAA', with bars 3,600 s and 14,400 s apart"
    ):
        instruments(archive(tmp_path, "*.csv", COIN))


def test_a_file_with_holes_is_of_the_same_interval(tmp_path: Path) -> None:
    lines = rows(60).splitlines(keepends=True)
    put(tmp_path, "AAA-1.csv", "".join([lines[0], *lines[1:30:3]]))
    put(tmp_path, "AAA-2.csv", "".join([lines[0], *lines[31:]]))
    assert instruments(archive(tmp_path, "{instrument}-*.csv")) == ("AAA",)


def test_a_running_and_a_complete_candle_at_the_seam_of_two_files_are_left_to_the_rules_for_rows(
    tmp_path: Path,
) -> None:
    text = rows(60).splitlines(keepends=True)
    at, opened, *_ = text[30].split(",")
    put(tmp_path, "AAA-1.csv", "".join([*text[:30], f"{at},{opened},{opened},{opened},{opened}\n"]))
    put(tmp_path, "AAA-2.csv", "".join([text[0], *text[30:]]))
    assert instruments(archive(tmp_path, "{instrument}-*.csv")) == ("AAA",)


def test_a_hive_folder_names_the_instrument_of_files_without_the_column(tmp_path: Path) -> None:
    put(tmp_path, "coin=AAA/part-0.csv", rows())
    put(tmp_path, "coin=AAA/part-1.csv", rows(start=T0 + 30 * HOUR))
    put(tmp_path, "coin=BBB/part-0.csv", rows())
    assert instruments(archive(tmp_path, "coin=*/*.csv", COIN)) == ("AAA", "BBB")


@pytest.mark.parametrize("value", ["__HIVE_DEFAULT_PARTITION__", "%E2%80%8B", "%1B[31m", "%20A", "%FF"])
def test_a_hive_folder_without_a_name_in_it_is_refused(tmp_path: Path, value: str) -> None:
    put(tmp_path, f"coin={value}/part-0.csv", rows())
    for pattern, instrument in (("coin=*/*.csv", COIN), ("coin={instrument}/*.csv", "")):
        with pytest.raises(ArchiveError, match="the instrument's name in this path") as caught:
            instruments(archive(tmp_path, pattern, instrument))
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("second", [T0 + 30 * HOUR, T0, T0 + 400 * HOUR])
def test_files_of_one_instrument_below_folders_that_say_two_things_are_refused(tmp_path: Path, second: int) -> None:
    put(tmp_path, "exchange=binance/coin=AAA/part-0.csv", rows())
    put(tmp_path, "exchange=kraken/coin=AAA/part-0.csv", rows(start=second))
    put(tmp_path, "exchange=kraken/coin=BBB/part-0.csv", rows())
    for pattern, instrument in (("exchange=*/coin=*/*.csv", COIN), ("exchange=*/coin={instrument}/*.csv", "")):
        with pytest.raises(ArchiveError) as caught:
            instruments(archive(tmp_path, pattern, instrument))
        for word in ("'AAA'", "'exchange=binance'", "'exchange=kraken'", "coin=AAA/part-0.csv"):
            assert word in str(caught.value)
    assert instruments(archive(tmp_path, "exchange=kraken/coin=*/*.csv", COIN)) == ("AAA", "BBB")


@pytest.mark.parametrize(
    ("one", "other"), [("year=2024", "year=2025"), ("month=Feb", "month=March"), ("part=a1", "part=b2"), ("x", "y")]
)
def test_hive_folders_that_cut_a_table_by_time_or_number_hold_one_instrument(
    tmp_path: Path, one: str, other: str
) -> None:
    put(tmp_path, f"{one}/coin=AAA/part-0.csv", rows())
    put(tmp_path, f"{other}/coin=AAA/part-0.csv", rows(start=T0 + 30 * HOUR))
    assert instruments(archive(tmp_path, "*/coin=*/*.csv", COIN)) == ("AAA",)


def test_files_of_one_hive_instrument_that_interleave_without_a_common_bar_are_refused(tmp_path: Path) -> None:
    lines = rows(60).splitlines(keepends=True)
    put(tmp_path, "coin=AAA/part-0.csv", "".join([lines[0], *lines[1::2]]))
    put(tmp_path, "coin=AAA/part-1.csv", "".join([lines[0], *lines[2::2]]))
    with pytest.raises(ArchiveError, match="without one common bar"):
        instruments(archive(tmp_path, "coin=*/*.csv", COIN))


def test_a_folder_above_the_data_names_no_instrument(tmp_path: Path) -> None:
    data = tmp_path / "coin=ZZZ" / "data"
    put(data, "bars.csv", rows(coin="AAA"))
    assert instruments(archive(data, "bars.csv", COIN)) == ("AAA",)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('benchmark = "aab"', ["benchmark names 'aab'", "did you mean 'AAB'"]),
        ('benchmark = "AAC"', ["benchmark names 'AAC'", "did you mean 'AAB'"]),
        ('benchmark = "AAB"', ["benchmark names 'AAB'", "read with bars.only"]),
    ],
)
def test_an_unknown_benchmark_is_refused_with_the_name_that_was_meant(
    tmp_path: Path, line: str, words: list[str]
) -> None:
    put(tmp_path, "bars.csv", rows(coin="AAA") + rows(coin="AAB").split("\n", 1)[1])
    provider = archive(tmp_path, "bars.csv", COIN + ('\nonly = ["AAA"]' if "only" in words[-1] else ""))
    (tmp_path / "a.toml").write_text(line + "\n" + (tmp_path / "a.toml").read_text())
    provider = open_archive(tmp_path / "a.toml", tmp_path)
    with pytest.raises(ArchiveError) as caught:
        instruments(provider)
    for word in ("a.toml", *words):
        assert word in str(caught.value)


REFERENCE = """
[references.market_cap]
file = "caps.csv"
instrument = "id"
time = "t"
time_unit = "ms"
value = "cap"
known = "stamp"
"""
MAP = """
[references.market_cap.map]
file = "map.csv"
instrument = "coin"
key = "id"
"""


@pytest.mark.parametrize(
    ("caps", "mapping", "words"),
    [
        (f"aaa,{T0},5", None, ["joins nothing", "'aaa'", "'AAA'", "map"]),
        (f"a-coin,{T0},5", "CCC,a-coin", ["joins nothing", "'map.csv' names no instrument"]),
        (f"a-coin,{T0},5", "AAA,", ["joins nothing", "'map.csv' names no instrument"]),
        (f"a-coin,{T0},5", "AAA,b-coin", ["joins nothing", "'b-coin'", "'a-coin'"]),
        (f"AAA,{T0},", None, ["no value that can be used"]),
        (f"AAA,{T0},-5", None, ["no value that can be used"]),
        (f"AAA,{T0 - 400 * 24 * HOUR},5", None, ["within the time of the bars", "2023-01-26"]),
        (f"AAA,{T0 + 400 * 24 * HOUR},5", None, ["within the time of the bars", "2025-04-05"]),
        (f"AAA,{T0},5\naaa,{T0},7", None, ["joins 'AAA', and 'aaa'", "caps.csv"]),
        (f"AAA,{T0},5\nbbb,{T0},7", None, ["finds no 'BBB'", "holds 'bbb'", "caps.csv"]),
        (f"a-coin,{T0},5\nB-COIN,{T0},7", "AAA,a-coin\nBBB,b-coin", ["finds no 'b-coin'", "holds 'B-COIN'"]),
    ],
)
def test_a_reference_that_joins_nothing_or_misses_a_name_by_its_spelling_is_refused(
    tmp_path: Path, caps: str, mapping: str | None, words: list[str]
) -> None:
    put(tmp_path, "bars.csv", rows(coin="AAA") + rows(coin="BBB").split("\n", 1)[1])
    put(tmp_path, "caps.csv", f"id,t,cap\n{caps}\n")
    put(tmp_path, "map.csv", f"coin,id\n{mapping}\n")
    archive(tmp_path, "bars.csv", COIN)
    text = (tmp_path / "a.toml").read_text() + REFERENCE + ("" if mapping is None else MAP)
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ArchiveError) as caught:
        instruments(open_archive(tmp_path / "a.toml", tmp_path))
    for word in ("references.market_cap", *words):
        assert word in str(caught.value)


def test_a_column_and_a_folder_that_both_name_the_instrument_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "coin=AAA/part-0.csv", rows(coin="BBB"))
    with pytest.raises(ArchiveError, match="'coin' names the instrument, and so does the folder"):
        instruments(archive(tmp_path, "coin=*/*.csv", COIN))


@pytest.mark.parametrize(
    "other", ["aaa", "Aaa", "ＡＡＡ", "AAA\ufe0f", "A\u034fAA", "\U0001d400\U0001d400\U0001d400", "AA\U0001d5a0"]
)
def test_names_that_look_alike_are_refused_with_both_and_their_rows(tmp_path: Path, other: str) -> None:
    put(tmp_path, "bars.csv", rows(coin="AAA") + rows(coin=other).split("\n", 1)[1])
    with pytest.raises(ArchiveError) as caught:
        instruments(archive(tmp_path, "bars.csv", COIN))
    for word in ("'AAA'", "bars.csv: row 1)", "bars.csv: row 31)"):
        assert word in str(caught.value)
    assert instruments(archive(tmp_path, "bars.csv", COIN + '\nonly = ["AAA"]')) == ("AAA",)


@pytest.mark.parametrize(
    "char", ["\x1b", "\x07", "\x7f", "\x9b", "\u200b", "\u202e", "\u2066", "\ufeff", "\u2028", "\ue000"]
)
def test_a_name_with_a_character_that_cannot_be_seen_is_refused_with_its_row(tmp_path: Path, char: str) -> None:
    put(tmp_path, "bars.csv", rows(2, coin="AAA") + rows(1, coin=f"B{char}B").split("\n", 1)[1])
    with pytest.raises(ArchiveError) as caught:
        instruments(archive(tmp_path, "bars.csv", COIN))
    assert "bars.csv: row 3, column 'coin'" in str(caught.value)
    assert f"U+{ord(char):04X}" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", [" AAA", "AAA ", "\u3000AAA", "AAA\u00a0", "\t", "\u3164", "\u2800", " "])
def test_a_name_that_is_blank_or_has_a_space_around_it_is_refused(name: str) -> None:
    assert name_fault(name) is not None


@given(st.text(min_size=1, max_size=20))
def test_a_name_looks_like_itself_in_every_case_width_and_normal_form(name: str) -> None:
    for form in (name.upper(), name.lower(), name.swapcase(), f" {name} "):
        if form.casefold() == name.casefold() or form.strip() == name.strip():
            assert look_key(form) == look_key(name)
    for kind in ("NFC", "NFD", "NFKC", "NFKD"):
        assert look_key(unicodedata.normalize(kind, name)) == look_key(name)


@given(st.lists(st.sampled_from("AaBbＡ1"), max_size=6))
def test_alike_names_are_found_exactly_where_two_share_a_key(names: list[str]) -> None:
    different = list(dict.fromkeys(names))
    assert (alike(different) is not None) == (len({look_key(name) for name in different}) < len(different))


SECRET = "root:x:0:0:secret-content"


@pytest.mark.parametrize(
    "file", ["{outside}/secret.csv", "../outside/secret.csv", "link.csv", "folder/*.csv", "x/../../outside/*.csv"]
)
def test_a_file_outside_the_data_folder_is_refused_unless_its_folder_is_named_and_never_shown(
    tmp_path: Path, file: str
) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    (data / "x").mkdir(parents=True)
    put(outside, "secret.csv", SECRET)
    (data / "link.csv").symlink_to(outside / "secret.csv")
    (data / "folder").symlink_to(outside)
    pattern = file.replace("{outside}", str(outside))
    with pytest.raises(ArchiveError) as caught:
        instruments(archive(data, pattern, COIN))
    assert "outside the folder given with --data" in str(caught.value)
    assert "--data-also" in str(caught.value)
    assert "secret-content" not in str(caught.value)
    put(outside, "secret.csv", rows(coin="AAA"))
    assert instruments(archive(data, pattern, COIN, also=(outside,))) == ("AAA",)


def test_the_data_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path, "real/bars.csv", rows(coin="AAA"))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert instruments(archive(tmp_path / "link", "bars.csv", COIN)) == ("AAA",)


@pytest.mark.parametrize(
    "file", ["/", ".", "..", "a" * 300, "loop", "[", "**/", "http://x/y.csv", "~/x.csv", "$HOME/x.csv", "|id"]
)
def test_a_path_that_names_no_file_is_one_sentence(tmp_path: Path, file: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(Exception, match=r"no such file|outside the folder|'\*\*'") as caught:
        instruments(archive(tmp_path, file, COIN + '\nformat = "csv"'))
    assert type(caught.value).__name__ in ("ArchiveError", "SettingsError")
