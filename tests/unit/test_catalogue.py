"""The catalogue: a declaration is found by being there, contradictions are named, and everything follows from it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from textwrap import dedent

import pytest
from sqlalchemy import MetaData

from throughline.catalogue import BARS, LOG, SESSION, Catalogue, RecordKind, catalogue, load_catalogue
from throughline.errors import CatalogueError
from throughline.quality.suite import load_suite
from throughline.storage.tables import metadata, record_table

NOTES = """
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
            Column("written_at", "instant"),
            Column("words", "integer", "text.words", nullable=True),
        ),
        versions={1: "candidate experiment outcome partition text written_at"},
        one_per_candidate=True,
    )
    STAGE = StageSpec(
        asset="notes", group="learning", description="Notes on each trade.", run="notes:write", upstream=("outcomes",)
    )
"""

Declare = Callable[..., Catalogue]


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Declare]:
    """Return what adds one file to a package of declarations from a temporary folder and reads the catalogue anew."""
    names = []

    def add(source: str, package: str = "throughline.catalogue.stages", name: str = "added") -> Catalogue:
        folder = tmp_path / package
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(dedent(source), encoding="utf-8")
        module = importlib.import_module(package)
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(folder)])
        names.append(f"{package}.{name}")
        importlib.invalidate_caches()
        return load_catalogue()

    yield add
    for name in names:
        sys.modules.pop(name, None)


def changed(old: str, new: str) -> str:
    """Return `NOTES` with the text `old` replaced by `new`; several texts are separated by ``|``."""
    source = NOTES
    for before, after in zip(old.split("|"), new.split("|"), strict=True):
        assert before in source
        source = source.replace(before, after)
    return source


@pytest.mark.parametrize("package", ["throughline.catalogue.records", "throughline.catalogue.stages"])
def test_one_file_adds_a_stage_and_a_kind_of_record(declare: Declare, package: str) -> None:
    found = declare(NOTES, package)
    assert found.asset_tables["notes"] == ("notes",)
    assert list(found.stages).index("notes") > list(found.stages).index("outcomes")
    assert set(found.upstream[LOG]) == {*catalogue().upstream[LOG], "notes"}, "the day is closed after every stage"
    assert found.links["notes"] == {"candidate": "candidates", "outcome": "outcomes"}
    assert found.registries == catalogue().registries


def test_the_table_of_an_added_kind_has_its_columns_keys_and_indexes(declare: Declare) -> None:
    kind = declare(NOTES).records["notes"]
    table = record_table(kind, MetaData(naming_convention=metadata.naming_convention))
    assert [column.name for column in table.columns][8:] == ["candidate_uuid", "written_at", "words"]
    assert {key.target_fullname for key in table.foreign_keys} == {"candidates.uuid", "experiments.id", "notes.uuid"}
    assert table.c.words.nullable
    assert not table.c.written_at.nullable
    assert {index.name for index in table.indexes} == {
        "ix_notes_experiment_partition",
        "uq_notes_candidate_uuid",
        "uq_notes_supersedes",
    }


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"outcome": "outcomes"}', '"outcome": "results"}', "names the table 'results', which no file declares"),
        ('upstream=("outcomes",)', 'upstream=("results",)', "stands on 'results', which no file declares"),
        ('upstream=("outcomes",)', 'upstream=("notes",)', "the stages notes -> notes stand on each other in a circle"),
        ('table="notes"', 'table="outcomes"', "declares the table 'outcomes', which another file has"),
        ('asset="notes", group', 'asset="outcomes", group', "declares the asset 'outcomes', which another file has"),
        ('kind="note"', 'kind="outcome"', "the kind 'outcome' is that of 'outcomes'"),
        ('asset="notes",\n        event', 'asset="memos",\n        event', "no stage makes the asset 'memos'"),
        ('parent="outcome"', 'parent="execution"', "the parent 'execution' is none of its links"),
        ('"text.words"', '"remark.words"', "'remark' is no field of its bodies"),
        ("versions={1:", "versions={2:", "versions are numbered from 1 without gaps"),
        ('"written_at", "instant"', '"words", "instant"', "a column is declared twice"),
        ('Column("candidate_uuid", "uuid", "candidate.uuid"),', "", "one_per_candidate needs the column"),
        ('run="notes:write"', 'run="notes.write"', "write it as module:function"),
        ('run="notes:write"', 'run="notes:write", written_by="executions"', "writes its rows, so it must be upstream"),
        ('upstream=("outcomes",)', "closes_day=True", "close the day; only one can"),
        ("RECORD = RecordKind(", "RECORD = dict(", "a dict stands where a RecordKind must"),
    ],
)
def test_a_contradiction_is_named(declare: Declare, old: str, new: str, sentence: str) -> None:
    with pytest.raises(CatalogueError, match=sentence):
        declare(changed(old, new))


def test_a_file_that_declares_nothing_is_named(declare: Declare) -> None:
    with pytest.raises(CatalogueError, match=r"added\.py declares neither RECORD nor STAGE"):
        declare("NOTHING = 1\n")


def test_records_that_name_each_other_in_a_circle_are_refused(declare: Declare) -> None:
    links, versions = '"outcome": "outcomes"}', "versions={1: "
    source = changed(f'{links}|{versions}"', f'{links[:-1]}, "answer": "replies"}}|{versions}"answer ')
    replies = source.replace('"replies"', '"NOTES"').replace("notes", "replies").replace('"note"', '"reply"')
    replies = replies.replace("NOTES", "notes")
    with pytest.raises(CatalogueError, match="names the table 'replies'"):
        declare(source, name="first")
    with pytest.raises(CatalogueError, match=r"the records .* stand on each other in a circle"):
        declare(replies, name="second")


def test_every_stage_names_a_function_that_is_there() -> None:
    assert all(callable(spec.function()) for spec in catalogue().stages.values())


def test_the_gated_assets_are_those_with_a_suite() -> None:
    files = resources.files("throughline.quality.suites").iterdir()
    suites = {file.name.removesuffix(".json") for file in files if file.name.endswith(".json")}
    assert set(catalogue().gated) == suites - {"training_set"}
    assert all(load_suite(asset).asset == asset for asset in catalogue().gated)
    assert set(catalogue().hard) < set(catalogue().gated)


def test_a_stage_comes_after_all_that_it_stands_on_and_the_log_after_all() -> None:
    done: set[str] = set()
    for asset, names in catalogue().upstream.items():
        assert set(names) <= done
        done.add(asset)
    assert asset == LOG
    assert {BARS, SESSION} <= done


def test_a_record_comes_after_the_records_that_it_names() -> None:
    known: set[str] = set()
    for table, kind in catalogue().records.items():
        known.add(table)
        assert set(kind.links.values()) <= known
    assert [*catalogue().records] == [table for tables in catalogue().asset_tables.values() for table in tables]


def test_the_edges_that_dagster_shows_imply_all_that_a_stage_stands_on() -> None:
    above: dict[str, set[str]] = {}
    for asset, direct in catalogue().direct_upstream.items():
        above[asset] = {*direct, *(name for parent in direct for name in above[parent])}
        assert set(catalogue().upstream[asset]) <= above[asset]
        others = [{*(n for p in direct if p != name for n in {p, *above[p]})} for name in direct]
        assert all(name not in rest for name, rest in zip(direct, others, strict=True)), "no edge follows from others"


def test_a_column_is_a_foreign_key_where_its_path_is_the_uuid_of_a_link() -> None:
    kind: RecordKind = catalogue().records["executions"]
    keys = {column.name: kind.references(column) for column in kind.columns}
    assert {name: table for name, table in keys.items() if table} == {
        "candidate_uuid": "candidates",
        "research_uuid": "research_docs",
    }
