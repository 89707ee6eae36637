"""What a check covers: one snapshot in parts and processes, only what is new, corrections, quarantine, artifacts."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from tests.integration.consistency_homes import (
    Sealed,
    entry,
    found,
    pick,
    put,
    rewrite,
    sealed_home,
    write_hand,
)
from tests.unit.consistency_rows import BY_HAND, copied, hand_rows, typed
from throughline.catalogue import catalogue
from throughline.proof.log import publish
from throughline.registry.consistency import check_registry, pool, reading
from throughline.registry.consistency.forms import Forms, registry_forms
from throughline.registry.consistency.reading import Chunk, lines, prepared
from throughline.storage.copy import copy_tuples
from throughline.storage.tables import ledger_table, projection
from throughline.tracking.checking import examine_row
from throughline.tracking.records import make_row

TRADES, PRINTS, BUCKETS = "canonical_trades", "soulprints", "profit_buckets"
HAND = f"experiment = '{BY_HAND}'"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    with sealed_home(tmp_path_factory.mktemp("scope")) as sealed:
        yield sealed


@pytest.fixture
def hands(home: Sealed) -> Iterator[Connection]:
    with home.tampering() as connection:
        yield connection


def spoil(hands: Connection, home: Sealed) -> None:
    """Break several things in several days and experiments."""
    flow = f"experiment = '{home.experiment}'"
    hands.execute(text(f"UPDATE {PRINTS} SET simhash = 'x' WHERE uuid = '{pick(hands, PRINTS, flow, 3)['uuid']}'"))
    hands.execute(text(f"DELETE FROM {TRADES} WHERE uuid = '{pick(hands, TRADES, HAND, 2)['uuid']}'"))
    hands.execute(text(f"DELETE FROM {BUCKETS} WHERE uuid = '{pick(hands, BUCKETS, HAND, 5)['uuid']}'"))
    rewrite(hands, TRADES, pick(hands, TRADES, HAND, 7), lambda body: body.update(profit_usd="1"))
    rewrite(hands, TRADES, pick(hands, TRADES, flow, 8), lambda body: body.update(symbol="X"))


def test_a_day_read_in_parts_and_days_read_one_by_one_give_the_same(
    hands: Connection, home: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(hands, home)
    whole = home.check(hands)
    assert len(whole.findings) > 8
    for batch in (1, 5):
        monkeypatch.setattr(reading, "BATCH", batch)
        parts = home.check(hands)
        assert parts.findings == whole.findings
        assert (parts.rows, parts.trades, parts.partitions) == (whole.rows, whole.trades, whole.partitions)


def test_several_processes_give_what_one_gives(home: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = home.database.engine("auditor")
    one = check_registry(engine, workers=1)
    monkeypatch.setattr(pool, "WORTH_IT", 0)
    monkeypatch.setattr("throughline.registry.consistency.check.WORTH_IT", 0)
    monkeypatch.setattr(reading, "BATCH", 10)
    said: dict[str, int] = {}
    two = check_registry(engine, workers=2, progress=lambda what, more: said.update({what: said.get(what, 0) + more}))
    assert (two.findings, two.rows, two.trades) == (one.findings, one.rows, one.trades) == ([], one.rows, one.trades)
    assert said["trades"] == one.trades


def test_processes_see_the_snapshot_of_the_one_that_asks(home: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("throughline.registry.consistency.check.WORTH_IT", 0)
    with home.database.engine("auditor").connect() as connection:
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
        before = connection.execute(text(f"SELECT count(*) FROM {TRADES}")).scalar_one()
        write_hand(home.database, home.proof, [hand_rows(900, day=date(2024, 7, 1))])
        result = home.check(connection, workers=2)
    assert result.trades == before
    assert check_registry(home.database.engine("auditor")).trades == before + 1


def test_a_worker_that_dies_is_said_and_decides_nothing(home: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    from throughline.errors import StorageError

    monkeypatch.setattr("throughline.registry.consistency.check.WORTH_IT", 0)
    monkeypatch.setattr(pool, "_PROGRAM", "import sys; sys.exit(3)")
    with pytest.raises(StorageError, match="ended with code 3"):
        check_registry(home.database.engine("auditor"), workers=2)


def test_a_daily_check_looks_at_what_was_logged_since_and_at_nothing_else(home: Sealed) -> None:
    publish(home.database.engine("writer"), home.proof)
    engine = home.database.engine("auditor")
    trust = {"anchor": home.proof.anchor, "public_key": home.proof.signer.public_key}
    full = check_registry(engine, **trust)
    assert full.ok, full.findings
    nothing = check_registry(engine, scope="daily", since=full.tree_size, **trust)
    assert (nothing.scope, nothing.rows, nothing.partitions, nothing.ok) == ("daily", 0, 0, True)

    day = date(2024, 8, 1)
    write_hand(home.database, home.proof, [hand_rows(number, day=day) for number in range(300, 304)])
    publish(home.database.engine("writer"), home.proof)
    news = check_registry(engine, scope="daily", since=full.tree_size, **trust)
    assert (news.trades, news.rows, news.partitions, news.ok) == (4, 12, 1, True)
    assert news.tree_size > full.tree_size

    with home.tampering() as hands:
        old, new = pick(hands, TRADES, HAND), pick(hands, TRADES, f"partition = '{day}'")
        for row in (old, new):
            hands.execute(text(f"UPDATE {TRADES} SET symbol = 'X' WHERE uuid = :u"), {"u": row["uuid"]})
        daily = home.check(hands, scope="daily", since=full.tree_size)
        assert found(daily) == {(TRADES, str(new["uuid"]), "hash_mismatch")}
        assert found(home.check(hands)) == found(daily) | {(TRADES, str(old["uuid"]), "hash_mismatch")}


def test_a_daily_check_of_sealed_days_names_what_is_wrong_there(home: Sealed) -> None:
    with home.tampering() as hands:
        last = hands.execute(text("SELECT max(partition) FROM partition_seals WHERE asset = 'soulprints'")).scalar_one()
        seq = hands.execute(text("SELECT min(seq) FROM seal_events WHERE partition = :d"), {"d": last}).scalar_one()
        row = pick(hands, PRINTS, f"partition = '{last}' AND NOT {HAND}")
        hands.execute(text(f"DELETE FROM {PRINTS} WHERE uuid = :u"), {"u": row["uuid"]})
        result = home.check(hands, scope="daily", since=seq)
    assert ("partition_seals", f"{PRINTS}/{last}", "seal_mismatch") in found(result)
    assert (TRADES, str(row["canonical_uuid"]), "missing_link") in found(result)


def test_a_daily_check_without_anything_to_stand_on_is_a_full_one(home: Sealed) -> None:
    result = check_registry(home.database.engine("auditor"), scope="daily")
    assert result.scope == "full"
    assert result.trades == check_registry(home.database.engine("auditor")).trades


def test_the_log_is_held_against_key_and_anchor(home: Sealed) -> None:
    publish(home.database.engine("writer"), home.proof)
    with home.tampering() as hands:
        trade = pick(hands, TRADES, HAND)
        rows = {TRADES: trade, PRINTS: entry(hands, PRINTS, trade), BUCKETS: entry(hands, BUCKETS, trade)}
        for table in (PRINTS, BUCKETS, TRADES):
            hands.execute(text(f"DELETE FROM {table} WHERE uuid = :u"), {"u": rows[table]["uuid"]})
        unaudited, audited = home.check(hands), home.check(hands, audit=True)
    assert unaudited.findings == []
    assert any("not held against an anchor" in sentence for sentence in unaudited.sentences)
    assert {(item.table, item.row) for item in audited.findings} == {
        (table, str(row["uuid"])) for table, row in rows.items()
    }
    assert not audited.sentences


def test_an_artifact_whose_bytes_changed_is_named_and_an_expired_one_is_not(home: Sealed) -> None:
    with home.tampering() as hands:
        digest = hands.execute(text("SELECT hash FROM artifacts ORDER BY hash LIMIT 1")).scalar_one()
        path = Path(home.store.root) / home.store.location(digest)
        before = path.read_bytes()
        try:
            data = bytearray(gzip.decompress(before))
            data[-1] ^= 1
            path.write_bytes(gzip.compress(bytes(data)))
            assert found(home.check(hands, artifacts=home.store)) == {("artifacts", digest, "artifact_changed")}
            path.unlink()
            assert found(home.check(hands, artifacts=home.store)) == {("artifacts", digest, "artifact_changed")}
            statement = text("INSERT INTO artifact_tombstones (hash, expired_at, reason) VALUES (:h, now(), 'old')")
            hands.execute(statement, {"h": digest})
            assert home.check(hands, artifacts=home.store).findings == []
        finally:
            path.write_bytes(before)
        hands.execute(text("UPDATE artifacts SET bytes = bytes + 1 WHERE hash = :h"), {"h": digest})
        hands.execute(text("DELETE FROM artifact_tombstones"))
        assert found(home.check(hands, artifacts=home.store)) == {("artifacts", digest, "hash_mismatch")}


NAMES = (
    "Ünïcødé/USDT",
    "狗狗币",
    'quoted "coin"',
    "back\\slash",
    "\\N",
    "tab\tand\nnewline",
    "comma,brace{}",
    "NULL",
    "null",
    " spaces ",
    "e\u0301",
    "\x7f",
    "a" * 3000,
)


def test_names_of_every_kind_and_numbers_of_every_size_are_no_findings(hands: Connection, home: Sealed) -> None:
    day = date(2024, 9, 1)
    for number, name in enumerate(NAMES, 500):
        put(hands, hand_rows(number, day=day, symbol=name, strategy_id=name, termination_reason=name))
    big, small = Decimal("99999999.999999999999999999"), Decimal("0.000000000000000001")
    for number, price in enumerate((big, small), 600):
        sums = {"entry_price": price, "exit_price": price, "amount": 1, "notional_usd": price}
        told = {key: format(Decimal(value).normalize(), "f") for key, value in sums.items()}
        zero = {"profit_usd": "0", "profit_percentage": "0", "fees_usd": "0"}
        put(hands, hand_rows(number, day=day, **told, **zero))
    result = home.check(hands)
    assert result.findings == []


def test_copy_shows_rows_as_the_tests_of_the_forms_assume(hands: Connection, home: Sealed) -> None:
    """`copied`, on which the laws of the quick way stand, against the server; and the same rows the exact way."""
    day, numbers = date(2024, 9, 2), range(700, 760)
    made = {str(row.uuid): (table, row) for number in numbers for table, row in _odd_rows(number, day)}
    cursor: Any = hands.connection.cursor()
    for table, row in made.values():
        names = projection(ledger_table(table))
        written = ("uuid", "experiment", "partition", "content_hash", "body", "supersedes", "run_id")
        values = [getattr(row, name) for name in written] + [row.columns[name] for name in names]
        copy_tuples(cursor, ledger_table(table), written + names, [values])
    with prepared(hands):
        for table, forms in registry_forms().items():
            for line in lines(hands, forms, Chunk(BY_HAND, (day,), 10, True)):
                row = typed(table, made[line[1]][1])
                assert line == copied(table, row)
                assert (forms.fields(line) is not None) <= (examine_row(table, row)[1] == [])


def _odd_rows(number: int, day: date) -> Iterator[tuple[str, Any]]:
    random_ = random.Random(number)
    name = random_.choice([*NAMES, "plain", "plain"])
    for table, row in hand_rows(number, day=day, symbol=name, strategy_id=name).by_table().items():
        body = json.loads(row.body)
        if table == BUCKETS and random_.random() < 0.5:
            body["buckets"] = random_.choice([[name, "b"], ["NULL"], [""], ["a,b"], ["{x}"], ['"']])
        for key in ("closed_at", "decision_time", "opened_at"):
            if key in body and random_.random() < 0.5:
                body[key] = (
                    f"2024-09-02T0{random_.randrange(10)}:00:00.{random_.choice(['000001', '120000', '999999'])}Z"
                )
        yield table, make_row(table, body)


def test_the_forms_know_every_column_of_the_registries() -> None:
    for table in catalogue().registries:
        assert Forms(table).columns == projection(ledger_table(table))
