"""Tampers that were found by hand, each once a hole in the check: guards that only look right, rows in no event."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.integration.tampering.attacker import Attacker
from tests.integration.tampering.conftest import Range
from tests.integration.tampering.naming import complaints
from tests.integration.tampering.on_guards import _do
from tests.integration.tampering.on_rows import made_up_trade
from throughline.storage.roles import role_name

pytestmark = pytest.mark.slow
WRITER = role_name("writer")


def trade_by_hand(attacker: Attacker) -> None:
    """A winning trade with both entries in the experiment of trades by hand, in no `entries` event of the log."""
    for table, row in made_up_trade(attacker, attacker.books.home.by_hand):
        attacker.insert(table, row)
        attacker.trace.primary[table, str(row.uuid)] = frozenset(("unexpected_row",))
    attacker.leave()


def quarantine_unlogged(attacker: Attacker) -> None:
    """A quarantine row in no `quarantine` event: it takes a trade out of use and sets findings on it aside."""
    trade = attacker.books.table("canonical_trades")[0]
    attacker.unlock("registry_quarantine")
    seq = attacker.sql(
        "INSERT INTO registry_quarantine (table_name, row_uuid, action, reason, finding)"
        " VALUES ('canonical_trades', %s, 'quarantine', 'x', '{}') RETURNING seq",
        trade.uuid,
    ).scalar_one()
    attacker.trace.primary["registry_quarantine", str(seq)] = frozenset(("unexpected_row",))
    attacker.leave()


def bars_of_the_first_scan(attacker: Attacker) -> None:
    """The first record of a day names another seal of its bars: every later record of that day is accused instead."""
    row = min(attacker.books.table("market_scans"), key=lambda item: (item.partition, item.uuid))
    body = attacker.body(row.name)
    day = min(body["data_seals"])
    body["data_seals"][day] = "0" * 64
    attacker.write_body(row.name, body, columns=True)
    attacker.leave()


def shadow_schema(attacker: Attacker) -> None:
    """A schema named like the auditor's role holds a clean copy with all its guards: `verify` reads that one."""
    copy = f"{role_name('auditor')}.outcomes"
    for statement in (
        f"CREATE SCHEMA {role_name('auditor')}",
        f"GRANT USAGE ON SCHEMA {role_name('auditor')} TO {role_name('auditor')}",
        f"CREATE TABLE {copy} (LIKE public.outcomes INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
        f"INSERT INTO {copy} SELECT * FROM public.outcomes",
    ):
        attacker.sql(statement)
    constraints = (
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = 'public.outcomes'::regclass AND contype IN ('p', 'f')"
    )
    for name, definition in attacker.sql(constraints).all():
        attacker.sql(f"ALTER TABLE {copy} ADD CONSTRAINT {name} {definition}")
    indexes = (
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = 'public.outcomes'::regclass AND NOT indisprimary"
    )
    for definition in attacker.sql(indexes).scalars().all():
        attacker.sql(definition.replace("public.outcomes", copy))
    when = "BEFORE UPDATE OR DELETE OR TRUNCATE"
    function = "throughline_refuse_change()"
    for statement in (
        f"CREATE TRIGGER outcomes_append_only {when} ON {copy} FOR EACH STATEMENT EXECUTE FUNCTION {function}",
        f"ALTER TABLE {copy} ENABLE ALWAYS TRIGGER outcomes_append_only",
        f"ALTER TABLE {copy} OWNER TO {role_name('owner')}",
        f"GRANT SELECT ON {copy} TO {role_name('auditor')}, {role_name('reader')}",
        f"GRANT SELECT, INSERT ON {copy} TO {WRITER}",
        "ALTER TABLE public.outcomes DISABLE TRIGGER outcomes_append_only",
        "UPDATE public.outcomes SET realized_pnl_usd = 999999",
        "ALTER TABLE public.outcomes ENABLE ALWAYS TRIGGER outcomes_append_only",
    ):
        attacker.sql(statement)
    for row in attacker.books.table("outcomes"):
        attacker.trace.rows[row.name] = "changed"
    attacker.trace.things |= {("table", copy), ("schema", role_name("auditor"))}
    attacker.leave()


def auditor_shut_out(attacker: Attacker) -> None:
    """The auditor may not read a table: the check ends in the driver's error instead of naming the grant."""
    role = role_name("auditor")
    _do(attacker, "grant", f"outcomes.{role}", "grant_changed", f"REVOKE SELECT ON outcomes FROM {role}")
    attacker.leave()


def _changed(
    kind: str, name: str, found: str, *statements: str, besides: tuple[str, str] | None = None
) -> Callable[[Attacker], None]:
    def deed(attacker: Attacker) -> None:
        attacker.trace.things |= {besides} if besides else set()
        _do(attacker, kind, name, found, *statements)
        attacker.leave()

    deed.__doc__ = statements[-1]
    deed.__name__ = f"{kind} {name}"
    return deed


KEY = "fk_outcomes_execution_uuid"
CASCADE = "ON DELETE CASCADE"
CHECK = "ck_soulprints_content_hash"
DEEDS: tuple[Callable[[Attacker], None], ...] = (
    trade_by_hand,
    quarantine_unlogged,
    bars_of_the_first_scan,
    shadow_schema,
    auditor_shut_out,
    _changed(
        "constraint",
        f"soulprints.{CHECK}",
        "trigger_changed",
        f"ALTER TABLE soulprints DROP CONSTRAINT {CHECK}",
        f"ALTER TABLE soulprints ADD CONSTRAINT {CHECK} CHECK (true)",
    ),
    _changed(
        "constraint",
        f"outcomes.{KEY}",
        "trigger_changed",
        f"ALTER TABLE outcomes DROP CONSTRAINT {KEY}",
        f"ALTER TABLE outcomes ADD CONSTRAINT {KEY} FOREIGN KEY (execution_uuid) REFERENCES executions {CASCADE}",
    ),
    _changed(
        "constraint",
        "outcomes.uq_outcomes_candidate_uuid",
        "trigger_changed",
        "DROP INDEX uq_outcomes_candidate_uuid",
        "CREATE UNIQUE INDEX uq_outcomes_candidate_uuid ON outcomes (uuid)",
    ),
    _changed("grant", "public.PUBLIC", "grant_changed", "GRANT CREATE ON SCHEMA public TO PUBLIC"),
    _changed("owner", "public", "grant_changed", f"ALTER SCHEMA public OWNER TO {WRITER}"),
    _changed("grant", f"throughline.{WRITER}", "grant_changed", f"GRANT CREATE ON DATABASE throughline TO {WRITER}"),
    _changed(
        "grant",
        f"registry_quarantine_seq_seq.{WRITER}",
        "grant_changed",
        f"GRANT UPDATE ON SEQUENCE registry_quarantine_seq_seq TO {WRITER}",
    ),
    _changed(
        "grant",
        f"default privileges.{WRITER}",
        "grant_changed",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT UPDATE ON TABLES TO {WRITER}",
    ),
    _changed("role", "stranger", "grant_changed", "CREATE ROLE stranger LOGIN SUPERUSER"),
    _changed(
        "role",
        f"{role_name('owner')}.stranger",
        "grant_changed",
        "CREATE ROLE stranger LOGIN",
        f"GRANT {role_name('owner')} TO stranger",
        besides=("role", "stranger"),
    ),
    _changed(
        "setting",
        f"{WRITER}.session_replication_role",
        "setting_changed",
        f"ALTER ROLE {WRITER} SET session_replication_role = replica",
    ),
)


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_what_was_once_a_hole_is_named_exactly(shooting_range: Range, deed: Callable[[Attacker], None]) -> None:
    attacker = Attacker(shooting_range.connection, shooting_range.books, Random(3), "bare")
    try:
        deed(attacker)
        findings = shooting_range.home.check(shooting_range.connection)
        assert complaints(findings, attacker.trace, shooting_range.books) == []
    finally:
        shooting_range.connection.rollback()
        for path, data in attacker.files.items():
            path.write_bytes(data)
