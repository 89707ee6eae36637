"""A slow engine that is meant to be obviously correct: one step per bar time, plain dictionaries, no arrays.

Written from docs/architecture.md, Fills. It shares no code with `throughline.trading`; tests compare the two. It walks
time, not positions: at each instant exits at the open, then entries, then exits inside the bar. Only the order of
arithmetic is the same, so that the results can be compared bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from throughline.exits.rules import roi_table, trailing_stop
from throughline.trading import Bars, Costs, Entries, ExitRules

MULTIPLIER = {"pessimistic": 2.0, "base": 1.0, "optimistic": 0.0}


def grid(value: float) -> float:
    """18 decimals, as the ledger stores them."""
    return round(value * 1e18) / 1e18 if abs(value) < 2.0**-7 else value


def net(sale: tuple[float, float, float]) -> float:
    """What a sale brings after its fee and attrition."""
    return sale[0] - sale[1] - sale[2]


@dataclass
class Bar:
    opens: int
    open: float
    high: float
    low: float
    close: float
    volume: float | None
    liquidity: float | None
    volatility: float | None
    reserve: float | None
    rug: bool
    segment: int


@dataclass
class Reading:
    """A hypothetical twin of a position: what it still holds, and how much better it did than what was booked."""

    left: float
    gain: float = 0.0


@dataclass(eq=False)
class OpenPosition:
    entry: int
    instrument: int
    segment: int
    entry_time: int
    entry_bar: int
    raw: float
    price: float
    quantity: float
    notional: float
    fee: float
    costs: float
    left: float
    last_close: int
    last_price: float
    traded: tuple[int, float]
    """Close (time, price) of the last bar in which somebody could trade."""
    readings: list[Reading]
    spread: float = 0.0
    impact: float = 0.0
    partial: bool = False
    reason: str | None = None
    sold: float = 0.0
    value: float = 0.0
    fees: float = 0.0
    attrition: float = 0.0
    ambiguous: bool = False
    exit_time: int = 0
    exit_bar: int | None = None
    highest: float = 0.0
    """The highest price of the bars since the entry, for a trailing stop."""
    flags: set[str] = field(default_factory=set)


class Reference:
    """One path of one simulation."""

    def __init__(
        self,
        bars: Bars,
        entries: Entries,
        rules: ExitRules,
        costs: Costs,
        max_positions: int | None,
        path: str,
        cash: float | None = None,
        overlap: bool = False,
        until: int | None = None,
        minimum: float = 0.0,
        target_first: bool | None = None,
    ) -> None:
        self.minimum = minimum
        self.target_first = path == "optimistic" if target_first is None else target_first
        self.rules, self.costs, self.path, self.slots = rules, costs, path, max_positions
        self.interval, self.close_only, self.overlap = bars.interval_ms, bars.close_only, overlap
        self.names, self.segmented = bars.instruments, bars.segment is not None
        self.bars = [self._bars_of(bars, k) for k in range(len(self.names))]
        ends = [max(b) + self.interval for b in self.bars if b]
        self.until = until if until is not None else max(ends, default=-(2**62))
        self.bars = [{t: bar for t, bar in b.items() if t < self.until} for b in self.bars]
        self.entries = entries
        self.cash = math.inf if cash is None else cash
        self.open: list[OpenPosition] = []
        self.taken: list[OpenPosition] = []
        self.trades: list[OpenPosition] = []
        self.disposition = ["expired"] * len(entries.decision_time)

    @staticmethod
    def _bars_of(bars: Bars, k: int) -> dict[int, Bar]:
        def value(column: Any, row: int) -> float | None:
            return None if column is None or math.isnan(column[row]) else float(column[row])

        return {
            int(bars.open_time[r]): Bar(
                int(bars.open_time[r]),
                float(bars.open[r]),
                float(bars.high[r]),
                float(bars.low[r]),
                float(bars.close[r]),
                value(bars.volume, r),
                value(bars.liquidity, r),
                value(bars.volatility, r),
                value(bars.reserve, r),
                bars.rug is not None and bool(bars.rug[r]),
                0 if bars.segment is None else int(bars.segment[r]),
            )
            for r in range(int(bars.starts[k]), int(bars.starts[k + 1]))
        }

    def run(self) -> Reference:
        orders = self._orders()
        for now in sorted({t for b in self.bars for t in b}):
            self._halts_before(now)
            at_start = list(self.open)
            closed = [p for p in at_start if self._halted_by(p, now)]
            for p in at_start:
                bar = self.bars[p.instrument].get(now)
                if p not in closed and bar is not None and self._open_of(p, bar):
                    closed.append(p)
            newcomers = self._serve(orders.get(now, []), now, len(at_start))
            for p in at_start + newcomers:
                bar = self.bars[p.instrument].get(now)
                if p in closed or bar is None:
                    continue
                if not self.close_only and self._inside(p, bar):
                    closed.append(p)
                    continue
                p.last_close = now + self.interval
                if bar.volume != 0.0:
                    p.traded = (p.last_close, grid(bar.close))
                if bar.volume != 0.0 and p.reason is None and (bar.opens > p.entry_bar or not self.close_only):
                    p.highest = grid(max(p.highest, bar.high))
                if bar.volume != 0.0 or not self._doubted_quote(p, bar):
                    p.last_price = grid(bar.close)
            self._settle(closed)
        self._halts_before(self.until)
        return self

    def _orders(self) -> dict[int, list[int]]:
        """Entries by the open of their fill bar, in order of service."""
        orders: dict[int, list[int]] = {}
        e = self.entries
        for i in range(len(e.decision_time)):
            instant, bars = int(e.decision_time[i]), self.bars[int(e.instrument[i])]
            if instant >= self.until:
                self.disposition[i] = "waiting"
                continue
            if self.rules.contiguous:
                fill = instant if instant in bars else None
            else:
                fill = min((t for t in bars if t >= instant), default=None)
                if fill is None:
                    self.disposition[i] = "waiting"
            if fill is None or bars[fill].volume == 0.0 or bars[fill].reserve == 0.0:
                continue
            if self.segmented and e.segment is not None and bars[fill].segment != int(e.segment[i]):
                continue
            orders.setdefault(fill, []).append(i)
        for at in orders.values():
            at.sort(key=lambda i: (-e.score[i], self.names[e.instrument[i]].encode(), e.decision_time[i], i))
        return orders

    # exits -----------------------------------------------------------------------------------------------------------

    def _halts_before(self, now: int) -> None:
        gone = [p for p in self.open if p.last_close + self.rules.halt_ms < now]
        gone.sort(key=lambda p: p.last_close)
        for instant in sorted({p.last_close + self.rules.halt_ms for p in gone}):
            group = [p for p in gone if p.last_close + self.rules.halt_ms == instant]
            for p in group:
                self._halt(p, instant)
            self._settle(group)

    def _halted_by(self, p: OpenPosition, now: int) -> bool:
        limit = p.last_close + self.rules.halt_ms
        bar = self.bars[p.instrument].get(now)
        if limit != now:
            return False
        known = math.inf if bar is None or self.close_only else bar.open
        self._halt(p, limit, known)
        return True

    def _halt(self, p: OpenPosition, instant: int, known: float = math.inf) -> None:
        share = {"pessimistic": 0.0, "base": self.costs.halted_recovery, "optimistic": 1.0}[self.path]
        raw = min(min(p.last_price, p.traded[1]) * share, known)
        if p.left == p.quantity:
            p.reason = "halted"
        else:
            p.flags.add("remainder_halted")
        age = instant - p.entry_time

        def proceeds(quantity: float) -> tuple[float, float, float]:
            value = quantity * raw
            fee = value * self.costs.fee
            return value, fee, (value - fee) * self._lost(age)

        booked = proceeds(p.left)
        for reading in p.readings:
            reading.gain = grid(reading.gain + (net(proceeds(reading.left)) - net(booked)))
            reading.left = 0.0
        self._book(p, p.left, raw, *booked)
        p.exit_time = p.exit_bar = instant

    def _barriers(self, p: OpenPosition, now: int) -> tuple[tuple[float, str], tuple[float, str]]:
        """The stop and the target, each with its reason, of a bar whose first price falls at `now`."""
        stop, target = (p.raw * (1.0 - self.rules.stop_loss), "stop_loss"), self._fixed_target(p)
        for rule in self.rules.others:
            if isinstance(rule, trailing_stop.Settings):
                if p.highest >= p.raw * (1.0 + rule.activation) and p.highest * (1.0 - rule.percent) > stop[0]:
                    stop = (p.highest * (1.0 - rule.percent), "trailing_stop")
            elif isinstance(rule, roi_table.Settings):
                reached = [gain for hours, gain in rule.steps if now >= p.entry_time + hours * 3_600_000]
                if reached and p.raw * (1.0 + reached[-1]) < target[0]:
                    target = (p.raw * (1.0 + reached[-1]), "roi_table")
            else:
                raise NotImplementedError(rule)
        return stop, target

    def _fixed_target(self, p: OpenPosition) -> tuple[float, str]:
        return p.raw * (1.0 + self.rules.take_profit), "profit_target"

    def _doubted_quote(self, p: OpenPosition, bar: Bar) -> bool:
        """A quote at which nobody could trade, far above the last price or of another segment: the worth stays."""
        factor = self.rules.doubtful_jump or (1.8 if self.close_only else 1.4)
        least, quote, last = factor * (1.0 - 1e-3), grid(bar.close), p.traded[1]
        return self.rules.contiguous and quote > last and (bar.segment != p.segment or quote >= last * least)

    def _open_of(self, p: OpenPosition, bar: Bar) -> bool:
        """What happens at the open of a bar (close-only: at its close) to a position entered before it."""
        price, when = (bar.close, bar.opens + self.interval) if self.close_only else (bar.open, bar.opens)
        (stop, stop_reason), (target, target_reason) = self._barriers(p, when)
        stood, (traded_close, last) = price, p.traded
        other_segment = bar.segment != p.segment
        gap = bar.opens > traded_close and (self.rules.contiguous or other_segment)
        factor = self.rules.doubtful_jump or (1.8 if self.close_only else 1.4)
        least = factor * (1.0 - 1e-3) if self.rules.contiguous else math.inf
        jump = price >= last * least or price * least <= last
        doubtful = (jump or other_segment) and bar.volume != 0.0
        if p.reason is None:
            if when >= p.entry_time + self.rules.max_hold_ms:
                p.reason = "time_limit"
            elif bar.rug:
                p.reason = "emergency_exit"
            elif price <= stop:
                p.reason = stop_reason
            elif price >= target:
                p.reason = target_reason
            elif doubtful:
                p.reason = "halted"  # it ends here, since what is quoted from now on may be another thing
            else:
                return False
            if self.path == "pessimistic":
                price = min(price, target)
        drained = bar.reserve == 0.0
        if gap and grid(stood) != last and not drained:
            p.flags.add("gap")
        if not (gap or doubtful):
            return self._sell(p, bar, price, when, (price, price), stood)
        price = min(stood, target)
        if doubtful:
            if not drained:
                p.flags.add("doubtful_jump")
            price = min(price, last if self.path == "pessimistic" else last * factor)
        best = max(stood, last) if doubtful else stood
        return self._sell(p, bar, price, when, (min(price, last), best), stood, whole=doubtful)

    def _inside(self, p: OpenPosition, bar: Bar) -> bool:
        if p.reason is not None:
            return False
        (stop, stop_reason), (target, target_reason) = self._barriers(p, bar.opens)
        if bar.opens == p.entry_bar:
            stop = min(stop, bar.open)
        touched = [name for name, hit in (("stop", bar.low <= stop), ("target", bar.high >= target)) if hit]
        if not touched:
            return False
        first = touched[-1] if self.target_first else touched[0]
        price = stop if first == "stop" else target
        p.reason = stop_reason if first == "stop" else target_reason
        bounds = (price, price)
        if len(touched) == 2:
            p.ambiguous, bounds = True, (stop, target)
        return self._sell(p, bar, price, bar.opens + self.interval, bounds, bar.close)

    def _sell(
        self,
        p: OpenPosition,
        bar: Bar,
        raw: float,
        when: int,
        bounds: tuple[float, float],
        mark: float,
        whole: bool = False,
    ) -> bool:
        p.exit_time, p.exit_bar = when, bar.opens
        if bar.reserve == 0.0:
            if p.left == p.quantity:
                p.reason = "rug_pull"
            else:
                p.flags.add("remainder_lost")
            p.left = 0.0
            return True
        if bar.volume == 0.0 and not whole:
            p.flags.add("no_volume")
            return False
        limit = math.inf
        if bar.volume is not None and self.rules.max_participation is not None and not whole:
            limit = self.rules.max_participation * bar.volume

        def allowed(quantity: float, price: float) -> float:
            return min(quantity, grid(limit / price)) if quantity * price > limit else quantity

        quantity = allowed(p.left, raw)
        booked = self._sale(p, bar, quantity, raw, when)
        ends = grid(p.left - quantity) <= 0.0
        for reading, price in zip(p.readings, bounds, strict=True):
            part = allowed(reading.left, price)
            worth = net(self._sale(p, bar, part, price, when))
            reading.left = grid(reading.left - part)
            if ends and reading.left > 0.0:
                worth += net(self._sale(p, bar, reading.left, mark, when))
                reading.left = 0.0
            reading.gain = grid(reading.gain + (worth - net(booked)))
        self._book(p, quantity, raw, *booked)
        if p.left > 0.0:
            p.flags.add("partial_exit")
            return False
        return True

    def _sale(self, p: OpenPosition, bar: Bar, quantity: float, raw: float, when: int) -> tuple[float, float, float]:
        share = MULTIPLIER[self.path] * (self.costs.half_spread + self._impact(bar, quantity * raw, True))
        value = quantity * (raw * (1.0 - min(1.0, share)))
        fee = value * self.costs.fee
        return value, fee, (value - fee) * self._lost(when - p.entry_time)

    def _lost(self, age: int) -> float:
        rate = 0.0 if self.path == "optimistic" else self.costs.attrition_48h
        return min(1.0, rate * (age / 3_600_000.0) / 48.0)

    def _impact(self, bar: Bar, value: float, selling: bool) -> float:
        if bar.reserve is not None:
            return value / (bar.reserve + value) if selling else value / bar.reserve
        traded = bar.liquidity
        if traded == 0.0:
            traded = bar.volume
        if self.close_only or not traded or bar.volatility is None:
            return self.costs.impact_floor
        law = self.costs.impact_coefficient * bar.volatility * math.sqrt(value / traded)
        return max(self.costs.impact_floor, law)

    @staticmethod
    def _book(p: OpenPosition, quantity: float, raw: float, value: float, fee: float, attrition: float) -> None:
        p.sold, p.value = grid(p.sold + quantity * raw), grid(p.value + value)
        p.fees, p.attrition = grid(p.fees + fee), grid(p.attrition + attrition)
        p.left = grid(p.left - quantity)

    def _settle(self, closed: list[OpenPosition]) -> None:
        for p in sorted(closed, key=lambda p: self.names[p.instrument].encode()):
            if not self.overlap:
                self.cash = grid(self.cash + (p.value - p.fees - p.attrition))
        self.open = [p for p in self.open if p not in closed]
        order = {id(p): n for n, p in enumerate(self.taken)}
        self.trades += sorted(closed, key=lambda p: order[id(p)])

    # entries ---------------------------------------------------------------------------------------------------------

    def _serve(self, ordered: list[int], now: int, occupied: int) -> list[OpenPosition]:
        newcomers: list[OpenPosition] = []
        for i in ordered:
            k = int(self.entries.instrument[i])
            if not self.overlap:
                if any(p.instrument == k for p in self.open):  # those that closed at this open are still in the list
                    self.disposition[i] = "already_held"
                    continue
                if self.slots is not None and occupied + len(newcomers) >= self.slots:
                    self.disposition[i] = "no_slot"
                    continue
            p = self._enter(i, k, self.bars[k][now])
            if isinstance(p, str):
                self.disposition[i] = p
                continue
            self.disposition[i] = "taken"
            self.open.append(p)
            self.taken.append(p)
            newcomers.append(p)
        return newcomers

    def _enter(self, i: int, k: int, bar: Bar) -> OpenPosition | str:
        notional, flags = grid(float(self.entries.notional[i])), set()
        if bar.volume is not None and self.rules.max_participation is not None:
            limit = self.rules.max_participation * bar.volume
            if notional > limit:
                notional = grid(limit)
                flags.add("partial_entry")
        fee_rate = self.costs.fee
        if notional < self.minimum:
            return "below_minimum"
        if not self.overlap and notional + notional * fee_rate > self.cash:
            affordable = self.cash / (1.0 + fee_rate)
            while affordable + affordable * fee_rate > self.cash:
                affordable -= affordable * 2.3e-16
            if affordable < max(self.minimum, 1.0):
                return "no_cash"
            notional = affordable
            flags.add("cash_cut")
        raw = grid(bar.close if self.close_only else bar.open)
        spread = MULTIPLIER[self.path] * self.costs.half_spread
        impact = MULTIPLIER[self.path] * self._impact(bar, notional, False)
        price = grid(raw * (1.0 + (spread + impact)))
        quantity = grid(notional / price)
        fee = grid(notional * fee_rate)
        if not self.overlap:
            self.cash = grid(max(0.0, self.cash - (notional + fee)))
        p = OpenPosition(
            entry=i,
            instrument=k,
            segment=bar.segment,
            entry_time=bar.opens + self.interval if self.close_only else bar.opens,
            entry_bar=bar.opens,
            raw=raw,
            price=price,
            quantity=quantity,
            notional=notional,
            fee=fee,
            costs=grid(quantity * raw * spread + quantity * raw * impact),
            left=quantity,
            last_close=bar.opens + self.interval,
            last_price=grid(bar.close),
            traded=(bar.opens + self.interval, grid(bar.close)),
            readings=[Reading(quantity), Reading(quantity)],
            spread=quantity * raw * spread,
            impact=quantity * raw * impact,
            partial=bool(flags),
            highest=raw,
        )
        p.flags |= flags
        return p
