"""Small archives from public reports, each with the right result in its README: cleaning and time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
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
from throughline.experiment.identity import Experiment, make_experiment
from throughline.experiment.registry import resolve
from throughline.market.archive import ArchiveProvider, open_archive
from throughline.quality.runner import GreatExpectationsRunner
from throughline.quality.verdict import Failure
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database

START, END = date(2024, 3, 4), date(2024, 3, 8)


@dataclass(frozen=True)
class Run:
    """What a run of five days recorded. failed: what the gates found, by day."""

    provider: ArchiveProvider
    experiment: Experiment
    seals: dict[str, dict[str, list[str]]]
    outcomes: list[dict[str, Any]]
    failed: dict[date, tuple[Failure, ...]]


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


def run(bench: Bench, where: Path, seed: int, end: date = END) -> Run:
    """Run the flow over an input as its README says, judged by the real gates."""
    provider = open_archive(where / "a.toml", where)
    require_inside(provider, START, end)
    source = provider.description.source_hash
    settings = load_configuration(where / "nocap.toml")
    experiment = make_experiment("backtest", START, settings, source, seed, lock=LOCK, code=CODE)
    results = bench.run(experiment, provider, START, end, gates=GreatExpectationsRunner(GateSettings()))
    outcomes = [json.loads(row.body) for row in bench.rows(experiment, "outcomes")]
    failed = {item.day: item.verdict.failures for item in results if item.verdict and item.verdict.failures}
    return Run(provider, experiment, bench.seals(experiment), outcomes, failed)


def edited(shared_data: Path, name: str, into: Path, keep: Callable[[list[str]], bool]) -> Path:
    """Return a copy of an input that holds the rows (coin, time, open, high, low, close, volume) that `keep` wants."""
    shutil.copytree(folder(shared_data, name), into)
    header, *rows = (into / "bars.csv").read_text().splitlines()
    (into / "bars.csv").write_text("\n".join([header, *(row for row in rows if keep(row.split(",")))]) + "\n")
    return into


def ms(day: date, hour: int) -> int:
    return int(datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp()) * 1000


def percents(ran: Run) -> list[float]:
    return [float(body["realized_pnl_percent"]) for body in ran.outcomes]


def test_rows_of_nothing_give_what_the_same_rows_left_out_give(bench: Bench, shared_data: Path) -> None:
    nothing = run(bench, folder(shared_data, "nan_rows_of_quiet_hours"), 601)
    truth = run(bench, folder(shared_data, "nan_rows_truth"), 602)
    assert nothing.failed == truth.failed == {}
    assert percents(nothing) == percents(truth)
    assert nothing.seals["market_bars"] == truth.seals["market_bars"]
    assert len(truth.outcomes) == 2


def test_the_complete_candle_of_two_overlapping_downloads_touches_the_stop(bench: Bench, shared_data: Path) -> None:
    both = run(bench, folder(shared_data, "partial_and_full_candle"), 603)
    truth = run(bench, folder(shared_data, "partial_and_full_candle_truth"), 604)
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
    ran = run(bench, folder(shared_data, name), 605)
    (note,) = [note for note in ran.provider.notes if note.kind == "doubtful_jump"]
    assert note.instrument == instrument
    assert words in note.detail
    assert all(value <= 30 for value in percents(ran))


def test_a_gap_written_as_flat_candles_gives_the_seals_of_the_gap(
    bench: Bench, shared_data: Path, tmp_path: Path
) -> None:
    filled = run(bench, folder(shared_data, "gap_filled_flat"), 606)
    left_out = edited(shared_data, "gap_filled_flat", tmp_path / "left out", lambda row: float(row[6]) > 0)
    provider = open_archive(left_out / "a.toml", left_out)
    assert filled.provider.description.source_hash == provider.description.source_hash
    missing = run(bench, left_out, 607)
    assert missing.seals["market_bars"] == filled.seals["market_bars"]
    assert percents(missing) == percents(filled)
    assert filled.outcomes
    provider = filled.provider
    notes = [note for note in provider.notes if note.kind == "untraded"]
    assert {note.instrument for note in notes} == {"TGT"}
    assert sum(note.rows for note in notes) == 20
    assert provider.quarantine_counts == {}


def test_a_day_completed_by_the_next_download_goes_on_without_a_fork(
    bench: Bench, shared_data: Path, tmp_path: Path
) -> None:
    noon = ms(END, 12)
    half = edited(shared_data, "nan_rows_truth", tmp_path / "half", lambda row: int(row[1]) < noon)
    with pytest.raises(SettingsError, match="2024-03-08 is not over"):
        run(bench, half, 608)
    first = run(bench, half, 608, end=date(2024, 3, 7))
    whole = opened(shared_data, "nan_rows_truth")
    found, revision = resolve(bench.engine, first.experiment, whole, bench.store)
    assert found.id == first.experiment.id
    assert revision is None


def test_a_day_in_the_middle_without_half_of_its_hours_is_blocked_and_counted(
    bench: Bench, shared_data: Path, tmp_path: Path
) -> None:
    low, high = ms(date(2024, 3, 6), 6), ms(date(2024, 3, 6), 18)
    holed = edited(shared_data, "gap_missing_bars_29", tmp_path / "x", lambda row: not low <= int(row[1]) < high)
    failed = run(bench, holed, 609).failed
    assert list(failed) == [date(2024, 3, 6)]
    assert [(item.rule, item.rows) for item in failed[date(2024, 3, 6)]] == [("day_is_complete", 12)]


def test_one_row_of_2099_does_not_move_the_end_of_the_archive(shared_data: Path) -> None:
    provider = opened(shared_data, "future_row", FixedClock(datetime(2026, 11, 28, 9, 37, tzinfo=UTC)))
    assert provider.description.last_day == END
    with pytest.raises(SettingsError, match=r"--end 2024-03-20 lies outside .* holds 2024-03-01 to 2024-03-08"):
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
