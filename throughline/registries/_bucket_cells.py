"""The quick way of checking bucket entries: their pattern, and their cells from a SimHash.

It only ever says "this certainly follows"; `ProfitBuckets` examines the rest. Tests compare the two.
"""

from __future__ import annotations

import hashlib

from throughline.identity import SCHEMA_VERSION
from throughline.registries import NULL, TRADES, Fields, places
from throughline.registries.profit_buckets import SCHEMA
from throughline.signals.simhash import BAND_BITS, BANDS, band_keys
from throughline.signals.vector import SOULPRINT_SCHEMA

_AT, _TRADE = places("profit_buckets"), places(TRADES)
_BUCKETS, _CLOSED, _PATTERN, _REASON, _SCHEMA, _SOULPRINT = (
    _AT[name] for name in ("buckets", "closed_at", "pattern", "exits.reason", "schema", "soulprint")
)
_TRADE_CLOSED, _TRADE_REASON, _STRATEGY = (_TRADE[name] for name in ("closed_at", "termination_reason", "strategy_id"))
_SOULPRINT_HASH = places("soulprints")["soulprint"]
_EXITS = [(path.partition(".")[2], place) for path, place in _AT.items() if path.startswith("exits.")]
_TWICE = [(_AT[name], _AT[f"exits.{name}"]) for name in ("max_favorable_percent", "max_adverse_percent")]
_KIND = f"profit_bucket_pattern\0{SCHEMA_VERSION}\0"
_CELLS = [format(number, f"0{BAND_BITS}b")[::-1] for number in range(1 << BAND_BITS)]
_MASK = len(_CELLS) - 1


def cells_text(simhash: int | None, strategy: str) -> str:
    """Return the cells of a SimHash as a body lists them: ``sorted(band_keys(simhash, strategy))`` as JSON."""
    if simhash is None:
        return '["' + '","'.join(sorted(band_keys(None, strategy))) + '"]'
    cell = f"{SOULPRINT_SCHEMA}|{strategy}|b"
    cells = [f"{cell}{band}|{_CELLS[(simhash >> (band * BAND_BITS)) & _MASK]}" for band in range(BANDS)]
    return '["' + '","'.join(cells) + '"]'


def pattern_holds(fields: Fields) -> bool:
    """Return True if pattern, schema and excursions of an entry certainly follow from its body."""
    exits = ",".join([f'"{name}":{_quoted(fields[place])}' for name, place in _EXITS])
    seed = (
        f'{_KIND}{{"buckets":{fields[_BUCKETS]},"exits":{{{exits}}},"schema":"{SCHEMA}",'
        f'"soulprint":"{fields[_SOULPRINT]}"}}'
    )
    return (
        fields[_SCHEMA] == SCHEMA
        and hashlib.sha256(seed.encode("ascii")).hexdigest() == fields[_PATTERN]
        and all(fields[one] == fields[other] for one, other in _TWICE)
    )


def entry_fits(fields: Fields, trade: Fields, soulprint: Fields, simhash: int | None) -> bool:
    """Return True if exit, soulprint and cells of an entry certainly are those of its trade and its soulprint."""
    return (
        fields[_CLOSED] == trade[_TRADE_CLOSED]
        and fields[_REASON] == trade[_TRADE_REASON]
        and fields[_SOULPRINT] == soulprint[_SOULPRINT_HASH]
        and fields[_BUCKETS] == cells_text(simhash, trade[_STRATEGY])
    )


def _quoted(value: str) -> str:
    return "null" if value == NULL else f'"{value}"'
