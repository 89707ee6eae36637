"""The registries in Dagster: partitions, the consistency check that fails loudly and shuts the gate, the analytics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest

from assets.registry_reports import CONSISTENT
from pipelines.backfill import materialize_range
from pipelines.build import build_defs
from pipelines.jobs.registry_check import registry_check_job_name
from resources.flow import GivenFlow
from resources.home import HOME, OpenFlows
from resources.settings import Settings
from tests.materialize.homes import FIRST, context_of, opened, settings_of
from throughline.catalogue import LOG, catalogue
from throughline.errors import GateClosed
from throughline.features.labels import ASSET, read_labels
from throughline.flow import FlowContext
from throughline.proof.anchor import Anchor
from throughline.proof.audit import audit
from throughline.registry.consistency import Reading, newest_report, require_registry
from throughline.storage.database import Database
from throughline.storage.queries import read_all_seals, read_rows
from throughline.tracking.system import TradeTrackingSystem

DAYS = 8


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, Settings, FlowContext]]:
    """A home of its own with a sealed range: these tests tamper."""
    home = tmp_path_factory.mktemp("registry")
    with opened(home) as database:
        context, settings = context_of(database), settings_of(home)
        with dg.DagsterInstance.ephemeral() as instance:
            materialize_range(settings, context, FIRST, FIRST + timedelta(days=DAYS - 1), instance=instance)
        yield database, settings, context


def run(settings: Settings, context: FlowContext, job: str, asset: str, config: dict[str, Any] | None = None) -> Any:
    flow = GivenFlow(context, settings.home)
    definitions = build_defs(settings, overrides={HOME: OpenFlows(flow)})
    selection = [dg.AssetKey(["demo", asset])]
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_job_def(job).execute_in_process(
            instance=instance, asset_selection=selection, run_config=config or {}, raise_on_error=False
        )


def check(settings: Settings, context: FlowContext, scope: str) -> Any:
    config = {"ops": {"demo__registry_consistency": {"config": {"scope": scope}}}}
    return run(settings, context, registry_check_job_name("demo"), "registry_consistency", config)


def metadata_of(result: Any, asset: str) -> dict[str, Any]:
    event = next(item for item in result.all_events if item.is_step_materialization)
    assert event.asset_key == dg.AssetKey(["demo", asset])
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_every_outcome_of_a_range_is_one_trade_with_both_specialised_entries(
    own: tuple[Database, Settings, FlowContext],
) -> None:
    _, _, context = own
    with context.engine.connect() as conn:
        outcomes = read_rows(conn, "outcomes", context.experiment.id)
        rows = {name: read_rows(conn, name, context.experiment.id) for name in catalogue().registries}
        seals = read_all_seals(conn, context.experiment.id)
    assert outcomes
    assert {len(held) for held in rows.values()} == {len(outcomes)}
    trades = {row.uuid: row for row in rows["canonical_trades"]}
    assert {row.columns["outcome_uuid"] for row in trades.values()} == {row.uuid for row in outcomes}
    for name, column in (("soulprints", "soulprint"), ("profit_buckets", "pattern")):
        for row in rows[name]:
            trade = trades[row.columns["canonical_uuid"]]
            assert row.columns["canonical_hash"] == trade.content_hash
            assert row.columns[column] == trade.columns[column]
    assert sum(seal.asset == LOG for seal in seals) == DAYS


def test_a_check_in_full_and_then_daily_passes_and_opens_the_gate(own: tuple[Database, Settings, FlowContext]) -> None:
    _, settings, context = own
    full = check(settings, context, "full")
    assert full.success
    told = metadata_of(full, "registry_consistency")
    assert (told["ok"], told["findings"], told["scope"]) == (True, 0, "full")
    assert told["trades"] > 0
    assert full.get_asset_check_evaluations()[0].check_name == CONSISTENT
    assert full.get_asset_check_evaluations()[0].passed
    daily = metadata_of(check(settings, context, "daily"), "registry_consistency")
    assert daily["scope"] == "daily"
    assert daily["rows"] < told["rows"]
    assert may_learn(context)


def may_learn(context: FlowContext) -> bool:
    """Ask the gate of training for all labelled features."""
    with context.engine.connect() as conn:
        days = read_labels(conn, context.experiment.id).seals
        assert days
        return require_registry(conn, context.clock.now(), Reading(context.experiment.id, ASSET, days)).ok


def unanchored(context: FlowContext) -> int:
    proof = context.proof
    assert proof is not None
    with context.engine.connect() as conn:
        return audit(conn, proof.anchor, proof.signer.public_key).unanchored_rows


def test_records_written_by_hand_are_logged_and_anchored_by_the_check(
    own: tuple[Database, Settings, FlowContext],
) -> None:
    _, settings, context = own
    TradeTrackingSystem(engine=context.engine, clock=context.clock).create_candidate("A/USD", "v1", 0.5, "p", "s")
    assert unanchored(context) > 0
    assert check(settings, context, "daily").success
    assert unanchored(context) == 0


def test_an_anchor_that_cannot_be_written_fails_the_check_with_its_reason(
    own: tuple[Database, Settings, FlowContext], tmp_path: Path
) -> None:
    _, settings, context = own
    assert context.proof is not None
    (tmp_path / "file").write_text("in the way")
    broken = replace(context, proof=replace(context.proof, anchor=Anchor(tmp_path / "file" / "anchor")))
    done = check(settings, broken, "full")
    assert not done.success
    assert "anchor" in done.get_step_failure_events()[0].step_failure_data.user_failure_data.description
    assert check(settings, context, "full").success


def test_the_analytics_show_figures_pictures_and_the_dossiers_of_the_newest_trades(
    own: tuple[Database, Settings, FlowContext],
) -> None:
    _, settings, context = own
    done = run(settings, context, "write_demo_report_job", "registry_analytics")
    assert done.success
    told = metadata_of(done, "registry_analytics")
    assert "data:image/svg+xml;base64," in told["preview"]
    assert told["figures"]["total"]["n"] == told["trades"] > 0
    pages = sorted(Path(str(told["dossiers_folder"])).glob("*.html"))
    assert len(pages) == min(20, told["trades"])
    assert "<html" in pages[0].read_text(encoding="utf-8")


def test_a_changed_trade_fails_the_run_with_a_report_and_shuts_the_gate(
    own: tuple[Database, Settings, FlowContext],
) -> None:
    database, settings, context = own
    check(settings, context, "full")
    address = database.url(role="owner").replace("postgresql+psycopg2", "postgresql")
    with psycopg2.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT uuid, profit_usd FROM canonical_trades ORDER BY uuid LIMIT 1")
        uuid, profit = cursor.fetchone()
        cursor.execute("UPDATE canonical_trades SET profit_usd = profit_usd + 1000 WHERE uuid = %s", (uuid,))
    connection.close()
    try:
        done = check(settings, context, "full")
        assert not done.success
        told = metadata_of(done, "registry_consistency")
        assert (told["ok"], told["findings"] > 0) == (False, True)
        assert str(uuid) in told["preview"]
        assert not done.get_asset_check_evaluations()[0].passed
        failure = done.get_step_failure_events()[0].step_failure_data.user_failure_data.description
        assert str(uuid) in failure
        with context.engine.connect() as conn:
            report = newest_report(conn)
            assert report is not None
            assert not report.ok
        with pytest.raises(GateClosed, match="failed with"):
            may_learn(context)
        refused = run(settings, context, "write_demo_report_job", "registry_analytics")
        assert not refused.success
    finally:
        with psycopg2.connect(address) as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE canonical_trades SET profit_usd = %s WHERE uuid = %s", (profit, uuid))
        connection.close()
    assert check(settings, context, "full").success
    assert may_learn(context)
