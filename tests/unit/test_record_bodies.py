"""Bodies, UUIDs and columns of every kind of record stay, to the byte, what they are.

`record_bodies.json` holds one record of each table as a home of the demo market stored it. Declarations may be
rearranged; a body that moves by a byte would be another record under the same name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from throughline.identity import canonical_bytes, hash_body, parse_time
from throughline.registries.profit_buckets import Excursion
from throughline.registries.soulprints import soulprint_of
from throughline.registry.records import link_trade, trade_body
from throughline.storage.records import LedgerRow
from throughline.storage.tables import LEDGER
from throughline.tracking.bodies import candidate_body, execution_body, outcome_body, research_body
from throughline.tracking.records import make_row, reference
from throughline.tracking.types import ExecutionRecord, ResearchDocument, TerminationReason, TradeOutcome

STORED: dict[str, Any] = json.loads(Path(__file__).with_name("record_bodies.json").read_text(encoding="utf-8"))
DECIDED = parse_time("2024-03-02T10:00:00.000000Z")


def stored_row(table: str) -> LedgerRow:
    return make_row(table, STORED[table]["body"])


def test_there_is_a_record_of_every_kind() -> None:
    assert set(STORED) == {table.name for table in LEDGER}


@pytest.mark.parametrize("table", STORED)
def test_a_body_gives_the_bytes_the_hash_the_uuid_and_the_columns_that_are_stored(table: str) -> None:
    expected, row = STORED[table], stored_row(table)
    assert row.body == canonical_bytes(expected["body"])
    assert row.content_hash == expected["content_hash"]
    assert str(row.uuid) == expected["uuid"]
    assert {name: repr(value) for name, value in row.columns.items()} == expected["columns"]


def test_a_closed_chain_gives_the_three_registry_entries_that_are_stored() -> None:
    chain = [stored_row(table) for table in ("candidates", "research_docs", "executions", "outcomes")]
    exits = STORED["profit_buckets"]["body"]["exits"]
    moved = Excursion(exits["max_favorable_percent"], exits["max_adverse_percent"], exits["hours_to_best"])
    facts = {"soulprints": soulprint_of(chain[1]), "profit_buckets": moved}
    rows = link_trade(trade_body(*chain), facts).by_table()
    assert {table: row.content_hash for table, row in rows.items()} == {
        table: STORED[table]["content_hash"] for table in ("canonical_trades", "soulprints", "profit_buckets")
    }


def test_records_written_by_hand_keep_their_hashes() -> None:
    given = {
        "confidence": 0.8,
        "created_by": "me",
        "instrument": "BTC/USDT",
        "model_version": "v1",
        "params_ptr": "p",
        "segment": "BTC/USDT",
        "side": "buy",
        "strategy": "me",
    }
    candidate = make_row("candidates", candidate_body("e" * 64, DECIDED, given))
    head = json.loads(candidate.body)
    document = ResearchDocument(candidate.uuid, initial_market_cap=1e6, missing=("volume",), trade_rationale="why")
    research = make_row("research_docs", research_body(head, reference(candidate), document))
    record = ExecutionRecord(candidate.uuid, "order-1", 100.0, 2.0, slippage=0.002, latency_metrics={"ms": 1.5})
    execution = make_row("executions", execution_body(head, reference(candidate), reference(research), record, DECIDED))
    ended = TradeOutcome(candidate.uuid, 1.5, 3600, TerminationReason.PROFIT_TARGET)
    outcome = make_row("outcomes", outcome_body(json.loads(execution.body), reference(execution), ended))
    assert " ".join(row.content_hash[:16] for row in (candidate, research, execution, outcome)) == (
        "79ba8f72dfdc2450 59b90b6dfe461f96 755963f79a367637 09749015f7b237d1"
    )


def test_a_correction_is_another_record_of_the_same_table() -> None:
    first = stored_row("outcomes")
    again = make_row("outcomes", {**STORED["outcomes"]["body"], "supersedes": reference(first)})
    assert (again.supersedes, str(again.uuid)) == (first.uuid, "018d4d26-b980-841d-b2c8-396384253795")


def test_every_kind_has_a_word_of_its_own_in_its_hashes() -> None:
    assert len({make_row(table, STORED[table]["body"]).content_hash for table in STORED}) == len(STORED)
    same = {table: hash_body("outcome", STORED[table]["body"]) for table in STORED}
    assert [table for table in STORED if same[table] == STORED[table]["content_hash"]] == ["outcomes"]
