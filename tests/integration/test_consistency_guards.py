"""Triggers, constraints, owners and grants: each object that is not as the migrations make it is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.integration.consistency_homes import Sealed, found, sealed_home
from throughline.integrity.database import check_database
from throughline.storage.tables import APPEND_ONLY
from throughline.verification import verify_connection


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    with sealed_home(tmp_path_factory.mktemp("guards")) as sealed:
        yield sealed


def test_a_database_as_the_migrations_make_it_has_no_findings_for_any_role(home: Sealed) -> None:
    for role in ("owner", "writer", "reader", "auditor"):
        with home.database.engine(role).connect() as connection:  # type: ignore[arg-type]
            assert check_database(connection).findings == []


CHANGES = [
    (
        "ALTER TABLE soulprints DISABLE TRIGGER soulprints_append_only",
        {("trigger", "soulprints.soulprints_append_only", "trigger_changed")},
    ),
    (
        "ALTER TABLE seal_events ENABLE TRIGGER seal_events_append_only",
        {("trigger", "seal_events.seal_events_append_only", "trigger_changed")},
    ),
    (
        "ALTER TABLE outcomes ENABLE REPLICA TRIGGER outcomes_append_only",
        {("trigger", "outcomes.outcomes_append_only", "trigger_changed")},
    ),
    (
        "DROP TRIGGER canonical_trades_append_only ON canonical_trades",
        {("trigger", "canonical_trades.canonical_trades_append_only", "trigger_changed")},
    ),
    (
        (
            "DROP TRIGGER artifacts_append_only ON artifacts;"
            " CREATE TRIGGER artifacts_append_only BEFORE DELETE ON artifacts"
            " FOR EACH STATEMENT EXECUTE FUNCTION throughline_refuse_change();"
            " ALTER TABLE artifacts ENABLE ALWAYS TRIGGER artifacts_append_only"
        ),
        {("trigger", "artifacts.artifacts_append_only", "trigger_changed")},
    ),
    (
        (
            "CREATE OR REPLACE FUNCTION throughline_refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN NULL; END $$"
        ),
        {("function", "throughline_refuse_change", "trigger_changed")},
    ),
    (
        "ALTER FUNCTION throughline_refuse_change() SECURITY DEFINER",
        {("function", "throughline_refuse_change", "trigger_changed")},
    ),
    (
        (
            "CREATE FUNCTION sneak() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;"
            " CREATE TRIGGER helper BEFORE INSERT ON outcomes FOR EACH ROW EXECUTE FUNCTION sneak()"
        ),
        {("trigger", "outcomes.helper", "trigger_changed"), ("function", "sneak", "trigger_changed")},
    ),
    (
        "CREATE RULE silence AS ON INSERT TO seal_events DO INSTEAD NOTHING",
        {("rule", "seal_events.silence", "trigger_changed")},
    ),
    ("ALTER TABLE outcomes ENABLE ROW LEVEL SECURITY", {("table", "outcomes", "trigger_changed")}),
    (
        "CREATE TABLE hidden () INHERITS (outcomes)",
        {("table", "outcomes", "trigger_changed"), ("table", "hidden", "trigger_changed")},
    ),
    (
        "ALTER TABLE soulprints DROP CONSTRAINT fk_soulprints_canonical_uuid",
        {("constraint", "soulprints.fk_soulprints_canonical_uuid", "trigger_changed")},
    ),
    (
        "DROP INDEX uq_canonical_trades_candidate_uuid",
        {("constraint", "canonical_trades.uq_canonical_trades_candidate_uuid", "trigger_changed")},
    ),
    (
        "ALTER TABLE outcomes DROP CONSTRAINT ck_outcomes_content_hash",
        {("constraint", "outcomes.ck_outcomes_content_hash", "trigger_changed")},
    ),
    ("GRANT UPDATE ON outcomes TO throughline_writer", {("grant", "outcomes.throughline_writer", "grant_changed")}),
    (
        "GRANT UPDATE (body) ON canonical_trades TO throughline_writer",
        {("grant", "canonical_trades.throughline_writer", "grant_changed")},
    ),
    (
        "GRANT INSERT ON seal_heads TO throughline_auditor",
        {("grant", "seal_heads.throughline_auditor", "grant_changed")},
    ),
    ("GRANT SELECT ON artifacts TO PUBLIC", {("grant", "artifacts.PUBLIC", "grant_changed")}),
    (
        "GRANT SELECT ON soulprints TO throughline_reader WITH GRANT OPTION",
        {("grant", "soulprints.throughline_reader", "grant_changed")},
    ),
    (
        "REVOKE SELECT ON outcomes FROM throughline_auditor",
        {("grant", "outcomes.throughline_auditor", "grant_changed")},
    ),
    ("REVOKE ALL ON outcomes FROM throughline_writer", {("grant", "outcomes.throughline_writer", "grant_changed")}),
    (
        "CREATE ROLE stranger_of_tests; GRANT DELETE ON profit_buckets TO stranger_of_tests",
        {
            ("grant", "profit_buckets.stranger_of_tests", "grant_changed"),
            ("role", "stranger_of_tests", "grant_changed"),
        },
    ),
    (
        "REVOKE SELECT ON current_outcomes FROM throughline_reader",
        {("grant", "current_outcomes.throughline_reader", "grant_changed")},
    ),
    ("ALTER ROLE throughline_writer SUPERUSER", {("role", "throughline_writer", "grant_changed")}),
    ("ALTER ROLE throughline_auditor BYPASSRLS CREATEDB", {("role", "throughline_auditor", "grant_changed")}),
    (
        "GRANT throughline_owner TO throughline_writer",
        {("role", "throughline_owner.throughline_writer", "grant_changed")},
    ),
    (
        (
            "CREATE OR REPLACE VIEW current_outcomes AS SELECT * FROM outcomes AS record"
            " WHERE record.realized_pnl_usd > 0 AND NOT EXISTS"
            " (SELECT 1 FROM outcomes AS later WHERE later.supersedes = record.uuid)"
        ),
        {("view", "current_outcomes", "trigger_changed")},
    ),
    (
        (
            "ALTER TABLE soulprints DROP CONSTRAINT ck_soulprints_content_hash;"
            " ALTER TABLE soulprints ADD CONSTRAINT ck_soulprints_content_hash CHECK (true)"
        ),
        {("constraint", "soulprints.ck_soulprints_content_hash", "trigger_changed")},
    ),
    (
        (
            "ALTER TABLE outcomes DROP CONSTRAINT fk_outcomes_execution_uuid; ALTER TABLE outcomes ADD CONSTRAINT"
            " fk_outcomes_execution_uuid FOREIGN KEY (execution_uuid) REFERENCES executions ON DELETE CASCADE"
        ),
        {("constraint", "outcomes.fk_outcomes_execution_uuid", "trigger_changed")},
    ),
    (
        ("DROP INDEX uq_outcomes_candidate_uuid; CREATE UNIQUE INDEX uq_outcomes_candidate_uuid ON outcomes (uuid)"),
        {("constraint", "outcomes.uq_outcomes_candidate_uuid", "trigger_changed")},
    ),
    (
        "ALTER TABLE soulprints ALTER COLUMN soulprint DROP NOT NULL",
        {("column", "soulprints.soulprint", "trigger_changed")},
    ),
    ("GRANT CREATE ON SCHEMA public TO PUBLIC", {("grant", "public.PUBLIC", "grant_changed")}),
    ("ALTER SCHEMA public OWNER TO throughline_writer", {("owner", "public", "grant_changed")}),
    (
        "GRANT CREATE ON DATABASE throughline TO throughline_reader",
        {("grant", "throughline.throughline_reader", "grant_changed")},
    ),
    (
        "GRANT UPDATE ON SEQUENCE registry_quarantine_seq_seq TO throughline_writer",
        {("grant", "registry_quarantine_seq_seq.throughline_writer", "grant_changed")},
    ),
    (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT UPDATE ON TABLES TO throughline_writer",
        {("grant", "default privileges.throughline_writer", "grant_changed")},
    ),
    ("CREATE ROLE stranger_of_tests LOGIN SUPERUSER", {("role", "stranger_of_tests", "grant_changed")}),
    (
        "CREATE ROLE stranger_of_tests LOGIN; GRANT throughline_owner TO stranger_of_tests",
        {
            ("role", "throughline_owner.stranger_of_tests", "grant_changed"),
            ("role", "stranger_of_tests", "grant_changed"),
        },
    ),
    (
        "ALTER ROLE throughline_writer SET session_replication_role = replica",
        {("setting", "throughline_writer.session_replication_role", "setting_changed")},
    ),
    (
        "CREATE SCHEMA throughline_auditor; CREATE TABLE throughline_auditor.outcomes (LIKE public.outcomes)",
        {
            ("table", "throughline_auditor.outcomes", "trigger_changed"),
            ("schema", "throughline_auditor", "trigger_changed"),
        },
    ),
    ("DROP TABLE registry_quarantine", {("table", "registry_quarantine", "trigger_changed")}),
    ("DROP VIEW current_soulprints", {("view", "current_soulprints", "trigger_changed")}),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=[change.split(";")[0][:60] for change, _ in CHANGES])
def test_a_changed_guard_is_named(home: Sealed, change: str, expected: set[tuple[str, str, str]]) -> None:
    with home.tampering(superuser=True) as hands:
        hands.execute(text(change))
        result = home.check(hands)
    assert found(result) == expected
    assert all(item.repair and item.expected and item.found for item in result.findings)


def test_disabled_foreign_keys_are_named_by_table(home: Sealed) -> None:
    with home.tampering(superuser=True) as hands:
        hands.execute(text("ALTER TABLE soulprints DISABLE TRIGGER ALL"))
        named = found(home.check(hands))
    assert ("trigger", "soulprints.soulprints_append_only", "trigger_changed") in named
    assert len(named) > 3
    assert {row.split(".")[0] for _, row, _ in named} == {"soulprints"}


def test_a_table_of_another_owner_is_named(home: Sealed) -> None:
    with home.tampering(superuser=True) as hands:
        hands.execute(text("ALTER TABLE outcomes OWNER TO throughline_writer"))
        assert ("owner", "outcomes", "grant_changed") in found(home.check(hands))


def test_without_roles_grants_and_owners_are_no_finding_and_it_is_said(home: Sealed) -> None:
    with home.tampering(superuser=True) as hands:
        hands.execute(text("GRANT ALL ON outcomes TO PUBLIC; ALTER TABLE artifacts OWNER TO throughline_writer"))
        assert found(home.check(hands))
        result = home.check(hands, enforces_roles=False)
        assert result.findings == []
        assert any("no roles" in sentence for sentence in result.sentences)
        hands.execute(text("DROP TRIGGER outcomes_append_only ON outcomes"))
        assert found(home.check(hands, enforces_roles=False)) == {
            ("trigger", "outcomes.outcomes_append_only", "trigger_changed")
        }


@pytest.mark.parametrize("table", [table.name for table in APPEND_ONLY])
def test_the_trigger_of_every_append_only_table_is_looked_at(home: Sealed, table: str) -> None:
    with home.tampering(superuser=True) as hands:
        hands.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only"))
        assert [item.row for item in check_database(hands).findings] == [f"{table}.{table}_append_only"]


def test_whoever_asks_is_told_what_it_may_not_read_and_nothing_else_is_said(home: Sealed) -> None:
    with home.tampering(superuser=True) as hands:
        hands.execute(text("REVOKE SELECT ON outcomes FROM throughline_auditor; SET LOCAL ROLE throughline_auditor"))
        told = verify_connection(hands, home.store)
        result = home.check(hands, audit=True)
        hands.execute(text("SELECT 1"))  # the transaction lives
    expected = {("grant", "outcomes.throughline_auditor", "grant_changed")}
    assert found(result) == expected
    assert {(item.table, item.row, item.kind) for item in told.findings} == expected
    assert not result.ok
    assert not result.audited


def test_rows_are_read_where_the_migrations_put_them(home: Sealed) -> None:
    """A schema named like the auditor's role, with a clean copy in it, stands before ours for its sessions."""
    with home.tampering(superuser=True) as hands:
        hands.execute(text("CREATE SCHEMA throughline_auditor; GRANT USAGE ON SCHEMA throughline_auditor TO PUBLIC"))
        hands.execute(text("CREATE TABLE throughline_auditor.soulprints (LIKE soulprints INCLUDING ALL)"))
        hands.execute(text("INSERT INTO throughline_auditor.soulprints SELECT * FROM public.soulprints"))
        hands.execute(text("GRANT SELECT ON throughline_auditor.soulprints TO PUBLIC"))
        hands.execute(text("SET LOCAL ROLE throughline_owner; UPDATE public.soulprints SET simhash = 'x'"))
        hands.execute(text("SET LOCAL ROLE throughline_auditor"))
        named = found(home.check(hands), "soulprints")
        told = {item.table for item in verify_connection(hands, home.store).findings}
        rows = hands.execute(text("SELECT count(*) FROM public.soulprints")).scalar_one()
    assert len(named) == rows
    assert "soulprints" in told
