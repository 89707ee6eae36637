"""The commands on a small archive of a person's own: CSV files and a description, an embedded server, no Dagster."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest
from sqlalchemy import text

from throughline.cli import DirectWiring, run
from throughline.cli.screen import Bar
from throughline.cli.walk_forward import TRAINING_PARTS
from throughline.flow import STAGES
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home

FIRST = date(2021, 1, 1)
DAYS = 40
START, MIDDLE, END = "2021-01-08", "2021-01-18", "2021-01-24"
COINS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "BTC")

DESCRIPTION = """
schema = 1
name = "my-coins"
benchmark = "BTC"
availability = "assumed"
survivors_only = false
[bars]
file = "bars.csv"
instrument = "coin"
time = "day"
time_unit = "date"
stamp = "open"
interval = "1d"
known = "close"
open = "open"
high = "high"
low = "low"
close = "close"
volume = "volume"
volume_unit = "quote"
[references.market_cap]
value = "cap"
known = "close"
max_age = "36h"
"""

ISSUE_KEYS = [
    "experiment",
    "start",
    "end",
    "instruments",
    "bars",
    "funnel",
    "candidates",
    "trades",
    "win_rate",
    "returns",
    "sharpe",
    "max_drawdown",
    "termination_reasons",
    "dispositions",
    "blocked_days",
    "baselines",
    "open_positions",
    "assumptions",
    "quarantined",
    "seals",
    "chain",
    "seconds",
]


def csv_lines(change: Callable[[str, date, float], float | None] = lambda coin, day, price: price) -> str:
    """Eight coins on waves of different length; `change` may alter a price or drop a row (None)."""
    lines = ["coin,day,open,high,low,close,volume,cap"]
    for number, coin in enumerate(COINS):
        last = 1.0 + number
        for k in range(DAYS):
            day = FIRST + timedelta(days=k)
            price: float | None = (1.0 + number) * (1.0 + 0.3 * math.sin(k / (2.0 + number / 3.0)))
            price = change(coin, day, price or 0.0)
            if price is None:
                continue
            opened, price = last, round(price, 6)
            high, low = round(max(opened, price) * 1.01, 6), round(min(opened, price) * 0.99, 6)
            lines.append(f"{coin},{day},{opened},{high},{low},{price},{2_000_000 + 1000 * number},{20_000_000}")
            last = price
    return "\n".join(lines) + "\n"


@dataclass
class Shell:
    """Runs commands against one home and one archive."""

    home: Path
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = run([*arguments, "--home", str(self.home)], DirectWiring(days=10))
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def json(self, *arguments: str, code: int = 0) -> Any:
        found, out, err = self(*arguments, "--json")
        assert found == code, err
        return json.loads(out)

    def backtest(self, end: str = END, start: str = START, *more: str) -> tuple[str, ...]:
        """Return a backtest without pages of trades, which take longer than all else, unless `more` asks for them."""
        archive = ("--archive", str(self.folder / "archive.toml"), "--data", str(self.folder))
        return ("backtest", *archive, "--start", start, "--end", end, "--dossiers", "0", *more)


def write_archive(folder: Path, lines: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "archive.toml").write_text(DESCRIPTION)
    (folder / "bars.csv").write_text(lines)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The module's home, its server held so that commands need not start it each time."""
    with open_database(Home(tmp_path_factory.mktemp("cli") / "home")) as database:
        yield database


@pytest.fixture(scope="module")
def ran(opened: Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the first `backtest --json` of the module says: START to MIDDLE on the unchanged archive."""
    folder = tmp_path_factory.mktemp("archive")
    write_archive(folder, csv_lines())
    archive = ("--archive", str(folder / "archive.toml"), "--data", str(folder), "--start", START, "--end", MIDDLE)
    said = io.StringIO()
    with redirect_stdout(said):
        assert run(["backtest", *archive, "--json", "--home", str(opened.home.path)], DirectWiring(days=10)) == 0
    told: dict[str, Any] = json.loads(said.getvalue())
    return told


@pytest.fixture
def shell(opened: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    write_archive(tmp_path / "data", csv_lines())
    return Shell(opened.home.path, tmp_path / "data", capsys)


def test_a_backtest_prints_one_object_with_all_keys_and_a_chain_without_a_break(
    shell: Shell, ran: dict[str, Any]
) -> None:
    told = ran
    assert set(ISSUE_KEYS) <= told.keys()
    assert told["start"], told["end"] == (START, MIDDLE)
    assert told["instruments"] == len(COINS)
    assert told["bars"] == len(COINS) * 11
    assert told["candidates"] > 0
    assert told["trades"] > 0
    assert set(told["returns"]) == {"pessimistic", "base", "optimistic"}
    assert told["returns"]["pessimistic"] <= told["returns"]["base"] <= told["returns"]["optimistic"]
    invested = 0.0
    days = pd.date_range(START, MIDDLE, tz="UTC")
    worth = dict(zip(days, [10_000.0, *(row["base"] for row in shell.json("equity")["equity"])], strict=False))
    for row in shell.json("trades")["trades"]:
        entry, left = pd.Timestamp(row["entry_time"]), pd.Timestamp(row["exit_time"])
        share = float(row["notional_usd"]) / float(worth[entry.floor("D")])
        invested += share * (left - entry) / pd.Timedelta(days=1)
    for item in told["open_positions"]:
        entry = pd.Timestamp(item["entry_time"])
        share = float(item["notional_usd"]) / float(worth[entry.floor("D")])
        invested += share * (days[-1] + pd.Timedelta(days=1) - entry) / pd.Timedelta(days=1)
    assert told["paths"]["base"]["exposure"] == pytest.approx(invested / len(days)), "of trades.csv and equity.csv"
    assert told["chain"]["checked"] > 100
    assert told["chain"]["broken"] == 0
    assert sum(told["dispositions"].values()) == told["candidates"]
    assert sum(told["termination_reasons"].values()) == told["trades"]
    assert told["baselines"]["benchmark"]["name"] == "BTC"
    assert told["baselines"]["random_entries"]["draws"] == 200
    assert set(told["seals"]) < set(told["seconds"])
    assert {"start", "market_data", "opening", "orchestration", "report", "pages"} < set(told["seconds"])
    assert any("No claim is made about rug pulls" in item for item in told["assumptions"])
    page = Path(told["tear_sheet"]).read_text()
    assert told["experiment"] in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_same_call_runs_nothing_and_a_later_end_goes_on_without_touching_what_is_sealed(
    shell: Shell, ran: dict[str, Any]
) -> None:
    first = ran
    before = shell.json("verify")["experiments"][first["experiment"]]
    again = shell.json(*shell.backtest(MIDDLE))
    assert {key: again[key] for key in ("experiment", "seals", "returns")} == {
        key: first[key] for key in ("experiment", "seals", "returns")
    }
    assert {again["seconds"][asset] for asset in again["seals"]} == {0.0}
    longer = shell.json(*shell.backtest(END))
    assert longer["experiment"] == first["experiment"]
    after = shell.json("verify")["experiments"][first["experiment"]]
    for asset, days in before.items():
        assert {day: after[asset][day] for day in days} == days
        assert END in after[asset]


def test_a_command_with_nothing_to_do_prints_its_answer_again_and_makes_it_anew_where_a_page_has_changed(
    shell: Shell, ran: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the report was made again")

    def without_seconds(answer: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in answer.items() if key != "seconds"}

    first = shell.json(*shell.backtest(MIDDLE))
    with monkeypatch.context() as patched:
        patched.setattr("throughline.analytics.report.build_report", refuse)
        assert without_seconds(shell.json(*shell.backtest(MIDDLE))) == without_seconds(first)
        assert f"Tear sheet: {first['tear_sheet']}" in shell(*shell.backtest(MIDDLE))[1]
    page = Path(first["tear_sheet"])
    page.write_text("changed")
    assert without_seconds(shell.json(*shell.backtest(MIDDLE))) == without_seconds(first)
    assert first["experiment"] in page.read_text()


@pytest.mark.parametrize(
    ("lost", "words"), [("", "is empty, but"), ("heads", "has lost its newest head"), ("segments", "")]
)
def test_a_run_with_nothing_left_to_do_says_that_the_anchor_was_lost(
    shell: Shell, ran: dict[str, Any], lost: str, words: str
) -> None:
    folder, aside = shell.home / "anchor" / lost, shell.home / "aside"
    folder.rename(aside)
    try:
        code, _, err = shell(*shell.backtest(START))
    finally:
        aside.rename(folder)
    assert code == 0
    assert "nothing was run" in err
    told = [line for line in err.splitlines() if "throughline: The anchor" in line]
    assert len(told) == (1 if words else 0)
    assert all(words in line and "throughline key anchor" in line for line in told)
    assert "The anchor" not in shell(*shell.backtest(START))[2]


def test_a_changed_row_forks_the_experiment_and_says_what_changed(shell: Shell, ran: dict[str, Any]) -> None:
    first = ran
    sealed = shell.json("verify")["experiments"][first["experiment"]]
    day = date(2021, 1, 12)
    write_archive(
        shell.folder, csv_lines(lambda coin, at, price: price * 1.02 if (coin, at) == ("BBB", day) else price)
    )
    code, _, err = shell(*shell.backtest(MIDDLE))
    assert code == 0, err
    assert "read differently now" in err
    assert "BBB" in err
    assert "forked" in err
    fork = shell.json(*shell.backtest(MIDDLE))
    assert fork["experiment"] != first["experiment"]
    assert fork["revision"]["parent"] == first["experiment"]
    assert fork["revision"]["changed"] > 0
    assert fork["revision"]["instruments"] == ["BBB"]
    listed = {row["id"]: row for row in shell.json("experiments")["experiments"]}
    assert listed[fork["experiment"]]["parent"] == first["experiment"]
    differing = {item["setting"] for item in listed[fork["experiment"]]["differences"]}
    assert listed[fork["experiment"]]["compared_with"] == first["experiment"]
    assert differing == {"data_revision"}
    assert shell.json("verify")["experiments"][first["experiment"]] == sealed
    assert "forked" not in shell(*shell.backtest(MIDDLE, "2021-01-09"))[2]


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        ("2019-01-01", END, "2019-01-01 lies outside the archive 'my-coins', which holds 2021-01-01 to 2021-02-09"),
        (START, "2022-01-01", "2022-01-01 lies outside the archive"),
        (END, START, "lies before --start"),
    ],
)
def test_a_range_that_the_archive_does_not_hold_is_one_sentence_with_its_range(
    shell: Shell, start: str, end: str, sentence: str
) -> None:
    code, out, err = shell(*shell.backtest(end, start))
    assert code == 1
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_blocked_days_are_listed_and_exit_with_three_unless_they_are_accepted(shell: Shell) -> None:
    gone = date(2021, 1, 15)
    write_archive(shell.folder, csv_lines(lambda coin, at, price: None if at == gone and coin != "BTC" else price))
    code, _, err = shell(*shell.backtest(MIDDLE, "2021-01-10"))
    assert code == 3
    assert "2021-01-15 market_bars" in err
    assert "--allow-blocked" in err
    accepted = shell.json(*shell.backtest(MIDDLE, "2021-01-10", "--allow-blocked"))
    assert {row["day"] for row in accepted["blocked_days"]} == {"2021-01-15"}
    assert shell.json("verify")["ok"]


def test_the_summary_in_words_has_the_paths_the_baselines_and_the_tear_sheet(shell: Shell) -> None:
    code, out, err = shell(*shell.backtest(MIDDLE))
    assert code == 0, err
    for words in (
        "pessimistic",
        "optimistic",
        "random entries",
        "Funnel",
        "Why trades ended",
        "Tear sheet:",
        "market cap",
    ):
        assert words in out
    assert "\x1b" not in err


class WatchedBar(Bar):
    """A bar that remembers its total and what it counted."""

    made: ClassVar[list[WatchedBar]] = []

    def __init__(self, total: int | None, what: str, quiet: bool) -> None:
        super().__init__(total, what, quiet)
        self.total, self.counted = total, list[tuple[int, str]]()
        self.made.append(self)

    def step(self, amount: int = 1, what: str | None = None) -> None:
        self.counted.append((amount, what or ""))
        super().step(amount, what)


def test_a_walk_forward_says_of_each_model_which_gates_refused_it_and_who_decided_the_trades(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = ("walk-forward", *shell.backtest(MIDDLE)[1:], "--retrain", "weekly")
    monkeypatch.setattr("throughline.cli.walk_forward.Bar", WatchedBar)
    told = shell.json(*walk)["walk_forward"]
    (bar,) = WatchedBar.made
    assert bar.total == 11 * len(STAGES) + 2 * TRAINING_PARTS
    assert sum(amount for amount, _ in bar.counted) == bar.total, "days and trainings are all that is counted"
    trained = [amount for amount, what in bar.counted if what.startswith("training, ")]
    assert sum(trained) == 2 * TRAINING_PARTS
    assert [model["as_of"][:10] for model in told["models"]] == ["2021-01-11", "2021-01-18"]
    for model in told["models"]:
        gates = {gate["gate"]: gate["status"] for gate in model["gates"]}
        assert gates["minimum_labels"] == "insufficient"
        assert not model["passed"]
        assert "minimum_labels" in model["refused_by"]
    assert told["events"] == []
    assert told["trades_by_rule"] > 0
    code, out, err = shell(*walk)  # nothing is left to run: the same models are told of
    assert code == 0, err
    for words in ("2021-01-18", "resolved labels; at least 1,000 are asked for", "No model ever served", "the rule"):
        assert words in out
    assert "no model was trained: " not in out, "the gates that had no model to judge are left out"
    assert 'model_policy = "gated"' in out
    assert 'walk-forward sets model_policy = "gated"' in err
    assert shell.json("verify")["ok"]


def test_a_walk_forward_refuses_a_configuration_in_which_no_model_decides(shell: Shell) -> None:
    path = shell.folder / "config.toml"
    path.write_text('model_policy = "none"\n')
    code, _, err = shell("walk-forward", *shell.backtest(MIDDLE, START, "--config", str(path))[1:])
    assert code == 1
    assert "'model_policy'" in err
    assert len(err.splitlines()) == 1


def test_a_broken_configuration_is_one_sentence_that_names_the_key(shell: Shell) -> None:
    path = shell.folder / "config.toml"
    path.write_text("[exits]\nstop_loss = 2\n")
    code, _, err = shell(*shell.backtest(MIDDLE, START, "--config", str(path)))
    assert code == 1
    assert "exits.stop_loss" in err
    assert len(err.splitlines()) == 1


def test_a_filter_that_must_remove_everything_is_said_first_and_before_every_figure(shell: Shell) -> None:
    outside = shell.folder.parent / "elsewhere"
    outside.mkdir()
    (shell.folder / "bars.csv").rename(outside / "bars.csv")
    description = DESCRIPTION.split("[references")[0].replace("my-coins", "no-caps")
    (shell.folder / "archive.toml").write_text(description.replace("bars.csv", "../elsewhere/bars.csv"))
    code, _, err = shell(*shell.backtest(START))
    assert code == 1
    assert "outside the folder given with --data" in err
    also = ("--data-also", str(outside))
    code, out, err = shell(*shell.backtest(START, START, *also))
    assert code == 0, err
    for line in (err.splitlines()[0], out.split("\n\n")[1]):
        assert "the filter 'market_cap' removes every instrument" in line
        assert "the archive 'no-caps' has no market cap" in line
        assert "[strategy.market_cap] enabled = false" in line
    told = shell.json(*shell.backtest(START, START, *also))
    assert len(told["warnings"]) == 1
    (shell.folder / "c.toml").write_text("[strategy.market_cap]\nenabled = false\n")
    told = shell.json(*shell.backtest(START, START, *also, "--config", str(shell.folder / "c.toml")))
    assert told["warnings"] == []


def test_two_data_sets_of_one_layout_are_two_experiments_and_no_revision(shell: Shell) -> None:
    ids = {}
    for name, lines in (("first", csv_lines()), ("second", csv_lines().replace(",1", ",2"))):
        (shell.folder / "archive.toml").write_text(DESCRIPTION.replace("my-coins", name))
        (shell.folder / "bars.csv").write_text(lines)
        told = shell.json(*shell.backtest(START), "--allow-blocked")
        assert told["revision"] is None
        ids[name] = told["experiment"]
    assert len(set(ids.values())) == 2


def uuids(database: Database, experiment: str) -> dict[str, str]:
    """A UUID of every kind of record, of one chain of the experiment that has an outcome."""
    with database.engine("reader").connect() as connection:
        chain = connection.execute(
            text("SELECT candidate_uuid FROM outcomes WHERE experiment = :e ORDER BY uuid LIMIT 1"), {"e": experiment}
        ).scalar_one()
        tables = ("research_docs", "dispositions", "executions", "outcomes", "shadow_outcomes", "trade_features")
        found = {
            name: str(
                connection.execute(text(f"SELECT uuid FROM {name} WHERE candidate_uuid = :c"), {"c": chain}).scalar()
            )
            for name in tables
        }
        scan = connection.execute(text("SELECT scan_uuid FROM candidates WHERE uuid = :c"), {"c": chain}).scalar_one()
    return found | {"candidates": str(chain), "market_scans": str(scan)}


def test_any_uuid_of_a_chain_tells_its_whole_story_with_every_hash_recomputed(
    shell: Shell, opened: Database, ran: dict[str, Any]
) -> None:
    chain = uuids(opened, ran["experiment"])
    whole = ["market_scans", "candidates", "research_docs", "dispositions", "executions", "outcomes", "shadow_outcomes"]
    whole += ["trade_features", "trade_features"]  # the label of the shadow and the one of the trade
    whole += ["canonical_trades", "soulprints", "profit_buckets"]
    for table, uuid in chain.items():
        story = shell.json("trade", uuid)
        assert story["found_in"] == table
        assert story["ok"]
        if table != "market_scans":
            assert story["candidate"] == chain["candidates"]
            assert [step["table"] for step in story["steps"]] == whole
    code, out, _ = shell("trade", chain["outcomes"])
    assert code == 0
    assert "market bars of the days before the decision: " in out
    for words in (
        "Scan  OK",
        "Research snapshot  OK",
        "Execution  OK",
        "Outcome  OK",
        "known at",
        "nothing in it has been changed",
    ):
        assert words in out


def test_a_changed_record_is_broken_in_its_story_and_in_verify(
    shell: Shell, opened: Database, ran: dict[str, Any]
) -> None:
    outcome = uuids(opened, ran["experiment"])["outcomes"]
    change = text("UPDATE outcomes SET realized_pnl_usd = realized_pnl_usd + :d WHERE uuid = :u")
    with opened.engine("owner").begin() as connection:
        connection.execute(change, {"d": 1, "u": outcome})
    try:
        code, out, _ = shell("trade", outcome)
        assert code == 1
        assert "Outcome  BROKEN" in out
        code, out, _ = shell("verify")
        assert code == 1
        assert f"BROKEN  outcomes  {outcome}" in out
        told = shell.json("verify", code=1)
        assert not told["ok"]
        assert {(item["table"], item["row"]) for item in told["findings"]} == {("outcomes", outcome)}
        assert shell.json(*shell.backtest(MIDDLE), code=1)["chain"]["broken"] == 1
    finally:
        with opened.engine("owner").begin() as connection:
            connection.execute(change, {"d": -1, "u": outcome})
    assert shell("verify")[0] == 0


def test_an_id_that_no_record_has_is_one_sentence(shell: Shell) -> None:
    code, _, err = shell("trade", "0177b7cc-fa80-8f22-a377-54fb3f72a7a4")
    assert code == 1
    assert "no record or trade of this home" in err


def test_verify_can_be_asked_about_one_experiment_by_its_beginning(shell: Shell, ran: dict[str, Any]) -> None:
    told = ran
    only = shell.json("verify", "--experiment", told["experiment"][:10])
    assert list(only["experiments"]) == [told["experiment"]]
    assert only["seals"] == only["experiments"][told["experiment"]]
    code, _, err = shell("verify", "--experiment", "zz")
    assert code == 1
    assert "throughline experiments" in err


def test_an_empty_home_has_no_experiment_and_nothing_to_find(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = Shell(tmp_path / "empty", tmp_path, capsys)
    assert "No experiment yet" in empty("experiments")[1]
    told = empty.json("verify")
    log = told.pop("proof")
    assert (log["tree_size"], log["anchored_size"], log["unanchored_rows"], log["ok"]) == (0, 0, 0, True)
    assert told == {
        "ok": True,
        "rows": 0,
        "pending": 0,
        "findings": [],
        "complete": True,
        "unreadable": [],
        "experiment": None,
        "seals": {},
        "experiments": {},
    }


def test_the_tear_sheet_is_an_artifact_of_the_home(opened: Database, ran: dict[str, Any]) -> None:
    page = Path(ran["tear_sheet"]).read_bytes()
    with opened.engine("reader").connect() as connection:
        rows = connection.execute(text("SELECT hash, media_type FROM artifacts WHERE kind = 'tear_sheet'")).all()
    store = ArtifactStore(opened.home.artifacts)
    assert page in [store.get(digest) for digest, _ in rows]
    assert {media for _, media in rows} == {"text/html"}
