"""One snapshot of the database together with the anchor as it was just before: what every comparison of the two reads.

Belongs here: the order in which the two are read. Does not belong here: what is compared (audit, verification).

A run commits first and anchors afterwards. A reader that lists the anchor first and takes its snapshot second therefore
finds in the database everything that the list names, however many processes write meanwhile. In the other order it
finds anchored heads that its snapshot cannot have, and reports a rewritten log where nothing was rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

from throughline.proof.anchor import Anchor


@contextmanager
def anchored_snapshot(engine: Engine, anchor: Anchor) -> Iterator[tuple[Connection, Anchor]]:
    """Yield a read-only REPEATABLE READ connection, and the anchor pinned to what it held before the snapshot began.

    engine: may read what is compared (reader or auditor). anchor: the home's. An anchor that cannot be listed raises
    its ProofError where its heads or segments are asked for, so that the caller can report it as a finding.
    """
    pinned = anchor.pin()
    with engine.connect() as connection:
        snapshot = connection.execution_options(isolation_level="REPEATABLE READ")
        snapshot.execute(text("SET TRANSACTION READ ONLY"))
        yield snapshot, pinned
