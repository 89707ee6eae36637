"""A dossier made by hand for unit tests: one closed trade with every part, each changeable by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from throughline.configuration import ExitSettings
from throughline.dossier.log import LogCheck, LogPlace
from throughline.dossier.parts import (
    PathEnd,
    chain_of,
    costs,
    knowledge,
    raw_exit_price,
    timeline,
)
from throughline.dossier.prices import BarsDay, PriceBar, PricePath, barriers
from throughline.dossier.read import Dossier
from throughline.dossier.similar import SimilarTrade, SimilarTrades
from throughline.dossier.soulprint import soulprint
from throughline.dossier.stored import ArtifactCheck, Registration
from throughline.dossier.story import SealCheck, Step, Story
from throughline.identity import parse_time, time_text

DECIDED = "2021-01-01T03:00:00.000000Z"
CLOSED = "2021-01-01T09:00:00.000000Z"
EXPERIMENT = "e" * 64
NAMES = ("candidates", "research_docs", "dispositions", "executions", "outcomes", "canonical_trades")


def uuid_of(table: str) -> str:
    return f"00000000-0000-8000-8000-{NAMES.index(table):012d}"


def bodies(instrument: str = "AAA/USDT") -> dict[str, dict[str, Any]]:
    """Return the bodies of a closed trade by table."""
    shared = {"experiment": EXPERIMENT, "partition": "2021-01-01", "schema_version": 1}
    return {
        "candidates": shared
        | {
            "arm": "champion",
            "confidence": "0.35",
            "decision_time": DECIDED,
            "features": {"momentum": "0.2", "rug_risk": None},
            "instrument": instrument,
            "missing": [],
            "model_version": "rule",
            "opportunity_score": "0.4",
            "segment": f"{instrument}@20201201T000000Z",
            "side": "buy",
            "strategy": "high_volatility_low_cap",
            "verdicts": {"rug_risk": "missing_admitted"},
        },
        "research_docs": shared
        | {
            "decision_time": DECIDED,
            "inputs": [
                {
                    "artifact": "a" * 64,
                    "availability": "assumed",
                    "available_at": DECIDED,
                    "event_time": "2021-01-01T02:00:00.000000Z",
                    "name": "close",
                    "source": "somewhere",
                    "value": "100",
                }
            ],
            "missing": ["sentiment"],
            "trade_rationale": "It rose.",
        },
        "dispositions": shared | {"decision_time": DECIDED, "disposition": "taken", "reason": "entered"},
        "executions": shared
        | {
            "entry_price": "100.2",
            "fee_usd": "1",
            "fill_bar_open": DECIDED,
            "fill_time": DECIDED,
            "impact_cost_usd": "1.5",
            "notional_usd": "1002",
            "quantity": "10",
            "raw_price": "100",
            "spread_cost_usd": "0.5",
        },
        "outcomes": shared
        | {
            "attrition_usd": "2",
            "costs_usd": "5",
            "exit_price": "129.7",
            "exit_bar_open": "2021-01-01T08:00:00.000000Z",
            "exit_time": CLOSED,
            "fees_usd": "2.5",
            "flags": [],
            "ambiguous": False,
            "gross_pnl_usd": "300",
            "pnl_high_usd": "290.5",
            "pnl_low_usd": "290.5",
            "realized_pnl_percent": "28.99",
            "realized_pnl_usd": "290.5",
            "termination_reason": "profit_target",
            "time_in_market_seconds": 21600,
        },
        "canonical_trades": shared
        | {
            "action": "buy",
            "closed_at": CLOSED,
            "entry_price": "100.2",
            "exit_price": "129.7",
            "fees_usd": "2.5",
            "opened_at": DECIDED,
            "profit_percentage": "28.99",
            "profit_usd": "290.5",
            "specialized_hashes": {"profit_buckets": "b" * 64, "soulprints": "c" * 64},
            "symbol": instrument,
            "termination_reason": "profit_target",
        },
    }


def step(table: str, body: Mapping[str, Any], **changes: Any) -> Step:
    """Return a record that holds."""
    told = Step(
        table=table,
        uuid=uuid_of(table) if table in NAMES else str(UUID(int=9)),
        experiment=EXPERIMENT,
        partition="2021-01-01",
        content_hash="1" * 64,
        body=dict(body),
        run_id=None,
        supersedes=None,
        problems=(),
        recomputed="1" * 64,
        recorded_at="2022-01-01T00:00:00.000000Z",
        seal=SealCheck(table, "2021-01-01", "2" * 64, "2" * 64),
    )
    return replace(told, **changes)


def story(steps: Mapping[str, Mapping[str, Any]] | None = None, mode: str = "backtest") -> Story:
    """Return the story of the given bodies, by default those of `bodies`."""
    told = bodies() if steps is None else steps
    return Story(
        asked=uuid_of("candidates"),
        found_in="candidates",
        experiment=EXPERIMENT,
        mode=mode,
        candidate=uuid_of("candidates"),
        data={},
        steps=tuple(step(table, body) for table, body in told.items()),
    )


def bars(count: int = 24, close_only: bool = False) -> tuple[PriceBar, ...]:
    """Return hourly bars from midnight of the decision's day on, rising by one each."""
    first = parse_time("2021-01-01T00:00:00.000000Z")
    result = []
    for k in range(count):
        price = 95 + k
        told = (None, None, None) if close_only else (str(price), str(price + 2), str(price - 1))
        opened = time_text(first + timedelta(hours=k))
        result.append(PriceBar(opened, *told, close=str(price + 1), volume="10"))
    return tuple(result)


def dossier(told: Story | None = None, instrument: str = "AAA/USDT", close_only: bool = False) -> Dossier:
    """Return a dossier that holds, of `told` or of a closed trade of `instrument`."""
    told = told or story(bodies(instrument))
    chain = chain_of(told)
    known = knowledge(chain)
    limits = barriers(chain.execution.body, ExitSettings()) if chain.execution else None
    day = BarsDay("2021-01-01", False, "d" * 64, "3" * 64, "3" * 64, None, None)
    alike = SimilarTrade("f" * 64, "u", instrument, 0.9, DECIDED, DECIDED, -3.0, -30.0, "stop_loss")
    place = LogPlace("candidates/2021-01-01", 3, 7, True, None)
    return Dossier(
        story=told,
        chain=chain,
        registration=Registration("1" * 64, uuid_of("canonical_trades"), "c" * 64, "b" * 64, None, {}, None),
        timeline=timeline(chain, known, limits.deadline if limits else None),
        prices=PricePath(instrument, 3600, bars(close_only=close_only), (day,), None),
        levels=(),
        barriers=limits,
        exit_price=raw_exit_price(chain),
        knowledge=known,
        costs=costs(chain),
        paths=(PathEnd("base", "closed", CLOSED, "profit_target", "290.5", "28.99", False, "s", "2021-01-01"),),
        paths_why=None,
        states=(),
        soulprint=soulprint(chain),
        similar=SimilarTrades(
            DECIDED, (alike,), 40, None, -3.0, ((0.5, -3.0),), (), False, "few stand behind it", None
        ),
        artifacts=(ArtifactCheck("a" * 64, ("close",), True, None),),
        log=LogCheck((place,), 7, "k" * 16, DECIDED, True, "signed by key k", "anchor", 7, "external", ()),
    )
