"""`throughline trades` and `equity`, the same from Python, and the trades in the tear sheet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text

import throughline
from tests.integration.test_cli_backtest import END, START, Shell, csv_lines, write_archive
from throughline.analytics.trades import COLUMNS, NUMBERS, Filters
from throughline.cli import DirectWiring, run
from throughline.cli.trades import _nearest
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_database(Home(tmp_path_factory.mktemp("trades") / "home")) as database:
        yield database


@pytest.fixture(scope="module")
def report(opened: Database, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `backtest --json` says of the module's one experiment."""
    from contextlib import redirect_stdout

    folder = tmp_path_factory.mktemp("archive")
    write_archive(folder, csv_lines())
    said = io.StringIO()
    archive = ["--archive", str(folder / "archive.toml"), "--data", str(folder), "--start", START, "--end", END]
    with redirect_stdout(said):
        arguments = ["backtest", *archive, "--dossiers", "2", "--json", "--home", str(opened.home.path)]
        assert run(arguments, DirectWiring(days=20)) == 0
    told: dict[str, Any] = json.loads(said.getvalue())
    return told


@pytest.fixture
def shell(opened: Database, report: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(opened.home.path, tmp_path, capsys)


def test_every_closed_trade_is_listed_with_the_exact_figures_of_the_ledger(
    shell: Shell, opened: Database, report: dict[str, Any]
) -> None:
    told = shell.json("trades")
    assert told["matching"] == len(told["trades"]) == report["trades"] >= 4
    assert list(told["trades"][0]) == list(COLUMNS)
    with opened.engine("reader").connect() as connection:
        rows = connection.execute(text("SELECT candidate_uuid, convert_from(body, 'UTF8') FROM outcomes")).all()
    ledger = {str(uuid): json.loads(body) for uuid, body in rows}
    for row in told["trades"]:
        body = ledger[row["id"]]
        for ours, theirs in (
            ("pnl_usd", "realized_pnl_usd"),
            ("pnl_low_usd", "pnl_low_usd"),
            ("fees_usd", "fees_usd"),
            ("costs_usd", "costs_usd"),
            ("exit_price", "exit_price"),
            ("return_percent", "realized_pnl_percent"),
            ("exit_time", "exit_time"),
            ("reason", "termination_reason"),
        ):
            assert row[ours] == body[theirs]
        product = Decimal(row["entry_price"]) * Decimal(row["quantity"])
        assert float(product) == pytest.approx(float(row["notional_usd"]), rel=1e-9)
        assert row["model"] == "rule"
    exits = [row["exit_time"] for row in told["trades"]]
    assert exits == sorted(exits)
    assert shell.json("trade", told["trades"][0]["id"])["candidate"] == told["trades"][0]["id"]


def test_filters_and_sorting_select_what_they_say(shell: Shell) -> None:
    every = shell.json("trades")["trades"]
    won = shell.json("trades", "--won")["trades"]
    lost = shell.json("trades", "--lost")["trades"]
    assert len(won) + len(lost) == len(every)
    assert all(float(row["pnl_usd"]) > 0 for row in won)
    assert all(float(row["pnl_usd"]) <= 0 for row in lost)
    falling = [float(row["pnl_usd"]) for row in shell.json("trades", "--sort", "-pnl_usd")["trades"]]
    rising = [float(row["pnl_usd"]) for row in shell.json("trades", "--sort", "pnl_usd")["trades"]]
    assert falling == sorted(falling, reverse=True)
    assert rising == falling[::-1]
    name, reason = every[0]["instrument"], every[0]["reason"]
    assert {row["instrument"] for row in shell.json("trades", "--instrument", name)["trades"]} == {name}
    assert {row["reason"] for row in shell.json("trades", "--reason", reason)["trades"]} == {reason}
    day = every[len(every) // 2]["exit_time"][:10]
    upto, since = (shell.json("trades", option, day)["trades"] for option in ("--to", "--from"))
    both = [row for row in every if row["exit_time"][:10] == day]
    assert len(upto) + len(since) - len(both) == len(every)
    entered = shell.json("trades", "--from", day, "--to", day, "--by", "entry")["trades"]
    assert [row["id"] for row in entered] == [row["id"] for row in every if row["entry_time"][:10] == day]
    assert len(shell.json("trades", "--limit", "3")["trades"]) == 3


def test_csv_holds_the_exact_decimals_and_parquet_floats_and_times(shell: Shell) -> None:
    every = shell.json("trades")["trades"]
    target, table = shell.folder / "trades.csv", shell.folder / "trades.parquet"
    code, out, err = shell("trades", "--csv", str(target), "--parquet", str(table))
    assert (code, out) == (0, ""), err
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{name: str(value) for name, value in row.items()} for row in every]
    frame = pd.read_parquet(table)
    assert {str(frame[name].dtype) for name in NUMBERS} == {"float64"}
    assert str(frame["exit_time"].dt.tz) == "UTC"
    assert frame["pnl_usd"].tolist() == [float(row["pnl_usd"]) for row in every]
    code, out, _ = shell("trades", "--csv", "-", "--limit", "1")
    assert out.splitlines()[0] == ",".join(COLUMNS)
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--instrument", "AAB"), "has the instrument 'AAB': did you mean 'AAA'?"),
        (("--instrument", "AAA", "--instrument", "AAB"), "has the instrument 'AAB': did you mean 'AAA'?"),
        (("--reason", "stop_los"), "has the reason 'stop_los': "),
        (("--flag", "nothing"), "has the flag 'nothing'"),
        (("--sort", "profit"), "has no column 'profit': sort by one of id, instrument"),
        (("--csv", "/no/such/folder/x.csv"), "/no/such/folder/x.csv cannot be written"),
        (("--csv", ""), "--csv is empty"),
        (("--csv", "-", "--json"), "both write to stdout"),
        (("--parquet", "-"), "give the file's path"),
        (("--from", "2021-02-01", "--to", "2021-01-31"), "no trade can match"),
        (("--instrument", "A" * 10_000), "(10,000 characters)"),
    ],
)
def test_what_no_trade_has_is_refused_by_name(shell: Shell, arguments: tuple[str, ...], sentence: str) -> None:
    code, out, err = shell("trades", *arguments)
    assert (code, out) == (1, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("btcusdt", ["BTC/USDT", "PNT/USDT"], "BTC/USDT"),
        ("BTC/USDT", ["PNT/USDT", "WING/USDT"], None),
        ("ALPA/USDT", ["ALPHA/USDT", "PNT/USDT"], "ALPHA/USDT"),
        ("stop-loss", ["stop_loss", "time_limit"], "stop_loss"),
        ("BTC/USDT", [], None),
    ],
)
def test_only_a_name_that_is_spelled_alike_is_offered_as_what_was_meant(
    name: str, known: list[str], near: str | None
) -> None:
    assert _nearest(name, known) == near


def test_a_reason_may_be_typed_as_the_table_prints_it(shell: Shell) -> None:
    typed, recorded = (shell.json("trades", "--reason", reason) for reason in ("time limit", "time_limit"))
    assert typed == recorded
    assert typed["matching"] > 0


def test_the_list_in_words_says_how_many_there_are_and_which_experiment(shell: Shell, report: dict[str, Any]) -> None:
    code, out, _ = shell("trades", "--limit", "2")
    assert code == 0
    assert f"Experiment {report['experiment'][:12]} (backtest): {report['trades']} closed trades match" in out
    assert f"... and {report['trades'] - 2} more" in out


def test_equity_is_the_curve_of_the_report_on_three_paths(shell: Shell, report: dict[str, Any]) -> None:
    rows = shell.json("equity")["equity"]
    assert (rows[0]["day"], rows[-1]["day"], len(rows)) == (START, END, 17)
    for path, value in report["returns"].items():
        assert float(rows[-1][path]) / 10_000 - 1 == pytest.approx(value, abs=1e-9)
    _, out, _ = shell("equity", "--csv", "-")
    assert out.splitlines()[0] == "day,pessimistic,base,optimistic"
    assert out.splitlines()[-1] == ",".join([END, *(rows[-1][path] for path in ("pessimistic", "base", "optimistic"))])


def test_a_notebook_reads_the_same_frames_without_sql(opened: Database, report: dict[str, Any], shell: Shell) -> None:
    frame = throughline.trades(home=opened.home.path)
    assert len(frame) == report["trades"]
    assert frame["pnl_usd"].sum() == pytest.approx(
        sum(float(row["pnl_usd"]) for row in shell.json("trades")["trades"]), rel=1e-12
    )
    won = throughline.trades(report["experiment"][:8], home=opened.home.path, filters=Filters(won=True))
    assert (won["pnl_usd"] > 0).all()
    curve = throughline.equity(home=opened.home.path)
    assert curve["base"].iloc[-1] / 10_000 - 1 == pytest.approx(report["returns"]["base"], abs=1e-9)
    assert str(curve.index[-1].date()) == END


def test_the_best_and_the_worst_trade_are_named_in_the_report_with_their_pages(
    shell: Shell, report: dict[str, Any]
) -> None:
    ranked = shell.json("trades", "--sort", "pnl_usd")["trades"]
    assert float(report["best_trade"]["pnl_usd"]) == float(ranked[-1]["pnl_usd"])
    assert report["worst_trade"]["id"] == ranked[0]["id"]
    for name in ("best_trade", "worst_trade"):
        assert report[name]["id"] in Path(report[name]["dossier"]).read_text()


def test_every_link_of_the_tear_sheet_leads_to_the_dossier_of_its_trade(report: dict[str, Any]) -> None:
    sheet = Path(report["tear_sheet"])
    page = sheet.read_text()
    links = dict(re.findall(r'<a href="([^"]+)">([0-9a-f-]{36})</a>', page))
    assert len(links) == 4, "the two best and the two worst, as asked for"
    for address, name in links.items():
        assert name in (sheet.parent / address).read_text()
    listed = set(re.findall(r'<td class="words wrap"><code>(?:<a [^>]+>)?([0-9a-f-]{36})', page))
    assert len(listed) == report["trades"], "all trades are in the page, with or without a dossier"
