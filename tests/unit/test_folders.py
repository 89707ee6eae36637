"""Temporary folders of tests: in memory while there is room, gone with their fixture, and none left by a killed run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import folders
from tests.folders import Folders, has_room
from throughline.storage.locks import try_lock


@pytest.fixture
def factory(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory, tmp_path)


def test_there_is_room_only_where_folder_and_machine_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "ROOM", 0)
    assert has_room(tmp_path)
    assert not has_room(tmp_path / "no such file system")
    monkeypatch.setattr(folders, "ROOM", 2**62)
    assert not has_room(tmp_path)


def test_a_folder_lies_in_memory_while_there_is_room_and_is_pytests_own_otherwise(
    factory: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "has_room", lambda: True)
    made = [factory.mktemp("a name"), factory.mktemp("a name"), factory.mktemp("exact", numbered=False)]
    assert {path.parent for path in made} == {tmp_path}
    assert len(set(made)) == 3
    assert made[2].name == "exact"
    assert {path.stat().st_mode & 0o777 for path in made} == {0o700}
    monkeypatch.setattr(folders, "has_room", lambda: False)
    assert factory.mktemp("a name").parent != tmp_path


def test_a_folder_is_removed_when_the_fixture_that_asked_for_it_has_ended(
    factory: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "has_room", lambda: True)
    outer, inner = object(), object()

    def set_up(fixture: object, inside: Iterator[None] | None = None) -> Path:
        hook = folders.pytest_fixture_setup(fixture)
        next(hook)
        if inside is not None:
            next(inside, None)
        made = factory.mktemp("home")
        next(hook, None)
        return made

    nested: list[Path] = []

    def inside() -> Iterator[None]:
        nested.append(set_up(inner))
        yield

    first = set_up(outer, inside())
    (first / "file").write_text("x")
    folders.pytest_fixture_post_finalizer(inner)
    assert (first.exists(), nested[0].exists()) == (True, False)
    folders.pytest_fixture_post_finalizer(outer)
    assert not first.exists()


def test_what_a_killed_run_left_is_removed_and_what_another_run_uses_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MEMORY", tmp_path)
    used, left, other = (tmp_path / name for name in (f"{folders._PREFIX}used", f"{folders._PREFIX}left", "other"))
    for path in (used, left, other):
        (path / "home").mkdir(parents=True)
    lock = os.open(used, os.O_RDONLY)
    try:
        assert try_lock(lock)
        folders._remove_leftovers()
    finally:
        os.close(lock)
    assert [path.exists() for path in (used, left, other)] == [True, False, True]
