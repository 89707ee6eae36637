"""The artifact store: bytes by their hash, in a folder or anywhere fsspec reaches.

Belongs here: putting, getting and checking. Does not belong here: the row in ``artifacts`` (queries.record_artifact),
and what the bytes mean.

The address is the SHA-256 of the uncompressed bytes; they lie gzip-compressed (level 1, no time inside) at
``ab/cd/<hash>.gz``. A local write is whole or absent: temporary file, fsync, rename.
"""

from __future__ import annotations

import gzip
import os
import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughline.errors import StorageError
from throughline.identity import sha256_hex
from throughline.storage.remote import open_remote, reason_of
from throughline.user_files import resolved_path

_THREADS = 8


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """Where an artifact is: its hash (hex SHA-256 of the content), what it is, its size uncompressed, its place."""

    hash: str
    kind: str
    media_type: str
    bytes: int
    location: str


class ArtifactStore:
    """Content-addressed store at a local folder or an fsspec URL (``s3://bucket/prefix``, ``memory://x``)."""

    def __init__(self, url_or_path: str | os.PathLike[str]) -> None:
        text = os.fspath(url_or_path)
        self._folder: Path | None = None
        self._remote: Any = None
        if text.startswith("file://"):
            text = text.removeprefix("file://")
        if "://" not in text:
            self._folder = resolved_path(text, "the artifact store (THROUGHLINE_ARTIFACTS)")
            self.root = str(self._folder)
            return
        self._remote, path = open_remote(text, "the artifact store (THROUGHLINE_ARTIFACTS)")
        self.root = path.rstrip("/")

    def location(self, digest: str) -> str:
        """Return the place of `digest` inside the store, relative to its root."""
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise StorageError(f"{digest!r} is not an artifact hash: 64 lower-case hex digits are.")
        return f"{digest[:2]}/{digest[2:4]}/{digest}.gz"

    def exists(self, digest: str) -> bool:
        """Return whether something lies at the address `digest` (unchecked)."""
        place = self.location(digest)
        if self._folder is not None:
            return (self._folder / place).exists()
        return bool(self._remote.exists(f"{self.root}/{place}"))

    def put(self, data: bytes, kind: str, media_type: str = "application/octet-stream") -> ArtifactRef:
        """Store `data` and return its reference; storing the same again writes nothing.

        Raises StorageError naming the place where it cannot be written.
        """
        return self.put_many([data], kind, media_type)[0]

    def put_many(
        self, items: Sequence[bytes], kind: str, media_type: str = "application/octet-stream"
    ) -> list[ArtifactRef]:
        """Store many artifacts as `put` does, flushed to disk together: several times faster than one by one."""
        refs = [self._reference(data, kind, media_type) for data in items]
        missing = {ref.location: data for ref, data in zip(refs, items, strict=True) if not self.exists(ref.hash)}
        try:
            if self._folder is not None:
                _write_local(self._folder, missing)
            else:
                self._write_remote(missing)
        except OSError as error:
            raise StorageError(f"The artifact store {self.root} cannot be written: {reason_of(error)}.") from error
        return refs

    def _reference(self, data: bytes, kind: str, media_type: str) -> ArtifactRef:
        digest = sha256_hex(data)
        return ArtifactRef(digest, kind, media_type, len(data), self.location(digest))

    def get(self, digest: str) -> bytes:
        """Return the bytes of `digest`, verified. Raises StorageError naming the file where missing or different."""
        place = f"{self.root}/{self.location(digest)}"
        try:
            data = gzip.decompress(self._read(digest))
        except FileNotFoundError:
            raise StorageError(f"The artifact {place} is missing: restore it from a backup.") from None
        except (OSError, EOFError, zlib.error) as error:
            raise StorageError(
                f"The artifact {place} cannot be read ({reason_of(error)}): restore it from a backup."
            ) from error
        actual = sha256_hex(data)
        if actual != digest:
            raise StorageError(f"The artifact {place} holds other bytes (hash {actual}): restore it from a backup.")
        return data

    def delete(self, digest: str) -> None:
        """Remove the bytes of an expired artifact; record a tombstone first. Nothing happens where none lie."""
        place = self.location(digest)
        if self._folder is not None:
            (self._folder / place).unlink(missing_ok=True)
        elif self._remote.exists(f"{self.root}/{place}"):
            self._remote.rm_file(f"{self.root}/{place}")

    def _read(self, digest: str) -> bytes:
        place = self.location(digest)
        if self._folder is not None:
            return (self._folder / place).read_bytes()
        return bytes(self._remote.cat_file(f"{self.root}/{place}"))

    def _write_remote(self, missing: Mapping[str, bytes]) -> None:
        for place, data in missing.items():
            self._remote.makedirs(f"{self.root}/{place.rpartition('/')[0]}", exist_ok=True)
            self._remote.pipe_file(f"{self.root}/{place}", _pack(data))


def _pack(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=1, mtime=0)


def _write_local(root: Path, missing: Mapping[str, bytes]) -> None:
    """Write files whole or not at all: all to temporary names, flushed, renamed, then their folders flushed.

    Flushing follows all writing because one flush of the file system's journal serves every file before it. Threads
    compress on several cores, and wait for the disk together.
    """
    changed: dict[Path, None] = {}
    fresh: dict[Path, tuple[Path, bytes]] = {}
    for place, data in missing.items():
        path = root / place
        for folder in (root, path.parents[1], path.parent):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                changed[folder.parent] = None
        changed[path.parent] = None
        fresh[path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")] = (path, data)
    with ThreadPoolExecutor(_THREADS) as threads:
        try:
            _all(threads.submit(_write_packed, part, data) for part, (_, data) in fresh.items())
            _all(threads.submit(_sync, part) for part in fresh)
            for part, (path, _) in fresh.items():
                part.replace(path)
        except BaseException:
            for part in fresh:
                part.unlink(missing_ok=True)
            raise
        _all(threads.submit(_sync, folder) for folder in changed)


def _all(futures: Iterable[Future[None]]) -> None:
    """Wait for all, also where one has failed; raise what the first that failed raised."""
    started = list(futures)
    wait(started)
    for future in started:
        future.result()


def _write_packed(path: Path, data: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(_pack(data))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
