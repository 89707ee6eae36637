"""A home whose server and writers are killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue

import psutil
import pytest
from sqlalchemy import make_url

from tests.integration.home_copies import open_copy
from tests.integration.killing.nursery import STEP
from throughline.findings import Finding
from throughline.proof.log import publish
from throughline.proof.settings import Proof, open_proof
from throughline.registry.consistency import check_connection
from throughline.registry.coordinator import RegistryCoordinator
from throughline.storage.cluster import ADMIN
from throughline.storage.database import Database, _connect
from throughline.storage.processes import is_postmaster
from throughline.verification import verify_connection

PATIENCE = 30.0


@dataclass
class Battlefield:
    """A home, and a nursery of writers. acknowledged: the hashes that any writer has been given."""

    database: Database
    proof: Proof
    nursery: subprocess.Popen[str]
    lines: Queue[str]
    acknowledged: list[str] = field(default_factory=list)
    started: int = 0
    lost: int = 0
    """How often a writer has seen the server go."""

    def start_writer(self) -> int:
        """Start a writer; return its process id."""
        assert self.nursery.stdin is not None
        self.nursery.stdin.write(f"{self.started * STEP}\n")
        self.nursery.stdin.flush()
        self.started += 1
        return int(self.wait_for("child"))

    def wait_for(self, word: str) -> str:
        """Take in what the writer says until it says `word`; return what follows it."""
        while True:
            try:
                said, _, rest = self.lines.get(timeout=PATIENCE).strip().partition(" ")
            except Empty:
                raise AssertionError(f"no '{word}' within {PATIENCE:g} s") from None
            if said == "trade":
                self.acknowledged.append(rest)
            self.lost += said == "again"
            if said == word:
                return rest
            assert said != "ended", f"the writer ended with {rest} before it said '{word}'"

    def take_in(self) -> int:
        """Take in what the writer has said by now; return how many trades are acknowledged."""
        while True:
            try:
                said, _, rest = self.lines.get_nowait().strip().partition(" ")
            except Empty:
                return len(self.acknowledged)
            if said == "trade":
                self.acknowledged.append(rest)
            self.lost += said == "again"

    def kill_server(self) -> None:
        """SIGKILL to the postmaster and every process below it, the postmaster first."""
        data = self.database.home.database / "data"
        pid = int((data / "postmaster.pid").read_text().split()[0])
        assert is_postmaster(pid, data)
        postmaster = psutil.Process(pid)
        for process in [postmaster, *postmaster.children(recursive=True)]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue

    def findings(self) -> list[Finding]:
        """Return what the whole check finds, without artifacts (there are none)."""
        with self.database.engine("auditor").connect() as connection:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
            told = verify_connection(connection, None)
            key = self.proof.signer.public_key
            registry = check_connection(connection, anchor=self.proof.anchor, public_key=key)
        return [*told.findings, *registry.findings, *registry.set_aside]

    def incomplete(self, hashes: list[str]) -> list[str]:
        """Return those of `hashes` that are not there with all their linkages."""
        with RegistryCoordinator(engine=self.database.engine("writer"), proof=self.proof) as registry:
            return [item for item in hashes if not registry.get_trade_with_all_linkages(item)["complete"]]

    def counts(self) -> dict[str, int]:
        """Return how many rows each registry and the log have, and the last event's number."""
        asked = ("canonical_trades", "soulprints", "profit_buckets", "seal_events")
        with self.database.engine("reader").connect() as connection:
            found = {name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in asked}
            last = connection.exec_driver_sql("SELECT coalesce(max(seq), -1) FROM seal_events").scalar_one()
        return found | {"last_event": last}

    def publish(self) -> tuple[int, int]:
        """Publish; return the sizes of the log and of what is anchored."""
        published = publish(self.database.engine("writer"), self.proof)
        return published.tree_size, published.anchored


@pytest.fixture(scope="module")
def battlefield(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Iterator[Battlefield]:
    """Return a home with a server of its own and a nursery that is ready."""
    folder = tmp_path_factory.mktemp("killing") / "home"
    with open_copy(folder) as database:
        _recover_quickly(database)
        nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.killing.nursery", str(folder)],
            cwd=repo,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines: Queue[str] = Queue()
        reader = threading.Thread(target=_read, args=(nursery, lines), daemon=True)
        reader.start()
        field = Battlefield(database, open_proof(database.home, database.embedded), nursery, lines)
        try:
            field.wait_for("ready")
            yield field
        finally:
            assert nursery.stdin is not None
            nursery.stdin.close()
            nursery.wait(PATIENCE)
            reader.join(PATIENCE)


def _read(nursery: subprocess.Popen[str], lines: Queue[str]) -> None:
    assert nursery.stdout is not None
    for line in nursery.stdout:
        lines.put(line)


def _recover_quickly(database: Database) -> None:
    """Let recovery flush the file system by one call instead of a thousand files one by one: 0.3 s instead of 2 s.

    It changes nothing for what dies by a signal: the kernel has what was written.
    """
    connection = _connect(make_url(database.url(role="owner")).set(username=ADMIN), "owner")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET recovery_init_sync_method = 'syncfs'")
    connection.close()
