"""Versions of record bodies: what came later reads as None, what must be there is missed, what is newer is refused."""

from __future__ import annotations

import json

import pytest

from throughline.catalogue import catalogue
from throughline.tracking.versions import (
    UnknownVersion,
    current_version,
    filled,
    known_fields,
    missing_fields,
    read_body,
    same_version,
    version_problem,
)


def body(table: str, version: int) -> dict[str, object]:
    return {"schema_version": version} | dict.fromkeys(known_fields(table, version), "x")


@pytest.mark.parametrize("table", catalogue().records)
def test_a_body_of_every_version_is_read_with_all_fields_of_today(table: str) -> None:
    for version in catalogue().records[table].versions:
        stored = body(table, version)
        told = read_body(table, json.dumps(stored))
        assert set(told) == {"schema_version"} | known_fields(table, current_version(table))
        assert {name for name, value in told.items() if value is None} == known_fields(
            table, current_version(table)
        ) - known_fields(table, version)


@pytest.mark.parametrize("table", catalogue().records)
def test_a_field_that_its_version_must_have_is_missed_by_name(table: str) -> None:
    for version in catalogue().records[table].versions:
        for field in known_fields(table, version):
            stored = body(table, version)
            del stored[field]
            assert missing_fields(table, stored) == [field]
            assert field not in filled(table, stored)


@pytest.mark.parametrize("version", [0, -1, None, "1", 1.0, True, 99])
def test_a_version_that_does_not_exist_is_refused(version: object) -> None:
    stored = body("outcomes", 1) | {"schema_version": version}
    problem = version_problem("outcomes", stored)
    assert problem is not None
    assert ("a newer release wrote it" in problem) == (version == 99)
    with pytest.raises(UnknownVersion, match="A record of outcomes cannot be read"):
        read_body("outcomes", json.dumps(stored))


def test_a_field_of_version_one_that_only_some_releases_wrote_is_kept() -> None:
    stored = body("research_docs", 1) | {"features": {"hash": "a"}}
    assert read_body("research_docs", json.dumps(stored))["features"] == {"hash": "a"}
    assert read_body("research_docs", json.dumps(stored))["signals"] is None


def test_comparing_leaves_out_what_the_stored_version_could_not_say() -> None:
    made = body("candidates", current_version("candidates"))
    assert set(same_version("candidates", body("candidates", 1), made)) == known_fields("candidates", 1)
