"""Sums that must come out: an outcome against its execution, a portfolio state against itself. Pure.

The engine computes in IEEE doubles and records 18 decimals (10 digits for percentages), so equality is within 1e-9 of
the amounts that are added.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from throughline.identity import parse_time

_TOLERANCE = Decimal("1e-9")
Body = Mapping[str, Any]


def _differs(found: Decimal, expected: Decimal, *scale: Decimal) -> bool:
    size = max((abs(item) for item in scale), default=Decimal(1))
    return abs(found - expected) > _TOLERANCE * max(size, Decimal(1))


def outcome_problems(outcome: Body, execution: Body) -> list[str]:
    """Return what does not add up between an outcome and the execution it ends.

    net = gross - fees - costs - attrition; net = quantity x (exit price - entry price) - fees - attrition; percent =
    100 x net / notional; notional = quantity x entry price; time in market = exit time - fill time; low <= net <= high.
    """

    def money(body: Body, name: str) -> Decimal:
        return Decimal(body[name])

    net, gross = money(outcome, "realized_pnl_usd"), money(outcome, "gross_pnl_usd")
    fees, costs, lost = (money(outcome, name) for name in ("fees_usd", "costs_usd", "attrition_usd"))
    quantity, entry, notional = (money(execution, name) for name in ("quantity", "entry_price", "notional_usd"))
    proceeds = quantity * money(outcome, "exit_price")
    problems = []
    if _differs(net, gross - fees - costs - lost, gross, notional):
        problems.append(f"realized_pnl_usd {net} is not gross {gross} less fees, costs and attrition")
    expected = proceeds - quantity * entry - fees - lost
    if _differs(net, expected, proceeds, notional):
        problems.append(f"realized_pnl_usd {net} does not follow from execution and exit, which give {expected:.8f}")
    percent = Decimal(outcome["realized_pnl_percent"])
    if _differs(percent, 100 * net / notional, Decimal(100), percent):
        problems.append(f"realized_pnl_percent {percent} is not 100 x {net} / {notional}")
    if _differs(notional, quantity * entry, notional):
        problems.append(f"its execution's notional_usd {notional} is not quantity x entry price")
    held = parse_time(outcome["exit_time"]) - parse_time(execution["fill_time"])
    if outcome["time_in_market_seconds"] != held // timedelta(seconds=1):
        problems.append(f"time_in_market_seconds {outcome['time_in_market_seconds']} is not exit less fill ({held})")
    if outcome["label"] != {"t0": execution["fill_time"], "t1": outcome["exit_time"]}:
        problems.append("label interval is not [fill time, exit time]")
    low, high = money(outcome, "pnl_low_usd"), money(outcome, "pnl_high_usd")
    if low > net or net > high:
        problems.append(f"realized_pnl_usd {net} lies outside its interval [{low}, {high}]")
    return problems


def order_problems(state: Body, previous: Body | None, epoch: date) -> list[str]:
    """Return why a state is not that of the end of its day, or does not follow the state of the day before."""
    day = date.fromisoformat(state["partition"])
    problems = []
    if parse_time(state["as_of"]).date() != day + timedelta(days=1):
        problems.append(f"as_of {state['as_of']} is not the end of {day}")
    if previous is None and day != epoch:
        problems.append(f"names no previous state, but the epoch is {epoch}")
    if previous is not None and date.fromisoformat(previous["partition"]) != day - timedelta(days=1):
        problems.append(f"its previous state is of {previous['partition']}, not of the day before")
    return problems


def shadow_state_problems(state: Body, previous: Body | None, epoch: date) -> list[str]:
    """Return what does not add up in a state of shadows, and between it and the one before."""
    problems = order_problems(state, previous, epoch)
    if state["open_shadows"] != len(state["shadows"]):
        problems.append(f"open_shadows {state['open_shadows']} is not the number of its shadows")
    keys = [(item["candidate"]["uuid"], item["position"]["key"]) for item in state["shadows"]]
    if any(candidate != key for candidate, key in keys):
        problems.append("a shadow names another candidate than its position")
    return problems


def state_problems(state: Body, previous: Body | None, epoch: date) -> list[str]:
    """Return what does not add up in a portfolio state, and between it and the one before.

    as_of is the end of its day; the previous state is the day before's, and missing only at the epoch; equity = cash +
    what was sold of exiting positions + what is held at the last price; open_positions counts the base path's.
    """
    problems = order_problems(state, previous, epoch)
    if state["open_positions"] != len(state["paths"]["base"]["positions"]):
        problems.append(f"open_positions {state['open_positions']} is not the number of the base path's positions")
    for name, path in state["paths"].items():
        cash, equity = Decimal(path["cash_usd"]), Decimal(path["equity_usd"])
        held = sum((_value(item) for item in path["positions"]), start=Decimal(0))
        if _differs(equity, cash + held, equity, cash):
            problems.append(f"equity_usd {equity} of the {name} path is not cash {cash} plus positions {held:.8f}")
    return problems


def _value(position: Body) -> Decimal:
    """What a position is worth: the rest at the last price, and what was sold of it before, which is not cash yet."""
    sold = Decimal(position["exit_value"]) - Decimal(position["exit_fees"]) - Decimal(position["attrition"])
    return sold + Decimal(position["quantity"]) * Decimal(position["last_price"])
