"""The quick way of checking soulprints: hash, SimHash and missing components of many vectors at once.

It only ever says "this certainly follows"; `Soulprints.own_problems` examines the rest. Tests compare the two.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from throughline.identity import SCHEMA_VERSION
from throughline.registries import NULL, Fields, places
from throughline.signals.simhash import CLIP, COMPARED, simhash_many
from throughline.signals.vector import NAMES, SOULPRINT_SCHEMA

_AT = places("soulprints")
_DECIDED, _MISSING, _SCHEMA, _SOULPRINT, _SUBJECT = (
    _AT[name] for name in ("decision_time", "missing", "schema", "soulprint", "subject")
)
_NAMES = sorted(NAMES)
_VALUES = slice(_AT[f"values.{_NAMES[0]}"], _AT[f"values.{_NAMES[-1]}"] + 1)
_COMPARED = [_NAMES.index(component.name) for component in COMPARED]
_CENTER = np.array([component.center for component in COMPARED])
_SCALE = np.array([component.scale for component in COMPARED])
_KIND = f"soulprint_vector\0{SCHEMA_VERSION}\0"
_LAST = '"values":'


def values_of(text: str | None, fields: Fields | None) -> list[float] | None:
    """Return the components of a soulprint (NaN where unknown) if its hash certainly follows, else None.

    text, fields: its body and what was read from it, by which its values are canonical decimals of all components.
    """
    if text is None or fields is None or fields[_SCHEMA] != SOULPRINT_SCHEMA:
        return None
    # "values" is the last key, so the end of the body is the end of what is hashed.
    seed = (
        f'{_KIND}{{"decision_time":"{fields[_DECIDED]}","schema":"{SOULPRINT_SCHEMA}",'
        f'"subject":"{fields[_SUBJECT]}",{text[text.rfind(_LAST) :]}'
    )
    if hashlib.sha256(seed.encode("ascii")).hexdigest() != fields[_SOULPRINT]:
        return None
    return [math.nan if number == NULL else float(number) for number in fields[_VALUES]]


def missing_holds(fields: Fields) -> bool:
    """Return True if what a soulprint calls missing certainly is what its values lack."""
    values = fields[_VALUES]
    if NULL not in values:
        return fields[_MISSING] == "[]"
    missing = [name for name, number in zip(_NAMES, values, strict=True) if number == NULL]
    return fields[_MISSING] == '["' + '","'.join(missing) + '"]'


def simhashes(values: Sequence[Sequence[float]]) -> list[int | None]:
    """Return the SimHash of each vector (all components by name, NaN = unknown), as `signals.simhash.simhash` does."""
    if not values:
        return []
    vectors: NDArray[np.float64] = np.array(values)[:, _COMPARED]
    known = ~np.isnan(vectors)
    scores = np.where(known, np.minimum(CLIP, np.maximum(-CLIP, (vectors - _CENTER) / _SCALE)), 0.0)
    enough = (2 * known.sum(axis=1) >= len(COMPARED)).tolist()
    return [mark if enough[at] else None for at, mark in enumerate(simhash_many(scores).tolist())]
