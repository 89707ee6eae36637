"""Small archives from public reports, each with the right result in its README: cleaning and time (issue 8)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.flow_slices import CODE, LOCK, Bench
from throughline.cli.backtest import require_inside
from throughline.clock import Clock, FixedClock
from throughline.configuration import GateSettings, load_configuration
from throughline.errors import ArchiveError, SettingsError
from throughline.experiment.identity import make_experiment
from throughline.market.archive import ArchiveProvider, open_archive
from throughline.quality.runner import GreatExpectationsRunner
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database

START, END = date(2024, 3, 4), date(2024, 3, 8)


@dataclass(frozen=True)
class Run:
    """What a run of five days recorded. blocked: days whose bars failed their gate."""

    provider: ArchiveProvider
    seals: dict[str, dict[str, list[str]]]
    outcomes: list[dict[str, Any]]
    blocked: list[date]


@pytest.fixture(scope="module")
def bench(database: Database, tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Bench:
    """Return a bench on the session's database."""
    scratch = tmp_path_factory.mktemp("bug-inputs")
    return Bench(database, ArtifactStore(scratch / "artifacts"), scratch, repo)


def folder(shared_data: Path, name: str) -> Path:
    """Return an input's folder, skipping where it is not on this machine."""
    found = shared_data / "bug_inputs" / name
    if not found.is_dir():
        pytest.skip(f"the input {name} (../shared/data/bug_inputs) is not on this machine")
    return found


def opened(shared_data: Path, name: str, clock: Clock | None = None) -> ArchiveProvider:
    where = folder(shared_data, name)
    return open_archive(where / "a.toml", where, clock)


def run(bench: Bench, shared_data: Path, name: str, seed: int, start: date = START, end: date = END) -> Run:
    """Run the flow over an input as its README says, judged by the real gates."""
    provider = opened(shared_data, name)
    require_inside(provider, start, end)
    settings = load_configuration(folder(shared_data, name) / "nocap.toml")
    source = provider.description.source_hash
    experiment = make_experiment("backtest", start, settings, source, seed, lock=LOCK, code=CODE)
    results = bench.run(experiment, provider, start, end, gates=GreatExpectationsRunner(GateSettings()))
    outcomes = [json.loads(row.body) for row in bench.rows(experiment, "outcomes")]
    blocked = [item.day for item in results if item.verdict is not None and not item.verdict.passed]
    return Run(provider, bench.seals(experiment), outcomes, blocked)


def percents(ran: Run) -> list[float]:
    return [float(body["realized_pnl_percent"]) for body in ran.outcomes]


def test_rows_of_nothing_give_what_the_same_rows_left_out_give(bench: Bench, shared_data: Path) -> None:
    nothing = run(bench, shared_data, "nan_rows_of_quiet_hours", 601)
    truth = run(bench, shared_data, "nan_rows_truth", 602)
    assert nothing.blocked == truth.blocked == []
    assert percents(nothing) == percents(truth)
    assert nothing.seals["market_bars"] == truth.seals["market_bars"]
    assert len(truth.outcomes) == 2


def test_the_complete_candle_of_two_overlapping_downloads_touches_the_stop(bench: Bench, shared_data: Path) -> None:
    both = run(bench, shared_data, "partial_and_full_candle", 603)
    truth = run(bench, shared_data, "partial_and_full_candle_truth", 604)
    assert percents(both) == percents(truth)
    assert both.outcomes[0]["termination_reason"] == "stop_loss"
    assert both.seals["market_bars"] == truth.seals["market_bars"]
    assert both.provider.dropped == 1
    assert both.provider.quarantine_counts == {}


@pytest.mark.parametrize(
    ("name", "instrument", "words"),
    [("redenomination_10to1", "TGT", "looks like 10:1"), ("split_1to1000", "TGT", "looks like 1:1000")],
)
def test_a_change_of_units_ends_the_segment_and_is_noted(
    bench: Bench, shared_data: Path, name: str, instrument: str, words: str
) -> None:
    ran = run(bench, shared_data, name, 605)
    (note,) = [note for note in ran.provider.notes if note.kind == "doubtful_jump"]
    assert note.instrument == instrument
    assert words in note.detail
    assert all(value <= 30 for value in percents(ran))


def test_a_gap_written_as_flat_candles_is_the_gap(shared_data: Path) -> None:
    provider = opened(shared_data, "gap_filled_flat")
    notes = [note for note in provider.notes if note.kind == "untraded"]
    assert {note.instrument for note in notes} == {"TGT"}
    assert sum(note.rows for note in notes) == 20
    assert provider.quarantine_counts == {}


def test_one_row_of_2099_does_not_move_the_end_of_the_archive(shared_data: Path) -> None:
    provider = opened(shared_data, "future_row", FixedClock(datetime(2026, 11, 28, 9, 37, tzinfo=UTC)))
    assert provider.description.last_day == END
    with pytest.raises(SettingsError, match=r"--end 2024-03-20 lies outside .* complete days 2024-03-01 to 2024-03-08"):
        require_inside(provider, START, date(2024, 3, 20))
    assert [note.kind for note in provider.notes if note.instrument == "NOA"] == ["not_closed_yet"]


def test_today_is_not_run_before_it_is_over(shared_data: Path) -> None:
    provider = opened(shared_data, "today_is_not_over", FixedClock(datetime(2026, 11, 28, 9, 37, tzinfo=UTC)))
    assert provider.description.last_day == date(2026, 11, 27)
    with pytest.raises(SettingsError) as caught:
        require_inside(provider, date(2026, 11, 24), date(2026, 11, 28))
    assert "2026-11-28 is not over or not complete in the files: 9 of its 24 bar times have bars" in str(caught.value)
    over = opened(shared_data, "today_is_not_over", FixedClock(datetime(2026, 11, 29, tzinfo=UTC)))
    assert over.description.last_day == date(2026, 11, 28)


def test_bars_of_four_hours_described_as_hourly_are_refused(shared_data: Path) -> None:
    with pytest.raises(ArchiveError, match="bars stand 4 h apart where the description says 1 h"):
        _ = opened(shared_data, "interval_too_short_4h_as_1h").description
