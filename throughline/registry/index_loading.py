"""Reading a `SoulprintIndex` from the registry by COPY, and keeping it up to date by the partitions that grew.

Belongs here: SQL and its turning into arrays. Does not belong here: searching (similarity).

The registry is append-only, so a partition holds other soulprints exactly where it holds more of them: a refresh counts
by partition and reads only those. What a correction replaced and what is in quarantine is asked anew each time.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from throughline.registry.quarantine import last_action, quarantined_trades
from throughline.registry.reading import KNOWN_FROM
from throughline.registry.similarity import NEVER, SoulprintIndex, empty_index, unit_rows
from throughline.signals.simhash import CLIP, COMPARED
from throughline.signals.vector import SOULPRINT_SCHEMA

_MICROSECONDS = "(extract(epoch FROM {}) * 1000000)::bigint"
# A vector given by hand may hold the phase alone; it is compared by its coordinates (`signals.with_phase_coordinates`).
_COORDINATE = "coalesce(v.components->>'phase_{0}', {0}((v.components->>'phase')::double precision)::text)"
_VALUES = ", ".join(
    _COORDINATE.format(component.name.removeprefix("phase_"))
    if component.name in ("phase_cos", "phase_sin")
    else f"v.components->>'{component.name}'"
    for component in COMPARED
)
_ROWS = f"""
    SELECT t.uuid, s.partition, s.simhash, {_MICROSECONDS.format(KNOWN_FROM.format(t="t"))}, t.profit_percentage,
        (t.profit_usd > 0)::int, {_VALUES}
    FROM soulprints AS s JOIN canonical_trades AS t ON t.uuid = s.canonical_uuid,
        LATERAL (SELECT convert_from(s.body, 'UTF8')::jsonb->'values' AS components OFFSET 0) AS v
    WHERE s.experiment = %s AND s.partition = ANY(%s::date[]) AND s.schema = %s AND s.simhash IS NOT NULL
"""
_COUNTS = text("SELECT partition, count(*) FROM soulprints WHERE experiment = :experiment GROUP BY partition")
_REPLACED = text(
    f"SELECT later.supersedes, {_MICROSECONDS.format(KNOWN_FROM.format(t='later'))} FROM canonical_trades AS later "
    "WHERE later.experiment = :experiment AND later.supersedes IS NOT NULL"
)
_LOG_SIZE = text("SELECT coalesce(max(seq) + 1, 0) FROM seal_events")
_BLOCK = 1 << 24


@dataclass(frozen=True, eq=False)
class LoadedIndex:
    """An index with what a refresh needs: the partition of each row (days since 0001), how many soulprints each
    partition had, and the state of log and quarantine that it was read at. known_until is without the quarantine."""

    experiment: str
    index: SoulprintIndex
    partition: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    counts: Mapping[date, int] = field(default_factory=dict)
    state: tuple[int, int] = (-1, -1)


def load_index(connection: Connection, experiment: str) -> LoadedIndex:
    """Return the index of an experiment's soulprints, read whole."""
    return refresh_index(connection, LoadedIndex(experiment, empty_index()))


def refresh_index(connection: Connection, loaded: LoadedIndex) -> LoadedIndex:
    """Return the index as it is now; the same object where neither the seal log nor the quarantine has grown.

    What the log does not hold yet may be missing: trades are for use once they are logged.
    """
    state = (int(connection.execute(_LOG_SIZE).scalar_one()), last_action(connection))
    if state == loaded.state:
        return loaded
    parameters = {"experiment": loaded.experiment}
    counts = {day: int(count) for day, count in connection.execute(_COUNTS, parameters)}
    grown = sorted(day for day, count in counts.items() if loaded.counts.get(day) != count)
    replaced = dict(tuple(row) for row in connection.execute(_REPLACED, parameters))
    out_of_use = quarantined_trades(connection)
    index, partition = loaded.index, loaded.partition
    if grown:
        fresh, days = _read(connection, loaded.experiment, grown)
        kept = ~np.isin(partition, [day.toordinal() for day in grown])
        index, partition = _merged(index, partition, kept, fresh, days)
    until = np.full(len(index), NEVER, np.int64)
    _mark(index, until, replaced)
    _mark(index, until, dict.fromkeys(out_of_use, -NEVER))
    return LoadedIndex(loaded.experiment, replace(index, known_until=until), partition, counts, state)


def _merged(
    old: SoulprintIndex,
    old_days: NDArray[np.int32],
    kept: NDArray[np.bool_],
    new: SoulprintIndex,
    days: NDArray[np.int32],
) -> tuple[SoulprintIndex, NDArray[np.int32]]:
    known_from = np.concatenate([old.known_from[kept], new.known_from])
    uuid = np.concatenate([old.uuid[kept], new.uuid])
    order = np.lexsort((_keys(uuid), known_from))
    return (
        SoulprintIndex(
            uuid=uuid[order],
            simhash=np.concatenate([old.simhash[kept], new.simhash])[order],
            unit=np.concatenate([old.unit[kept], new.unit])[order],
            known_from=known_from[order],
            known_until=np.full(len(order), NEVER, np.int64),
            profit_percentage=np.concatenate([old.profit_percentage[kept], new.profit_percentage])[order],
            won=np.concatenate([old.won[kept], new.won])[order],
        ),
        np.concatenate([old_days[kept], days])[order],
    )


def _keys(uuid: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the last 8 bytes of each uuid as a number: those of a hash, so that they order rows of one instant."""
    return np.ascontiguousarray(uuid[:, 8:]).view(">u8")[:, 0].astype(np.uint64)


def _mark(index: SoulprintIndex, until: NDArray[np.int64], ends: Mapping[uuids.UUID, int]) -> None:
    if not ends or not len(index):
        return
    keys = _keys(index.uuid)
    order = np.argsort(keys, kind="stable")
    for uuid, end in ends.items():
        key = np.uint64(int.from_bytes(uuid.bytes[8:], "big"))
        first, last = (int(np.searchsorted(keys, key, side, sorter=order)) for side in ("left", "right"))
        for place in order[first:last].tolist():
            if index.uuid[place].tobytes() == uuid.bytes:
                until[place] = end


def _read(connection: Connection, experiment: str, days: list[date]) -> tuple[SoulprintIndex, NDArray[np.int32]]:
    sink = _Sink()
    cursor = connection.connection.cursor()
    try:
        query = cursor.mogrify(_ROWS, (experiment, days, SOULPRINT_SCHEMA)).decode()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT", sink)
    finally:
        cursor.close()
    return sink.index()


class _Sink:
    """What COPY writes to: turns lines into arrays a block at a time, so that the text is never there whole."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0
        self._parts: list[tuple[SoulprintIndex, NDArray[np.int32]]] = []

    def write(self, data: bytes) -> int:
        """Take a piece of text (psycopg2 hands over whole rows or parts of them)."""
        self._rest.append(data)
        self._size += len(data)
        if self._size > _BLOCK:
            self._convert()
        return len(data)

    def index(self) -> tuple[SoulprintIndex, NDArray[np.int32]]:
        """Return all rows in the order of reading, and the partition of each."""
        self._convert()
        if not self._parts:
            return empty_index(), np.empty(0, np.int32)
        parts = [part for part, _ in self._parts]
        whole = SoulprintIndex(
            uuid=np.concatenate([part.uuid for part in parts]),
            simhash=np.concatenate([part.simhash for part in parts]),
            unit=np.concatenate([part.unit for part in parts]),
            known_from=np.concatenate([part.known_from for part in parts]),
            known_until=np.concatenate([part.known_until for part in parts]),
            profit_percentage=np.concatenate([part.profit_percentage for part in parts]),
            won=np.concatenate([part.won for part in parts]),
        )
        return whole, np.concatenate([days for _, days in self._parts])

    def _convert(self) -> None:
        text, newline, rest = b"".join(self._rest).rpartition(b"\n")
        self._rest, self._size = [rest], len(rest)
        if newline:
            self._parts.append(_arrays([line.split("\t") for line in text.decode("ascii").split("\n")]))


def _arrays(rows: list[list[str]]) -> tuple[SoulprintIndex, NDArray[np.int32]]:
    columns = list(zip(*rows, strict=True))
    scores = np.zeros((len(rows), len(COMPARED)))
    for place, component in enumerate(COMPARED):
        texts = columns[6 + place]
        value = np.array([component.center if item == "\\N" else float(item) for item in texts])
        scores[:, place] = np.clip((value - component.center) / component.scale, -CLIP, CLIP)
    packed = bytes.fromhex("".join(columns[0]).replace("-", ""))
    index = SoulprintIndex(
        uuid=np.frombuffer(packed, np.uint8).reshape(-1, 16),
        simhash=np.frombuffer(bytes.fromhex("".join(columns[2])), ">u8").astype(np.uint64),
        unit=unit_rows(scores),
        known_from=np.array(columns[3], np.int64),
        known_until=np.full(len(rows), NEVER, np.int64),
        profit_percentage=np.array(columns[4], np.float64).astype(np.float32),
        won=np.array(columns[5], np.int64).astype(np.bool_),
    )
    return index, np.array([date.fromisoformat(item).toordinal() for item in columns[1]], np.int32)
