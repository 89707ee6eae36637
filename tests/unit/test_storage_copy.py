"""The COPY text format: exact values, no value that the column cannot hold."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from throughline.storage.copy import encode_rows
from throughline.storage.tables import artifacts, candidates, executions, gate_verdicts, market_scans


def test_every_kind_of_value_is_written_in_copy_text() -> None:
    name = uuid.UUID(int=5)
    local = datetime(2021, 1, 1, 5, 45, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    columns = ("uuid", "partition", "body", "confidence", "decision_time", "opportunity_score", "instrument")
    row = (name, date(2021, 1, 1), b"\x00\\\xff", Decimal("1E-9"), local, None, "a\tb\nc\\d\re")
    expected = f"{name}\t2021-01-01\t\\\\x005cff\t0.000000001\t2021-01-01T05:45:00+05:45\t\\N\ta\\tb\\nc\\\\d\\re\n"
    assert encode_rows(candidates, columns, [row]) == expected
    assert encode_rows(gate_verdicts, ("passed",), [(True,), (False,)]) == "t\nf\n"


def test_the_two_letters_of_null_and_of_the_end_marker_are_escaped_in_text() -> None:
    assert encode_rows(candidates, ("instrument",), [("\\N",), ("\\.",)]) == "\\\\N\n\\\\.\n"


def test_no_rows_are_no_text() -> None:
    assert encode_rows(candidates, ("instrument",), []) == ""


def test_links_are_written_as_uuids() -> None:
    name = uuid.UUID(int=7)
    assert encode_rows(executions, ("candidate_uuid", "research_uuid"), [(name, str(name))]) == f"{name}\t{name}\n"


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        (candidates, "instrument", "a\0b"),
        (candidates, "instrument", 5),
        (candidates, "confidence", 0.1),
        (candidates, "confidence", Decimal("NaN")),
        (candidates, "confidence", "many"),
        (candidates, "decision_time", datetime(2021, 1, 1, tzinfo=UTC).replace(tzinfo=None)),
        (candidates, "partition", datetime(2021, 1, 1, tzinfo=UTC)),
        (candidates, "uuid", "not a uuid"),
        (market_scans, "instruments", True),
        (market_scans, "instruments", 1.0),
        (artifacts, "bytes", "1"),
        (gate_verdicts, "passed", 1),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_table_row_and_column(table: Any, column: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{table.name}, row 0, column {column}: "):
        encode_rows(table, (column,), [(value,)])
