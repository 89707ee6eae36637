"""IDs: any unique beginning of 8 or more hex digits names its row, or the refusal says what is wrong and what to do."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from tests.integration import proof_home
from throughline.errors import UnknownRecord
from throughline.identity import seal_of
from throughline.storage.database import Database
from throughline.storage.ids import parse_id, resolve_id, resolve_record
from throughline.storage.ledger import write_partitions
from throughline.storage.queries import register_experiment
from throughline.storage.records import PartitionWrite
from throughline.storage.tables import ledger_table
from throughline.tracking import ResearchDocument
from throughline.tracking.system import TradeTrackingSystem

EXPERIMENT = hashlib.sha256(b"an experiment of these tests").hexdigest()
TWIN = EXPERIMENT[:20] + ("0" if EXPERIMENT[20] != "0" else "1") * 44


@pytest.fixture(scope="module")
def tracked(database: Database) -> tuple[str, str]:
    """Return the UUIDs of two candidates that were decided at one instant, so they share their first 12 digits."""
    instant = datetime(2031, 5, 6, 7, tzinfo=UTC)
    with TradeTrackingSystem(engine=database.engine("writer")) as tracker:
        first, second = (
            tracker.create_candidate(name, "v1.0", 0.8, "params", "strategy", decided_at=instant)
            for name in ("AAA/USDT", "BBB/USDT")
        )
    return str(first.uuid), str(second.uuid)


@pytest.fixture(scope="module")
def twins(database: Database) -> None:
    with database.engine("writer").begin() as connection:
        for name in (EXPERIMENT, TWIN):
            register_experiment(connection, name, "demo", b"{}")


@pytest.fixture
def reader(database: Database) -> Iterator[Connection]:
    with database.engine("reader").connect() as connection:
        yield connection


@given(digits=st.text("0123456789abcdef", min_size=8, max_size=64), capital=st.booleans(), data=st.data())
def test_hyphens_case_and_the_dots_of_a_shortened_id_do_not_matter(
    digits: str, capital: bool, data: st.DataObject
) -> None:
    typed = digits.upper() if capital else digits
    for place in sorted(data.draw(st.sets(st.integers(1, len(digits) - 1), max_size=4)), reverse=True):
        typed = f"{typed[:place]}-{typed[place:]}"
    assert parse_id(typed).digits == digits
    assert parse_id(f"  {typed}... ").digits == digits
    assert parse_id(f"{{{typed}}}").digits == digits


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "is not an ID"),
        ("0176bbe", "is too short for an ID: give its first 8 or more hex digits"),
        ("----", "is not an ID"),
        ("not-an-id", "is not an ID"),
        ("０１７６ｂｂｅ３", "is not an ID"),
        ("a" * 65, "is too long for an ID"),
        ("0176bbe3\x1b[31m", "is not an ID"),
        ("0176%bbe3", "is not an ID"),
    ],
)
def test_what_cannot_be_an_id_is_refused_in_one_printable_sentence(typed: str, why: str) -> None:
    with pytest.raises(UnknownRecord, match=why) as refused:
        parse_id(typed)
    assert str(refused.value).isprintable()


def test_an_experiment_is_named_by_any_unique_beginning(twins: None, reader: Connection) -> None:
    for length in (21, 32, 63, 64):
        assert resolve_id(reader, EXPERIMENT[:length].upper(), "experiment").id == EXPERIMENT
    with pytest.raises(UnknownRecord, match=r"begins the IDs of several things: .*give more of its digits") as several:
        resolve_id(reader, EXPERIMENT[:12], "experiment")
    assert EXPERIMENT in str(several.value)
    assert TWIN in str(several.value)
    assert resolve_id(reader, EXPERIMENT[:21], "experiment", modes=["demo"]).id == EXPERIMENT
    with pytest.raises(UnknownRecord, match="`throughline experiments` lists them"):
        resolve_id(reader, EXPERIMENT[:21], "experiment", modes=["backtest"])


def test_a_record_is_named_by_any_unique_beginning_of_its_uuid(tracked: tuple[str, str], reader: Connection) -> None:
    for mine, other in (tracked, tracked[::-1]):
        unique = next(n for n in range(1, 37) if mine[:n] != other[:n])
        short = mine[:unique]
        for typed in (mine, mine.upper(), mine.replace("-", ""), short, short.replace("-", ""), mine[:-1]):
            found = resolve_id(reader, typed, "record", "trade")
            assert (found.table, found.uuid) == ("candidates", uuid.UUID(mine))
    with pytest.raises(UnknownRecord, match=f"candidates {min(tracked)}.*candidates {max(tracked)}"):
        resolve_id(reader, tracked[0][:8], "record", "trade")


def test_the_records_of_one_chain_share_their_digits_and_name_it(
    tracked: tuple[str, str], database: Database, reader: Connection
) -> None:
    instant = datetime(2032, 1, 1, tzinfo=UTC)
    with TradeTrackingSystem(engine=database.engine("writer")) as tracker:
        candidate = tracker.create_candidate("CCC/USDT", "v1.0", 0.8, "params", "strategy", decided_at=instant)
        document = tracker.store_research_document(ResearchDocument(uuid=candidate.uuid, trade_rationale="why"))
        assert tracker.get_complete_trade_record(str(candidate.uuid)[:8])["uuid"] == str(candidate.uuid)
    assert str(document)[:8] == str(candidate.uuid)[:8]
    assert resolve_record(reader, str(document)[:12], "record") == document
    assert resolve_record(reader, str(document)[:12], "record", among=[ledger_table("candidates")]) == candidate.uuid


def test_the_scan_of_a_single_candidate_does_not_make_its_digits_ambiguous(
    twins: None, database: Database, reader: Connection
) -> None:
    instant = datetime(2033, 1, 1, tzinfo=UTC)
    scan = proof_home.scan(EXPERIMENT, instant.date(), 0)
    root = seal_of([scan.content_hash])
    write = PartitionWrite(EXPERIMENT, "market_scan", instant.date(), {"market_scans": [scan]}, root, 1)
    write_partitions(database.engine("writer"), [write], per_transaction=1)
    with TradeTrackingSystem(engine=database.engine("writer")) as tracker:
        first = tracker.create_candidate("DDD/USDT", "v1.0", 0.8, "params", "strategy", decided_at=instant)
        digits = str(first.uuid)[:8]
        assert str(scan.uuid)[:8] == digits
        assert resolve_record(reader, digits, "record") == first.uuid
        assert resolve_record(reader, scan.uuid, "record") == scan.uuid
        tracker.create_candidate("EEE/USDT", "v1.0", 0.8, "params", "strategy", decided_at=instant)
    with database.engine("reader").connect() as later, pytest.raises(UnknownRecord, match="several things"):
        resolve_record(later, digits, "record")


def test_digits_that_two_experiments_share_name_one_record_within_each(
    twins: None, database: Database, reader: Connection
) -> None:
    day = datetime(2034, 1, 1, tzinfo=UTC).date()
    scans = {name: proof_home.scan(name, day, 0) for name in (EXPERIMENT, TWIN)}
    for name, scan in scans.items():
        root = seal_of([scan.content_hash])
        write = PartitionWrite(name, "market_scan", day, {"market_scans": [scan]}, root, 1)
        write_partitions(database.engine("writer"), [write], per_transaction=1)
    digits = str(scans[TWIN].uuid)[:8]
    with pytest.raises(UnknownRecord, match="several things"):
        resolve_record(reader, digits, "record")
    for name, scan in scans.items():
        assert resolve_record(reader, digits, "record", experiment=name) == scan.uuid


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (("trade",), "no trade of this home .*`throughline trades` lists them"),
        (("record", "trade"), "no record or trade of this home .*`throughline trades` lists them"),
        (("model",), "no model of this home .*`throughline models` lists them"),
        (("experiment", "model"), "`throughline experiments` and `throughline models` list them"),
    ],
)
def test_an_unknown_id_says_what_lists_the_known_ones(kinds: tuple[str, ...], told: str, reader: Connection) -> None:
    with pytest.raises(UnknownRecord, match=told):
        resolve_id(reader, "00000000", *kinds)  # type: ignore[arg-type]
