"""Trades of the flow against the chain that they come from, and the days of the registries against their seals."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text

from tests.integration.consistency_homes import (
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


def test_a_soulprint_made_up_whole_is_named_by_the_research_record(hands: Connection, home: Sealed) -> None:
    from throughline.registries.profit_buckets import Excursion
    from throughline.registries.soulprints import Soulprint
    from throughline.registry.records import link_trade

    trade = pick(hands, TRADES, flow(home))
    prints, buckets = entry(hands, PRINTS, trade), entry(hands, BUCKETS, trade)
    told, exits = json.loads(bytes(prints["body"])), json.loads(bytes(buckets["body"]))["exits"]
    values = told["values"] | {"momentum": "0.123456"}
    made = link_trade(
        {
            key: value
            for key, value in json.loads(bytes(trade["body"])).items()
            if key not in ("linked_registries", "specialized_hashes")
        },
        {
            PRINTS: Soulprint(told["subject"], told["decision_time"], values, told["reference"]),
            BUCKETS: Excursion(exits["max_favorable_percent"], exits["max_adverse_percent"], exits["hours_to_best"]),
        },
    )
    for table, row, old in zip(
        (TRADES, PRINTS, BUCKETS), made.by_table().values(), (trade, prints, buckets), strict=True
    ):
        new = json.loads(row.body)
        rewrite(hands, table, old, lambda body, new=new: body.update(new))
    for asset in catalogue().registries:
        reseal(hands, asset, trade["partition"])
    result = home.check(hands)
    assert found(result, *catalogue().registries) == {(PRINTS, str(made.entries[PRINTS].uuid), "inconsistent")}
    assert any("values is" in item.problem and "research_docs" in item.problem for item in result.findings)


def test_an_outcome_rewritten_with_its_hash_is_named_by_the_trade(hands: Connection, home: Sealed) -> None:
    trade = pick(hands, TRADES, flow(home))
    outcome = pick(hands, "outcomes", f"uuid = '{trade['outcome_uuid']}'")
    changed = rewrite(hands, "outcomes", outcome, lambda body: body.update(realized_pnl_usd="1"))
    result = home.check(hands)
    assert found(result) == {(TRADES, str(trade["uuid"]), "dangling_link")}
    item = result.findings[0]
    assert (item.expected, item.found) == (outcome["content_hash"], changed["content_hash"])


@pytest.mark.parametrize("key", ["candidate", "research", "execution", "outcome"])
def test_a_record_of_the_chain_whose_body_was_edited_is_named(hands: Connection, home: Sealed, key: str) -> None:
    table = {"candidate": "candidates", "research": "research_docs"}.get(key, f"{key}s")
    trade = pick(hands, TRADES, flow(home))
    uuid = json.loads(bytes(trade["body"]))[key]["uuid"]
    hands.execute(text(f"UPDATE {table} SET body = body || ' ' WHERE uuid = :u"), {"u": uuid})
    assert (table, uuid, "hash_mismatch") in found(home.check(hands))


def test_a_trade_of_another_chain_is_a_wrong_parent(hands: Connection, home: Sealed) -> None:
    trade = pick(hands, TRADES, flow(home), 5)
    theirs = pick(hands, "candidates", f"{flow(home)} AND uuid <> '{trade['candidate_uuid']}'")
    hands.execute(text(f"DROP INDEX uq_{TRADES}_candidate_uuid"))
    changed = rewrite(
        hands,
        TRADES,
        trade,
        lambda body: body.update(candidate={"hash": theirs["content_hash"], "uuid": str(theirs["uuid"])}),
    )
    named = found(home.check(hands), TRADES)
    assert (TRADES, str(changed["uuid"]), "wrong_parent") in named


def test_a_trade_without_its_outcome_and_a_second_trade_of_an_outcome_are_named(
    hands: Connection, home: Sealed
) -> None:
    first, second = pick(hands, TRADES, flow(home)), pick(hands, TRADES, flow(home), 1)
    hands.execute(text(f"DROP INDEX uq_{TRADES}_candidate_uuid"))
    changed = rewrite(
        hands,
        TRADES,
        second,
        lambda body: body.update({key: json.loads(bytes(first["body"]))[key] for key in ("candidate", "outcome")}),
    )
    bare = rewrite(hands, TRADES, pick(hands, TRADES, flow(home), 9), lambda body: body.update(outcome=None))
    named = found(home.check(hands))
    assert (TRADES, str(bare["uuid"]), "missing_link") in named
    assert ("outcomes", str(second["outcome_uuid"]), "missing_link") in named
    twice = {row for table, row, kind in named if (table, kind) == (TRADES, "duplicate")}
    assert twice in ({str(changed["uuid"])}, {str(first["uuid"])})


@pytest.mark.parametrize("asset", catalogue().registries)
@pytest.mark.parametrize("change", ["root = repeat('ab', 32)", "leaves = leaves + 1"])
def test_an_edited_seal_of_a_registry_is_named(hands: Connection, home: Sealed, asset: str, change: str) -> None:
    day = pick(hands, TRADES, flow(home))["partition"]
    statement = text(f"UPDATE partition_seals SET {change} WHERE asset = :a AND partition = :d")
    hands.execute(statement, {"a": asset, "d": day})
    assert found(home.check(hands)) == {
        ("partition_seals", f"{asset}/{day}", "seal_mismatch"),
        ("partition_seals", f"registry_seals/{day}", "seal_mismatch"),
    }


def test_a_deleted_seal_is_named_and_rows_waiting_for_their_asset_are_not(hands: Connection, home: Sealed) -> None:
    last = hands.execute(text("SELECT max(partition) FROM partition_seals WHERE asset = 'soulprints'")).scalar_one()
    first = pick(hands, TRADES, flow(home))["partition"]
    delete = text("DELETE FROM partition_seals WHERE asset = :a AND partition = :d")
    for asset in (PRINTS, "registry_seals"):
        hands.execute(delete, {"a": asset, "d": last})
    assert found(home.check(hands)) == set()
    hands.execute(delete, {"a": PRINTS, "d": first})
    assert (PRINTS, f"{PRINTS}/{first}", "seal_mismatch") in found(home.check(hands))


def test_a_seal_over_a_day_by_hand_is_named(hands: Connection, home: Sealed) -> None:
    day = pick(hands, TRADES, f"experiment = '{BY_HAND}'")["partition"]
    values = {"e": BY_HAND, "d": day, "r": "ab" * 32}
    hands.execute(
        text(
            "INSERT INTO partition_seals (experiment, asset, partition, root, leaves, status, details)"
            " VALUES (:e, 'canonical_trades', :d, :r, 3, 'sealed', '{}')"
        ),
        values,
    )
    assert found(home.check(hands)) == {("partition_seals", f"{TRADES}/{day}", "seal_mismatch")}
