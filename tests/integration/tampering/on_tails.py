"""Tampers of everything from one place on: tail truncation, and a full rewrite from row k."""

from __future__ import annotations

from tests.integration.tampering.attacker import Attacker
from tests.integration.tampering.books import Name
from tests.integration.tampering.values import leaves, other_leaf, put
from throughline.storage.tables import LEDGER

_ROWS = frozenset(table.name for table in LEDGER)


def tail_truncation(attacker: Attacker) -> None:
    """The end of a table, of the log, or of everything that was logged from one event on."""
    (_end_of_a_table, _end_of_everything, _end_of_the_log)[attacker.random.randrange(3)](attacker)


def _line(attacker: Attacker, least: int = 2) -> tuple[str, list[str]]:
    """Draw a table and the rows of it that were logged in one order."""
    table = attacker.random.choice(LEDGER).name
    lines = [line for line in attacker.books.lines[table] if len(line) >= least]
    return table, attacker.random.choice(lines)


def _end_of_a_table(attacker: Attacker) -> None:
    table, line = _line(attacker)
    count = attacker.random.randint(1, min(30, len(line)))
    names: set[Name] = {(table, key) for key in line[-count:]}
    attacker.note(f"the last {count} of {len(line)} {table} deleted, from {line[-count]} on")
    attacker.delete(attacker.below(names) if attacker.reaches("children") else names)
    _must_be_a_run(attacker, names, count, "truncated", "missing_row")
    attacker.cover()


def _end_of_everything(attacker: Attacker) -> None:
    books, trace = attacker.books, attacker.trace
    first = attacker.random.randint(1, len(books.events) - 1)
    attacker.note(f"everything of event {first} and after it deleted")
    events = list(zip(books.events, books.leaves, strict=True))[first:]
    names = {(leaf.table, leaf.key) for _, leaves in events for leaf in leaves}
    attacker.delete(name for name in names if name[0] in _ROWS)
    for table, key in names:
        if table == "registry_quarantine":
            attacker.unlock(table)
            attacker.sql(f"DELETE FROM {table} WHERE seq = %s", int(key))
            trace.things.add((table, key))
    for event, _ in events:
        if event.kind == "seal" and attacker.reaches("seals"):
            _delete_seal(attacker, str(event.told["asset"]), str(event.told["partition"]))
    if attacker.reaches("log"):
        _cut_log(attacker, first)
    attacker.leave()


def _delete_seal(attacker: Attacker, asset: str, day: str) -> None:
    for table in ("partition_seals", "gate_verdicts"):
        attacker.unlock(table)
        attacker.sql(f"DELETE FROM {table} WHERE asset = %s AND partition = %s", asset, day)
    key = next(key for key in attacker.books.seals if (key[0], str(key[1])) == (asset, day))
    attacker.trace.seals.add(key)
    if key in attacker.books.judged:
        attacker.trace.verdicts.add(key)


def _end_of_the_log(attacker: Attacker) -> None:
    first = attacker.random.randint(0, len(attacker.books.events) - 1)
    attacker.note(f"the log ends before event {first}")
    _cut_log(attacker, first)
    attacker.leave()


def _cut_log(attacker: Attacker, first: int) -> None:
    """The events from `first` on and the heads over them; whoever goes so far signs a head over the rest."""
    books, trace = attacker.books, attacker.trace
    attacker.unlock("seal_events")
    attacker.sql("DELETE FROM seal_events WHERE seq >= %s", first)
    trace.events |= set(range(first, len(books.events)))
    if attacker.degree == "bare":
        return
    sizes = {head.tree_size for head in books.heads if head.tree_size > first}
    attacker.unlock("seal_heads")
    attacker.sql("DELETE FROM seal_heads WHERE tree_size > %s", first)
    trace.heads |= sizes
    if attacker.reaches("heads") and first and first not in {head.tree_size for head in books.heads}:
        attacker.forge_head(first)


def rewrite_from_row(attacker: Attacker) -> None:
    """Every row of a table from one on says something else, with its hash, and as far as the degree goes."""
    table, line = _line(attacker)
    count = attacker.random.randint(1, min(25, len(line)))
    path = None
    for key in line[-count:]:
        body = attacker.body((table, key))
        told = dict(leaves(body))
        if path not in told:
            path = attacker.random.choice(list(told))
        put(body, path, other_leaf(told[path], attacker.random))
        attacker.write_body((table, key), body, columns=attacker.reaches("columns"))
    attacker.note(f"the last {count} of {len(line)} {table} rewritten, from {line[-count]} on")
    _must_be_a_run(attacker, {(table, key) for key in line[-count:]}, count, "rewritten", "hash_mismatch")
    attacker.cover()


def _must_be_a_run(attacker: Attacker, names: set[Name], count: int, run: str, single: str) -> None:
    kinds = frozenset((run,)) if count > 1 else frozenset((run, single))
    attacker.trace.primary |= dict.fromkeys(names, kinds)
