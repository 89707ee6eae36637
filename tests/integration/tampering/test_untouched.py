"""An untouched home gives no finding, the number of tampers is what the issue asks for, and the judge can say no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.integration.learning_models import LEARNING_TABLES
from tests.integration.tampering.conftest import BATCH, BATCHES, CLASSES, Range
from tests.integration.tampering.naming import complaints, runs_told
from throughline.findings import Finding
from throughline.proof import audit_rows
from throughline.storage.tables import APPEND_ONLY, LEDGER

pytestmark = pytest.mark.slow


def test_nothing_is_found_in_an_untouched_home(shooting_range: Range) -> None:
    assert list(shooting_range.home.check(shooting_range.connection)) == []
    shooting_range.connection.rollback()


def test_the_home_has_rows_of_every_kind(shooting_range: Range) -> None:
    books = shooting_range.books
    assert all(len(books.table(table.name)) >= 6 for table in LEDGER)
    assert len({row.experiment for row in books.table("canonical_trades")}) == 2
    assert any(row.body.get("supersedes") for row in books.table("canonical_trades"))
    assert {event.kind for event in books.events} >= {"genesis", "entries", "rows", "seal"}
    assert len(books.heads) > 5
    empty = {"artifact_tombstones", "consistency_reports", *LEARNING_TABLES}
    for table in APPEND_ONLY:
        count = shooting_range.connection.exec_driver_sql(f"SELECT count(*) FROM {table.name}").scalar_one()
        assert (count > 0) == (table.name not in empty), table.name
    shooting_range.connection.rollback()


def test_there_are_a_thousand_tampers_and_sixty_of_each_class() -> None:
    assert len(CLASSES) == 11
    assert BATCH * len(BATCHES) >= 60
    assert BATCH * len(BATCHES) * len(CLASSES) >= 1000


@pytest.mark.parametrize("kind", sorted(CLASSES))
def test_the_judge_refuses_what_is_not_said_and_what_is_said_of_others(shooting_range: Range, kind: str) -> None:
    """What a tamper touched is taken out of the findings, and something innocent is put in."""
    attacker, findings = shooting_range.tamper(kind, 1)
    books, trace = shooting_range.books, attacker.trace
    assert complaints(findings, trace, books) == []
    assert complaints([], trace, books)
    for table, row in trace.primary:
        without = [item for item in findings if (item.table, item.row) != (table, row) and item.kind != "rewritten"]
        without = [item for item in without if item.kind != "truncated"]
        assert any(f"not named: {table} {row}" in said for said in complaints(without, trace, books))
    innocent = next(item for item in books.rows if item not in trace.follows(books))
    accused = [*findings, Finding(*innocent, "was edited", "hash_mismatch")]
    assert [said for said in complaints(accused, trace, books) if innocent[1] in said]


def test_the_judge_refuses_a_run_with_another_count(shooting_range: Range) -> None:
    number = next(
        number
        for number in range(20)
        if any(item.kind == "truncated" for item in shooting_range.tamper("tail truncation", number)[1])
    )
    attacker, findings = shooting_range.tamper("tail truncation", number)
    books, trace = shooting_range.books, attacker.trace
    assert runs_told(findings, trace, books) == []
    for off in (-1, 1):
        told = [
            replace(item, expected=str(int(item.expected or 0) + off)) if item.kind == "truncated" else item
            for item in findings
        ]
        assert runs_told(told, trace, books)


def test_an_audit_that_overlooks_deleted_rows_does_not_pass(
    shooting_range: Range, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = audit_rows.RowAudit._compare

    def blind(self, expected, held, *rest):  # type: ignore[no-untyped-def]
        compare(self, [leaf for leaf in expected if (leaf.table, leaf.key) in held], held, *rest)

    monkeypatch.setattr(audit_rows.RowAudit, "_compare", blind)
    wrong = [item for number in range(BATCH) for item in shooting_range.wrong("row delete", number)]
    assert len(wrong) >= BATCH
