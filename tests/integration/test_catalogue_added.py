"""A stage with a record of its own, and a registry, are each added by one file: run, sealed, logged, checked, shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.tampering.home import trade
from throughline.registry.coordinator import RegistryCoordinator
from throughline.storage import migrations

pytestmark = pytest.mark.slow

NOTES = '''
"""Notes on the trades of a day: how long each was open, in words."""

from throughline.catalogue import Column, RecordKind, StageSpec

RECORD = RecordKind(
    table="notes",
    kind="note",
    asset="notes",
    event_time="written_at",
    parent="outcome",
    links={"candidate": "candidates", "outcome": "outcomes"},
    columns=(
        Column("candidate_uuid", "uuid", "candidate.uuid"),
        Column("outcome_uuid", "uuid", "outcome.uuid"),
        Column("written_at", "instant"),
        Column("words", "integer"),
    ),
    versions={1: "candidate experiment outcome partition text words written_at"},
    one_per_candidate=True,
)
STAGE = StageSpec(
    asset="notes",
    group="learning",
    description="A note on each trade that closed in the day.",
    run="throughline.catalogue.stages.notes:write_notes",
    upstream=("outcomes",),
)


def write_notes(ctx, days):
    """Write and seal a note for each outcome of each of `days`."""
    from throughline.flow.sealing import DayDraft, blocked_by_upstream, require_days, seal_days
    from throughline.storage.queries import read_rows
    from throughline.tracking.records import make_row, reference
    from throughline.tracking.versions import read_body

    days = require_days(ctx, days)
    with ctx.engine.connect() as conn:
        blocked = blocked_by_upstream(ctx, conn, "notes", days)
        outcomes = read_rows(conn, "outcomes", ctx.experiment.id, days[0], days[-1])
    drafts = []
    for day in days:
        rows = [make_row("notes", note(row, read_body("outcomes", row.body)), ctx.run_id)
                for row in outcomes if row.partition == day]
        drafts.append(DayDraft(day=day, rows={"notes": rows}, leaves=[row.content_hash for row in rows]))
    return seal_days(ctx, "notes", drafts, blocked)


def note(row, outcome):
    from throughline.tracking.records import reference

    said = f"open for {outcome['time_in_market_seconds']} seconds"
    return {
        "candidate": outcome["candidate"],
        "experiment": row.experiment,
        "outcome": reference(row),
        "partition": row.partition,
        "text": said,
        "words": len(said.split()),
        "written_at": outcome["exit_time"],
    }
'''

HOLDING_TIMES = '''
"""The registry of holding times: how long each trade was open."""

from throughline.catalogue import Column, RecordKind, StageSpec, TableIndex
from throughline.identity import hash_body, parse_time
from throughline.registries import Problem, Registry

RECORD = RecordKind(
    table="holding_times",
    kind="holding_time",
    asset="holding_times",
    event_time="closed_at",
    parent="canonical",
    natural_key=("schema",),
    links={"canonical": "canonical_trades"},
    columns=(
        Column("canonical_uuid", "uuid", "canonical.uuid"),
        Column("canonical_hash", "text", "canonical.hash"),
        Column("holding"),
        Column("hours", "number"),
    ),
    versions={1: "canonical closed_at experiment holding hours partition schema"},
    indexes=(TableIndex(("canonical_uuid",), unique=True),),
)
STAGE = StageSpec(
    asset="holding_times",
    group="registry",
    description="How long each of the day's trades was open.",
    run="throughline.flow.registry:seal_entries",
    shared=True,
    upstream=("canonical_trades",),
    written_by="canonical_trades",
)


def hours_of(trade):
    seconds = (parse_time(trade["closed_at"]) - parse_time(trade["opened_at"])).total_seconds()
    return f"{seconds / 3600:.6f}".rstrip("0").rstrip(".")


class HoldingTimes(Registry):
    record = RECORD
    identity = "holding"

    def given(self, data, trade):
        return None

    def observed(self, closed):
        return None

    def entry(self, facts, trade, others):
        content = {"closed_at": trade["closed_at"], "hours": hours_of(trade), "schema": "holding_time/1"}
        return {**content, "holding": hash_body("holding", content)}

    def own_problems(self, entry):
        content = {name: entry[name] for name in ("closed_at", "hours", "schema")}
        expected = hash_body("holding", content)
        if expected != entry["holding"]:
            yield Problem("hash_mismatch", "its hours hash to another holding time", expected, entry["holding"])

    def problems(self, entry, trade, others):
        if entry["hours"] != hours_of(trade):
            yield Problem("inconsistent", "its hours are not its trade's", hours_of(trade), entry["hours"])

    def statistics(self, connection, experiment, entries):
        from sqlalchemy import text

        mean = connection.execute(text(f"SELECT avg(hours) FROM ({entries}) AS e"), {"experiment": experiment}).scalar()
        return {"mean_hours": None if mean is None else float(mean)}


REGISTRY = HoldingTimes()
'''


MIGRATION = '''
"""The tables of notes and holding times."""

from alembic import op

from tests.integration.declared_schema import create_guard, create_view
from throughline.storage.tables import ledger_table

revision, down_revision, branch_labels, depends_on = "9001", "{head}", None, None


def upgrade():
    for name in ("notes", "holding_times"):
        ledger_table(name).create(op.get_bind())
        create_guard(op.get_bind(), ledger_table(name))
        create_view(op.get_bind(), ledger_table(name))
'''


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> dict[str, Any]:
    """Return what a process printed that had both files in its catalogue."""
    base = tmp_path_factory.mktemp("added")
    files = {
        "stages": ("notes", NOTES),
        "registries": ("holding_times", HOLDING_TIMES),
        "migrations": ("9001_added", MIGRATION.format(head=migrations.head())),
    }
    for folder, (name, source) in files.items():
        (base / folder).mkdir()
        (base / folder / f"{name}.py").write_text(source, encoding="utf-8")
    home = base / "home"
    with RegistryCoordinator(home) as registry:
        registry.add_trade_with_linkages(*trade(1))  # by a release without the registry: the trade names two entries
    process = Path(__file__).with_name("added_files.py")
    done = subprocess.run(
        [sys.executable, str(process), *(str(base / name) for name in (*files, "home"))],
        cwd=repo,
        env={**os.environ, "PYTHONPATH": str(repo)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert result["untouched"] == {"registry": [], "verify": []}
    return result


def test_one_file_adds_a_stage_that_is_run_sealed_logged_verified_and_shown(found: dict[str, Any]) -> None:
    assert found["rows"]["notes"] == found["rows"]["outcomes"] > 0
    assert found["sealed_days"]["notes"] == 3
    assert found["edges"]["notes"] == ["outcomes"]
    assert {"notes", "holding_times"} < set(found["edges"]["registry_seals"])
    assert "notes: column words is 5, the body says 4" in found["edited_note"]["verify"]


def test_one_file_adds_a_registry_that_is_written_linked_counted_and_checked(found: dict[str, Any]) -> None:
    assert found["rows"]["holding_times"] == found["rows"]["canonical_trades"] - 1 > 1
    assert found["sealed_days"]["holding_times"] == 3
    assert found["linkage"] is found["complete"] is True
    assert found["statistics"]["linkage"]["coverage"] == 1.0
    assert found["statistics"]["mean_hours"] > 0
    assert found["story"][-4:] == ["canonical_trades", "holding_times", "soulprints", "profit_buckets"]
    assert found["edges"]["holding_times"] == ["canonical_trades"]
    for problems in found["edited_entry"].values():
        assert len(problems) == 1
        assert problems[0].startswith("holding_times: column hours is ")
