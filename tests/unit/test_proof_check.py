"""The check of a proof file against files that are signed properly and still prove nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from throughline.identity import seal_of
from throughline.proof.check import check_proof
from throughline.proof.events import Event, Head, sign_head
from throughline.proof.keys import FileSigner
from throughline.proof.manifest import Leaf, manifest_hash
from throughline.proof.prove import FORMAT
from throughline.proof.tree import Frontier, inclusion_proof
from throughline.storage.records import LedgerRow
from throughline.tracking.records import make_row

TIME = "2026-01-01T00:00:00.000000Z"
EXPERIMENT = "e" * 64


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> FileSigner:
    return FileSigner(tmp_path_factory.mktemp("key") / "signing.pem")


def scan(partition: str = "2026-01-01") -> LedgerRow:
    body = {
        "admitted": 1,
        "decision_time": TIME,
        "experiment": EXPERIMENT,
        "instruments": 1,
        "partition": partition,
        "schema_version": 1,
        "strategy": "s",
        "triggered": 1,
    }
    return make_row("market_scans", body)


def candidate(of: LedgerRow, digest: str | None = None) -> LedgerRow:
    body = {
        "confidence": "1",
        "created_by": "test",
        "decision_time": TIME,
        "experiment": EXPERIMENT,
        "instrument": "coin",
        "model_version": "m",
        "opportunity_score": None,
        "params_ptr": "p",
        "partition": "2026-01-01",
        "scan": {"uuid": str(of.uuid), "hash": digest or of.content_hash},
        "schema_version": 1,
        "segment": "coin",
        "side": "buy",
        "strategy": "s",
    }
    return make_row("candidates", body)


def entries(seq: int, *rows: tuple[str, LedgerRow]) -> Event:
    leaves = [Leaf(table, str(row.uuid), row.content_hash) for table, row in rows]
    told = {"rows": [list(leaf) for leaf in leaves], "manifest": manifest_hash(leaves), "written": []}
    return Event.of(
        {"kind": "entries", "log": "log", "seq": seq, "experiment": EXPERIMENT, "recorded_at": TIME, **told}
    )


def seal(seq: int, row: LedgerRow, **other: Any) -> Event:
    told = {
        "kind": "seal",
        "log": "log",
        "seq": seq,
        "experiment": EXPERIMENT,
        "asset": "market_scan",
        "partition": row.partition.isoformat(),
        "root": seal_of([row.content_hash]),
        "leaves": 1,
        "status": "sealed",
        "verdicts": [],
        "manifest": "",
        "written": [],
        "recorded_at": TIME,
    }
    return Event.of({**told, **other})


def signed(signer: FileSigner, events: list[Event]) -> Head:
    frontier = Frontier()
    for event in events:
        frontier.append(event.leaf)
    return sign_head(signer, "log", frontier, TIME)


def file(signer: FileSigner, events: list[Event], records: list[dict[str, Any]], asked: LedgerRow) -> dict[str, Any]:
    head = signed(signer, events)
    leaves = [event.leaf for event in events]
    return {
        "format": FORMAT,
        "asked": str(asked.uuid),
        "records": records,
        "events": [
            {"body": dict(event.told), "path": [item.hex() for item in inclusion_proof(event.seq, leaves)]}
            for event in events
        ],
        "head": {"body": dict(head.told), "signature": head.signature},
    }


def record(table: str, row: LedgerRow, event: int, **place: Any) -> dict[str, Any]:
    return {"table": table, "body": json.loads(row.body), "event": event, **place}


def test_records_listed_in_an_event_and_under_a_seal_hold(signer: FileSigner) -> None:
    above = scan()
    row = candidate(above)
    events = [seal(0, above), entries(1, ("candidates", row))]
    records = [record("market_scans", above, 0, index=0, path=[]), record("candidates", row, 1)]
    told = check_proof(file(signer, events, records, row), signer.public_key)
    assert told.problems == ()
    assert told.as_json()["ok"]


def test_a_record_that_names_its_parent_with_another_hash_does_not_hold(signer: FileSigner) -> None:
    above = scan()
    row = candidate(above, digest="0" * 64)
    events = [entries(0, ("market_scans", above), ("candidates", row))]
    records = [record("market_scans", above, 0), record("candidates", row, 0)]
    told = check_proof(file(signer, events, records, row), signer.public_key)
    assert "names market_scans" in told.problems[0]


def test_a_record_whose_parent_is_left_out_does_not_hold(signer: FileSigner) -> None:
    row = candidate(scan())
    told = check_proof(
        file(signer, [entries(0, ("candidates", row))], [record("candidates", row, 0)], row), signer.public_key
    )
    assert "which the file leaves out" in told.problems[0]


@pytest.mark.parametrize(
    "other",
    [
        {"asset": "outcomes"},
        {"partition": "2026-01-02"},
        {"experiment": "f" * 64},
        {"root": "0" * 64},
        {"leaves": 2},
        {"log": "another"},
        {"kind": "genesis", "key": "00"},
        {"written": None},
    ],
)
def test_a_record_under_the_seal_of_something_else_does_not_hold(signer: FileSigner, other: dict[str, Any]) -> None:
    row = scan()
    records = [record("market_scans", row, 0, index=0, path=[])]
    assert check_proof(file(signer, [seal(0, row)], records, row), signer.public_key).ok
    told = check_proof(file(signer, [seal(0, row, **other)], records, row), signer.public_key)
    assert not told.ok
    assert told.lines == ()


@pytest.mark.parametrize(
    "place", [{}, {"index": 1, "path": []}, {"index": True, "path": []}, {"index": 0, "path": "ab"}]
)
def test_a_record_with_another_place_does_not_hold(signer: FileSigner, place: dict[str, Any]) -> None:
    row = scan()
    told = check_proof(file(signer, [seal(0, row)], [record("market_scans", row, 0, **place)], row), signer.public_key)
    assert not told.ok


def test_a_record_that_was_not_asked_for_is_no_answer(signer: FileSigner) -> None:
    row = scan()
    records = [record("market_scans", row, 0, index=0, path=[])]
    told = check_proof(file(signer, [seal(0, row)], records, scan("2026-01-02")), signer.public_key)
    assert told.ok  # the same natural key, so the same UUID: only the partition differs
    told = check_proof(file(signer, [seal(0, row)], records, candidate(row)), signer.public_key)
    assert "is not in the file" in told.problems[0]


def test_a_file_that_nests_without_end_is_no_proof(signer: FileSigner) -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    data = file(signer, [seal(0, scan())], [], scan())
    assert not check_proof({**data, "records": nested}, signer.public_key).ok
    assert not check_proof({**data, "head": {"body": {"a": nested}, "signature": ""}}, signer.public_key).ok


def test_a_file_signed_with_somebody_elses_key_convinces_only_them(signer: FileSigner, tmp_path: Path) -> None:
    other = FileSigner(tmp_path / "other.pem")
    row = scan()
    data = file(other, [seal(0, row)], [record("market_scans", row, 0, index=0, path=[])], row)
    assert check_proof(data, other.public_key).ok
    assert not check_proof(data, signer.public_key).ok
