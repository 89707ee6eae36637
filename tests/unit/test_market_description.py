"""The archive description: strict keys, and an identity that is what it says and not where it lies."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.unit.archive_files import HOURLY
from throughline.errors import SettingsError
from throughline.market.description import load_description, parse_description
from throughline.market.jumps import DOUBTFUL_CLOSE_JUMP, DOUBTFUL_JUMP

OF_SURVIVORS = 'name = "mine"\nbenchmark = "BTC"\nsurvivors_only = true\nattrition_per_48h = 0.0027\n'
BARS = HOURLY.replace('name = "mine"\n', OF_SURVIVORS).replace('"quote"', '"base"')
GOOD = f"""{BARS}[references.market_cap]
file = "caps.csv"
instrument = "id"
time = "t"
time_unit = "iso"
value = "cap"
known = "stamp+1h"
[references.market_cap.map]
file = "map.csv"
instrument = "coin"
key = "id"
"""


def edited(changes: dict[str, Any]) -> dict[str, Any]:
    values = copy.deepcopy(tomllib.loads(GOOD))
    for path, value in changes.items():
        table = values
        *heads, key = path.split("/")
        for head in heads:
            table = table[head]
        if value is None:
            del table[key]
        else:
            table[key] = value
    return values


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bars/vloume": "v"}, ["bars.vloume", "did you mean 'volume'"]),
        ({"benchmrk": "x"}, ["benchmrk", "did you mean 'benchmark'"]),
        ({"references/market_cap/max_aeg": "1h"}, ["references.market_cap.max_aeg", "max_age"]),
        ({"references/market_cap/map/kee": "1h"}, ["references.market_cap.map.kee", "key"]),
        ({"cleaning": {"segment_jump_factor": 5.0}}, ["cleaning.segment_jump_factor", "`doubtful_jump`"]),
        ({"cleaning": {"stale_bras": 3}}, ["cleaning.stale_bras", "stale_bars"]),
        ({"bars": None}, ["bars", "missing"]),
        ({"bars/close": None}, ["bars.close", "missing"]),
        ({"bars/high": None}, ["bars.high", "closes only"]),
        ({"bars/volume_unit": "shares"}, ["bars.volume_unit", "base, quote"]),
        ({"bars/volume_unit": None}, ["bars.volume_unit", "missing"]),
        ({"bars/time_unit": "seconds"}, ["bars.time_unit", "ms, s"]),
        ({"bars/time_unit": "date"}, ["bars.time_unit", "1d"]),
        ({"bars/interval": "7h"}, ["bars.interval", "divide a day"]),
        ({"bars/interval": "one hour"}, ["bars.interval", "1h"]),
        ({"bars/interval": "1s"}, ["bars.interval", "minute"]),
        ({"bars/stamp": "middle"}, ["bars.stamp", "open, close"]),
        ({"bars/quote": "EUR"}, ["bars.quote", "USD"]),
        ({"bars/known": "stamp"}, ["bars.known", "close"]),
        ({"bars/time_zone": "Europe/Berlin"}, ["bars.time_zone", "Unix times are UTC"]),
        ({"bars/time_unit": "iso", "bars/time_zone": "Mars/Olympus"}, ["bars.time_zone", "Mars/Olympus"]),
        ({"bars/time_unit": "iso", "bars/interval": "1d", "bars/time_zone": "Asia/Tokyo"}, ["time_zone", "daily bars"]),
        ({"bars/instrument_from_file_name": True}, ["bars.instrument", "not both"]),
        ({"bars/file": "bars.xlsx"}, ["bars.file", "xlsx"]),
        ({"bars/delimiter": ";;"}, ["bars.delimiter", "one character"]),
        ({"assumptions": ["fine", "\x1b[31mred"]}, ["assumptions", "U+001B"]),
        ({"name": "x\u202ey"}, ["name", "U+202E"]),
        ({"bars/close": "c\x07"}, ["bars.close", "U+0007"]),
        ({"bars/only": "BTC"}, ["bars.only", "list"]),
        ({"bars/open": "c"}, ["bars.close", "the same column as open", "closes only"]),
        ({"bars/volume": "c"}, ["bars.volume", "the same column as close"]),
        ({"bars/close": "t"}, ["bars.close", "the same column as time"]),
        (
            {"bars/time_unit": None, "bars/time_format": "%Y-%m-%d %I:%M", "bars/time_zone": "UTC"},
            ["bars.time_format", "%p"],
        ),
        (
            {"bars/time_unit": None, "bars/time_format": "%Y-%m-%d", "bars/time_zone": "UTC"},
            ["bars.time_format", "names no hour", "1h"],
        ),
        ({"name": None}, ["name", "missing"]),
        ({"name": 7}, ["name", "text"]),
        ({"schema": 2}, ["schema", "between 1 and 1"]),
        ({"survivors_only": "yes"}, ["survivors_only", "true or false"]),
        ({"survivors_only": False}, ["attrition_per_48h", "survivors_only"]),
        ({"attrition_per_48h": 3}, ["attrition_per_48h", "between"]),
        ({"references/market_cap/known": "close"}, ["references.market_cap.known", "stamp"]),
        ({"references/market_cap/known": "whenever"}, ["references.market_cap.known", "stamp"]),
        ({"references/market_cap/known_column": "seen"}, ["references.market_cap.known", "exclude"]),
        ({"references/market_cap/file": None}, ["references.market_cap.map", "table of its own"]),
        ({"references/market_cpa": {"value": "c", "known": "close"}}, ["references.market_cpa", "'market_cap'"]),
        ({"references/volume_24": {"value": "c", "known": "close"}}, ["references.volume_24", "'volume_24h'"]),
        ({"references/market_cap/max_age": "99999999d"}, ["references.market_cap.max_age", "hundred years"]),
        ({"references/market_cap/known": "stamp+999999999999d"}, ["references.market_cap.known", "delay"]),
        ({"references/Cap": {"value": "c", "known": "close"}}, ["references.Cap", "lower-case"]),
        ({"cleaning": {"jump_up_factor": float("nan")}}, ["cleaning.jump_up_factor", "number"]),
    ],
)
def test_a_wrong_description_is_refused_naming_file_and_key(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_description(edited(changes), Path("mine.toml"))
    assert str(caught.value).startswith("mine.toml: ")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("content", "word"), [(None, "no such file"), (b"name = ", "TOML"), (b"name = '\xff\xfe'", "TOML")]
)
def test_a_description_that_cannot_be_read_is_refused_naming_the_file(
    tmp_path: Path, content: bytes | None, word: str
) -> None:
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=word) as caught:
        load_description(path)
    assert str(path) in str(caught.value)


def source(changes: dict[str, Any]) -> str:
    return parse_description(edited(changes), Path("mine.toml")).source_hash


@pytest.mark.parametrize(
    "changes",
    [
        {"bars/file": "elsewhere/bars.parquet"},
        {"references/market_cap/file": "x.parquet"},
        {"references/market_cap/map/file": "y.csv"},
        {"assumptions": ["one"]},
        {"bars/delimiter": ";"},
        {"bars/encoding": "latin-1"},
        {"bars/skip_lines": 2},
        {"cleaning": {"stale_bars": 24}},
    ],
)
def test_files_their_format_and_defaults_written_out_are_not_part_of_the_identity(changes: dict[str, Any]) -> None:
    assert source(changes) == source({})


@pytest.mark.parametrize(
    "changes",
    [
        {"bars/volume_unit": "quote"},
        {"bars/stamp": "close"},
        {"bars/interval": "4h"},
        {"bars/close": "x"},
        {"bars/only": ["BTC"]},
        {"benchmark": "ETH"},
        {"name": "yours"},
        {"bars/columns": ["coin", "t"]},
        {"bars/decimal": ","},
        {"bars/thousands": " "},
        {"bars/time_unit": "unix"},
        {"bars/close": 5},
        {"availability": "observed"},
        {"attrition_per_48h": 0.001},
        {"references/market_cap/known": "stamp"},
        {"references/market_cap/max_age": "24h"},
        {"references/market_cap/zero_means_missing": True},
        {"references/market_cap/map/key": "other"},
        {"references/market_cap/positive": ["p"]},
        {"cleaning": {"stale_bars": 25}},
    ],
)
def test_the_name_columns_units_availability_and_rules_are_the_identity(changes: dict[str, Any]) -> None:
    assert source(changes) != source({})


def test_an_open_is_doubted_below_a_split_of_three_for_two_and_a_close_at_one_of_two_for_one() -> None:
    hourly = parse_description(edited({}), Path("a.toml"))
    daily = parse_description(edited({"bars/interval": "1d"}), Path("a.toml"))
    assert hourly.cleaning.doubtful_jump == daily.cleaning.doubtful_jump == DOUBTFUL_JUMP < 1.5
    closes = parse_description(edited({"bars/open": None, "bars/high": None, "bars/low": None}), Path("a.toml"))
    assert closes.cleaning.doubtful_jump == DOUBTFUL_CLOSE_JUMP < 2.0
    other = parse_description(edited({"cleaning": {"doubtful_jump": 1.2}}), Path("a.toml"))
    assert other.cleaning.doubtful_jump == 1.2


def test_the_identity_of_a_description_is_pinned() -> None:
    assert source({}) == "6c8c0f6a57d7c62f07e00f94468969927f6c3ed00d3361b923583f7dd2231409"


@pytest.mark.parametrize("name", ["coinmarketcap-2018", "binance-hourly-2021", "binance-closes-2022"])
def test_the_shipped_descriptions_parse_and_name_no_machine(repo: Path, name: str) -> None:
    path = repo / "examples" / "archives" / f"{name}.toml"
    description = load_description(path)
    assert description.name == name
    assert "median" not in {item.value for item in description.references}
    assert not description.bars.table.file.startswith("/")
