"""An independent ledger: 179 trades that freqtrade simulated on real 5-minute candles, run through our engine.

Given from the ledger: pair, entry candle and stake of each trade (its signals are not ours), and the force exits'
candles. Ours: everything after. freqtrade's rules are said in our words: stop 10 %; the ROI table 4 / 2 / 1 / 0 % from
0 / 20 / 30 / 40 minutes on is a target that falls while the position is carried, so each step is one call that
continues from the state of the one before; a target of r means close = open x (1 + r + fee) / (1 - fee); a force exit
is a time limit.

What agrees, on the pessimistic path: open rate, close rate, reason and profit of all 179 trades, and the exit candle of
176. What differs, and why:

- 3 exit candles: we test the barriers on the entry candle, this freqtrade from the next candle on. Same target.
- 35 close rates on our base path: the candle opens above the target. There we fill at the open; freqtrade books the
  target (as our pessimistic path does).
- `profit_abs` of this ledger leaves the fees out: it is our gross_pnl. `profit_ratio` has them in, as a share of the
  stake *with* the entry fee; our return_percent is a share of the notional without it.
- freqtrade's `close_date` is the open of the exit candle: our exit_bar_open. Our exit_time is the candle's close.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from throughline.trading import REASONS, Bars, Costs, Entries, ExitRules, PathState, simulate

MINUTE = 60_000
FEE = 0.0025
COSTS = Costs(fee=FEE, half_spread=0.0, impact_coefficient=0.0, impact_floor=0.0)
ROI_FROM_MINUTE = ((0, 0.04), (20, 0.02), (30, 0.01), (40, 0.0))
REASON_OF = {"roi": "profit_target", "stop_loss": "stop_loss", "force_exit": "time_limit"}
NO_ENTRIES = Entries(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0))


def load(folder: Path) -> tuple[Bars, list[dict[str, Any]]]:
    ledger = json.loads((folder / "freqtrade_backtest_result.json").read_text())
    table = pq.read_table(folder / "btc_pairs_5m_2018-01.parquet").sort_by(
        [("pair", "ascending"), ("date", "ascending")]
    )
    pairs = np.array(table["pair"].to_pylist())
    names, first = np.unique(pairs, return_index=True)
    bars = Bars(
        instruments=tuple(names.tolist()),
        starts=np.append(first, len(pairs)).astype(np.int64),
        open_time=table["date"].to_numpy().astype("datetime64[ms]").astype(np.int64),
        **{name: table[name].to_numpy() for name in ("open", "high", "low", "close")},
        interval_ms=5 * MINUTE,
    )
    return bars, ledger["strategy"]["StrategyTestV3"]["trades"]


def replay(bars: Bars, row: dict[str, Any], path: str) -> dict[str, Any]:
    """The one trade that our engine makes of a ledger row."""
    opened, closed = int(row["open_timestamp"]), int(row["close_timestamp"])
    entry = Entries(
        np.array([bars.instruments.index(row["pair"])], np.int32),
        np.array([opened], np.int64),
        np.ones(1),
        np.array([row["stake_amount"]]),
    )
    hold = closed - opened if row["exit_reason"] == "force_exit" else 2**50
    state: dict[str, PathState] | None = None
    for step, (_, roi) in enumerate(ROI_FROM_MINUTE):
        rules = ExitRules(0.1, (1 + roi + FEE) / (1 - FEE) - 1, hold, halt_ms=2**60, max_participation=None)
        last = step + 1 == len(ROI_FROM_MINUTE)
        result = simulate(
            bars,
            NO_ENTRIES if step else entry,
            rules,
            COSTS,
            1,
            paths=(path,),
            state=state,
            until=None if last else opened + ROI_FROM_MINUTE[step + 1][0] * MINUTE,
        ).paths[path]
        state = {path: result.state}
        if len(result.trades["key"]):
            return {name: values[0] for name, values in result.trades.items()}
    raise AssertionError(f"never closed: {row}")


@pytest.fixture(scope="module")
def replayed(shared_data: Path) -> dict[str, list[tuple[dict[str, Any], dict[str, Any]]]]:
    bars, ledger = load(shared_data / "trade_ledgers")
    return {path: [(row, replay(bars, row, path)) for row in ledger] for path in ("pessimistic", "base")}


def test_open_and_close_rates_reasons_and_profit_of_all_179_trades_agree(replayed: Any) -> None:
    assert len(replayed["pessimistic"]) == 179
    for row, trade in replayed["pessimistic"]:
        assert trade["raw_entry_price"] == pytest.approx(row["open_rate"], rel=1e-12)
        assert trade["raw_exit_price"] == pytest.approx(row["close_rate"], rel=1e-12)
        assert REASONS[trade["reason"]] == REASON_OF[row["exit_reason"]]
        assert trade["gross_pnl"] == pytest.approx(row["profit_abs"], abs=1e-15)
        assert trade["quantity"] == pytest.approx(row["stake_amount"] / row["open_rate"], rel=1e-12)
        ratio = trade["net_pnl"] / (trade["notional"] * (1 + row["fee_open"]))
        assert ratio == pytest.approx(row["profit_ratio"], abs=5.1e-9)  # the ledger has 8 decimals


def test_fees_are_those_of_the_ledger_rates(replayed: Any) -> None:
    for row, trade in replayed["pessimistic"]:
        amount = row["stake_amount"] / row["open_rate"]
        fees = amount * (row["open_rate"] * row["fee_open"] + row["close_rate"] * row["fee_close"])
        assert trade["fees"] == pytest.approx(fees, rel=1e-12)


def test_exit_candles_agree_but_for_three_that_touch_the_target_on_the_entry_candle(replayed: Any) -> None:
    different = [(r, t) for r, t in replayed["pessimistic"] if t["exit_bar_open"] != r["close_timestamp"]]
    assert len(different) == 3
    for row, trade in different:
        assert trade["exit_bar_open"] == row["open_timestamp"]
        assert row["close_timestamp"] - row["open_timestamp"] in (5 * MINUTE, 15 * MINUTE)


def test_on_the_base_path_only_gaps_up_through_the_target_give_another_rate(replayed: Any) -> None:
    different = [
        (r, t) for r, t in replayed["base"] if t["raw_exit_price"] != pytest.approx(r["close_rate"], rel=1e-12)
    ]
    assert len(different) == 35
    for row, trade in different:
        assert row["exit_reason"] == "roi"
        assert trade["exit_bar_open"] == row["close_timestamp"]
        assert trade["exit_time"] == trade["exit_bar_open"]  # at the open
        assert trade["raw_exit_price"] > row["close_rate"]
