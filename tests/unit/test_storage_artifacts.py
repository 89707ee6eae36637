"""The artifact store: addresses, verification, whole writes; locally and through fsspec."""

from __future__ import annotations

import gzip
import hashlib
import stat
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from throughline.errors import StorageError
from throughline.storage.artifacts import ArtifactStore


@pytest.fixture(params=["folder", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """Return a store in a folder with a space, by path or by URL, or in fsspec's memory."""
    if request.param == "memory":
        return ArtifactStore(f"memory://{uuid.uuid4().hex}")
    return ArtifactStore(("file://" if request.param == "file" else "") + str(tmp_path / "the store"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=2000))
def test_bytes_come_back_under_the_hash_of_their_uncompressed_content(store: ArtifactStore, data: bytes) -> None:
    ref = store.put(data, "bars", "application/jsonl")
    assert ref.hash == hashlib.sha256(data).hexdigest()
    assert (ref.kind, ref.media_type, ref.bytes) == ("bars", "application/jsonl", len(data))
    assert ref.location == f"{ref.hash[:2]}/{ref.hash[2:4]}/{ref.hash}.gz"
    assert store.get(ref.hash) == data
    assert store.put(data, "bars") == store.put(data, "bars")


def test_a_missing_artifact_is_named(store: ArtifactStore) -> None:
    digest = hashlib.sha256(b"never").hexdigest()
    assert not store.exists(digest)
    with pytest.raises(StorageError, match=f"{digest}.gz is missing"):
        store.get(digest)


@pytest.mark.parametrize(
    "other",
    [gzip.compress(b"other"), b"no gzip", b"", gzip.compress(b"x" * 999)[:-9]],
    ids=["other content", "no gzip", "empty", "cut short"],
)
def test_changed_bytes_are_named(tmp_path: Path, other: bytes) -> None:
    store = ArtifactStore(tmp_path)
    ref = store.put(b"truth", "bars")
    (tmp_path / ref.location).write_bytes(other)
    with pytest.raises(StorageError, match=ref.hash):
        store.get(ref.hash)


def test_equal_content_is_stored_as_equal_bytes_whenever_it_is_written(tmp_path: Path) -> None:
    one, two = ArtifactStore(tmp_path / "one"), ArtifactStore(tmp_path / "two")
    place = one.put(b"truth" * 100, "bars").location
    two.put(b"truth" * 100, "bars")
    assert (tmp_path / "one" / place).read_bytes() == (tmp_path / "two" / place).read_bytes()


def test_a_write_that_was_cut_short_leaves_nothing_that_looks_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(tmp_path)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StorageError, match=r"cannot be written: .*No space left"):
        store.put(b"truth", "bars")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_folders_of_the_store_are_closed_to_others(tmp_path: Path) -> None:
    ArtifactStore(tmp_path / "store").put(b"truth", "bars")
    assert {
        stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "store", *(tmp_path / "store").rglob("*")) if p.is_dir()
    } == {0o700}


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_what_is_no_hash_is_never_looked_for(store: ArtifactStore, digest: str) -> None:
    with pytest.raises(StorageError, match="is not an artifact hash"):
        store.get(digest)


def test_an_unknown_protocol_is_refused_in_one_sentence() -> None:
    with pytest.raises(StorageError, match="'nowhere://' is no kind of place"):
        ArtifactStore("nowhere://x")


def test_an_expired_artifact_can_be_removed_twice(store: ArtifactStore) -> None:
    ref = store.put(b"old", "bars")
    store.delete(ref.hash)
    store.delete(ref.hash)
    assert not store.exists(ref.hash)


def test_many_artifacts_at_once_equal_one_by_one(store: ArtifactStore) -> None:
    items = [bytes([i]) * 50 for i in range(20)] + [b"twice", b"twice"]
    before = store.put(items[3], "bars")
    refs = store.put_many(items, "bars", "text/plain")
    assert refs[3].hash == before.hash
    assert refs[-1] == refs[-2]
    assert [store.get(ref.hash) for ref in refs] == items
