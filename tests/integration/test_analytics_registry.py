"""Registry analytics on a real server: which entries count, as of when, and how links are counted."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from tests.integration.home_copies import open_sealed_copy
from tests.integration.small_home import END, START
from throughline.analytics.report import build_report
from throughline.analytics.tear_sheet.page import tear_sheet_html
from throughline.analytics.trade_registry.analytics import registry_analytics
from throughline.analytics.trade_registry.page import registry_blocks
from throughline.errors import UnknownRecord
from throughline.identity import SCHEMA_VERSION, time_text
from throughline.market.simulated import SimulatedProvider
from throughline.registries.profit_buckets import Excursion
from throughline.registries.soulprints import Soulprint
from throughline.registry.records import TradeRows, link_trade
from throughline.rendering.blocks import markdown
from throughline.signals import COMPONENTS, vector_text
from throughline.storage.database import Database
from throughline.storage.ledger import append_record
from throughline.storage.tables import registry_quarantine
from throughline.tracking.records import reference

DAY = datetime(2021, 1, 4, tzinfo=UTC)


def linked(experiment: str, number: int, profit: str = "10", **changes: Any) -> TradeRows:
    """The entries of a hand-made trade decided `number` hours after the first day began, closed three hours later."""
    draw = random.Random(number)
    decided, closed = DAY + timedelta(hours=number), DAY + timedelta(hours=number + 3)
    values = vector_text({item.name: item.center + draw.gauss(0, 0.5) for item in COMPONENTS})
    nothing = ("arm", "attrition_usd", "candidate", "chrono_resonance", "confidence", "costs_usd", "execution")
    nothing += ("math_optimization", "model_hash", "outcome", "params_ptr", "research", "segment", "temporal_warp")
    body: dict[str, Any] = dict.fromkeys(nothing)
    body |= {
        "action": "buy",
        "amount": "1",
        "closed_at": time_text(closed),
        "entry_price": "1000",
        "exit_price": "1010",
        "experiment": experiment,
        "fees_usd": "0",
        "flags": [],
        "market_context": {},
        "model_version": "rule",
        "notional_usd": "1000",
        "opened_at": time_text(decided),
        "partition": closed.date(),
        "profit_percentage": str(float(profit) / 10),
        "profit_usd": profit,
        "schema_version": SCHEMA_VERSION,
        "signal_strength": "0.5",
        "strategy_id": "by_hand",
        "symbol": f"T{number}",
        "termination_reason": "time_limit",
    }
    soulprint = Soulprint(f"T{number}", time_text(decided), values, "BTC")
    return link_trade({**body, **changes}, {"soulprints": soulprint, "profit_buckets": Excursion("2", "-1", "0.5")})


def write(database: Database, *trades: TradeRows, skip: str = "") -> None:
    with database.engine("writer").begin() as connection:
        for rows in trades:
            for table, row in rows.by_table().items():
                if table != skip:
                    append_record(connection, table, row)


def told(database: Database, experiment: str, **scope: Any) -> Any:
    with database.engine("reader").connect() as connection:
        return registry_analytics(connection, experiment, **scope)


def test_an_experiment_without_trades_has_empty_figures(database: Database, experiment: str) -> None:
    found = told(database, experiment)
    assert found.trades == 0
    assert found.total.profit_usd == "0"
    assert [item.rows for item in found.links] == [0] * 6
    assert "no trade had closed" in markdown(registry_blocks(found))


def test_an_unknown_experiment_is_refused(database: Database) -> None:
    with pytest.raises(UnknownRecord, match="not recorded here"):
        told(database, "f" * 64)


def test_money_comes_from_the_ledger_without_rounding(database: Database, experiment: str) -> None:
    write(database, linked(experiment, 0, "10.000000000000000001"), linked(experiment, 1, "-0.000000000000000002"))
    assert told(database, experiment).total.profit_usd == "9.999999999999999999"


def test_as_of_an_instant_only_what_had_closed_counts(database: Database, experiment: str) -> None:
    write(database, *(linked(experiment, number) for number in (0, 5, 21, 22, 40)))
    assert told(database, experiment).trades == 5
    assert told(database, experiment, as_of=DAY + timedelta(hours=8)).trades == 2
    assert told(database, experiment, as_of=DAY + timedelta(hours=7, minutes=59)).trades == 1
    # The trade of hour 21 closes at midnight: it is of the next day's partition, though known at midnight.
    assert told(database, experiment, as_of=DAY + timedelta(days=1)).trades == 3
    assert told(database, experiment, last_day=DAY.date()).trades == 2


def test_a_correction_counts_from_the_end_of_the_day_it_was_made(database: Database, experiment: str) -> None:
    first = linked(experiment, 0, "10")
    made = date(2021, 2, 1)
    second = linked(experiment, 0, "-10", supersedes=reference(first.trade), partition=made)
    write(database, first, second)
    now = told(database, experiment)
    assert (now.trades, now.total.profit_usd) == (1, "-10")
    midnight = datetime(2021, 2, 2, tzinfo=UTC)
    assert told(database, experiment, as_of=midnight - timedelta(seconds=1)).total.profit_usd == "10"
    assert told(database, experiment, as_of=midnight).total.profit_usd == "-10"
    assert told(database, experiment, last_day=date(2021, 1, 31)).total.profit_usd == "10"
    assert now.links[0].rows == now.links[0].whole == 2


@pytest.mark.parametrize("table", ["canonical_trades", "soulprints", "profit_buckets"])
def test_a_trade_with_any_entry_in_quarantine_is_left_out_until_released(
    database: Database, experiment: str, table: str
) -> None:
    bad, good = linked(experiment, 0, "10"), linked(experiment, 1, "1")
    write(database, bad, good)

    def act(action: str) -> None:
        row = {"table_name": table, "row_uuid": bad.by_table()[table].uuid, "action": action}
        with database.engine("writer").begin() as connection:
            connection.execute(insert(registry_quarantine).values(**row, reason="test", finding="{}"))

    act("quarantine")
    found = told(database, experiment)
    assert (found.trades, found.total.profit_usd, found.quarantined) == (1, "1", 1)
    assert all(item.missing == item.differing == 0 for item in found.links)
    act("release")
    assert (told(database, experiment).trades, told(database, experiment).quarantined) == (2, 0)


def test_links_are_counted_in_both_directions(database: Database, experiment: str) -> None:
    write(database, linked(experiment, 0))
    write(database, linked(experiment, 1), skip="soulprints")
    whole, other = linked(experiment, 2), linked(experiment, 2, "11")
    with database.engine("writer").begin() as connection:
        append_record(connection, "canonical_trades", whole.trade)
        append_record(connection, "soulprints", whole.entries["soulprints"])
        # it names the uuid, with the hash of another content
        append_record(connection, "profit_buckets", other.entries["profit_buckets"])
    found = {(item.source, item.target): item for item in told(database, experiment).links}
    counts = {key: (item.rows, item.whole, item.missing, item.differing) for key, item in found.items()}
    assert counts["canonical_trades", "soulprints"] == (3, 2, 1, 0)
    assert counts["soulprints", "canonical_trades"] == (2, 2, 0, 0)
    assert counts["canonical_trades", "profit_buckets"] == (3, 2, 0, 1)
    assert counts["profit_buckets", "canonical_trades"] == (3, 2, 0, 1)
    assert counts["canonical_trades", "outcomes"] == (0, 0, 0, 0)
    coverage = told(database, experiment).coverage
    assert (coverage.trades, coverage.with_soulprint, coverage.with_known_bucket) == (3, 2, 3)


def test_the_order_of_writing_changes_nothing(database: Database, experiment: str) -> None:
    trades = [linked(experiment, number, str(random.Random(number).choice([-12, 15]))) for number in range(120)]
    write(database, *trades[:100])
    early = told(database, experiment)
    write(database, *reversed(trades[100:]))
    instant = DAY + timedelta(hours=102)  # the hundredth trade closes
    assert told(database, experiment, as_of=instant) == replace(early, as_of=instant)
    assert early.trades == 100
    assert early.effectiveness.judged > 20
    assert early.neighbours.agreement is not None
    assert told(database, experiment).trades == 120


def test_a_sealed_experiment_is_covered_and_its_report_has_the_section(tmp_path: Path) -> None:
    database, store, experiment = open_sealed_copy(tmp_path)
    with database:
        engine = database.engine("writer")
        found = told(database, experiment.id, last_day=END)
        assert found.coverage.outcomes == found.coverage.outcomes_with_trade == found.trades > 10
        assert all(item.rows == item.whole == found.trades for item in found.links)
        assert found.effectiveness.trades == found.trades
        report = build_report(engine, store, SimulatedProvider(7), experiment, START, END)
        assert report.registry == found
        assert report.trades == found.trades
        earlier = build_report(engine, store, SimulatedProvider(7), experiment, START, END - timedelta(days=2))
        assert earlier.registry is not None
        assert earlier.trades == earlier.registry.trades < found.trades
        assert "Do the profit buckets predict returns?" in tear_sheet_html(report)
        with database.engine("owner").begin() as connection:
            for table in ("soulprints", "profit_buckets", "canonical_trades"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
                connection.execute(text(f"DELETE FROM {table}"))
        page = tear_sheet_html(build_report(engine, store, SimulatedProvider(7), experiment, START, END))
        assert f"{found.trades} outcomes are recorded: materialize canonical_trades" in page
