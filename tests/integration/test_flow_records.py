"""What the flow records: bodies, columns, links and seals, read back from the database and recomputed."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.flow_slices import SIMULATED, Bench, experiment_of, provider_of
from throughline.catalogue import catalogue
from throughline.experiment.identity import Experiment
from throughline.identity import canonical_bytes, content_hash, parse_time, seal_of, sha256_hex
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database
from throughline.storage.ledger import read_seals
from throughline.storage.tables import LEDGER
from throughline.tracking.records import expected_uuid, project

TABLES = [table.name for table in LEDGER]
LAST = SIMULATED.start + timedelta(days=5)


@pytest.fixture(scope="module")
def bench(database: Database, tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Bench:
    """Return a bench on the session's database."""
    scratch = tmp_path_factory.mktemp("records")
    return Bench(database, ArtifactStore(scratch / "artifacts"), scratch, repo)


@pytest.fixture(scope="module")
def experiment(bench: Bench) -> Experiment:
    """Return an experiment that ran for six days."""
    provider = provider_of(SIMULATED, bench.scratch, bench.repo)
    made = experiment_of(SIMULATED, provider, bench.scratch, seed=600)
    bench.run(made, provider, SIMULATED.start, LAST)
    return made


@pytest.fixture(scope="module")
def told(bench: Bench, experiment: Experiment) -> dict[str, dict[str, tuple[Any, dict[str, Any]]]]:
    """Return {table: {uuid: (row, body)}}."""
    return {
        table: {str(row.uuid): (row, json.loads(row.body)) for row in bench.rows(experiment, table)} for table in TABLES
    }


def _read(column: Any) -> Any:
    """Return a column's value as a body writes it, loosely: numbers as Decimals, times as instants."""
    return Decimal(column) if isinstance(column, int) and not isinstance(column, bool) else column


def _said(text: Any, like: Any) -> Any:
    if text is None:
        return None
    if isinstance(like, Decimal):
        return Decimal(text)
    return parse_time(text) if hasattr(like, "tzinfo") else text


@pytest.mark.parametrize("table", TABLES)
def test_every_record_reads_back_as_it_was_hashed(told: dict[str, Any], table: str) -> None:
    assert told[table], "no record of this kind: the test proves nothing"
    for row, body in told[table].values():
        assert canonical_bytes(body) == row.body
        assert content_hash(catalogue().records[table].kind, row.body) == row.content_hash
        assert expected_uuid(table, body) == row.uuid
        assert project(table, body) == row.columns
        assert row.run_id == "test-run"
        assert b"test-run" not in row.body, "run ids are outside the hash"


@pytest.mark.parametrize("table", TABLES)
def test_a_column_says_what_the_body_says_under_the_same_name(told: dict[str, Any], table: str) -> None:
    links = {
        "candidate_uuid": "candidate",
        "scan_uuid": "scan",
        "research_uuid": "research",
        "execution_uuid": "execution",
        "outcome_uuid": "outcome",
        "canonical_uuid": "canonical",
    }
    linked = {"soulprint": "soulprints", "pattern": "profit_buckets"}
    base = {"cash_usd", "equity_usd"}
    compared = set()
    for row, body in told[table].values():
        for name, column in row.columns.items():
            if name in links or name == "previous_uuid":
                parent = body[links.get(name, "previous")]
                assert column == (None if parent is None else uuid.UUID(parent["uuid"]))
            elif name == "canonical_hash":
                assert column == body["canonical"]["hash"]
            elif table == "canonical_trades" and name in linked:
                assert column == body["specialized_hashes"][linked[name]]
            elif table == "trade_features" and name in ("net_return", "features_hash", "schema"):
                place = {"net_return": "label", "features_hash": "features", "schema": "features"}[name]
                assert _said(body[place][name.removeprefix("features_")], _read(column)) == _read(column)
            else:
                value = body["paths"]["base"][name] if table == "portfolio_states" and name in base else body[name]
                assert _said(value, _read(column)) == _read(column), name
            compared.add(name)
    assert compared == set(catalogue().records[table].column_names)


def test_every_link_names_its_parent_by_uuid_and_hash(told: dict[str, Any]) -> None:
    links = {
        "candidates": [("scan", "market_scans")],
        "research_docs": [("candidate", "candidates")],
        "dispositions": [("candidate", "candidates")],
        "executions": [("candidate", "candidates"), ("research", "research_docs")],
        "outcomes": [("candidate", "candidates"), ("execution", "executions")],
        "shadow_outcomes": [("candidate", "candidates")],
        "portfolio_states": [("previous", "portfolio_states")],
        "shadow_states": [("previous", "shadow_states")],
        "canonical_trades": [
            ("candidate", "candidates"),
            ("research", "research_docs"),
            ("execution", "executions"),
            ("outcome", "outcomes"),
        ],
        "soulprints": [("canonical", "canonical_trades")],
        "profit_buckets": [("canonical", "canonical_trades")],
    }
    for table, wanted in links.items():
        for _, body in told[table].values():
            for key, parents in wanted:
                if body[key] is not None:
                    assert told[parents][body[key]["uuid"]][0].content_hash == body[key]["hash"]


def test_every_candidate_has_one_research_document_one_disposition_and_at_most_one_shadow(told: dict[str, Any]) -> None:
    for table in ("research_docs", "dispositions"):
        heads = [body["candidate"]["uuid"] for _, body in told[table].values()]
        assert sorted(heads) == sorted(told["candidates"])
    shadows = [body["candidate"]["uuid"] for _, body in told["shadow_outcomes"].values()]
    assert len(shadows) == len(set(shadows))
    taken = {body["candidate"]["uuid"] for _, body in told["dispositions"].values() if body["disposition"] == "taken"}
    assert taken == {body["candidate"]["uuid"] for _, body in told["executions"].values()}


def test_the_seal_of_every_asset_and_day_is_the_root_of_what_is_stored(
    bench: Bench, experiment: Experiment, told: dict[str, Any]
) -> None:
    made_of = {
        "market_scan": ["market_scans"],
        "trade_candidates": ["candidates"],
        "research_snapshots": ["research_docs"],
        "portfolio_state": ["portfolio_states", "dispositions"],
        "executions": ["executions"],
        "outcomes": ["outcomes"],
        "shadow_outcomes": ["shadow_outcomes", "shadow_states"],
    }
    with bench.engine.connect() as connection:
        for asset, tables in made_of.items():
            for day, seal in read_seals(connection, experiment.id, asset).items():
                rows = [row for table in tables for row, _ in told[table].values() if row.partition == day]
                assert seal.root == seal_of(row.content_hash for row in rows)
                assert seal.leaves == len(rows)
        for seal in read_seals(connection, experiment.id, "market_bars").values():
            assert seal.artifact is not None
            stored = bench.store.get(seal.artifact)
            assert sha256_hex(stored) == seal.artifact
            assert seal.root == seal_of(content_hash("market_bars", line) for line in stored.splitlines())


def test_a_research_snapshot_knows_nothing_that_was_not_public_and_names_what_was_missing(
    bench: Bench, told: dict[str, Any]
) -> None:
    for _, body in told["research_docs"].values():
        decided = parse_time(body["decision_time"])
        names = {item["name"] for item in body["inputs"]}
        assert {"close", "momentum_reference_close"} <= names
        for item in body["inputs"]:
            assert parse_time(item["event_time"]) <= parse_time(item["available_at"]) <= decided
            assert item["source"]
            assert bench.store.exists(item["artifact"])
        assert not names & set(body["missing"])
        assert names | set(body["missing"]) >= {"market_cap", "volume_24h", "pool_reserve", "sentiment", "top10_share"}
        head = told["candidates"][body["candidate"]["uuid"]][1]
        assert body["verdicts"] == head["verdicts"]
        assert body["scan_row"]["features"] == head["features"]
        assert body["trade_rationale"].startswith(head["instrument"])


def test_the_funnel_of_every_scan_adds_up_to_its_candidates(told: dict[str, Any]) -> None:
    for key, (_, body) in told["market_scans"].items():
        funnel = body["funnel"]
        assert funnel[0]["seen"] == body["instruments"]
        for line, following in zip(funnel, funnel[1:], strict=False):  # noqa: RUF007
            assert line["seen"] - line["removed"] == following["seen"]
        assert funnel[-1]["seen"] - funnel[-1]["removed"] == body["admitted"]
        heads = [head for _, head in told["candidates"].values() if head["scan"]["uuid"] == key]
        assert len(heads) == body["admitted"]
        assert {head["instrument"] for head in heads} == {r["instrument"] for r in body["rows"] if r["admitted"]}


def test_records_stand_in_the_partition_of_their_instant(told: dict[str, Any]) -> None:
    when = {
        "market_scans": "decision_time",
        "candidates": "decision_time",
        "research_docs": "decision_time",
        "dispositions": "decision_time",
        "executions": "fill_bar_open",
        "outcomes": "exit_bar_open",
    }
    for table, key in when.items():
        for row, body in told[table].values():
            if table == "outcomes" and body["termination_reason"] == "halted":
                continue  # booked a day after its last bar
            assert row.partition.isoformat() == body[key][:10] == body["partition"]
    for row, body in told["portfolio_states"].values():
        assert parse_time(body["as_of"]).date() == row.partition + timedelta(days=1)


def test_a_path_that_has_lost_stakes_what_is_left_of_its_fund_and_never_more(
    told: dict[str, Any], experiment: Experiment
) -> None:
    fund = experiment.configuration.sizing.small_fund_usd
    equity = {
        row.partition: float(body["paths"]["base"]["equity_usd"]) for row, body in told["portfolio_states"].values()
    }
    scales = []
    for row, body in told["executions"].values():
        scale = min(1.0, equity.get(row.partition - timedelta(days=1), fund) / fund)
        wished = float(told["candidates"][body["candidate"]["uuid"]][1]["notional_usd"]) * scale
        assert float(body["notional_usd"]) <= wished * (1 + 1e-9)
        if not body["partial"]:
            assert float(body["notional_usd"]) == pytest.approx(wished, rel=1e-9)
            scales.append(scale)
    assert min(scales) < 1.0, "nothing was lost before an entry: the test proves nothing"
