"""The archive description: how a user's own files map to the canonical columns, as frozen, validated data.

Belongs here: what a description may say, and its identity. Does not belong here: reading the data files (`columns`,
`archive`). The format is documented for users in ``examples/archives/README.md``.

Identity (`source_hash`): the hash of the parsed description: its name, columns, units, availability and cleaning rules,
facts of the universe. The name is in it because two data sets of one layout (hourly files of two exchanges) are two
sources: without it the second would be taken for a revision of the first. Not in it: names of files, sentences for the
report, the file format, and the *content* of a mapping table. A mapping row decides which coin's values stand beside a
pair, but every value so joined is sealed day by day with the bars, so another mapping shows as revised days, and a row
more for a coin more is data.
"""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from throughline.errors import shown
from throughline.identity import hash_body
from throughline.market.jumps import SMALLEST_JUMP, default_jump
from throughline.market.layout import FileLayout, TableLayout, file_layout, table_layout
from throughline.market.rows import HOUR_MS, CleaningRules
from throughline.market.settings_table import LONGEST_MS, Column, SettingsTable, duration_ms
from throughline.market.source_identity import source_body
from throughline.toml_file import read_toml

DAY_MS = 86_400_000
_TABLE_KEYS = ("instrument", "time", "time_unit", "time_format", "time_zone", "format")
STRATEGY_REFERENCES = ("market_cap", "volume_24h", "pool_reserve", "top10_share", "lp_locked_share", "sentiment")
"""Names of quantities that the strategy reads; others are carried into the research snapshots."""


@dataclass(frozen=True)
class Mapping:
    """A table that says which key of a reference table belongs to an instrument. instrument, key: its columns."""

    source: FileLayout
    instrument: Column
    key: Column

    @property
    def file(self) -> str:
        """The path of the file."""
        return self.source.file


@dataclass(frozen=True)
class Known:
    """When a value became known: `base` ("stamp", "close" or the name of a column with a time), plus `delay_ms`."""

    base: str
    delay_ms: int
    column: Column | None = None


@dataclass(frozen=True)
class ReferenceDescription:
    """A quantity beside the bars. table None = a column of the bars' own rows.

    priced_at: "close", or "open" where the value is a number of units times the price at the bar's open (a market cap
    that the source stamps with the day): it then counts at the bar's close, times close / open.
    """

    name: str
    table: TableLayout | None
    mapping: Mapping | None
    value: Column
    known: Known
    max_age_ms: int
    zero_means_missing: bool
    may_be_negative: bool
    positive: tuple[Column, ...]
    priced_at: str = "close"


@dataclass(frozen=True)
class BarsDescription:
    """The table of bars. With `open` None the data is closes only. volume_unit: "base" or "quote"."""

    table: TableLayout
    interval_ms: int
    stamp: str
    open: Column | None
    high: Column | None
    low: Column | None
    close: Column
    volume: Column | None
    volume_unit: str
    only: tuple[str, ...]


@dataclass(frozen=True)
class ActionsDescription:
    """A table of splits and re-denominations. ratio: column with new units per old unit. known_column: column with the
    time at which the action was public; None = it was known when it took effect."""

    table: TableLayout
    ratio: Column
    known_column: Column | None


@dataclass(frozen=True)
class ArchiveDescription:
    """A whole archive: see the module docstring. `path` is the file it was read from, for messages."""

    path: Path
    name: str
    bars: BarsDescription
    references: tuple[ReferenceDescription, ...]
    cleaning: CleaningRules
    benchmark: str | None
    survivors_only: bool
    attrition_per_48h: float
    availability: str
    assumptions: tuple[str, ...]
    actions: ActionsDescription | None = None

    @property
    def close_only(self) -> bool:
        """Say whether the archive has closes and nothing else."""
        return self.bars.open is None

    @property
    def source_hash(self) -> str:
        """Return the identity of the source (module docstring)."""
        return hash_body("market_source", source_body(self))


def load_description(path: Path) -> ArchiveDescription:
    """Read and check a description. Raises SettingsError naming the file and the key."""
    return parse_description(read_toml(path, "file with an archive description"), path)


def parse_description(values: dict[str, Any], path: Path) -> ArchiveDescription:
    """Check a parsed TOML document. `path` is used in messages only."""
    root = SettingsTable(values, path)
    root.whole("schema", 1, 1, 1)
    survivors = root.flag("survivors_only", False)
    bars_table = root.table("bars")
    if bars_table is None:
        raise root.fail("bars", "is missing; the table [bars] says where the bars are")
    bars = _bars(bars_table)
    references = tuple(_reference(name, table, bars) for name, table in root.tables("references").items())
    default_stale = 7 if bars.interval_ms >= DAY_MS else max(2, 24 * HOUR_MS // bars.interval_ms)
    description = ArchiveDescription(
        path=path,
        name=root.text("name"),
        bars=bars,
        references=references,
        cleaning=_cleaning(root.table("cleaning"), default_stale, default_jump(bars.open is None)),
        benchmark=_benchmark(root),
        survivors_only=survivors,
        attrition_per_48h=root.number("attrition_per_48h", 0.0, 0.0, 0.5),
        availability=root.choice("availability", ("observed", "assumed"), "assumed"),
        assumptions=root.texts("assumptions"),
        actions=_actions(root.table("corporate_actions")),
    )
    if description.attrition_per_48h and not survivors:
        raise root.fail("attrition_per_48h", "is given, but survivors_only is not true")
    root.finish()
    return description


def _benchmark(root: SettingsTable) -> str | None:
    name = root.optional_text("benchmark")
    return None if name is None else unicodedata.normalize("NFC", name)


def _bars(table: SettingsTable) -> BarsDescription:
    layout = table_layout(table)
    interval = table.duration("interval")
    if DAY_MS % interval:
        raise table.fail("interval", "must divide a day: partitions are whole UTC days (1m, 5m, 15m, 1h, 4h, 1d ...)")
    if interval < 60_000:
        raise table.fail("interval", "is below one minute, which is not supported")
    if layout.time_unit == "date" and interval != DAY_MS:
        raise table.fail("time_unit", 'is "date", which names whole days; the interval must then be "1d"')
    if interval < DAY_MS and not layout.names_an_hour:
        raise table.fail(
            "time_format",
            f"is {shown(layout.time_format)}, which names no hour; bars of {table.text('interval')} need one",
        )
    stamp = table.choice("stamp", ("open", "close"))
    if stamp == "close" and (layout.time_unit == "date" or not layout.names_an_hour):
        raise table.fail(
            "stamp",
            'is "close", but the times are whole days: the midnight at which a day begins would be its close, and its '
            'prices would be known a day too early; write stamp = "open" where the date is the day of the bar',
        )
    if interval == DAY_MS and layout.time_zone not in (None, "UTC"):
        raise table.fail("time_zone", "must be UTC for daily bars: another zone's days do not fit UTC partitions")
    columns = {key: table.optional_column(key) for key in ("open", "high", "low")}
    given = [key for key, value in columns.items() if value is not None]
    if given and len(given) < 3:
        absent = next(key for key in columns if key not in given)
        raise table.fail(absent, "is missing: give open, high and low, or none of them (closes only)")
    volume = table.optional_column("volume")
    if table.has("volume_unit") and volume is None:
        raise table.fail("volume_unit", "is given without a volume column")
    if table.choice("quote", ("USD",), "USD") != "USD":
        raise table.fail("quote", "must be USD")
    known = table.choice("known", ("close",), "close")
    if known != "close":
        raise table.fail("known", "must be close")
    result = BarsDescription(
        table=replace(layout, closes=stamp == "close"),
        interval_ms=interval,
        stamp=stamp,
        open=columns["open"],
        high=columns["high"],
        low=columns["low"],
        close=table.column("close"),
        volume=volume,
        volume_unit=table.choice("volume_unit", ("base", "quote"), "quote" if volume is None else None),
        only=_only(table),
    )
    table.finish()
    _require_different_columns(table, result)
    return result


def _only(table: SettingsTable) -> tuple[str, ...]:
    """Return the instruments to read, as tables spell them (NFC); empty = all."""
    names = table.texts("only")
    if table.has("only") and not names:
        raise table.fail("only", "is an empty list; name the instruments to read, or leave it out to read all")
    return tuple(unicodedata.normalize("NFC", name) for name in names)


def _require_different_columns(table: SettingsTable, bars: BarsDescription) -> None:
    """Refuse one column as two quantities of a bar: an open that is the close would fill orders at a later price."""
    given = [(key, getattr(bars, key)) for key in ("open", "high", "low", "close", "volume")]
    seen: dict[Column, str] = {bars.table.time: "time"}
    if bars.table.instrument is not None:
        given.insert(0, ("instrument", bars.table.instrument))
    for key, column in given:
        if column is None:
            continue
        if column in seen:
            prices = ("open", "high", "low", "close")
            hint = "; leave open, high and low out if there are closes only" if {key, seen[column]} <= {*prices} else ""
            raise table.fail(key, f"is the same column as {seen[column]} ({shown(str(column))}){hint}")
        seen[column] = key


def _known(table: SettingsTable, own_rows: bool) -> Known:
    column = table.optional_column("known_column")
    if column is not None:
        if own_rows:
            raise table.fail("known_column", "needs a table of its own: give file, instrument and time as well")
        if table.has("known"):
            raise table.fail("known", "and known_column exclude each other")
        return Known("column", 0, column)
    text = table.text("known")
    base, plus, rest = text.partition("+")
    delay = duration_ms(rest) if plus else 0
    if base.strip() not in ("stamp", "close") or delay is None or delay > LONGEST_MS:
        raise table.fail("known", f'is {shown(text)}; write "stamp", "close" or either with a delay ("stamp+1h")')
    if base.strip() == "close" and not own_rows:
        raise table.fail("known", 'is relative to "close", but this table has no bars; write "stamp" or "stamp+24h"')
    return Known(base.strip(), delay)


def _reference(name: str, table: SettingsTable, bars: BarsDescription) -> ReferenceDescription:
    if not name.replace("_", "").isalnum() or not name.isascii() or name != name.lower():
        raise table.fail("", "is no name for a quantity: use lower-case ASCII letters, digits and _")
    near = difflib.get_close_matches(name, STRATEGY_REFERENCES, 1, 0.85)
    if near and name not in STRATEGY_REFERENCES:
        raise table.fail("", f"is nearly the name of a quantity that the strategy reads; did you mean {near[0]!r}?")
    layout = table_layout(table) if table.has("file") else None
    inner = table.table("map")
    mapping = None
    if inner is not None:
        if layout is None:
            raise table.fail("map", "needs a table of its own: give file, instrument and time as well")
        mapping = Mapping(file_layout(inner, False), inner.column("instrument"), inner.column("key"))
        inner.finish()
    alone = next((key for key in _TABLE_KEYS if table.has(key)), None) if layout is None else None
    if alone is not None:
        raise table.fail("file", f"is missing, though {alone} is given; name the table's file, or remove {alone}")
    result = ReferenceDescription(
        name=name,
        table=layout,
        mapping=mapping,
        value=table.column("value"),
        known=_known(table, layout is None),
        max_age_ms=table.duration("max_age", 36 * HOUR_MS),
        zero_means_missing=table.flag("zero_means_missing", False),
        may_be_negative=table.flag("may_be_negative", False),
        positive=table.columns("positive"),
        priced_at=_priced_at(table, layout is None, bars),
    )
    table.finish()
    return result


def _priced_at(table: SettingsTable, own_rows: bool, bars: BarsDescription) -> str:
    moment = table.choice("priced_at", ("close", "open"), "close")
    if moment == "open" and (not own_rows or bars.open is None):
        raise table.fail("priced_at", 'can be "open" only for a column of bars that have an open')
    return moment


def _cleaning(table: SettingsTable | None, stale_bars: int, doubtful_jump: float) -> CleaningRules:
    if table is None:
        return CleaningRules(stale_bars=stale_bars, doubtful_jump=doubtful_jump)
    for key in ("segment_jump_factor", "doubtful_open_jump"):
        if table.has(key):
            raise table.fail(
                key, "is no setting any more; `doubtful_jump` holds between bars that follow each other and over gaps"
            )
    rules = CleaningRules(
        smallest_price=table.number("smallest_price", 1e-15, 1e-15, 1.0),
        jump_up_factor=table.number("jump_up_factor", 10.0, 2.0, 1e9),
        doubtful_jump=table.number("doubtful_jump", doubtful_jump, SMALLEST_JUMP, 1e9),
        segment_gap_ms=table.duration("segment_gap", 24 * HOUR_MS),
        stale_bars=table.whole("stale_bars", stale_bars, 2, 1_000_000),
    )
    table.finish()
    return rules


def _actions(table: SettingsTable | None) -> ActionsDescription | None:
    if table is None:
        return None
    layout = table_layout(table)
    if layout.instrument is None:
        raise table.fail("instrument", "is missing: name the column that holds the instrument of each action")
    column = table.optional_column("known_column")
    if column is None and not table.has("known"):
        raise table.fail("known", 'is missing; write known = "stamp", or known_column = the column that says when')
    if column is None:
        table.choice("known", ("stamp",))
    elif table.has("known"):
        raise table.fail("known", "and known_column exclude each other")
    result = ActionsDescription(layout, table.column("ratio"), column)
    table.finish()
    return result
