"""One thing wrong between a trade and its entries, everything else made to fit it: named, and nothing else."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from tests.unit.consistency_rows import BY_HAND, copied, hand_rows, typed
from throughline.registries._bucket_cells import cells_text
from throughline.registries.profit_buckets import pattern_hash
from throughline.registry.consistency.entries import Entry
from throughline.registry.consistency.forms import registry_forms
from throughline.registry.consistency.sums import check_sums
from throughline.registry.consistency.trades import Part, check_links
from throughline.signals.vector import soulprint_hash
from throughline.storage.records import LedgerRow
from throughline.tracking.records import make_row, reference

FORMS = registry_forms()
TRADES, PRINTS, BUCKETS = "canonical_trades", "soulprints", "profit_buckets"
NO_DATABASE = cast(Connection, None)
"""Nothing is asked of it where every trade has its entries."""

Body = dict[str, Any]
Key = tuple[str, str]


def bodies(number: int = 1) -> dict[str, Body]:
    return {table: json.loads(row.body) for table, row in hand_rows(number).by_table().items()}


def fit(told: dict[str, Body], *, soulprint: bool = True, pattern: bool = True) -> None:
    """Make hashes follow from what they are over, and the trade name them."""
    if soulprint:
        body = told[PRINTS]
        body["soulprint"] = soulprint_hash(body["decision_time"], body["subject"], body["values"])
        told[BUCKETS]["soulprint"] = body["soulprint"]
    if pattern:
        body = told[BUCKETS]
        body["pattern"] = pattern_hash(body["soulprint"], body["buckets"], body["exits"])
    told[TRADES]["specialized_hashes"] = {BUCKETS: told[BUCKETS]["pattern"], PRINTS: told[PRINTS]["soulprint"]}


def linked(told: dict[str, Body]) -> dict[str, LedgerRow]:
    """Return the rows, the entries naming the trade as it is."""
    trade = make_row(TRADES, told[TRADES])
    for table in (PRINTS, BUCKETS):
        told[table]["canonical"] = reference(trade)
    return {TRADES: trade, **{table: make_row(table, told[table]) for table in (PRINTS, BUCKETS)}}


def entry(table: str, row: LedgerRow) -> Entry:
    line = copied(table, typed(table, row))
    trade = row.uuid if table == TRADES else row.columns["canonical_uuid"]
    told = FORMS[table].fields(line)
    assert told is not None, "the quick way must be able to read it"
    return Entry(table, line[1], line[3], row.content_hash, row.content_hash, str(trade), told, line[0])


def named(rows: dict[str, LedgerRow], sums: bool = False) -> set[tuple[str, str]]:
    """Return (table, kind) of what is found, each of which must be the row of that table."""
    part = Part({table: [entry(table, row)] for table, row in rows.items()})
    check_links(NO_DATABASE, part)
    if sums:
        check_sums(part)
    for item in part.findings:
        assert item.row == str(rows[item.table].uuid)
        assert item.repair
    return {(item.table, item.kind) for item in part.findings}


def test_what_belongs_together_has_no_findings() -> None:
    for number in range(40):
        assert named(hand_rows(number).by_table(), sums=True) == set()
        told = bodies(number)
        fit(told)
        assert linked(told)[BUCKETS] == hand_rows(number).entries["profit_buckets"]


FITTED = [
    ("a bucket of another soulprint", {BUCKETS: {"soulprint": "ab" * 32}}, {(BUCKETS, "inconsistent")}, "pattern"),
    ("linked to nothing", {TRADES: {"linked_registries": []}}, {(TRADES, "missing_link")}, "both"),
    ("linked twice", {TRADES: {"linked_registries": ["soulprints", "soulprints"]}}, {(TRADES, "missing_link")}, "both"),
    ("a bucket of another day", {BUCKETS: {"partition": "2024-05-07"}}, {(BUCKETS, "wrong_parent")}, "both"),
    ("a soulprint of another day", {PRINTS: {"partition": "2024-05-05"}}, {(PRINTS, "wrong_parent")}, "both"),
    (
        "decided after it was opened",
        {PRINTS: {"decision_time": "2024-05-08T00:00:00.000000Z"}},
        {(PRINTS, "wrong_order")},
        "both",
    ),
    (
        "closed before it was opened",
        {TRADES: {"opened_at": "2024-05-08T00:00:00.000000Z"}},
        {(TRADES, "wrong_order")},
        "both",
    ),
    (
        "a bucket closed at another instant",
        {BUCKETS: {"closed_at": "2024-05-06T00:00:01.000000Z"}},
        {(BUCKETS, "inconsistent")},
        "both",
    ),
    ("a soulprint of another subject", {PRINTS: {"subject": "X/USDT"}}, {(PRINTS, "inconsistent")}, "both"),
    ("a trade of another segment", {TRADES: {"segment": "X@2024"}}, {(PRINTS, "inconsistent")}, "both"),
    ("another end", {TRADES: {"termination_reason": "rug_pull"}}, {(BUCKETS, "inconsistent")}, "both"),
    ("a best told twice", {BUCKETS: {"max_favorable_percent": "99"}}, {(BUCKETS, "hash_mismatch")}, "both"),
    ("a worst told twice", {BUCKETS: {"max_adverse_percent": "-99"}}, {(BUCKETS, "hash_mismatch")}, "both"),
    ("cells of no SimHash", {BUCKETS: {"buckets": ["soulprint/1|x|b0|00000"]}}, {(BUCKETS, "hash_mismatch")}, "both"),
    ("cells of another strategy", {TRADES: {"strategy_id": "other"}}, {(BUCKETS, "hash_mismatch")}, "both"),
    ("another schema", {BUCKETS: {"schema": "profit_bucket/0"}}, {(BUCKETS, "hash_mismatch")}, "both"),
    ("a pattern of nothing", {BUCKETS: {"pattern": "ab" * 32}}, {(BUCKETS, "hash_mismatch")}, "none"),
    ("called missing", {PRINTS: {"missing": ["drift"]}}, {(PRINTS, "hash_mismatch")}, "both"),
    (
        "a soulprint of nothing",
        {PRINTS: {"soulprint": "cd" * 32}, BUCKETS: {"soulprint": "cd" * 32}},
        {(PRINTS, "hash_mismatch")},
        "pattern",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected", "fitted"), [item[1:] for item in FITTED], ids=[item[0] for item in FITTED]
)
def test_one_thing_that_does_not_belong_is_named_and_nothing_else(
    changes: dict[str, Body], expected: set[Key], fitted: str
) -> None:
    told = bodies()
    for table, change in changes.items():
        told[table].update(change)
    fit(told, soulprint=fitted == "both", pattern=fitted != "none")
    assert named(linked(told)) == expected


def test_values_changed_under_their_hash_are_named() -> None:
    told = bodies()
    told[PRINTS]["values"]["drift"] = "0.123456"
    told[PRINTS]["missing"] = sorted(name for name, value in told[PRINTS]["values"].items() if value is None)
    assert (PRINTS, "hash_mismatch") in named(linked(told))


def test_a_simhash_that_does_not_follow_is_named_even_where_its_buckets_fit_it() -> None:
    told = bodies()
    told[PRINTS]["simhash"] = "0123456789abcdef"
    told[BUCKETS]["buckets"] = json.loads(cells_text(0x0123456789ABCDEF, told[TRADES]["strategy_id"]))
    fit(told)
    assert named(linked(told)) == {(PRINTS, "hash_mismatch")}


@pytest.mark.parametrize("table", [PRINTS, BUCKETS])
def test_an_entry_that_names_another_hash_of_its_trade_is_named(table: str) -> None:
    told = bodies()
    rows = linked(told)
    told[table]["canonical"] = {"hash": "ab" * 32, "uuid": str(rows[TRADES].uuid)}
    assert named(rows | {table: make_row(table, told[table])}) == {(table, "dangling_link")}


@pytest.mark.parametrize("table", [PRINTS, BUCKETS])
def test_a_trade_that_names_another_entry_is_named(table: str) -> None:
    told = bodies()
    told[TRADES]["specialized_hashes"][table] = "ab" * 32
    assert named(linked(told)) == {(TRADES, "dangling_link")}


def test_of_two_entries_of_a_trade_the_one_that_it_does_not_name_is_the_second() -> None:
    rows = hand_rows(1).by_table()
    told = bodies()
    told[PRINTS]["values"]["drift"] = "0.5"
    told[PRINTS]["soulprint"] = "ab" * 32
    other = make_row(PRINTS, told[PRINTS] | {"decision_time": "2020-01-01T00:00:00.000000Z"})
    assert str(other.uuid) < str(rows[PRINTS].uuid)
    part = Part({TRADES: [entry(TRADES, rows[TRADES])], BUCKETS: [entry(BUCKETS, rows[BUCKETS])], PRINTS: []})
    part.entries[PRINTS].extend(entry(PRINTS, row) for row in (other, rows[PRINTS]))
    check_links(NO_DATABASE, part)
    assert {(item.row, item.kind) for item in part.findings} == {(str(other.uuid), "duplicate")}


@pytest.mark.parametrize(
    "change",
    [
        {"profit_usd": "1"},
        {"profit_percentage": "1"},
        {"notional_usd": "1"},
        {"amount": "1"},
        {"fees_usd": "100"},
        {"entry_price": "1"},
        {"exit_price": "1"},
        {"action": "sell"},
        {"notional_usd": "0"},
    ],
)
def test_each_amount_of_a_trade_by_hand_is_held_against_the_others(change: Body) -> None:
    told = bodies(3)
    told[TRADES].update(change)
    assert (TRADES, "inconsistent") in named(linked(told), sums=True)


def test_profits_told_in_cents_are_taken_as_they_were_when_they_came_in() -> None:
    told = bodies(3)
    told[TRADES] |= {
        "entry_price": "3", "exit_price": "3.3333", "amount": "7", "fees_usd": "0.01", "notional_usd": "21",
        "profit_usd": "2.32", "profit_percentage": "11.06",
    }  # fmt: skip
    assert named(linked(told), sums=True) == set()
    told[TRADES]["profit_usd"] = "2.33"
    assert named(linked(told), sums=True) == {(TRADES, "inconsistent")}


def test_the_rows_by_hand_are_of_one_experiment() -> None:
    assert {row.experiment for row in hand_rows(1).by_table().values()} == {BY_HAND}
