"""What follows from a soulprint's values: its hash, its SimHash, its buckets and the pattern of a bucket entry.

Belongs here: the same answers as `signals` and `registry.records` give one by one, for many rows and by the shortest
way. As in `forms`, the quick way only ever says "this certainly follows"; what it cannot say is asked of the ones whose
answer counts. Tests hold the two against each other.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.identity import SCHEMA_VERSION
from throughline.registry.consistency.forms import AT, NULL, Told
from throughline.registry.records import BUCKET_SCHEMA, Soulprint, pattern_hash, simhash_text
from throughline.signals.simhash import BAND_BITS, BANDS, CLIP, COMPARED, band_keys, simhash_many
from throughline.signals.vector import NAMES, SOULPRINT_SCHEMA

Body = Mapping[str, Any]

_PRINT = AT["soulprints"]
_CELL = AT["profit_buckets"]
_VALUES = slice(_PRINT[f"values.{min(NAMES)}"], _PRINT[f"values.{max(NAMES)}"] + 1)
_COMPARED = [sorted(NAMES).index(component.name) for component in COMPARED]
_CENTER = np.array([component.center for component in COMPARED])
_SCALE = np.array([component.scale for component in COMPARED])
_VECTOR_KIND = f"soulprint_vector\0{SCHEMA_VERSION}\0"
_PATTERN_KIND = f"profit_bucket_pattern\0{SCHEMA_VERSION}\0"
_CELLS = [format(number, f"0{BAND_BITS}b")[::-1] for number in range(1 << BAND_BITS)]
_MASK = len(_CELLS) - 1
_NAMES = sorted(NAMES)
_LAST = '"values":'
_EXITS = [(path.partition(".")[2], place) for path, place in _CELL.items() if path.startswith("exits.")]


def quick_values(text: str, told: Told) -> list[float] | None:
    """Return the components of a soulprint (NaN where unknown) if its hash certainly follows, else None.

    text, told: its body and what `Forms` read in it, by which its values are canonical decimals of all components.
    """
    if told[_PRINT["schema"]] != SOULPRINT_SCHEMA:
        return None
    # "values" is the last key, so the end of the body is the end of what is hashed.
    seed = (
        f'{_VECTOR_KIND}{{"decision_time":"{told[_PRINT["decision_time"]]}","schema":"{SOULPRINT_SCHEMA}",'
        f'"subject":"{told[_PRINT["subject"]]}",{text[text.rfind(_LAST) :]}'
    )
    if hashlib.sha256(seed.encode("ascii")).hexdigest() != told[_PRINT["soulprint"]]:
        return None
    return [math.nan if number == NULL else float(number) for number in told[_VALUES]]


def quick_missing(told: Told) -> bool:
    """Return True if what a soulprint calls missing certainly is what its values lack."""
    values = told[_VALUES]
    if NULL not in values:
        return told[_PRINT["missing"]] == "[]"
    missing = [name for name, number in zip(_NAMES, values, strict=True) if number == NULL]
    return told[_PRINT["missing"]] == '["' + '","'.join(missing) + '"]'


def quick_simhashes(values: Sequence[Sequence[float]]) -> list[int | None]:
    """Return the SimHash of each vector (all components by name, NaN = unknown), as `signals.simhash.simhash` does."""
    if not values:
        return []
    held: NDArray[np.float64] = np.array(values)[:, _COMPARED]
    known = ~np.isnan(held)
    scores = np.where(known, np.minimum(CLIP, np.maximum(-CLIP, (held - _CENTER) / _SCALE)), 0.0)
    enough = (2 * known.sum(axis=1) >= len(COMPARED)).tolist()
    return [mark if enough[at] else None for at, mark in enumerate(simhash_many(scores).tolist())]


def quick_buckets(mark: int | None, scope: str) -> str:
    """Return the cells of a SimHash as a body tells them: ``sorted(band_keys(mark, scope))`` as JSON."""
    if mark is None:
        return '["' + '","'.join(sorted(band_keys(None, scope))) + '"]'
    cell = f"{SOULPRINT_SCHEMA}|{scope}|b"
    cells = [f"{cell}{band}|{_CELLS[(mark >> (band * BAND_BITS)) & _MASK]}" for band in range(BANDS)]
    return '["' + '","'.join(cells) + '"]'


def quick_pattern(told: Told) -> bool:
    """Return True if the pattern of a bucket entry certainly follows from its body."""
    exits = ",".join([f'"{name}":{_quoted(told[place])}' for name, place in _EXITS])
    seed = (
        f'{_PATTERN_KIND}{{"buckets":{told[_CELL["buckets"]]},"exits":{{{exits}}},"schema":"{BUCKET_SCHEMA}",'
        f'"soulprint":"{told[_CELL["soulprint"]]}"}}'
    )
    return hashlib.sha256(seed.encode("ascii")).hexdigest() == told[_CELL["pattern"]]


def _quoted(value: str) -> str:
    return "null" if value == NULL else f'"{value}"'


def soulprint_problems(body: Body) -> list[tuple[str, object, object]]:
    """Return what does not follow within a soulprint body, the exact way: (problem, expected, found)."""
    told = Soulprint(body["subject"], body["decision_time"], body["values"], body["reference"])
    problems: list[tuple[str, object, object]] = []
    try:
        identity: str | None = told.hash
    except ValueError as error:
        return [(f"its values are no vector of {SOULPRINT_SCHEMA} ({error})", None, None)]
    if identity != body["soulprint"]:
        problems.append(("its values hash to another soulprint than it says", identity, body["soulprint"]))
    if body["schema"] != SOULPRINT_SCHEMA:
        problems.append(("its schema is unknown", SOULPRINT_SCHEMA, body["schema"]))
    mark = None if told.simhash is None else simhash_text(told.simhash)
    if mark != body["simhash"]:
        problems.append(("its SimHash does not follow from its values", mark, body["simhash"]))
    missing = sorted(name for name, value in body["values"].items() if value is None)
    if missing != body["missing"]:
        problems.append(("what it calls missing is not what its values lack", missing, body["missing"]))
    return problems


def bucket_problems(body: Body, mark: str | None, scope: str) -> list[tuple[str, object, object]]:
    """Return what does not follow within a bucket body, the exact way. mark: its soulprint's SimHash as recorded."""
    problems: list[tuple[str, object, object]] = []
    pattern = pattern_hash(body["soulprint"], body["buckets"], body["exits"])
    if pattern != body["pattern"]:
        problems.append(("its buckets and exits hash to another pattern than it says", pattern, body["pattern"]))
    if body["schema"] != BUCKET_SCHEMA:
        problems.append(("its schema is unknown", BUCKET_SCHEMA, body["schema"]))
    cells = sorted(band_keys(None if mark is None else int(mark, 16), scope))
    if cells != body["buckets"]:
        problems.append(("its buckets do not follow from the SimHash of its soulprint", cells, body["buckets"]))
    exits = body["exits"]
    problems += [
        (f"{name} is told twice and differently", exits[name], body[name])
        for name in ("max_favorable_percent", "max_adverse_percent")
        if body[name] != exits[name]
    ]
    return problems
