"""The registry of profit buckets: the cells of similar decisions that a trade lies in, won or lost.

The cells follow from the SimHash of the trade's soulprint and its strategy (`throughline.signals.simhash.band_keys`).
An entry also says how far the price went while the trade was open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from throughline.catalogue import Column, RecordKind, StageSpec, TableIndex
from throughline.errors import InvalidTrade
from throughline.given_values import agrees, number
from throughline.identity import decimal_text, hash_body, parse_time, time_to_ms
from throughline.registries import Body, ClosedTrade, Fields, Problem, QuickEntry, Registry
from throughline.registries._given import require_agreement, require_fields

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from throughline.market.panel import MarketPanel
    from throughline.tracking.day_records import Execution, Outcome

SCHEMA = "profit_bucket/1"
"""Version of what an entry says and of the cells that it lies in."""
HOUR_MS = 3_600_000
_EXCURSIONS = ("max_favorable_percent", "max_adverse_percent")

RECORD = RecordKind(
    table="profit_buckets",
    kind="profit_bucket_entry",
    asset="profit_buckets",
    event_time="closed_at",
    parent="canonical",
    natural_key=("schema",),
    links={"canonical": "canonical_trades"},
    computed_from=("soulprints",),
    columns=(
        Column("canonical_uuid", "uuid", "canonical.uuid"),
        Column("canonical_hash", "text", "canonical.hash"),
        Column("pattern"),
        Column("buckets", "texts"),
        Column("closed_at", "instant"),
        Column("max_favorable_percent", "number", nullable=True),
        Column("max_adverse_percent", "number", nullable=True),
    ),
    versions={
        1: "buckets canonical closed_at exits experiment max_adverse_percent max_favorable_percent partition "
        "pattern schema soulprint",
    },
    indexes=(TableIndex(("buckets",), method="gin"), TableIndex(("canonical_uuid",), unique=True)),
)

STAGE = StageSpec(
    asset="profit_buckets",
    group="registry",
    description="The cells of similar decisions that each of the day's trades lies in, wins and losses alike.",
    run="throughline.flow.registry:seal_entries",
    shared=True,
    upstream=("canonical_trades",),
    written_by="canonical_trades",
    gate="hard",
)


@dataclass(frozen=True, slots=True)
class Excursion:
    """How far the price went while the trade was open, in percent of the entry price, as canonical decimals.

    Args:
        max_favorable_percent: the best price, in the trade's favour; None = unknown.
        max_adverse_percent: the worst price; None = unknown.
        hours_to_best: from the fill to the best price; None = unknown.
    """

    max_favorable_percent: str | None = None
    max_adverse_percent: str | None = None
    hours_to_best: str | None = None


def excursion(panel: MarketPanel | None, execution: Execution, outcome: Outcome) -> Excursion:
    """Return how far the price went between the fill and the exit.

    Over highs and lows of the bars from the fill bar up to the bar before the exit's, and the exit price itself: what
    the exit bar did after the exit is not the trade's.

    Args:
        panel: holds the bars of the trade; None where no bars are known.
        execution: of the trade.
        outcome: of the execution.
    """
    import numpy as np

    if panel is None or execution.fill_bar_open is None or outcome.exit_bar_open is None:
        return Excursion()
    column = panel.instruments.index(execution.instrument)
    opened, closed = (time_to_ms(parse_time(text)) for text in (execution.fill_bar_open, outcome.exit_bar_open))
    rows = slice(int(np.searchsorted(panel.open_time, opened)), int(np.searchsorted(panel.open_time, closed)))
    price, left = execution.entry_price, outcome.exit_price
    high, low = panel.high[rows, column], panel.low[rows, column]
    best, worst = float(np.fmax.reduce(high, initial=left)), float(np.fmin.reduce(low, initial=left))
    filled, exited = (time_to_ms(parse_time(text)) for text in (execution.fill_time, outcome.exit_time))
    at = np.flatnonzero(high == best)
    reached = int(panel.open_time[rows][at[0]]) + panel.interval_ms if len(at) and best > left else exited
    return Excursion(
        max_favorable_percent=percent_text(100 * (best / price - 1)),
        max_adverse_percent=percent_text(100 * (worst / price - 1)),
        hours_to_best=percent_text(max(0, reached - filled) / HOUR_MS),
    )


def percent_text(value: float) -> str:
    """Return a percentage as it stands in records: six decimals, half even."""
    return decimal_text(round(value, 6) + 0.0)


def pattern_hash(soulprint: str, buckets: Sequence[str], exits: Body) -> str:
    """Return the identity of an entry: over its soulprint's hash, its cells and its exit."""
    body = {"buckets": list(buckets), "exits": dict(exits), "schema": SCHEMA, "soulprint": soulprint}
    return hash_body("profit_bucket_pattern", body)


def cells(simhash: str | None, strategy: str) -> list[str]:
    """Return the cells of a SimHash (hex, None = unknown) for the trades of a strategy, in order."""
    from throughline.signals.simhash import band_keys

    return sorted(band_keys(None if simhash is None else int(simhash, 16), strategy))


class ProfitBuckets(Registry):
    """The registry of profit buckets; its facts of a trade are an `Excursion`."""

    record = RECORD
    identity = "pattern"

    def given(self, data: Mapping[str, Any], trade: Body) -> Excursion:
        """Read max_favorable_percent, max_adverse_percent (of the entry price) and hours_to_best.

        entry_price, exit_price, profit_pct, strategy_id and confidence repeat the trade; they must agree with it.
        """
        repeated = ("confidence", "entry_price", "exit_price", "profit_pct", "strategy_id")
        require_fields(self.name, data, (*repeated, "hours_to_best", *_EXCURSIONS))
        require_agreement(self.name, data, trade)
        for name in ("entry_price", "exit_price"):
            if data.get(name) is not None and number(f"profit_buckets.{name}", data[name]) != Decimal(trade[name]):
                raise InvalidTrade(f"profit_buckets.{name} is {data[name]}, the trade says {trade[name]}")
        entry, leave = Decimal(trade["entry_price"]), Decimal(trade["exit_price"])
        move = (leave / entry - 1) * 100 * (1 if trade["action"] == "buy" else -1)
        profit = trade["profit_percentage"]
        if data.get("profit_pct") is not None:
            percent = number("profit_buckets.profit_pct", data["profit_pct"])
            if not any(agrees(percent, value, abs(move) + 100) for value in (move, Decimal(profit))):
                raise InvalidTrade(f"profit_buckets.profit_pct is {percent}, the trade made {profit} %")
        best, worst, hours = (
            None if data.get(name) is None else number(f"profit_buckets.{name}", data[name])
            for name in (*_EXCURSIONS, "hours_to_best")
        )
        for name, value, ordered in (
            ("max_favorable_percent", best, best is None or best >= move or agrees(best, move, abs(move) + 100)),
            ("max_adverse_percent", worst, worst is None or worst <= move or agrees(worst, move, abs(move) + 100)),
        ):
            if not ordered:
                raise InvalidTrade(
                    f"profit_buckets.{name} is {value}, but the exit itself lies {decimal_text(move)} % from the entry"
                )
        duration = parse_time(trade["closed_at"]) - parse_time(trade["opened_at"])
        if hours is not None and not 0 <= float(hours) * 3600 <= duration.total_seconds() + 1e-6:
            raise InvalidTrade(f"profit_buckets.hours_to_best is {hours}, but the trade was open for {duration}")
        return Excursion(*(None if value is None else decimal_text(value) for value in (best, worst, hours)))

    def observed(self, closed: ClosedTrade) -> Excursion:
        """Return the excursion over the bars of the trade."""
        from throughline.tracking.day_records import Execution, Outcome

        return excursion(closed.panel, Execution.of(closed.execution), Outcome.of(closed.outcome))

    def entry(self, facts: Excursion, trade: Body, others: Mapping[str, Body]) -> dict[str, Any]:
        """Return cells, exit and identity."""
        soulprint = others["soulprints"]
        exits = {
            "hours_to_best": facts.hours_to_best,
            "max_adverse_percent": facts.max_adverse_percent,
            "max_favorable_percent": facts.max_favorable_percent,
            "reason": trade["termination_reason"],
        }
        buckets = cells(soulprint["simhash"], trade["strategy_id"])
        return {
            "buckets": buckets,
            "closed_at": trade["closed_at"],
            "exits": exits,
            "max_adverse_percent": facts.max_adverse_percent,
            "max_favorable_percent": facts.max_favorable_percent,
            "pattern": pattern_hash(soulprint["soulprint"], buckets, exits),
            "schema": SCHEMA,
            "soulprint": soulprint["soulprint"],
        }

    def own_problems(self, entry: Body) -> Iterator[Problem]:
        """The pattern follows from soulprint, cells and exit; the excursions are those of the exit."""
        exits = entry["exits"]
        pattern = pattern_hash(entry["soulprint"], entry["buckets"], exits)
        if pattern != entry["pattern"]:
            sentence = "its buckets and exits hash to another pattern than it says"
            yield Problem("hash_mismatch", sentence, pattern, entry["pattern"])
        if entry["schema"] != SCHEMA:
            yield Problem("hash_mismatch", "its schema is unknown", SCHEMA, entry["schema"])
        for name in _EXCURSIONS:
            if entry[name] != exits[name]:
                sentence = f"{name} stands twice and differs"
                yield Problem("hash_mismatch", sentence, exits[name], entry[name])

    def problems(self, entry: Body, trade: Body, others: Mapping[str, Body]) -> Iterator[Problem]:
        """Its exit is the trade's, its soulprint and its cells are those of the trade's soulprint."""
        soulprint = others.get("soulprints")
        pairs = [
            ("closed_at", trade["closed_at"], entry["closed_at"]),
            ("exits.reason", trade["termination_reason"], entry["exits"]["reason"]),
        ]
        if soulprint is not None:
            pairs.append(("soulprint", soulprint["soulprint"], entry["soulprint"]))
        for name, expected, actual in pairs:
            if expected != actual:
                yield Problem("inconsistent", f"{name} is {actual}, its trade gives {expected}", expected, actual)
        if soulprint is not None:
            expected = cells(soulprint["simhash"], trade["strategy_id"])
            if expected != entry["buckets"]:
                sentence = "its buckets do not follow from the SimHash of its soulprint"
                yield Problem("hash_mismatch", sentence, expected, entry["buckets"])

    def frame(self, bodies: Sequence[Body]) -> dict[str, list[Any]]:
        """Return the number of cells and both excursions in percent (NaN = unknown)."""

        def percent(text: str | None) -> float:
            return float("nan") if text is None else float(text)

        columns: dict[str, list[Any]] = {name: [percent(body[name]) for body in bodies] for name in _EXCURSIONS}
        return {"buckets": [len(body["buckets"]) for body in bodies], **columns}

    def statistics(self, connection: Connection, experiment: str, entries: str) -> dict[str, Any]:
        """Return `buckets`: occupied cells, links of trades with cells, and trades in the largest and the mean cell."""
        from sqlalchemy import text

        statement = (
            "SELECT count(*) AS occupied, coalesce(sum(n), 0) AS links, coalesce(max(n), 0) AS largest, avg(n) AS mean "
            f"FROM (SELECT count(*) AS n FROM ({entries}) AS e, unnest(e.buckets) AS bucket GROUP BY bucket) AS cells"
        )
        row = connection.execute(text(statement), {"experiment": experiment}).one()
        mean = None if row.mean is None else float(row.mean)
        counts = {name: int(getattr(row, name)) for name in ("occupied", "links", "largest")}
        return {"buckets": {**counts, "mean": mean}}

    @property
    def compared(self) -> tuple[str, ...]:
        """The soulprint and the exit."""
        return ("soulprint", "exits.hours_to_best", *(f"exits.{name}" for name in sorted(_EXCURSIONS)), "exits.reason")

    def certain(self, entries: Sequence[QuickEntry]) -> Mapping[str, None]:
        """Return the UUIDs of the entries whose pattern and excursions certainly follow."""
        from throughline.registries._bucket_cells import pattern_holds

        return {entry.uuid: None for entry in entries if entry.fields is not None and pattern_holds(entry.fields)}

    def fits(self, entry: Fields, trade: Fields, others: Mapping[str, tuple[Fields, Any]]) -> bool:
        """Compare exit, soulprint and cells."""
        from throughline.registries._bucket_cells import entry_fits

        soulprint, simhash = others["soulprints"]
        return entry_fits(entry, trade, soulprint, simhash)


REGISTRY = ProfitBuckets()
