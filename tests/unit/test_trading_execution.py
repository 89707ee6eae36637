"""The execution port: the simulated destination is the engine, and another one is a file."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.documented import example
from tests.unit.test_trading_cases import BASE, FREE, HOUR, QUIET, T0, hours, market, orders
from throughline.errors import SettingsError
from throughline.trading import PATHS, ExitRules, PathState, simulate
from throughline.trading.execution import (
    ExecutionClient,
    OrderSender,
    TradingDay,
    candidate_of,
    clients,
    execution_client,
    order_id,
)

KEYS = [str(uuid.UUID(int=k)) for k in range(2)]
BARS = market({"A": hours(0, 24), "B": [*hours(0, 3), (3, 100, 140, 99, 130), *hours(4, 24)]})


def day(**changes: object) -> TradingDay:
    values: dict[str, object] = {
        "bars": BARS,
        "entries": orders((0, 1), (1, 1)),
        "keys": KEYS,
        "states": {path: PathState(10_000.0) for path in PATHS},
        "rules": ExitRules(),
        "costs": FREE,
        "until": T0 + 24 * HOUR,
        "max_positions": 5,
        "scale": {"pessimistic": 0.5},
    }
    return TradingDay(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(clients, "__path__", [*clients.__path__, str(tmp_path)])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(f"{clients.__name__}.") and "simulated" not in name]:
        del sys.modules[name]


def test_the_simulated_destination_gives_what_the_engine_gives_with_the_sizes_of_each_path() -> None:
    answer = execution_client().run_day(day())
    for path in PATHS:
        direct = simulate(
            BARS,
            orders((0, 1), (1, 1), usd=500.0 if path == "pessimistic" else 1000.0),
            ExitRules(),
            FREE,
            5,
            cash=10_000.0,
            keys=KEYS,
            until=T0 + 24 * HOUR,
            paths=(path,),
        ).paths[path]
        assert answer[path].state == direct.state
        assert np.array_equal(answer[path].trades["net_pnl"], direct.trades["net_pnl"])
        assert len(answer[path].trades["key"]) == 1


def test_an_order_is_named_by_its_candidate_its_leg_and_its_attempt_and_by_nothing_else() -> None:
    (first, second) = day().orders("pessimistic")
    assert (first.id, first.instrument, first.notional_usd) == (f"{KEYS[0]}-entry", "A", 500.0)
    assert (first.decided_at, first.valid_until) == (T0 + HOUR, T0 + 2 * HOUR)
    assert candidate_of(second.id) == candidate_of(order_id(KEYS[1], "exit", attempt=2)) == KEYS[1]
    assert [order.id for order in day().orders(BASE)] == [first.id, second.id]


def test_a_destination_in_a_folder_is_found_by_its_name(folder: Path) -> None:
    (folder / "exits_only.py").write_text(example("Adding an order destination"))
    client = execution_client("exits_only")
    assert isinstance(client, ExecutionClient)
    held = execution_client().run_day(day(bars=market({"A": hours(0, 4), "B": hours(0, 4)}), until=T0 + 4 * HOUR))
    ended = client.run_day(
        day(
            states={path: held[path].state for path in PATHS},
            bars=market({"B": [(4, *QUIET)]}),
            entries=orders((0, 4)),
            keys=KEYS[:1],
            until=T0 + 60 * HOUR,
        )
    )
    for path in PATHS:
        assert (len(ended[path].fills["key"]), len(ended[path].state.positions)) == (0, 0)
        assert set(ended[path].trades["key"]) == set(KEYS)


def test_a_destination_that_sends_orders_offers_all_of_the_port(folder: Path) -> None:
    sender = example("Adding an order destination").replace("exits_only", "sender").replace("= False", "= True")
    (folder / "sender.py").write_text(sender)
    with pytest.raises(SettingsError, match="'sender' sends orders, so it must have submit"):
        execution_client("sender")
    methods = "".join(
        f"\n    def {name}(self, argument):\n        return None\n" for name in ("submit", "cancel", "reconcile")
    )
    (folder / "sender.py").write_text(sender.replace("\n\nCLIENT", f"{methods}\n\nCLIENT"))
    del sys.modules[f"{clients.__name__}.sender"]
    assert isinstance(execution_client("sender"), OrderSender)


def test_an_unknown_destination_is_refused_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match="'krakn' does not exist; there are simulated"):
        execution_client("krakn")
