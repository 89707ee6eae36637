"""Tampers of what is no ledger row: artifacts, seals with verdicts, events and heads, and sequences and times."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

from tests.integration.tampering.attacker import Attacker
from tests.integration.tampering.on_rows import EDITED, any_row
from tests.integration.tampering.values import is_time, leaves, other_bytes, other_cell, other_leaf, other_text, put
from throughline.catalogue import catalogue
from throughline.identity import canonical_bytes, time_text
from throughline.proof.events import Event, Head

CHANGED = frozenset(
    ("hash_mismatch", "seal_mismatch", "broken_chain", "foreign_signature", "wrong_order", "unreadable")
)
GONE = frozenset(("missing_row", "truncated", "rewritten"))
_SEAL = ("root", "leaves", "status", "blocked_by", "artifact", "details", "run_id", "sealed_at")
_VERDICT = ("seal", "suite", "suite_hash", "passed", "failures", "recorded_at")
_EVENT = ("kind", "experiment", "asset", "partition", "leaf_hash", "body", "recorded_at")
_HEAD = ("root", "key_id", "body", "signature", "recorded_at")


def artifact_byte_flip(attacker: Attacker) -> None:
    """One bit of an artifact's file, as it lies there or as it is unpacked; or its end, or all of it."""
    random = attacker.random
    held = attacker.sql("SELECT hash, location FROM artifacts ORDER BY hash").all()
    digest, location = random.choice(held)
    path = Path(attacker.books.home.store.root) / location
    data = path.read_bytes()
    attacker.files[path] = data
    how = random.randrange(4)
    if how == 0:  # the name of the packer and its flags are no content: begin after them
        place = random.randrange(10, len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :])
    elif how == 1:
        plain = gzip.decompress(data)
        path.write_bytes(gzip.compress(other_bytes(plain, random) if plain else b"x", 1, mtime=0))
    elif how == 2:
        path.write_bytes(data[: random.randrange(len(data))])
    else:
        path.unlink()
    attacker.note(f"artifact {digest}: {('flipped as it lies', 'other bytes inside', 'cut off', 'deleted')[how]}")
    attacker.trace.primary["artifacts", digest] = frozenset(("artifact_changed",))
    attacker.trace.may |= {
        ("partition_seals", f"{asset}/{day}")
        for (asset, day), seal in attacker.books.seals.items()
        if digest == seal.artifact or digest in seal.details
    }
    if random.random() < 0.3:  # with a row that fits what lies there now
        attacker.unlock("artifacts")
        size = path.stat().st_size if path.exists() else 0
        attacker.sql("UPDATE artifacts SET bytes = %s WHERE hash = %s", size, digest)
        attacker.note("and the size in its row")
    attacker.leave()


def seal_edit(attacker: Attacker) -> None:
    """A partition seal, a verdict, an event or a head: one column, or the whole row deleted."""
    deeds = (_seal_column, _seal_column, _seal_gone, _verdict_column, _verdict_gone, _event_column, _head_column)
    attacker.random.choice((*deeds, _head_gone))(attacker)


def _any_seal(attacker: Attacker) -> tuple[str, date]:
    return attacker.random.choice(sorted(attacker.books.seals))


def _seal_column(attacker: Attacker) -> None:
    _change_seal(attacker, attacker.random.choice(_SEAL))


def _change_seal(attacker: Attacker, column: str) -> None:
    asset, day = _any_seal(attacker)
    where = "asset = %s AND partition = %s"
    before = attacker.sql(f"SELECT {column} FROM partition_seals WHERE {where}", asset, day).scalar_one()
    value = other_cell(before, attacker.random) if before is not None else other_leaf(None, attacker.random)
    attacker.note(f"partition_seals {asset}/{day}: {column} {before!r} -> {value!r}")
    attacker.unlock("partition_seals")
    attacker.sql(f"UPDATE partition_seals SET {column} = %s WHERE {where}", value, asset, day)
    attacker.trace.seals.add((asset, day))
    attacker.trace.primary["partition_seals", f"{asset}/{day}"] = CHANGED
    if column == "artifact":
        attacker.trace.may |= {("artifacts", str(value)), ("artifacts", str(before))}
    if column == "root" and attacker.reaches("children") and (asset, day) in attacker.books.judged:
        attacker.unlock("gate_verdicts")
        attacker.sql(f"UPDATE gate_verdicts SET seal = %s WHERE {where}", value, asset, day)
        attacker.trace.verdicts.add((asset, day))
    _cover_seals(attacker, {day})


def _seal_gone(attacker: Attacker) -> None:
    asset, day = _any_seal(attacker)
    attacker.note(f"partition_seals {asset}/{day} deleted")
    attacker.unlock("partition_seals")
    attacker.sql("DELETE FROM partition_seals WHERE asset = %s AND partition = %s", asset, day)
    attacker.trace.seals.add((asset, day))
    attacker.trace.primary["partition_seals", f"{asset}/{day}"] = GONE
    attacker.trace.may |= {(table, f"{asset}/{day}") for table in catalogue().asset_tables.get(asset, ())}
    _cover_seals(attacker, {day})


def _verdict_column(attacker: Attacker) -> None:
    _change_verdict(attacker, attacker.random.choice(_VERDICT))


def _change_verdict(attacker: Attacker, column: str) -> None:
    asset, day = attacker.random.choice(sorted(attacker.books.judged))
    where = "asset = %s AND partition = %s"
    before = attacker.sql(f"SELECT {column} FROM gate_verdicts WHERE {where}", asset, day).scalar_one()
    value = other_cell(before, attacker.random)
    attacker.note(f"gate_verdicts {asset}/{day}: {column} {before!r} -> {value!r}")
    attacker.unlock("gate_verdicts")
    attacker.sql(f"UPDATE gate_verdicts SET {column} = %s WHERE {where}", value, asset, day)
    attacker.trace.verdicts.add((asset, day))
    attacker.trace.primary["gate_verdicts", f"{asset}/{day}"] = CHANGED | GONE
    _cover_seals(attacker, {day})


def _verdict_gone(attacker: Attacker) -> None:
    asset, day = attacker.random.choice(sorted(attacker.books.judged))
    attacker.note(f"gate_verdicts {asset}/{day} deleted")
    attacker.unlock("gate_verdicts")
    attacker.sql("DELETE FROM gate_verdicts WHERE asset = %s AND partition = %s", asset, day)
    attacker.trace.verdicts.add((asset, day))
    attacker.trace.primary["gate_verdicts", f"{asset}/{day}"] = GONE
    _cover_seals(attacker, {day})


def _cover_seals(attacker: Attacker, days: set[date]) -> None:
    if attacker.reaches("seals"):
        attacker.reseal_log(days)
    if attacker.reaches("log"):
        attacker.relog()
    if attacker.reaches("heads"):
        attacker.rehead()
    attacker.leave()


def _event_column(attacker: Attacker) -> None:
    """A column of an event; further up the body with its leaf hash, and heads over it."""
    seq = attacker.random.randrange(len(attacker.books.events))
    if not attacker.reaches("columns"):
        _change_event(attacker, seq, attacker.random.choice(_EVENT))
        return
    told = dict(attacker.books.events[seq].told)
    path, value = attacker.random.choice([item for item in leaves(told) if item[0] not in (("seq",), ("kind",))])
    put(told := _deep(told), path, other_leaf(value, attacker.random))
    _write_event(attacker, seq, told, path)


def _change_event(attacker: Attacker, seq: int, column: str) -> None:
    before = attacker.sql(f"SELECT {column} FROM seal_events WHERE seq = %s", seq).scalar_one()
    value = other_cell(before, attacker.random) if before is not None else _something(column)
    attacker.note(f"seal_events {seq}: {column} {before!r} -> {value!r}")
    attacker.unlock("seal_events")
    if column in ("kind", "experiment", "asset", "partition"):  # an index allows one event of a seal
        attacker.sql("DROP INDEX uq_seal_events_seal")
        attacker.trace.things.add(("constraint", "seal_events.uq_seal_events_seal"))
    attacker.sql(f"UPDATE seal_events SET {column} = %s WHERE seq = %s", value, seq)
    attacker.trace.events.add(seq)
    attacker.trace.primary["seal_events", str(seq)] = CHANGED
    attacker.leave()


def _something(column: str) -> Any:
    return date(2024, 3, 1) if column == "partition" else "x"


def _deep(told: dict[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(told))
    return copied


def _write_event(attacker: Attacker, seq: int, told: dict[str, Any], path: tuple[str | int, ...]) -> None:
    attacker.note(f"seal_events {seq}: {'.'.join(map(str, path))} of the body")
    try:
        attacker.write_event(seq, Event.of(told))
    except (ValueError, KeyError):  # not even an event any more: then it stays what it was
        attacker.note("left as it was")
        _change_event(attacker, seq, "body")
        return
    attacker.trace.primary["seal_events", str(seq)] = CHANGED
    if attacker.reaches("heads"):
        attacker.rehead()
    attacker.leave()


def _head_column(attacker: Attacker) -> None:
    _change_head(attacker, attacker.random.choice(_HEAD))


def _change_head(attacker: Attacker, column: str) -> None:
    head = attacker.random.choice(attacker.books.heads)
    size = head.tree_size
    found = attacker.sql(f"SELECT {column} FROM seal_heads WHERE tree_size = %s", size).scalar_one()
    value = attacker.forged_signature() if column == "signature" else other_cell(found, attacker.random)
    attacker.note(f"seal_heads {size}: {column}")
    attacker.unlock("seal_heads")
    attacker.sql(f"UPDATE seal_heads SET {column} = %s WHERE tree_size = %s", value, size)
    attacker.trace.heads.add(size)
    attacker.trace.primary["seal_heads", str(size)] = CHANGED
    attacker.leave()


def _head_gone(attacker: Attacker) -> None:
    size = attacker.random.choice(attacker.books.heads).tree_size
    attacker.note(f"seal_heads {size} deleted")
    attacker.unlock("seal_heads")
    attacker.sql("DELETE FROM seal_heads WHERE tree_size = %s", size)
    attacker.trace.heads.add(size)
    attacker.trace.primary["seal_heads", str(size)] = GONE
    attacker.leave()


def sequence_or_time(attacker: Attacker) -> None:
    """The place of an event or a head in the log, or an instant: of a row, a seal, a verdict, an event, a head."""
    deeds = (_events_swapped, _event_moved, _head_moved, _time_of_event, _time_of_head, _time_of_seal, _time_of_verdict)
    attacker.random.choice((*deeds, _time_in_body, _time_in_body, _time_of_row, _time_of_row))(attacker)


def _events_swapped(attacker: Attacker) -> None:
    """Two events change places: as they are, or each made to fit its new place."""
    first, second = sorted(attacker.random.sample(range(len(attacker.books.events)), 2))
    attacker.note(f"events {first} and {second} change places")
    attacker.unlock("seal_events")
    if attacker.reaches("log"):
        events = list(attacker.books.events)
        events[first], events[second] = events[second], events[first]
        attacker.write_events([Event.of({**event.told, "seq": seq}) for seq, event in enumerate(events)])
        if attacker.reaches("heads"):
            attacker.rehead()
    else:
        for old, new in ((first, -7), (second, first), (-7, second)):
            attacker.sql("UPDATE seal_events SET seq = %s WHERE seq = %s", new, old)
    for seq in (first, second):
        attacker.trace.primary["seal_events", str(seq)] = CHANGED | GONE
    attacker.leave()


def _event_moved(attacker: Attacker) -> None:
    """An event gets a number beyond the end of the log, or one before its beginning."""
    count = len(attacker.books.events)
    seq = attacker.random.randrange(count)
    new = attacker.random.choice((-1, count + attacker.random.randrange(5)))
    attacker.note(f"event {seq} gets the number {new}")
    attacker.unlock("seal_events")
    attacker.sql("UPDATE seal_events SET seq = %s WHERE seq = %s", new, seq)
    attacker.trace.events.add(seq)
    attacker.trace.primary["seal_events", str(seq)] = CHANGED | GONE
    attacker.trace.primary["seal_events", str(new)] = CHANGED
    attacker.trace.may |= {("seal_events", str(number)) for number in range(count, new)}
    attacker.leave()


def _head_moved(attacker: Attacker) -> None:
    """A head claims to stand for another number of events."""
    size = attacker.random.choice(attacker.books.heads).tree_size
    taken = {head.tree_size for head in attacker.books.heads}
    free = [number for number in range(-1, len(attacker.books.events) + 4) if number not in taken]
    new = attacker.random.choice(free)
    attacker.note(f"head {size} stands for {new} events")
    attacker.unlock("seal_heads")
    attacker.sql("UPDATE seal_heads SET tree_size = %s WHERE tree_size = %s", new, size)
    attacker.trace.heads.add(size)
    attacker.trace.primary["seal_heads", str(size)] = CHANGED | GONE
    attacker.trace.primary["seal_heads", str(new)] = CHANGED | {"unexpected_row"}
    attacker.leave()


def _time_of_event(attacker: Attacker) -> None:
    seq = attacker.random.randrange(len(attacker.books.events))
    if not attacker.reaches("columns"):
        _change_event(attacker, seq, "recorded_at")
        return
    told = dict(attacker.books.events[seq].told)
    told["recorded_at"] = other_text(str(told["recorded_at"]), attacker.random)
    _write_event(attacker, seq, told, ("recorded_at",))


def _time_of_head(attacker: Attacker) -> None:
    if not attacker.reaches("columns"):
        _change_head(attacker, "recorded_at")
        return
    head = attacker.random.choice(attacker.books.heads)
    told = {**head.told, "recorded_at": other_text(str(head.told["recorded_at"]), attacker.random)}
    attacker.note(f"head {head.tree_size}: recorded_at of the body")
    attacker.write_head(head.tree_size, Head.read(canonical_bytes(told), head.signature))
    attacker.trace.primary["seal_heads", str(head.tree_size)] = CHANGED
    attacker.leave()


def _time_of_seal(attacker: Attacker) -> None:
    _change_seal(attacker, "sealed_at")


def _time_of_verdict(attacker: Attacker) -> None:
    _change_verdict(attacker, "recorded_at")


def _time_of_row(attacker: Attacker) -> None:
    """When the database was given a row."""
    row = any_row(attacker)
    found: datetime = attacker.sql(f"SELECT recorded_at FROM {row.table} WHERE uuid = %s", row.uuid).scalar_one()
    value = other_cell(found, attacker.random)
    attacker.note(f"{row.table} {row.uuid}: recorded_at {time_text(found)} -> {time_text(value)}")
    attacker.unlock(row.table)
    attacker.sql(f"UPDATE {row.table} SET recorded_at = %s WHERE uuid = %s", value, row.uuid)
    attacker.trace.rows[row.name] = "changed"
    attacker.trace.primary[row.name] = EDITED
    attacker.cover()


def _time_in_body(attacker: Attacker) -> None:
    """An instant in a body, with its hash, and as far as the degree goes."""
    row = any_row(attacker)
    body = attacker.body(row.name)
    times = [item for item in leaves(body) if is_time(item[1])]
    if not times:
        _time_of_row(attacker)
        return
    path, value = attacker.random.choice(times)
    put(body, path, other_text(value, attacker.random))
    attacker.note(f"{row.table} {row.uuid}: {'.'.join(map(str, path))} of the body was {value}")
    attacker.write_body(row.name, body, columns=attacker.reaches("columns"))
    attacker.trace.primary[row.name] = EDITED
    attacker.cover()
