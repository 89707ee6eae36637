"""The port between the trading session and whatever fills its orders.

Belongs here: what the session hands over and gets back, how an order is named, and what a destination that sends orders
must offer besides. Does not belong here: a destination (`clients/`, one file each, found by discovery).

The session calls `run_day` inside its transaction, once a day, and knows no engine. A destination that sends orders is
never called over the network there: it answers from the events that it has recorded. A dispatcher sends after the
commit, through `submit`, `cancel` and `reconcile`. A repeated day gives the same order ids, so nothing is sent twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from throughline.trading.types import Bars, Costs, Entries, ExitRules, PathResult, PathState

Leg = Literal["entry", "exit"]
Status = Literal["accepted", "rejected", "unknown", "partial", "filled", "cancelled", "expired"]


def order_id(candidate: str, leg: Leg, attempt: int = 0) -> str:
    """Return the id of an order: the same decision can never be two orders.

    Args:
        candidate: The candidate's UUID as text.
        leg: Which order of the candidate.
        attempt: Rises only after the attempt before is proved to have ended or never to have arrived.

    Returns:
        The UUID, the leg and, from the second attempt on, its number. `candidate_of` reads it back.
    """
    return f"{candidate}-{leg}" if attempt == 0 else f"{candidate}-{leg}-{attempt}"


def candidate_of(order: str) -> str:
    """Return the candidate's UUID of an order id, without any table."""
    return order[:36]


@dataclass(frozen=True)
class Order:
    """One order to buy. notional_usd: to be paid at the execution price; decided_at: Unix ms.

    valid_until: Unix ms, the end of the bar in which it may fill: a later order is worse than none.
    """

    id: str
    instrument: str
    notional_usd: float
    decided_at: int
    valid_until: int


@dataclass(frozen=True)
class OrderEvent:
    """What became of an order, append-only. quantity and price (USD) only for fills; at: Unix ms.

    status: `unknown` where it is not proved whether the order exists. Such an order is never sent again.
    """

    order: str
    status: Status
    at: int
    quantity: float = 0.0
    price: float = 0.0


@dataclass(frozen=True)
class TradingDay:
    """What the session hands over for one day.

    Args:
        bars: The bars of the day, of the instruments that are held or decided on.
        entries: The entries decided, before `scale`.
        keys: The candidate's UUID of each entry.
        states: What each path carries into the day. The answer has the same paths.
        rules: The exit rules.
        costs: The costs of fills.
        until: Unix ms, the end of the day.
        max_positions: Slots of each path, None = unlimited.
        scale: By path, the factor on the notionals of its entries (1 where absent).
        minimum_notional: USD; a smaller position is not entered.
        independent: Every entry is a position of its own, without slots and cash (counterfactual outcomes).
        blocked: The bars of the day are not traded.
    """

    bars: Bars
    entries: Entries
    keys: Sequence[str]
    states: Mapping[str, PathState]
    rules: ExitRules
    costs: Costs
    until: int
    max_positions: int | None = None
    scale: Mapping[str, float] = field(default_factory=dict)
    minimum_notional: float = 0.0
    independent: bool = False
    blocked: bool = False

    def orders(self, path: str) -> Iterator[Order]:
        """Yield the entries as orders of a path, as a destination that sends them needs them."""
        for k, key in enumerate(self.keys):
            decided = int(self.entries.decision_time[k])
            yield Order(
                id=order_id(key, "entry"),
                instrument=self.bars.instruments[int(self.entries.instrument[k])],
                notional_usd=float(self.entries.notional[k]) * self.scale.get(path, 1.0),
                decided_at=decided,
                valid_until=decided + self.bars.interval_ms,
            )


@runtime_checkable
class ExecutionClient(Protocol):
    """An order destination. name: of its module; sends_orders: True if it is an `OrderSender` too.

    Example:
        ``throughline/trading/execution/clients/simulated.py``
    """

    name: str
    sends_orders: bool

    def run_day(self, day: TradingDay) -> Mapping[str, PathResult]:
        """Return, by path, the fills, trades, dispositions and state of a day.

        It reads nothing that became known after the day, and gives the same answer whenever it is asked.
        """
        ...


@runtime_checkable
class OrderSender(ExecutionClient, Protocol):
    """A destination that sends orders somewhere. Each method is called outside of any transaction."""

    def submit(self, order: Order) -> OrderEvent:
        """Send an order once, without a retry, and return `accepted`, `rejected` or `unknown`."""
        ...

    def cancel(self, order: str) -> OrderEvent:
        """Cancel an order by its id. It may be repeated."""
        ...

    def reconcile(self, since: int) -> Sequence[OrderEvent]:
        """Return every event since an instant (Unix ms), fills included, and only what the destination confirms."""
        ...
