"""Revised data: new days extend an experiment, a day that reads differently forks it and says what changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from tests.integration.flow_slices import DAILY, Bench, Edit, Slice, cut, experiment_of, provider_of
from throughline.errors import RevisedData, SettingsError, UnknownRecord
from throughline.experiment.choice import choose
from throughline.experiment.identity import Experiment
from throughline.experiment.registry import activate, register, resolve
from throughline.market.panel import MarketDataProvider
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database

DAY = timedelta(days=1)
PIECE = replace(DAILY, name="daily-revised", instruments=("bitcoin", "dogecoin", "litecoin", "siacoin", "verge"))
LAST = PIECE.start + 3 * DAY


@pytest.fixture(scope="module")
def bench(database: Database, tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Bench:
    """Return a bench on the session's database."""
    scratch = tmp_path_factory.mktemp("revisions")
    return Bench(database, ArtifactStore(scratch / "artifacts"), scratch, repo)


def _provider(
    bench: Bench, shared: Path, folder: Path, edit: Edit | None = None, piece: Slice = PIECE
) -> MarketDataProvider:
    return provider_of(piece, cut(piece, shared, folder, LAST, edit), bench.repo)


@pytest.fixture(scope="module")
def seeds() -> list[int]:
    """Return a counter: each test has an experiment of its own."""
    return [200]


@pytest.fixture
def base(bench: Bench, shared_data: Path, tmp_path: Path, seeds: list[int]) -> Experiment:
    """Return an experiment that ran over the file as it was."""
    seeds[0] += 1
    provider = _provider(bench, shared_data, tmp_path / "before")
    experiment = experiment_of(PIECE, provider, bench.scratch, seed=seeds[0])
    bench.run(experiment, provider, PIECE.start, LAST)
    return experiment


def _row(frame: pd.DataFrame, coin: str, day: object) -> pd.Series:
    return (frame["coin_slug"] == coin) & (PIECE.days(frame) == day)


def _dearer(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[_row(frame, "dogecoin", LAST), "close_usd"] *= 1.0001
    return frame


def _dearer_before(frame: pd.DataFrame) -> pd.DataFrame:
    # the bars that warm up signals are no partition, but decisions stand on them
    frame.loc[_row(frame, "dogecoin", PIECE.start - 2 * DAY), "close_usd"] *= 1.0001
    return frame


def _without(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~_row(frame, "verge", LAST)]


def _with_a_coin(frame: pd.DataFrame) -> pd.DataFrame:
    more = frame[(frame["coin_slug"] == "litecoin") & (PIECE.days(frame) >= PIECE.start)].copy()
    more["coin_slug"] = "zz-new-coin"
    return pd.concat([frame, more], ignore_index=True)


def test_the_same_file_and_a_file_with_one_more_day_go_on(
    bench: Bench, base: Experiment, shared_data: Path, tmp_path: Path
) -> None:
    for piece, last in ((PIECE, LAST), (PIECE, LAST + DAY)):
        folder = cut(piece, shared_data, tmp_path / f"to {last}", last)
        provider = provider_of(piece, folder, bench.repo)
        assert resolve(bench.engine, base, provider, bench.store) == (base, None)
        bench.run(base, provider, PIECE.start, last)
    assert len(bench.seals(base)["shadow_outcomes"]) == 5


@pytest.mark.parametrize(
    ("edit", "day", "told"),
    [
        # a daily line holds three facts: the bar, its cap (units times the close) and volume as known at its close
        (_dearer, LAST, (0, 2, 0, ("dogecoin",))),
        (_without, LAST, (0, 0, 3, ("verge",))),
        (_with_a_coin, PIECE.start, (12, 0, 0, ("zz-new-coin",))),
        (_dearer_before, PIECE.start - 2 * DAY, (0, 2, 0, ("dogecoin",))),
    ],
    ids=["one row changed", "one row removed", "a coin added", "a row changed before the epoch"],
)
def test_a_day_that_reads_differently_forks_and_says_what_changed(
    bench: Bench,
    base: Experiment,
    shared_data: Path,
    tmp_path: Path,
    edit: Edit,
    day: object,
    told: tuple[int, int, int, tuple[str, ...]],
) -> None:
    sealed = bench.seals(base)
    provider = _provider(bench, shared_data, tmp_path / "after", edit)
    with pytest.raises(RevisedData, match=r"market_bars of .* reads differently"):
        _stages_but_bars(bench, base, provider)
    fork, revision = resolve(bench.engine, base, provider, bench.store)
    assert revision is not None
    assert (fork.parent, revision.parent) == (base.id, base.id)
    assert fork.id != base.id
    assert fork.data_revision
    assert (revision.added, revision.changed, revision.removed, revision.instruments) == told
    assert revision.days[0] == day
    bench.run(fork, provider, PIECE.start, LAST)
    assert bench.seals(base) == sealed, "the parent stays as it was"
    assert bench.seals(fork)["market_scan"] != sealed["market_scan"]
    # the same revised file again goes on with the same fork, from another process as well
    again = _provider(bench, shared_data, tmp_path / "again", edit)
    assert resolve(bench.engine, base, again, bench.store)[0] == fork
    assert choose(bench.engine, "backtest", fork.id).experiment == fork
    # and the file as it was goes on with the parent
    before = provider_of(PIECE, tmp_path / "before", bench.repo)
    assert resolve(bench.engine, base, before, bench.store) == (base, None)


def _stages_but_bars(bench: Bench, experiment: Experiment, provider: MarketDataProvider) -> None:
    from tests.integration.flow_slices import context
    from throughline.flow import STAGES

    ctx = context(experiment, provider, bench.database, bench.store)
    STAGES["market_scan"](ctx, [LAST])


def test_two_different_revisions_are_two_forks(
    bench: Bench, base: Experiment, shared_data: Path, tmp_path: Path
) -> None:
    forks = []
    for name, edit in (("one", _dearer), ("two", _without)):
        provider = _provider(bench, shared_data, tmp_path / name, edit)
        fork, _ = resolve(bench.engine, base, provider, bench.store)
        bench.run(fork, provider, PIECE.start, LAST)
        forks.append(fork)
    assert forks[0].id != forks[1].id
    for name, fork in zip(("one", "two"), forks, strict=True):
        provider = provider_of(PIECE, tmp_path / name, bench.repo)
        assert resolve(bench.engine, base, provider, bench.store)[0] == fork


def test_a_fork_that_has_sealed_nothing_is_not_taken_for_another_revision(
    bench: Bench, base: Experiment, shared_data: Path, tmp_path: Path
) -> None:
    one = resolve(bench.engine, base, _provider(bench, shared_data, tmp_path / "one", _dearer), bench.store)[0]
    two = resolve(bench.engine, base, _provider(bench, shared_data, tmp_path / "two", _without), bench.store)[0]
    assert one.id != two.id
    again = resolve(bench.engine, base, _provider(bench, shared_data, tmp_path / "again", _dearer), bench.store)[0]
    assert again == one


def test_a_home_remembers_one_active_experiment_per_mode(bench: Bench, base: Experiment) -> None:
    register(bench.engine, base)
    activate(bench.engine, base, {"archive": "a.toml", "data": "somewhere"})
    found = choose(bench.engine, "backtest")
    assert found.experiment == base
    assert found.inputs == {"archive": "a.toml", "data": "somewhere"}


def test_a_mode_without_an_active_experiment_says_how_to_set_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    from throughline.storage.database import open_database
    from throughline.storage.home import Home

    with (
        open_database(Home(tmp_path_factory.mktemp("fresh") / "home")) as fresh,
        pytest.raises(SettingsError, match="run `throughline backtest --archive FILE"),
    ):
        choose(fresh.engine("writer"), "backtest")


def test_an_unknown_experiment_is_said_to_be_unknown(bench: Bench) -> None:
    with pytest.raises(UnknownRecord, match="no experiment of this home has the ID 'ffff"):
        choose(bench.engine, "backtest", "f" * 64)
