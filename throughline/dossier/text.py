"""The parts of a dossier beside the records of its story, as text for a terminal: each a title and its lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from throughline.rendering.formats import amount_usd, percent_points, second, words
from throughline.rendering.table import Table

if TYPE_CHECKING:
    from throughline.dossier.read import Dossier

Part = tuple[str, bool | None, list[str]]
"""Title, whether it holds (None: nothing in it is checked), lines."""
_SHOWN = 5
"""How many similar trades are listed; the page and ``--json`` have them all."""


def parts(dossier: Dossier) -> Iterator[Part]:
    """Yield the parts; of a record that belongs to no single trade only where it stands in the seal log."""
    if dossier.single:
        yield _prices(dossier)
        yield "Costs", None, _costs(dossier)
        yield "Fill models", None, _paths(dossier)
        yield "Signals of the decision", None, _signals(dossier)
        yield "Similar trades", None, _similar(dossier)
        yield "Registry", None, _registry(dossier)
        yield _artifacts(dossier)
    yield _log(dossier)


def _prices(dossier: Dossier) -> Part:
    path, limits = dossier.prices, dossier.barriers
    holds = None if not path.days else all(day.ok is not False for day in path.days)
    lines = [f"none: {path.why}"] if path.why else []
    if path.bars:
        hours = (path.interval_seconds or 0) / 3600
        span = f"{second(path.bars[0].open_time)} to {second(path.bars[-1].open_time)}"
        lines.append(f"{len(path.bars)} bars of {hours:g} h from {span}, of {len(path.days)} sealed days")
    if limits:
        stop = f"stop {float(limits.stop):.8g} ({-limits.stop_loss:+.0%})"
        target = f"target {float(limits.target):.8g} ({limits.take_profit:+.0%})"
        lines.append(
            f"{stop}, {target} of the market price {float(limits.base):.8g}, time limit {second(limits.deadline)}"
        )
    for level in dossier.levels:
        price = level.points[-1][1] if level.points else None
        last = f"{float(price):.8g} at the end" if price else "no level yet"
        lines.append(f"{words(level.rule)}: {level.description}; {last}")
    if dossier.exit_price:
        lines.append(f"market price of the exit, before spread and impact: {float(dossier.exit_price):.8g}")
    for day in path.days:
        if day.expired:
            lines.append(f"bars of {day.day} {day.expired}")
        elif day.problem:
            lines.append(f"BROKEN: bars of {day.day}: {day.problem}")
    return "Prices", holds, lines


def _costs(dossier: Dossier) -> list[str]:
    costs = dossier.costs
    if costs.why:
        return [f"none: {costs.why}"]
    share = "" if costs.net_percent is None else f" ({percent_points(costs.net_percent)})"
    rows = [(line.what, amount_usd(line.usd)) for line in costs.lines]
    net = ("net", amount_usd(costs.net, signed=True) + share)
    return Table(("gross", amount_usd(costs.gross, signed=True)), [*rows, net], left=(0, 1)).lines()


def _paths(dossier: Dossier) -> list[str]:
    if dossier.paths_why:
        return [f"none: {dossier.paths_why}"]
    lines = []
    for end in sorted(dossier.paths, key=lambda item: ("pessimistic", "base", "optimistic").index(item.path)):
        if end.status != "closed" or end.return_percent is None or end.termination_reason is None:
            lines.append(f"{end.path}: {end.status}")
            continue
        why = words(end.termination_reason)
        both = ", both barriers in one bar" if end.ambiguous else ""
        result = f"{amount_usd(end.net_pnl_usd, signed=True)} ({percent_points(end.return_percent)})"
        lines.append(f"{end.path}: {result} by {why} on {second(end.exit_time)}{both}")
    return lines


def _signals(dossier: Dossier) -> list[str]:
    vector = dossier.soulprint
    if vector.why:
        return [f"none: {vector.why}"]
    known = [item for item in vector.components if item.value is not None]
    count = f"{len(known)} of {len(vector.components)} components known"
    lines = [f"{vector.schema} against {vector.reference or 'no reference'}: {count}"]
    cells = [f"{item.name} {item.value}" for item in known]
    lines += [", ".join(cells[start : start + 5]) for start in range(0, len(cells), 5)]
    if vector.missing:
        lines.append(f"without a value: {', '.join(vector.missing)}")
    math = ", ".join(f"{words(name)} {value or 'not known'}" for name, value in vector.math.items())
    return [*lines, math] if math else lines


def _similar(dossier: Dossier) -> list[str]:
    similar = dossier.similar
    if similar.why:
        return [f"none: {similar.why}"]
    lines = [f"as of {second(similar.as_of)}: {len(similar.matches)} of {similar.searched} trades looked alike"]
    if similar.win_rate:
        rate = similar.win_rate
        interval = f"{rate.level:.0%} interval {rate.low:.0%} to {rate.high:.0%}"
        lines.append(f"{rate.wins} of {rate.trades} won, shrunken win rate {rate.rate:.0%} ({interval}; {rate.prior})")
    if not similar.usable and similar.note:
        lines.append(similar.note)
    rows = []
    for item in similar.matches[:_SHOWN]:
        why, net = words(item.termination_reason), percent_points(item.profit_percentage)
        rows.append((item.symbol, f"{item.similarity:.2f}", second(item.closed_at), why, net, item.trade_hash[:16]))
    header = ("symbol", "similarity", "closed", "end", "net", "trade hash")
    lines += Table(header, rows, left=(0, 2, 3, 5)).lines()
    more = len(similar.matches) - _SHOWN
    return [*lines, f"and {more} more"] if more > 0 else lines


def _registry(dossier: Dossier) -> list[str]:
    entry = dossier.registration
    if entry.why:
        return [f"not registered: {entry.why}"]
    lines = [f"trade hash {entry.trade_hash}", f"soulprint {entry.soulprint}", f"pattern {entry.pattern}"]
    if entry.corrects:
        lines.append(f"corrects {entry.corrects}")
    return lines + [f"in quarantine in {name}: {reason}" for name, reason in entry.quarantine.items()]


def _artifacts(dossier: Dossier) -> Part:
    if not dossier.artifacts:
        return "Stored inputs", None, ["none is named"]
    lines = []
    for item in dossier.artifacts:
        word = "expired" if item.ok is None else "OK" if item.ok else "BROKEN"
        lines.append(f"{item.hash[:16]}...  {word}  {', '.join(item.names)}")
        if item.problem:
            lines.append(f"{'BROKEN: ' if item.ok is False else ''}{item.problem}")
    return "Stored inputs", all(item.ok is not False for item in dossier.artifacts), lines


def _log(dossier: Dossier) -> Part:
    log = dossier.log
    logged = [place for place in log.places if place.seq is not None]
    covered = sum(place.head is not None for place in logged)
    lines = [f"{len(logged)} of {len(log.places)} seals and entries are logged, {covered} under a signed head"]
    if log.tree_size:
        lines.append(f"newest head: {log.tree_size} events, {log.signature}")
    else:
        lines.append(log.signature)
    for place in logged:
        under = f", head {place.head} by key {log.key_id}" if place.head else ", no head yet"
        anchored = "" if place.anchored is None else ", anchored" if place.anchored else ", not anchored yet"
        lines.append(f"{place.what}: event {place.seq}{under}{anchored}")
    if log.strength and log.tree_size:
        lines.append(f"anchor: {log.anchored_size} events, {log.strength}")
    lines += [f"BROKEN: {problem}" for problem in log.problems]
    return "Seal log", None if not log.tree_size else not log.problems, lines
