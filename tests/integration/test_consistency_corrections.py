"""Chains of corrections and the record of what is in quarantine: no finding where they are right, named where not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from tests.integration.consistency_homes import Sealed, entry, found, pick, put, sealed_home
from tests.unit.consistency_rows import BY_HAND, DAY, hand_rows

TRADES, PRINTS, BUCKETS = "canonical_trades", "soulprints", "profit_buckets"
HAND = f"experiment = '{BY_HAND}'"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    with sealed_home(tmp_path_factory.mktemp("corrections")) as sealed:
        yield sealed


@pytest.fixture
def hands(home: Sealed) -> Iterator[Connection]:
    with home.tampering() as connection:
        yield connection


def correction(number: int, before: Any, day: date = DAY + timedelta(days=3), **changes: Any) -> Any:
    return hand_rows(
        number,
        partition=day.isoformat(),
        supersedes={"hash": before.content_hash, "uuid": str(before.uuid)},
        model_version="corrected",
        **changes,
    )


def test_a_correction_is_no_finding_and_each_thing_wrong_with_one_is_named(hands: Connection, home: Sealed) -> None:
    first = hand_rows(1).trade
    second = correction(1, first)
    put(hands, second)
    assert home.check(hands).findings == []

    again = correction(1, first, symbol="C9/USDT")
    hands.execute(text(f"DROP INDEX uq_{TRADES}_supersedes"))
    put(hands, again)
    twice = {row for table, row, kind in found(home.check(hands), TRADES) if kind == "duplicate"}
    assert twice == {max(str(second.trade.uuid), str(again.trade.uuid))}


@pytest.mark.parametrize(
    ("named", "kind"),
    [
        ({"hash": "ab" * 32, "uuid": str(hand_rows(2).trade.uuid)}, "dangling_link"),
        ({"hash": "ab" * 32, "uuid": "00000000-0000-8000-8000-000000000000"}, "dangling_link"),
    ],
)
def test_a_correction_of_nothing_or_of_another_content_is_named(
    hands: Connection, home: Sealed, named: dict[str, str], kind: str
) -> None:
    made = hand_rows(2, partition="2024-05-09", supersedes=named)
    put(hands, made)
    assert (TRADES, str(made.trade.uuid), kind) in found(home.check(hands))


def test_a_correction_of_an_earlier_day_than_what_it_corrects_is_named(hands: Connection, home: Sealed) -> None:
    made = correction(3, hand_rows(3).trade, DAY - timedelta(days=5))
    put(hands, made)
    assert found(home.check(hands)) == {(TRADES, str(made.trade.uuid), "wrong_order")}


def test_corrections_that_supersede_each_other_in_a_circle_are_named(hands: Connection, home: Sealed) -> None:
    first = hand_rows(4).trade
    second = correction(4, first)
    put(hands, second)
    hands.execute(
        text(f"UPDATE {TRADES} SET supersedes = :s WHERE uuid = :u"), {"s": second.trade.uuid, "u": first.uuid}
    )
    named = found(home.check(hands))
    lowest = min(str(first.uuid), str(second.trade.uuid))
    assert (TRADES, lowest, "wrong_order") in named
    assert (TRADES, str(first.uuid), "hash_mismatch") in named


def put_aside(hands: Connection, table: str, uuid: object, action: str = "quarantine") -> int:
    statement = text(
        "INSERT INTO registry_quarantine (table_name, row_uuid, action, reason, finding)"
        " VALUES (:t, :u, :a, 'tests', '{}') RETURNING seq"
    )
    return int(hands.execute(statement, {"t": table, "u": uuid, "a": action}).scalar_one())


def test_quarantine_sets_an_orphan_aside_but_never_an_edit(hands: Connection, home: Sealed) -> None:
    trade = pick(hands, TRADES, HAND)
    orphans = [(table, str(entry(hands, table, trade)["uuid"])) for table in (PRINTS, BUCKETS)]
    hands.execute(text(f"DELETE FROM {TRADES} WHERE uuid = :u"), {"u": trade["uuid"]})
    assert found(home.check(hands)) == {(*item, "orphan") for item in orphans}
    for table, uuid in orphans:
        put_aside(hands, table, uuid)
    result = home.check(hands)
    assert result.ok
    assert {(item.table, item.row) for item in result.set_aside} == set(orphans)
    assert any("set aside" in sentence for sentence in result.sentences)
    hands.execute(text(f"UPDATE {PRINTS} SET simhash = 'x' WHERE uuid = :u"), {"u": orphans[0][1]})
    assert found(home.check(hands)) == {(*orphans[0], "hash_mismatch")}
    put_aside(hands, *orphans[1], "release")
    assert (*orphans[1], "orphan") in found(home.check(hands))


def test_what_is_wrong_with_the_quarantine_itself_is_named(hands: Connection, home: Sealed) -> None:
    trade = pick(hands, TRADES, HAND)
    early = put_aside(hands, TRADES, trade["uuid"], "release")
    odd = put_aside(hands, TRADES, trade["uuid"], "burn")
    foreign = put_aside(hands, "outcomes", trade["uuid"])
    nobody = "00000000-0000-8000-8000-000000000000"
    put_aside(hands, PRINTS, nobody)
    put_aside(hands, BUCKETS, entry(hands, BUCKETS, trade)["uuid"])
    twice = put_aside(hands, BUCKETS, entry(hands, BUCKETS, trade)["uuid"])
    assert found(home.check(hands)) == {
        ("registry_quarantine", str(early), "wrong_order"),
        ("registry_quarantine", str(odd), "inconsistent"),
        ("registry_quarantine", str(foreign), "dangling_link"),
        ("registry_quarantine", nobody, "dangling_link"),
        ("registry_quarantine", str(twice), "wrong_order"),
    }
