"""Order destinations: what fills the orders of a session, chosen by name, one file each in `clients/`."""

from __future__ import annotations

from throughline.discovery import discover
from throughline.errors import SettingsError
from throughline.trading.execution import clients
from throughline.trading.execution.port import (
    ExecutionClient,
    Order,
    OrderEvent,
    OrderSender,
    TradingDay,
    candidate_of,
    order_id,
)

SIMULATED = "simulated"
"""The destination that needs nobody: fills from bars."""

__all__ = [
    "SIMULATED",
    "ExecutionClient",
    "Order",
    "OrderEvent",
    "OrderSender",
    "TradingDay",
    "candidate_of",
    "execution_client",
    "order_id",
]


def execution_client(name: str = SIMULATED) -> ExecutionClient:
    """Return the order destination of a name.

    Raises:
        SettingsError: There is none, or it lacks what the port asks for.
    """
    known = discover(clients.__name__, "CLIENT", ExecutionClient)  # type: ignore[type-abstract]
    if name not in known:
        raise SettingsError(f"order destination '{name}' does not exist; there are {', '.join(sorted(known))}")
    if known[name].sends_orders and not isinstance(known[name], OrderSender):
        raise SettingsError(f"order destination '{name}' sends orders, so it must have submit, cancel and reconcile")
    return known[name]
