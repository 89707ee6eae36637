"""A home of every earlier release, as that release wrote it, opened and used by this one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.releases.homes import RELEASES, Release, restore, write_signing_key
from tests.releases.market import END, START, write_archive
from throughline.cli import DirectWiring, run
from throughline.proof.audit import audit
from throughline.proof.listed import rows_are_listed
from throughline.proof.settings import open_proof
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.tracking import TradeOutcome, TradeTrackingSystem
from throughline.tracking.types import TerminationReason
from throughline.verification.verify import verify_connection

LATER = "2021-03-15"
"""A day after the stored homes' last one, in the archive."""


@dataclass
class Old:
    """A restored home, open, and what commands say about it."""

    release: Release
    home: Home
    database: Database
    capture: pytest.CaptureFixture[str] | None = None

    def command(self, *arguments: str, code: int = 0) -> str:
        assert self.capture is not None
        self.capture.readouterr()
        found = run([*arguments, "--home", str(self.home.path)], DirectWiring())
        out = self.capture.readouterr()
        assert found == code, f"{out.out[-2000:]}\n{out.err[-2000:]}"
        return out.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.command(*arguments, "--json"))

    def ids(self, sql: str) -> list[str]:
        with self.database.engine("reader").connect() as connection:
            return [str(item) for item in connection.execute(text(sql)).scalars()]


@pytest.fixture(scope="module", params=RELEASES, ids=lambda release: release.commit)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    folder = tmp_path_factory.mktemp("release")
    home = restore(request.param, folder / "home")
    with pytest.MonkeyPatch.context() as patch, open_database(home) as database:
        patch.setenv("THROUGHLINE_SIGNING_KEY", str(write_signing_key(folder / "signing.pem")))
        yield Old(request.param, home, database)


@pytest.fixture
def old(opened: Old, capsys: pytest.CaptureFixture[str]) -> Old:
    opened.capture = capsys
    return opened


def test_a_home_of_both_releases_is_kept() -> None:
    assert [release.commit for release in RELEASES] == ["ee7bb92", "2e46964"]


def test_an_untouched_home_verifies_without_a_finding(old: Old) -> None:
    told = old.json("verify")
    assert told["findings"] == []
    assert told["ok"]
    versions = "SELECT DISTINCT convert_from(body, 'UTF8')::json ->> 'schema_version' FROM research_docs"
    assert old.ids(versions) == ["1"]
    assert len(old.ids("SELECT uuid FROM outcomes")) >= 3
    without = "SELECT count(*) FROM research_docs WHERE convert_from(body, 'UTF8') NOT LIKE '%\"features\":%'"
    assert (old.ids(without) != ["0"]) == (old.release.number == 1)


def test_a_changed_row_is_still_named(old: Old) -> None:
    changed = """
        UPDATE research_docs
        SET body = convert_to(replace(convert_from(body, 'UTF8'), '"missing":[', '"missing":["x",'), 'UTF8')
        WHERE uuid = (SELECT min(uuid::text)::uuid FROM research_docs) RETURNING uuid
    """
    with old.database.engine("owner").connect() as connection:
        connection.execute(text("ALTER TABLE research_docs DISABLE TRIGGER USER"))
        name = connection.execute(text(changed)).scalar_one()
        findings = verify_connection(connection, ArtifactStore(old.home.artifacts)).findings
        connection.rollback()
    assert any(item.row == str(name) and item.kind == "hash_mismatch" for item in findings)


def test_the_dossier_of_every_record_holds(old: Old, tmp_path: Path) -> None:
    ids = old.ids("SELECT uuid FROM outcomes UNION SELECT uuid FROM portfolio_states UNION SELECT uuid FROM candidates")
    for id_ in ids[:: max(1, len(ids) // 12)]:
        told = old.json("trade", id_)
        assert told["ok"], told["problems"]
    page = tmp_path / "trade.html"
    sealed = "SELECT o.uuid FROM outcomes o JOIN partition_seals s USING (experiment) ORDER BY o.uuid LIMIT 1"
    (traded,) = old.ids(sealed)
    assert "nothing in it has been changed" in old.command("trade", traded, "--html", str(page))
    assert "This cannot be shown" not in page.read_text()


def test_its_experiments_are_listed(old: Old) -> None:
    told = old.command("experiments")
    assert "backtest" in told


def test_what_the_active_experiment_was_set_up_from_survives_the_migration(old: Old) -> None:
    (name,) = old.ids("SELECT experiment FROM active_experiments WHERE mode = 'backtest'")
    (inputs,) = old.ids(f"SELECT inputs FROM experiment_inputs WHERE experiment = '{name}'")
    known = json.loads(inputs)
    assert known["archive"].endswith("/archive/release-homes.toml")
    assert known["data"] == str(Path(known["archive"]).parent)
    assert "inputs" not in old.ids(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'active_experiments'"
    )


def test_records_written_by_hand_are_read_and_continued(old: Old) -> None:
    (waiting,) = old.ids(
        "SELECT c.uuid FROM candidates c JOIN experiments e ON e.id = c.experiment AND e.mode = 'tracking' "
        "WHERE c.uuid NOT IN (SELECT candidate_uuid FROM outcomes)"
    )
    with TradeTrackingSystem(old.home.path) as tracker:
        story = tracker.get_complete_trade_record(waiting)
        assert story["candidate"]["model_hash"] is None
        assert story["research"]["signals"] is None
        tracker.store_outcome(TradeOutcome(story["candidate"]["uuid"], -2.0, 60, TerminationReason.STOP_LOSS))
    assert old.json("trade", waiting)["ok"]


def test_a_backtest_goes_on_in_it_and_everything_verifies(old: Old, tmp_path: Path) -> None:
    description, configuration = write_archive(tmp_path / "archive")
    what = ["--archive", str(description), "--data", str(tmp_path / "archive"), "--config", str(configuration)]
    before = len(old.ids("SELECT id FROM experiments"))
    told = old.json("backtest", *what, "--start", START, "--end", LATER)
    assert told["end"] == LATER > END
    assert len(old.ids("SELECT id FROM experiments")) == before + 1  # the deciding code is another one
    assert old.json("verify")["findings"] == []


def test_the_rows_of_the_older_release_are_adopted_once_and_bound_from_then_on(old: Old) -> None:
    """After the backtest above, which published."""
    with old.database.engine("reader").connect() as connection:
        assert rows_are_listed(connection)
    assert len(old.ids("SELECT seq FROM seal_events WHERE kind = 'adopted'")) <= 1, "none where the log began just now"
    proof = open_proof(old.home, old.database.embedded)
    for statement, named in (
        ("INSERT INTO experiments (id, mode, body) VALUES ('e', 'demo', 'x')", ("experiments", "e", "unexpected_row")),
        ("UPDATE artifacts SET created_at = '2020-01-01' WHERE hash = :h", ("artifacts", "", "hash_mismatch")),
    ):
        with old.database.engine("owner").connect() as connection:
            connection.execute(text("ALTER TABLE artifacts DISABLE TRIGGER USER"))
            first = connection.execute(
                text("SELECT hash FROM artifacts ORDER BY created_at, hash LIMIT 1")
            ).scalar_one()
            connection.execute(text(statement), {"h": first})
            (item,) = audit(connection, proof.anchor, proof.signer.public_key).findings
            connection.rollback()
        assert (item.table, item.row, item.kind) == (named[0], named[1] or first, named[2])
