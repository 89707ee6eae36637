"""Makes the stored home of a release: ``python -m tests.releases.make NUMBER COMMIT``, in this environment.

The code of COMMIT runs a short backtest of the invented archive (`tests.releases.market`) and records trades by hand,
in a fresh home, on the embedded server. What is kept: the database as pg_dump writes it, artifacts (but for the tear
sheet, which is let go as an expired artifact is) and anchor. About a minute; the file is then added to the repository
and never made again, since a release is what it was.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.releases.homes import DUMP, Release, write_signing_key
from tests.releases.market import END, START, write_archive

REPO = Path(__file__).resolve().parents[2]
BY_HAND = """
from throughline.tracking import ExecutionRecord, ResearchDocument, TradeOutcome, TradeTrackingSystem
from throughline.tracking.types import TerminationReason

with TradeTrackingSystem() as tracker:
    closed, opened = (tracker.create_candidate(f"{name}/USDT", "v1", 0.8, "params", "hand") for name in ("BTC", "ETH"))
    for number, candidate in enumerate((closed, opened)):
        tracker.store_research_document(ResearchDocument(uuid=candidate.uuid, trade_rationale="by hand"))
        tracker.store_execution_record(ExecutionRecord(candidate.uuid, f"order {number}", 100.0, 2.0, 0.001))
    tracker.store_outcome(TradeOutcome(closed.uuid, 4.0, 3600, TerminationReason.PROFIT_TARGET))
"""
REGISTERED = """
from datetime import UTC, datetime
from throughline.registry import registry_coordinator

opened, closed = datetime(2021, 3, 10, 1, tzinfo=UTC), datetime(2021, 3, 10, 9, tzinfo=UTC)
registry_coordinator.add_trade_with_linkages({
    "timestamp": opened, "closed_at": closed, "symbol": "BTC/USDT", "action": "buy", "entry_price": "100",
    "exit_price": "110", "amount": "2", "fees": "1", "profit_usd": "19", "strategy_id": "hand",
    "termination_reason": "profit_target",
}, {})
"""
EXPIRED = """
import sys
from datetime import UTC, datetime
from sqlalchemy import text
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import open_database
from throughline.storage.home import Home
from throughline.storage.ledger import record_tombstone

with open_database(Home(sys.argv[1])) as database, database.engine("writer").begin() as connection:
    for digest in connection.execute(text("SELECT hash FROM artifacts WHERE kind = 'tear_sheet'")).scalars().all():
        record_tombstone(connection, digest, datetime.now(UTC), "its pictures are most of the bytes of this home")
        ArtifactStore(database.home.artifacts).delete(digest)
"""
PG_DUMP = """
import subprocess, sys
from pathlib import Path
from throughline.storage import cluster
from throughline.storage.database import open_database
from throughline.storage.home import Home

program = next(path for path in Path(sys.prefix).rglob("bin/pg_dump"))
with open_database(Home(sys.argv[1])) as database:
    where = ["-h", database._server.socket_folder, "-p", str(cluster.PORT), "-U", cluster.ADMIN]
    sys.stdout.buffer.write(subprocess.run([program, *where, "throughline"], check=True, capture_output=True).stdout)
"""


def main() -> None:
    """Make the file of the release that the command line names."""
    release = Release(int(sys.argv[1]), sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="release-") as scratch:
        folder = Path(scratch)
        code, home = folder / "code", folder / "home"
        subprocess.run(["git", "worktree", "add", "--detach", str(code), release.commit], check=True, cwd=REPO)
        try:
            _make(release, folder, code, home)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(code)], check=True, cwd=REPO)


def _make(release: Release, folder: Path, code: Path, home: Path) -> None:
    description, configuration = write_archive(folder / "archive")
    environment = os.environ | {
        "PYTHONPATH": str(code),
        "THROUGHLINE_HOME": str(home),
        "THROUGHLINE_SIGNING_KEY": str(write_signing_key(folder / "signing.pem")),
    }

    def run(*arguments: str) -> bytes:
        return subprocess.run(
            [sys.executable, *arguments], check=True, cwd=code, env=environment, stdout=subprocess.PIPE
        ).stdout

    what = ["--archive", str(description), "--data", str(folder / "archive"), "--config", str(configuration)]
    run("-m", "pipelines.command", "backtest", *what, "--start", START, "--end", END)
    run("-c", BY_HAND)
    if (code / "throughline" / "registry").is_dir():
        run("-c", REGISTERED)
    run("-c", EXPIRED, str(home))
    dump = run("-c", PG_DUMP, str(home))
    with tarfile.open(release.file, "w:xz", preset=9) as archive:
        member = tarfile.TarInfo(DUMP)
        member.size = len(dump)
        archive.addfile(member, io.BytesIO(dump))
        for path in sorted((home / "artifacts").rglob("*.gz")):  # unpacked: together they pack far better
            data = gzip.decompress(path.read_bytes())
            member = tarfile.TarInfo(str(path.relative_to(home).with_suffix("")))
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        if (home / "anchor").is_dir():
            archive.add(home / "anchor", "anchor")
    print(f"{release.file}: {release.file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
