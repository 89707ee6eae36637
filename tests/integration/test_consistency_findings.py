"""Whatever is changed in the registries is named exactly, in both directions; what was not is not named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from tests.integration.consistency_homes import (
    HAND_TRADES,
    Sealed,
    entry,
    found,
    pick,
    reseal,
    rewrite,
    sealed_home,
)
from tests.unit.consistency_rows import BY_HAND
from throughline.catalogue import catalogue
from throughline.storage.tables import ledger_table, projection

TRADES, PRINTS, BUCKETS = "canonical_trades", "soulprints", "profit_buckets"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    with sealed_home(tmp_path_factory.mktemp("consistency")) as sealed:
        yield sealed


@pytest.fixture
def hands(home: Sealed) -> Iterator[Connection]:
    with home.tampering() as connection:
        yield connection


def flow(home: Sealed) -> str:
    return f"experiment = '{home.experiment}'"


def test_an_untouched_home_has_no_findings_and_every_trade_is_linked_in_both_directions(home: Sealed) -> None:
    """Defect 6 of the seeds: linkage silently yielded nothing."""
    with home.database.engine("auditor").connect() as connection:
        result = home.check(connection, audit=True, artifacts=home.store)
        rows = {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in catalogue().registries
        }
        linked = connection.execute(
            text(
                "SELECT count(*) FROM canonical_trades t JOIN soulprints s ON s.canonical_uuid = t.uuid"
                " AND s.canonical_hash = t.content_hash AND s.soulprint = t.soulprint JOIN profit_buckets b"
                " ON b.canonical_uuid = t.uuid AND b.canonical_hash = t.content_hash AND b.pattern = t.pattern"
            )
        ).scalar_one()
    assert result.findings == []
    assert result.ok
    assert result.audited
    assert result.trades == linked == rows[TRADES] > HAND_TRADES
    assert result.rows == sum(rows.values()) == 3 * result.trades


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table in catalogue().registries for column in projection(ledger_table(table))],
)
def test_an_edited_cell_is_named(hands: Connection, home: Sealed, table: str, column: str, by_hand: bool) -> None:
    where = f"experiment = '{BY_HAND}'" if by_hand else flow(home)
    row, other = pick(hands, table, where), pick(hands, table, where, 1)
    value = _other(table, column, row, other)
    hands.execute(text(f'UPDATE {table} SET "{column}" = :v WHERE uuid = :u'), {"v": value, "u": row["uuid"]})
    result = home.check(hands)
    named = [item for item in result.findings if (item.table, item.row) == (table, str(row["uuid"]))]
    assert [item.kind for item in named if column in item.problem] == ["hash_mismatch"]
    item = next(item for item in named if column in item.problem)
    assert str(item.expected).startswith(f"{column} = ")
    assert str(item.found).startswith(f"{column} = ")
    assert item.expected != item.found
    assert item.repair
    if column not in ("canonical_uuid",):
        assert found(result) == {(table, str(row["uuid"]), "hash_mismatch")}


def _other(table: str, column: str, row: dict[str, Any], other: dict[str, Any]) -> Any:
    value = row[column]
    if column == "canonical_uuid":
        return row["uuid"]
    if column in ("candidate_uuid", "outcome_uuid"):
        return None if value else other["uuid"]
    if isinstance(value, list):
        return value[:-1]
    if isinstance(value, str):
        return value + "x"
    if value is None:
        return "x" if column == "simhash" else 1
    try:
        return value + 1
    except TypeError:
        return value.replace(year=2020)


def test_an_edited_body_is_named_by_its_hash_and_breaks_its_seal(hands: Connection, home: Sealed) -> None:
    row = pick(hands, TRADES, flow(home))
    body = bytes(row["body"]).replace(b'"profit_usd":"', b'"profit_usd":"9')
    hands.execute(text(f"UPDATE {TRADES} SET body = :b WHERE uuid = :u"), {"b": body, "u": row["uuid"]})
    named = found(home.check(hands))
    assert (TRADES, str(row["uuid"]), "hash_mismatch") in named
    assert ("partition_seals", f"{TRADES}/{row['partition']}", "seal_mismatch") in named


@pytest.mark.parametrize(
    "body", [b"oops", b"\xff\xfe", b"", b"[1,2]", b'{"a":1', b"[" * 5000, b'{"experiment":"\\u0000"}']
)
def test_a_body_that_says_nothing_is_named_and_hides_no_other_row(hands: Connection, home: Sealed, body: bytes) -> None:
    row, other = pick(hands, PRINTS, flow(home)), pick(hands, BUCKETS, flow(home), 1)
    hands.execute(text(f"UPDATE {PRINTS} SET body = :b WHERE uuid = :u"), {"b": body, "u": row["uuid"]})
    hands.execute(text(f"UPDATE {BUCKETS} SET buckets = '{{}}' WHERE uuid = :u"), {"u": other["uuid"]})
    named = found(home.check(hands))
    assert (PRINTS, str(row["uuid"]), "hash_mismatch") in named
    assert (PRINTS, str(row["uuid"]), "unreadable") in named
    assert (BUCKETS, str(other["uuid"]), "hash_mismatch") in named
    seals = {("partition_seals", f"{PRINTS}/{row['partition']}", "seal_mismatch")}
    assert named == {
        (PRINTS, str(row["uuid"]), "hash_mismatch"),
        (PRINTS, str(row["uuid"]), "unreadable"),
        (BUCKETS, str(other["uuid"]), "hash_mismatch"),
        *seals,
    }


def test_a_deleted_trade_is_named_by_its_orphans_its_outcome_and_its_seal(hands: Connection, home: Sealed) -> None:
    """Defect 5 of the seeds: dangling references were never found, and specialised registries never looked at."""
    trade = pick(hands, TRADES, flow(home))
    entries = {table: entry(hands, table, trade) for table in (PRINTS, BUCKETS)}
    hands.execute(text(f"DELETE FROM {TRADES} WHERE uuid = :u"), {"u": trade["uuid"]})
    result = home.check(hands)
    assert found(result) == {
        (PRINTS, str(entries[PRINTS]["uuid"]), "orphan"),
        (BUCKETS, str(entries[BUCKETS]["uuid"]), "orphan"),
        ("outcomes", str(trade["outcome_uuid"]), "missing_link"),
        ("partition_seals", f"{TRADES}/{trade['partition']}", "seal_mismatch"),
    }
    orphan = next(item for item in result.findings if item.kind == "orphan")
    assert orphan.expected == str(trade["uuid"])


@pytest.mark.parametrize("table", [PRINTS, BUCKETS])
def test_a_deleted_entry_is_named_by_its_trade_and_its_seal(hands: Connection, home: Sealed, table: str) -> None:
    trade = pick(hands, TRADES, flow(home), 2)
    hands.execute(text(f"DELETE FROM {table} WHERE canonical_uuid = :u"), {"u": trade["uuid"]})
    result = home.check(hands)
    assert found(result) == {
        (TRADES, str(trade["uuid"]), "missing_link"),
        ("partition_seals", f"{table}/{trade['partition']}", "seal_mismatch"),
    }
    missing = next(item for item in result.findings if item.kind == "missing_link")
    assert missing.expected == trade["soulprint" if table == PRINTS else "pattern"]


def test_all_rows_of_a_day_deleted_are_named_by_its_seals(hands: Connection, home: Sealed) -> None:
    day = pick(hands, TRADES, flow(home))["partition"]
    for table in (PRINTS, BUCKETS, TRADES):
        hands.execute(text(f"DELETE FROM {table} WHERE partition = :d"), {"d": day})
    named = found(home.check(hands))
    assert {("partition_seals", f"{table}/{day}", "seal_mismatch") for table in catalogue().registries} <= named


@pytest.mark.parametrize("table", [PRINTS, BUCKETS])
def test_an_entry_pointed_at_another_trade_is_named_and_so_is_the_trade_it_left(
    hands: Connection, home: Sealed, table: str
) -> None:
    first, second = (pick(hands, TRADES, f"experiment = '{BY_HAND}'", number) for number in (0, 1))
    hands.execute(text(f"DROP INDEX ix_{table}_canonical_uuid"))
    moved = rewrite(
        hands,
        table,
        entry(hands, table, first),
        lambda body: body.update(canonical={"hash": second["content_hash"], "uuid": str(second["uuid"])}),
    )
    named = found(home.check(hands), *catalogue().registries)
    assert (TRADES, str(first["uuid"]), "missing_link") in named
    assert (table, str(moved["uuid"]), "duplicate") in named
    assert len(named) == 2


def test_a_trade_that_names_another_entry_is_named(hands: Connection, home: Sealed) -> None:
    trade = pick(hands, TRADES, f"experiment = '{BY_HAND}'")
    changed = rewrite(hands, TRADES, trade, lambda body: body["specialized_hashes"].update(soulprints="ab" * 32))
    result = home.check(hands)
    item = next(item for item in result.findings if item.table == TRADES)
    assert (item.kind, item.expected, item.found) == ("dangling_link", "ab" * 32, trade["soulprint"])
    children = {(table, str(entry(hands, table, changed)["uuid"]), "dangling_link") for table in (PRINTS, BUCKETS)}
    assert found(result) == {(TRADES, str(changed["uuid"]), "dangling_link"), *children}


@pytest.mark.parametrize(
    "linked", ["set()", [], ["soulprints"], ["profit_buckets", "soulprints", "soulprints"], None, {"soulprints": 1}]
)
def test_linked_registries_saved_as_anything_but_the_list_are_named(
    hands: Connection, home: Sealed, linked: Any
) -> None:
    """Defect 3 of the seeds: the set was saved as the text "set()"."""
    trade = pick(hands, TRADES, f"experiment = '{BY_HAND}'", 3)
    changed = rewrite(hands, TRADES, trade, lambda body: body.update(linked_registries=linked))
    named = found(home.check(hands), TRADES)
    assert named == {(TRADES, str(changed["uuid"]), "missing_link")}


def relink(hands: Connection, before: dict[str, Any], trade: dict[str, Any]) -> None:
    """Make the entries of a rewritten trade name it again, with hashes, columns and UUIDs."""
    for table in (PRINTS, BUCKETS):
        rewrite(
            hands,
            table,
            entry(hands, table, before),
            lambda body: body.update(canonical={"hash": trade["content_hash"], "uuid": str(trade["uuid"])}),
        )


def test_a_profit_made_up_with_all_hashes_and_seals_made_again_is_named_by_the_outcome(
    hands: Connection, home: Sealed
) -> None:
    trade = pick(hands, TRADES, flow(home))
    changed = rewrite(hands, TRADES, trade, lambda body: body.update(profit_usd="1000000"))
    relink(hands, trade, changed)
    for asset in catalogue().registries:
        reseal(hands, asset, trade["partition"])
    result = home.check(hands)
    assert found(result, *catalogue().registries) == {(TRADES, str(changed["uuid"]), "inconsistent")}
    item = next(item for item in result.findings if item.table == TRADES)
    assert item.problem.startswith("profit_usd is 1000000, its chain gives")
    assert item.found == "1000000"
    assert found(result) - found(result, TRADES) == {
        ("partition_seals", f"registry_seals/{trade['partition']}", "seal_mismatch")
    }


@pytest.mark.parametrize(
    "change",
    [
        {"profit_usd": "1000"},
        {"profit_percentage": "99"},
        {"notional_usd": "1"},
        {"exit_price": "1234.5"},
        {"fees_usd": "77"},
        {"action": "sell"},
    ],
)
def test_a_trade_by_hand_whose_sums_do_not_come_out_is_named(
    hands: Connection, home: Sealed, change: dict[str, str]
) -> None:
    trade = pick(hands, TRADES, f"experiment = '{BY_HAND}'", 4)
    changed = rewrite(hands, TRADES, trade, lambda body: body.update(change))
    relink(hands, trade, changed)
    assert found(home.check(hands)) == {(TRADES, str(changed["uuid"]), "inconsistent")}


def test_a_simhash_or_buckets_that_do_not_follow_are_named(hands: Connection, home: Sealed) -> None:
    trade = pick(hands, TRADES, f"experiment = '{BY_HAND}'", 2)
    changed = rewrite(hands, PRINTS, entry(hands, PRINTS, trade), lambda body: body.update(simhash="0123456789abcdef"))
    named = found(home.check(hands))
    bucket = entry(hands, BUCKETS, trade)
    assert (PRINTS, str(changed["uuid"]), "hash_mismatch") in named
    assert named <= {
        (PRINTS, str(changed["uuid"]), "hash_mismatch"),
        (BUCKETS, str(bucket["uuid"]), "hash_mismatch"),
    }


def test_a_bucket_entry_with_another_exit_than_its_trade_is_named(hands: Connection, home: Sealed) -> None:
    trade = pick(hands, TRADES, f"experiment = '{BY_HAND}'", 6)
    changed = rewrite(
        hands, BUCKETS, entry(hands, BUCKETS, trade), lambda body: body["exits"].update(reason="profit_target")
    )
    result = home.check(hands)
    kinds = {(item.kind, item.row) for item in result.findings}
    assert kinds == {("inconsistent", str(changed["uuid"])), ("hash_mismatch", str(changed["uuid"]))}


def test_a_trade_closed_before_it_was_opened_and_a_soulprint_from_later_are_named(
    hands: Connection, home: Sealed
) -> None:
    trade = pick(hands, TRADES, f"experiment = '{BY_HAND}'", 7)
    changed = rewrite(hands, TRADES, trade, lambda body: body.update(opened_at="2024-05-09T00:00:00.000000Z"))
    relink(hands, trade, changed)
    later = pick(hands, TRADES, f"experiment = '{BY_HAND}'", 8)
    soulprint = rewrite(
        hands,
        PRINTS,
        entry(hands, PRINTS, later),
        lambda body: body.update(decision_time="2024-05-09T00:00:00.000000Z"),
    )
    named = found(home.check(hands))
    assert (TRADES, str(changed["uuid"]), "wrong_order") in named
    assert (PRINTS, str(soulprint["uuid"]), "wrong_order") in named


def test_an_entry_moved_to_another_day_is_named_once_where_it_lies(hands: Connection, home: Sealed) -> None:
    trade = pick(hands, TRADES, f"experiment = '{BY_HAND}'", 1)
    moved = rewrite(hands, BUCKETS, entry(hands, BUCKETS, trade), lambda body: body.update(partition="2024-05-07"))
    assert found(home.check(hands)) == {(BUCKETS, str(moved["uuid"]), "wrong_parent")}


def test_rows_of_an_experiment_that_is_not_recorded_are_named(hands: Connection, home: Sealed) -> None:
    hands.execute(text("DELETE FROM experiments WHERE id = :e"), {"e": BY_HAND})
    assert ("experiments", BY_HAND, "dangling_link") in found(home.check(hands))
