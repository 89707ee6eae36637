"""The stored bytes of artifacts against their hashes and rows.

Belongs here: every artifact of a home, or some. Does not belong here: what the bytes mean (verification reads the bars
again line by line).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection, select

from throughline.errors import StorageError
from throughline.findings import Finding
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.tables import artifact_tombstones, artifacts
from throughline.tracking.checking import finding

_AT_ONCE = 1_000


def check_artifacts(
    connection: Connection,
    store: ArtifactStore,
    only: Sequence[str] | None,
    progress: Callable[[str, int], None],
) -> Iterator[Finding]:
    """Yield a finding for each artifact whose bytes are gone or others, or whose row says something else.

    only: hashes; None = all. Expired ones (with a tombstone) have no bytes to compare.
    """
    c = artifacts.c
    expired = select(artifact_tombstones.c.hash).where(artifact_tombstones.c.hash == c.hash).exists()
    statement = select(c.hash, c.bytes, c.location).where(~expired).order_by(c.hash.collate("C"))
    if only is not None:
        statement = statement.where(c.hash.in_(list(only)))
    for digest, size, location in connection.execute(statement.execution_options(yield_per=_AT_ONCE)):
        try:
            actual, place = len(store.get(digest)), store.location(digest)
        except StorageError as error:
            yield finding("artifacts", digest, "artifact_changed", str(error))
            continue
        if (actual, place) != (size, location):
            problem = f"row says {size} bytes at {location}, there are {actual} at {place}"
            yield finding(
                "artifacts", digest, "hash_mismatch", problem, f"{actual} at {place}", f"{size} at {location}"
            )
        progress("artifacts", 1)
