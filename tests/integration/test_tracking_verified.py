"""A home that holds records written by hand is verified, listed and told like any other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.integration.test_tracking_seed import _data_flow
from throughline.cli import DirectWiring, run
from throughline.clock import FixedClock
from throughline.storage.database import open_database
from throughline.storage.home import Home
from throughline.tracking import TerminationReason, TradeOutcome, TradeTrackingSystem

AT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with the seed's trade, its outcome corrected once."""
    path = tmp_path_factory.mktemp("by_hand") / "home"
    with TradeTrackingSystem(path, clock=FixedClock(AT)) as tracker:
        candidate = _data_flow(tracker)
        first = tracker.get_complete_trade_record(candidate.uuid)["outcome"]["uuid"]
        corrected = TradeOutcome(candidate.uuid, 14.5, 3600, TerminationReason.PROFIT_TARGET)
        tracker.store_outcome(corrected, supersedes=type(candidate.uuid)(first))
    return path


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:
    code = run([*arguments, "--json"], DirectWiring())
    return code, json.loads(capsys.readouterr().out)


def _outcomes(home: Path) -> list[str]:
    with open_database(Home(home)) as database, database.engine("reader").connect() as connection:
        return [str(uuid) for uuid in connection.execute(text("SELECT uuid FROM outcomes ORDER BY uuid")).scalars()]


def test_verify_finds_nothing_in_records_written_by_hand(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = _said(capsys, "verify", "--home", str(home))
    assert (code, told["ok"], told["findings"]) == (0, True, [])
    assert told["rows"] >= 6  # the experiment, and five records of the chain


def test_the_story_of_a_trade_written_by_hand_holds_with_its_correction(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = _said(capsys, "trade", _outcomes(home)[0], "--home", str(home))
    assert (code, told["ok"]) == (0, True)
    assert [step["table"] for step in told["steps"]].count("outcomes") == 2
    assert run(["trade", _outcomes(home)[0], "--home", str(home)], DirectWiring()) == 0
    words = capsys.readouterr().out
    assert "cannot be read" not in words
    assert "net +0.15 USD (+15.50 %): gross not recorded" in words


def test_the_experiment_of_records_written_by_hand_is_listed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = _said(capsys, "experiments", "--home", str(home))
    assert code == 0
    assert [(row["mode"], row["epoch"]) for row in told["experiments"]] == [("tracking", None)]
    assert run(["experiments", "--home", str(home)], DirectWiring()) == 0


def test_a_changed_record_written_by_hand_is_found(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = _outcomes(home)[0]
    with open_database(Home(home)) as database, database.engine("owner").begin() as connection:
        statement = "UPDATE outcomes SET realized_pnl_percent = {} WHERE uuid = :u"
        connection.execute(text(statement.format("99")), {"u": changed})
    try:
        code, told = _said(capsys, "verify", "--home", str(home))
        assert code == 1
        assert {(item["table"], item["row"]) for item in told["findings"]} == {("outcomes", changed)}
        assert _said(capsys, "trade", changed, "--home", str(home))[0] == 1
    finally:
        with open_database(Home(home)) as database, database.engine("owner").begin() as connection:
            body = connection.execute(text("SELECT body FROM outcomes WHERE uuid = :u"), {"u": changed}).scalar_one()
            value = json.loads(bytes(body))["realized_pnl_percent"]
            connection.execute(text(statement.format(value)), {"u": changed})
