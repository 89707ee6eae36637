"""Order destinations: what fills the orders of a session, chosen by name, one file each in `clients/`."""

from __future__ import annotations

import importlib
import pkgutil

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
        SettingsError: There is none, or its module declares something else.
    """
    known = sorted(info.name for info in pkgutil.iter_modules(clients.__path__) if not info.name.startswith("_"))
    if name not in known:
        raise SettingsError(f"order destination '{name}' does not exist; there are {', '.join(known)}")
    module = importlib.import_module(f"{clients.__name__}.{name}")
    client = getattr(module, "CLIENT", None)
    kind = OrderSender if getattr(client, "sends_orders", False) else ExecutionClient
    if not isinstance(client, kind) or client.name != name:
        raise SettingsError(f"{module.__file__}: set CLIENT to an {kind.__name__} that is named '{name}'")
    return client
