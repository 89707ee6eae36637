"""Every way of changing a sealed home that we could think of is found, and named by table and row.

The tampering is done as the tables' owner with foreign keys taken away, in a transaction that is rolled back.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tests.integration.home_copies import open_sealed_copy
from tests.integration.small_home import END, START, seal_experiment
from throughline.catalogue import catalogue
from throughline.experiment.identity import Experiment
from throughline.identity import canonical_bytes, content_hash, seal_of
from throughline.quality.verdict import Failure
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database
from throughline.tracking.records import body_hash, expected_uuid
from throughline.verification import VerifyResult, verify, verify_connection


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, ArtifactStore, Experiment]]:
    made = open_sealed_copy(tmp_path_factory.mktemp("tampered"))
    with made[0]:
        yield made


@pytest.fixture(scope="module")
def own(opened: tuple[Database, ArtifactStore, Experiment]) -> Database:
    return opened[0]


@pytest.fixture(scope="module")
def store(opened: tuple[Database, ArtifactStore, Experiment]) -> ArtifactStore:
    return opened[1]


@pytest.fixture(scope="module")
def sealed(opened: tuple[Database, ArtifactStore, Experiment]) -> Experiment:
    return opened[2]


@pytest.fixture
def owner(own: Database, sealed: Experiment) -> Iterator[Connection]:
    """The owner's connection, foreign keys taken away; everything done on it is rolled back."""
    with own.engine("owner").connect() as connection:
        keys = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f'"
        for table, name in connection.execute(text(keys)).all():
            connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        yield connection
        connection.rollback()


def found(result: VerifyResult, table: str, row: object) -> list[str]:
    return [item.problem for item in result.findings if item.table == table and item.row == str(row)]


def pick(connection: Connection, table: str, where: str = "true") -> dict[str, object]:
    row = connection.execute(text(f"SELECT * FROM {table} WHERE {where} ORDER BY uuid LIMIT 1")).mappings().one()
    return dict(row)


def rewrite(connection: Connection, table: str, uuid: object, change: Callable[[dict], None], rehash: bool) -> None:
    body = json.loads(
        bytes(connection.execute(text(f"SELECT body FROM {table} WHERE uuid = :u"), {"u": uuid}).scalar_one())
    )
    change(body)
    data = canonical_bytes(body)
    connection.execute(text(f"UPDATE {table} SET body = :b WHERE uuid = :u"), {"b": data, "u": uuid})
    if rehash:
        values = {"h": body_hash(table, data), "u": uuid}
        connection.execute(text(f"UPDATE {table} SET content_hash = :h WHERE uuid = :u"), values)


def test_an_untouched_home_has_no_findings(own: Database, store: ArtifactStore, sealed: Experiment) -> None:
    result = verify(own.engine("auditor"), store)
    assert result.findings == []
    assert result.ok
    assert result.pending == 0
    assert result.active == sealed.id
    assert result.rows > 300
    days = (END - START).days + 1
    assert {asset: len(held) for asset, held in result.seals[sealed.id].items()} == dict.fromkeys(
        (
            "canonical_trades",
            "executions",
            "market_bars",
            "market_scan",
            "outcomes",
            "portfolio_state",
            "profit_buckets",
            "registry_seals",
            "research_snapshots",
            "shadow_outcomes",
            "soulprints",
            "trade_candidates",
            "trade_features",
        ),
        days,
    )


def test_the_home_under_test_has_rows_in_every_table(own: Database, sealed: Experiment) -> None:
    with own.engine("reader").connect() as connection:
        for table in catalogue().records:
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() > 0, table


@pytest.mark.parametrize("table", list(catalogue().records))
def test_an_edited_cell_of_any_table_is_found(owner: Connection, store: ArtifactStore, table: str) -> None:
    column, value = {
        "market_scans": ("instruments", "instruments + 1"),
        "candidates": ("confidence", "confidence + 0.01"),
        "research_docs": ("trade_rationale", "trade_rationale || '!'"),
        "dispositions": ("disposition", "'expired'"),
        "executions": ("entry_price", "entry_price * 0.99"),
        "outcomes": ("realized_pnl_usd", "realized_pnl_usd + 100"),
        "shadow_outcomes": ("termination_reason", "'rug_pull'"),
        "portfolio_states": ("cash_usd", "cash_usd + 1"),
        "shadow_states": ("open_shadows", "open_shadows + 1"),
        "trade_features": ("net_return", "net_return + 0.01"),
        "canonical_trades": ("profit_usd", "profit_usd + 1"),
        "soulprints": ("simhash", "'0123456789abcdef'"),
        "profit_buckets": ("buckets", "buckets[1:2]"),
    }[table]
    where = "disposition = 'taken'" if table == "dispositions" else "true"
    row = pick(owner, table, where)
    owner.execute(text(f"UPDATE {table} SET {column} = {value} WHERE uuid = :u"), {"u": row["uuid"]})
    result = verify_connection(owner, store)
    assert any(column in problem for problem in found(result, table, row["uuid"]))
    named = next(item for item in result.findings if item.table == table and item.row == str(row["uuid"]))
    assert named.kind == "hash_mismatch"
    assert named.expected != named.found
    assert str(named.expected).startswith(f"{column} = ")
    assert named.repair


def test_an_edited_partition_or_experiment_column_is_found(owner: Connection, store: ArtifactStore) -> None:
    row = pick(owner, "outcomes")
    owner.execute(text("UPDATE outcomes SET partition = partition + 1 WHERE uuid = :u"), {"u": row["uuid"]})
    result = verify_connection(owner, store)
    assert any("partition" in problem for problem in found(result, "outcomes", row["uuid"]))
    assert found(result, "partition_seals", f"outcomes/{row['partition']}")


def test_an_edited_body_is_found(owner: Connection, store: ArtifactStore) -> None:
    row = pick(owner, "research_docs")
    rewrite(owner, "research_docs", row["uuid"], lambda body: body.update(trade_rationale="a good idea"), rehash=False)
    problems = found(verify_connection(owner, store), "research_docs", row["uuid"])
    assert any("hashes to" in problem for problem in problems)


def test_a_body_that_is_no_json_is_found(owner: Connection, store: ArtifactStore) -> None:
    row = pick(owner, "candidates")
    owner.execute(text("UPDATE candidates SET body = 'oops' WHERE uuid = :u"), {"u": row["uuid"]})
    assert any("JSON" in problem for problem in found(verify_connection(owner, store), "candidates", row["uuid"]))


def test_an_edited_body_with_its_hash_made_again_is_found_by_sums_seal_and_columns(
    owner: Connection, store: ArtifactStore
) -> None:
    row = pick(owner, "outcomes")
    rewrite(owner, "outcomes", row["uuid"], lambda body: body.update(realized_pnl_usd="999"), rehash=True)
    result = verify_connection(owner, store)
    problems = found(result, "outcomes", row["uuid"])
    assert any("does not follow from execution and exit" in problem for problem in problems)
    assert any("column realized_pnl_usd" in problem for problem in problems)
    assert found(result, "partition_seals", f"outcomes/{row['partition']}")


def test_profit_that_is_wrong_in_body_column_hash_and_seal_is_still_found(
    owner: Connection, store: ArtifactStore
) -> None:
    row = pick(owner, "outcomes")
    rewrite(owner, "outcomes", row["uuid"], lambda body: body.update(realized_pnl_usd="999"), rehash=True)
    owner.execute(text("UPDATE outcomes SET realized_pnl_usd = 999 WHERE uuid = :u"), {"u": row["uuid"]})
    _reseal(owner, "outcomes", "outcomes", row["partition"])
    problems = found(verify_connection(owner, store), "outcomes", row["uuid"])
    assert any("does not follow from execution and exit" in problem for problem in problems)


def _reseal(connection: Connection, asset: str, table: str, day: object) -> None:
    hashes = connection.execute(text(f"SELECT content_hash FROM {table} WHERE partition = :d"), {"d": day}).scalars()
    values = {"a": asset, "d": day, "r": seal_of(hashes)}
    connection.execute(text("UPDATE partition_seals SET root = :r WHERE asset = :a AND partition = :d"), values)
    connection.execute(text("UPDATE gate_verdicts SET seal = :r WHERE asset = :a AND partition = :d"), values)


def test_a_record_rewritten_with_hash_and_seal_is_found_by_its_children(
    owner: Connection, store: ArtifactStore
) -> None:
    child = pick(owner, "executions")
    parent = pick(owner, "research_docs", f"uuid = '{child['research_uuid']}'")
    rewrite(owner, "research_docs", parent["uuid"], lambda body: body.update(code_version="f" * 64), rehash=True)
    _reseal(owner, "research_snapshots", "research_docs", parent["partition"])
    problems = found(verify_connection(owner, store), "executions", child["uuid"])
    assert any(f"research names research_docs {parent['uuid']}" in problem for problem in problems)


@pytest.mark.parametrize("table", list(catalogue().records))
def test_a_deleted_row_of_any_table_is_found(owner: Connection, store: ArtifactStore, table: str) -> None:
    row = pick(owner, table)
    owner.execute(text(f"DELETE FROM {table} WHERE uuid = :u"), {"u": row["uuid"]})
    asset = catalogue().table_asset[table]
    problems = found(verify_connection(owner, store), "partition_seals", f"{asset}/{row['partition']}")
    assert any("1 row(s) are missing" in problem for problem in problems)


def test_an_inserted_row_that_is_right_in_itself_is_found(owner: Connection, store: ArtifactStore) -> None:
    row = pick(owner, "candidates")
    body = json.loads(bytes(row["body"]))
    body["segment"] = "FAKE-SIM@20240101T000000Z"
    data = canonical_bytes(body)
    uuid = expected_uuid("candidates", json.loads(data))
    owner.execute(
        text(
            "INSERT INTO candidates SELECT (jsonb_populate_record(c, jsonb_build_object('uuid', CAST(:u AS text), "
            "'segment', CAST(:s AS text), 'content_hash', CAST(:h AS text)))).* FROM candidates c WHERE uuid = :o"
        ),
        {"u": str(uuid), "s": body["segment"], "h": body_hash("candidates", data), "o": row["uuid"]},
    )
    owner.execute(text("UPDATE candidates SET body = :b WHERE uuid = :u"), {"b": data, "u": uuid})
    result = verify_connection(owner, store)
    assert found(result, "candidates", uuid) == []
    seal = found(result, "partition_seals", f"trade_candidates/{row['partition']}")
    assert any("1 row(s) too many" in problem for problem in seal)
    assert any("must have exactly one" in problem for problem in found(result, "dispositions", f"candidate {uuid}"))


def test_an_edited_seal_is_found(owner: Connection, store: ArtifactStore) -> None:
    owner.execute(
        text("UPDATE partition_seals SET root = :r WHERE asset = 'executions' AND partition = :d"),
        {"r": "ab" * 32, "d": START},
    )
    problems = found(verify_connection(owner, store), "partition_seals", f"executions/{START}")
    assert any("root is abababab" in problem for problem in problems)


def test_edited_details_of_a_seal_are_found(owner: Connection, store: ArtifactStore) -> None:
    day = date(2024, 3, 4)
    funnel = "jsonb_set(details::jsonb, '{funnel,0,removed}', '0')::text"
    owner.execute(
        text(f"UPDATE partition_seals SET details = {funnel} WHERE asset = 'market_scan' AND partition = :d"),
        {"d": day},
    )
    bars = "jsonb_set(details::jsonb, '{bars}', '7')::text"
    owner.execute(
        text(f"UPDATE partition_seals SET details = {bars} WHERE asset = 'market_bars' AND partition = :d"), {"d": day}
    )
    equity = "jsonb_set(details::jsonb, '{equity_usd,base}', '\"1\"')::text"
    owner.execute(
        text(f"UPDATE partition_seals SET details = {equity} WHERE asset = 'portfolio_state' AND partition = :d"),
        {"d": day},
    )
    result = verify_connection(owner, store)
    assert any("equity" in problem for problem in found(result, "partition_seals", f"portfolio_state/{day}"))
    assert any("funnel" in problem for problem in found(result, "partition_seals", f"market_scan/{day}"))
    assert any("7 bars" in problem for problem in found(result, "partition_seals", f"market_bars/{day}"))


@pytest.mark.parametrize("asset", ["market_bars", "market_scan", "portfolio_state", "executions"])
def test_a_deleted_seal_within_the_sealed_days_is_found(owner: Connection, store: ArtifactStore, asset: str) -> None:
    day = date(2024, 3, 5)
    owner.execute(text("DELETE FROM partition_seals WHERE asset = :a AND partition = :d"), {"a": asset, "d": day})
    assert any(
        "missing" in item for item in found(verify_connection(owner, store), "partition_seals", f"{asset}/{day}")
    )


def test_rows_whose_last_seal_was_deleted_are_found(owner: Connection, store: ArtifactStore) -> None:
    owner.execute(text("DELETE FROM partition_seals WHERE asset = 'shadow_outcomes' AND partition = :d"), {"d": END})
    problems = found(verify_connection(owner, store), "shadow_outcomes", f"shadow_outcomes/{END}")
    assert any("under no seal" in problem for problem in problems)


def test_rows_that_a_stopped_run_left_unsealed_are_pending_and_no_finding(
    owner: Connection, store: ArtifactStore
) -> None:
    unmade = ("trade_features", "shadow_outcomes", "canonical_trades", "soulprints", "profit_buckets")
    for asset in ("executions", "outcomes", "registry_seals", *unmade):
        owner.execute(text("DELETE FROM partition_seals WHERE asset = :a AND partition = :d"), {"a": asset, "d": END})
        owner.execute(text("DELETE FROM gate_verdicts WHERE asset = :a AND partition = :d"), {"a": asset, "d": END})
    for table in (*unmade, "shadow_states"):
        owner.execute(text(f"DELETE FROM {table} WHERE partition = :d"), {"d": END})
    result = verify_connection(owner, store)
    assert result.findings == []
    assert result.pending > 0


def test_two_rows_that_changed_places_are_found(owner: Connection, store: ArtifactStore) -> None:
    first, second = owner.execute(text("SELECT uuid FROM candidates ORDER BY uuid LIMIT 2")).scalars().all()
    spare = "00000000-0000-8000-8000-000000000000"
    for old, new in ((first, spare), (second, first), (spare, second)):
        owner.execute(text("UPDATE candidates SET uuid = :n WHERE uuid = :o"), {"n": new, "o": old})
    result = verify_connection(owner, store)
    for uuid in (first, second):
        assert any("uuid does not follow" in problem for problem in found(result, "candidates", uuid))


def test_a_link_pointed_at_another_record_is_found(owner: Connection, store: ArtifactStore) -> None:
    row = pick(owner, "executions")
    other = pick(owner, "research_docs", f"uuid <> '{row['research_uuid']}' AND partition <= '{row['partition']}'")
    reference = {"uuid": str(other["uuid"]), "hash": other["content_hash"]}
    rewrite(owner, "executions", row["uuid"], lambda body: body.update(research=reference), rehash=True)
    owner.execute(
        text("UPDATE executions SET research_uuid = :r WHERE uuid = :u"), {"r": other["uuid"], "u": row["uuid"]}
    )
    problems = found(verify_connection(owner, store), "executions", row["uuid"])
    assert any("belongs to candidate" in problem for problem in problems)
    assert any("uuid does not follow" in problem for problem in problems)


def test_a_link_to_nothing_is_found(owner: Connection, store: ArtifactStore) -> None:
    row = pick(owner, "outcomes")
    owner.execute(text("DELETE FROM executions WHERE uuid = :u"), {"u": row["execution_uuid"]})
    problems = found(verify_connection(owner, store), "outcomes", row["uuid"])
    assert any("does not exist" in problem for problem in problems)


def test_an_edited_experiment_is_found(owner: Connection, store: ArtifactStore, sealed: Experiment) -> None:
    body = sealed.body.replace(b'"seed":7', b'"seed":8')
    assert body != sealed.body
    owner.execute(text("UPDATE experiments SET body = :b"), {"b": body})
    problems = found(verify_connection(owner, store), "experiments", sealed.id)
    assert any("id is not the hash of its body" in problem for problem in problems)


def test_rows_of_an_experiment_that_was_deleted_are_found(
    owner: Connection, store: ArtifactStore, sealed: Experiment
) -> None:
    owner.execute(text("DELETE FROM experiments"))
    assert any("not recorded" in problem for problem in found(verify_connection(owner, store), "candidates", sealed.id))


def test_an_edited_or_deleted_verdict_is_found(owner: Connection, store: ArtifactStore) -> None:
    owner.execute(
        text("UPDATE gate_verdicts SET passed = false WHERE asset = 'market_bars' AND partition = :d"), {"d": START}
    )
    owner.execute(text("DELETE FROM gate_verdicts WHERE asset = 'outcomes' AND partition = :d"), {"d": END})
    result = verify_connection(owner, store)
    assert any("says failed with 0" in item for item in found(result, "gate_verdicts", f"market_bars/{START}"))
    assert any("missing" in item for item in found(result, "gate_verdicts", f"outcomes/{END}"))


def test_a_failed_verdict_written_over_with_passed_is_found(database: Database, store: ArtifactStore) -> None:
    day = date(2024, 3, 4)
    failing = {("market_bars", day): Failure("universe_ratio", 1)}
    experiment = seal_experiment(database, store, seed=11, end=date(2024, 3, 6), failing=failing)
    assert verify(database.engine("auditor"), store, experiments=[experiment.id]).ok
    with database.engine("owner").connect() as connection:
        connection.execute(
            text("UPDATE gate_verdicts SET passed = true, failures = '[]' WHERE experiment = :e AND partition = :d"),
            {"e": experiment.id, "d": day},
        )
        result = verify_connection(connection, store, experiments=[experiment.id])
        connection.rollback()
    assert any("nothing upstream failed" in item for item in found(result, "gate_verdicts", f"market_scan/{day}"))


def test_a_flipped_byte_of_an_artifact_is_found(owner: Connection, store: ArtifactStore) -> None:
    digest = owner.execute(
        text("SELECT artifact FROM partition_seals WHERE asset = 'market_bars' AND partition = :d"), {"d": START}
    ).scalar_one()
    path = Path(store.root) / store.location(digest)
    before = path.read_bytes()
    data = bytearray(gzip.decompress(before))
    data[100] ^= 1
    try:
        path.write_bytes(gzip.compress(bytes(data), mtime=0))
        assert any("holds other bytes" in item for item in found(verify_connection(owner, store), "artifacts", digest))
        path.write_bytes(before[:-20])
        assert any("cannot be read" in item for item in found(verify_connection(owner, store), "artifacts", digest))
        path.unlink()
        assert any("is missing" in item for item in found(verify_connection(owner, store), "artifacts", digest))
    finally:
        path.write_bytes(before)


def test_an_expired_artifact_with_a_tombstone_is_no_finding(owner: Connection, store: ArtifactStore) -> None:
    digest = owner.execute(text("SELECT artifact FROM partition_seals WHERE artifact IS NOT NULL LIMIT 1")).scalar_one()
    owner.execute(
        text("INSERT INTO artifact_tombstones (hash, expired_at, reason) VALUES (:h, now(), 'a year old')"),
        {"h": digest},
    )
    path = Path(store.root) / store.location(digest)
    before = path.read_bytes()
    try:
        path.unlink()
        assert verify_connection(owner, store).findings == []
    finally:
        path.write_bytes(before)


def test_bars_exchanged_for_others_that_are_well_stored_are_found(owner: Connection, store: ArtifactStore) -> None:
    first, second = (
        owner.execute(
            text("SELECT artifact FROM partition_seals WHERE asset = 'market_bars' ORDER BY partition LIMIT 2")
        )
        .scalars()
        .all()
    )
    owner.execute(text("UPDATE partition_seals SET artifact = :n WHERE artifact = :o"), {"n": second, "o": first})
    problems = found(verify_connection(owner, store), "partition_seals", f"market_bars/{START}")
    assert any("the bars in its artifact give" in problem for problem in problems)


def test_a_seal_of_bars_rewritten_with_its_artifact_is_found_by_what_the_scans_read(
    owner: Connection, store: ArtifactStore
) -> None:
    lines = b'{"bars":{"close":["1"],"slots":[0]},"quarantined":[]}\n'
    ref = store.put(lines, "market_bars", "application/jsonl")
    owner.execute(
        text("INSERT INTO artifacts (hash, kind, media_type, bytes, location) VALUES (:h, :k, :m, :b, :l)"),
        {"h": ref.hash, "k": ref.kind, "m": ref.media_type, "b": ref.bytes, "l": ref.location},
    )
    root = seal_of([content_hash("market_bars", lines.rstrip(b"\n"))])
    owner.execute(
        text(
            "UPDATE partition_seals SET root = :r, leaves = 1, artifact = :a, details = '{}' "
            "WHERE asset = 'market_bars' AND partition = :d"
        ),
        {"r": root, "a": ref.hash, "d": START},
    )
    owner.execute(
        text("UPDATE gate_verdicts SET seal = :r WHERE asset = 'market_bars' AND partition = :d"),
        {"r": root, "d": START},
    )
    problems = found(verify_connection(owner, store), "partition_seals", f"market_bars/{START}")
    assert any("scans read it as" in problem for problem in problems)


def test_a_second_disposition_and_a_taken_candidate_without_execution_are_found(
    owner: Connection, store: ArtifactStore
) -> None:
    row = pick(owner, "executions")
    owner.execute(text("DELETE FROM executions WHERE uuid = :u"), {"u": row["uuid"]})
    problems = found(verify_connection(owner, store), "executions", f"candidate {row['candidate_uuid']}")
    assert problems == ["disposition is 'taken', but it has 0 execution(s)"]


def test_a_portfolio_state_whose_equity_does_not_add_up_is_found(owner: Connection, store: ArtifactStore) -> None:
    row = pick(owner, "portfolio_states", f"partition = '{END}'")

    def richer(body: dict) -> None:
        body["paths"]["base"]["equity_usd"] = "123456"

    rewrite(owner, "portfolio_states", row["uuid"], richer, rehash=True)
    owner.execute(text("UPDATE portfolio_states SET equity_usd = 123456 WHERE uuid = :u"), {"u": row["uuid"]})
    problems = found(verify_connection(owner, store), "portfolio_states", row["uuid"])
    assert any("is not cash" in problem for problem in problems)


def test_a_day_of_bars_before_the_epoch_that_was_lost_or_renamed_is_found(
    owner: Connection, store: ArtifactStore
) -> None:
    seal = "asset = 'market_bars' AND details LIKE '%warm_up%'"
    details = json.loads(owner.execute(text(f"SELECT details FROM partition_seals WHERE {seal}")).scalar_one())
    day, told = sorted(details["warm_up"].items())[-1]
    path = Path(store.root) / store.location(told["artifact"])
    before = path.read_bytes()
    try:
        path.unlink()
        problems = found(verify_connection(owner, store), "artifacts", told["artifact"])
        assert any("is missing" in problem for problem in problems)
    finally:
        path.write_bytes(before)
    told["root"] = "ab" * 32
    owner.execute(text(f"UPDATE partition_seals SET details = :d WHERE {seal}"), {"d": json.dumps(details)})
    problems = found(verify_connection(owner, store), "partition_seals", f"market_bars/{START}")
    assert any(f"the bars of {day}, before the epoch" in problem for problem in problems)
    assert any(f"root of {day}" in problem and "scans read it as" in problem for problem in problems)


def test_registry_rows_whose_own_asset_has_not_run_are_pending_and_no_finding(
    owner: Connection, store: ArtifactStore
) -> None:
    rows = 0
    for asset in ("soulprints", "profit_buckets", "registry_seals"):
        owner.execute(text("DELETE FROM partition_seals WHERE asset = :a AND partition = :d"), {"a": asset, "d": END})
        owner.execute(text("DELETE FROM gate_verdicts WHERE asset = :a AND partition = :d"), {"a": asset, "d": END})
    for table in ("soulprints", "profit_buckets"):
        rows += owner.execute(text(f"SELECT count(*) FROM {table} WHERE partition = :d"), {"d": END}).scalar_one()
    result = verify_connection(owner, store)
    assert result.findings == []
    assert result.pending == rows > 0


def test_a_trade_rewritten_with_hash_and_seal_is_found_by_both_of_its_entries(
    owner: Connection, store: ArtifactStore
) -> None:
    trade = pick(owner, "canonical_trades")
    rewrite(owner, "canonical_trades", trade["uuid"], lambda body: body.update(model_version="mine"), rehash=True)
    owner.execute(text("UPDATE canonical_trades SET model_version = 'mine' WHERE uuid = :u"), {"u": trade["uuid"]})
    _reseal(owner, "canonical_trades", "canonical_trades", trade["partition"])
    result = verify_connection(owner, store)
    for table in ("soulprints", "profit_buckets"):
        entry = pick(owner, table, f"canonical_uuid = '{trade['uuid']}'")
        named = [item for item in result.findings if (item.table, item.row) == (table, str(entry["uuid"]))]
        assert [(item.kind, item.expected) for item in named] == [("dangling_link", trade["content_hash"])]
    day = trade["partition"]
    assert found(result, "partition_seals", f"registry_seals/{day}")


def test_a_trade_re_pointed_to_another_outcome_is_found(owner: Connection, store: ArtifactStore) -> None:
    trade = pick(owner, "canonical_trades")
    other = pick(owner, "outcomes", f"uuid <> '{trade['outcome_uuid']}' AND partition <= '{trade['partition']}'")
    reference = {"uuid": str(other["uuid"]), "hash": other["content_hash"]}
    rewrite(owner, "canonical_trades", trade["uuid"], lambda body: body.update(outcome=reference), rehash=True)
    statement = text("UPDATE canonical_trades SET outcome_uuid = :o WHERE uuid = :u")
    owner.execute(statement, {"o": other["uuid"], "u": trade["uuid"]})
    result = verify_connection(owner, store)
    kinds = {
        item.kind for item in result.findings if (item.table, item.row) == ("canonical_trades", str(trade["uuid"]))
    }
    assert kinds == {"hash_mismatch", "wrong_parent"}


@pytest.mark.parametrize("asset", ["market_bars", "outcomes", "soulprints"])
def test_a_seal_edited_anywhere_is_found_by_the_seal_of_the_days_seals(
    owner: Connection, store: ArtifactStore, asset: str
) -> None:
    day = date(2024, 3, 4)
    owner.execute(
        text("UPDATE partition_seals SET leaves = leaves + 1 WHERE asset = :a AND partition = :d"),
        {"a": asset, "d": day},
    )
    result = verify_connection(owner, store)
    named = [item for item in result.findings if item.row == f"registry_seals/{day}"]
    assert [item.kind for item in named] == ["seal_mismatch"]
    assert named[0].expected != named[0].found


def test_an_edited_root_of_the_log_seal_is_found(owner: Connection, store: ArtifactStore) -> None:
    statement = text("UPDATE partition_seals SET root = :r WHERE asset = 'registry_seals' AND partition = :d")
    owner.execute(statement, {"r": "cd" * 32, "d": END})
    problems = found(verify_connection(owner, store), "partition_seals", f"registry_seals/{END}")
    assert any("other seals of the day give" in problem for problem in problems)


def test_every_finding_says_what_can_be_done(owner: Connection, store: ArtifactStore) -> None:
    for table in catalogue().records:
        owner.execute(
            text(f"UPDATE {table} SET body = 'oops' WHERE uuid = (SELECT min(uuid::text)::uuid FROM {table})")
        )
    owner.execute(text("UPDATE partition_seals SET leaves = leaves + 1"))
    owner.execute(text("UPDATE gate_verdicts SET seal = 'ab'"))
    result = verify_connection(owner, store)
    assert len(result.findings) > 100
    assert all(item.repair for item in result.findings)
