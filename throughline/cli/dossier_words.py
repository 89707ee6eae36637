"""What a dossier tells beside the records of its story, as lines for the terminal: each part a title and its lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from throughline.cli.record_words import usd, when
from throughline.cli.screen import table

if TYPE_CHECKING:
    from throughline.verification.dossier import Dossier

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
    held = None if not path.days else all(day.ok is not False for day in path.days)
    lines = [f"none: {path.why}"] if path.why else []
    if path.bars:
        hours = (path.interval_seconds or 0) / 3600
        span = f"{when(path.bars[0].open_time)} to {when(path.bars[-1].open_time)}"
        lines.append(f"{len(path.bars)} bars of {hours:g} h from {span}, of {len(path.days)} sealed days")
    if limits:
        stop = f"stop {float(limits.stop):.8g} ({-limits.stop_loss:+.0%})"
        target = f"target {float(limits.target):.8g} ({limits.take_profit:+.0%})"
        lines.append(
            f"{stop}, {target} of the market price {float(limits.base):.8g}, time limit {when(limits.deadline)}"
        )
    if dossier.exit_price:
        lines.append(f"market price of the exit, before spread and impact: {float(dossier.exit_price):.8g}")
    for day in path.days:
        if day.expired:
            lines.append(f"bars of {day.day} {day.expired}")
        elif day.problem:
            lines.append(f"BROKEN: bars of {day.day}: {day.problem}")
    return "Prices", held, lines


def _costs(dossier: Dossier) -> list[str]:
    told = dossier.costs
    if told.why:
        return [f"none: {told.why}"]
    rows: list[tuple[str, str]] = [("gross", usd(told.gross, "+"))]
    rows += [(line.what, usd(line.usd)) for line in told.lines]
    share = "" if told.net_percent is None else f" ({float(told.net_percent):+.2f} %)"
    return table([*rows, ("net", usd(told.net, "+") + share)], left=(0, 1), indent="").splitlines()


def _paths(dossier: Dossier) -> list[str]:
    if dossier.paths_why:
        return [f"none: {dossier.paths_why}"]
    lines = []
    for end in sorted(dossier.paths, key=lambda item: ("pessimistic", "base", "optimistic").index(item.path)):
        if end.status != "closed" or end.return_percent is None or end.termination_reason is None:
            lines.append(f"{end.path}: {end.status}")
            continue
        why = end.termination_reason.replace("_", " ")
        both = ", both barriers in one bar" if end.ambiguous else ""
        result = f"{usd(end.net_pnl_usd, '+')} ({float(end.return_percent):+.2f} %)"
        lines.append(f"{end.path}: {result} by {why} on {when(end.exit_time)}{both}")
    return lines


def _signals(dossier: Dossier) -> list[str]:
    told = dossier.soulprint
    if told.why:
        return [f"none: {told.why}"]
    known = [item for item in told.components if item.value is not None]
    count = f"{len(known)} of {len(told.components)} components known"
    lines = [f"{told.schema} against {told.reference or 'no reference'}: {count}"]
    cells = [f"{item.name} {item.value}" for item in known]
    lines += [", ".join(cells[start : start + 5]) for start in range(0, len(cells), 5)]
    if told.missing:
        lines.append(f"without a value: {', '.join(told.missing)}")
    math = ", ".join(f"{name.replace('_', ' ')} {value or 'not known'}" for name, value in told.math.items())
    return [*lines, math] if math else lines


def _similar(dossier: Dossier) -> list[str]:
    told = dossier.similar
    if told.why:
        return [f"none: {told.why}"]
    lines = [f"as of {when(told.as_of)}: {len(told.matches)} of {told.searched} trades looked alike"]
    if told.win_rate:
        rate = told.win_rate
        interval = f"{rate.level:.0%} interval {rate.low:.0%} to {rate.high:.0%}"
        lines.append(f"{rate.wins} of {rate.trades} won, shrunken win rate {rate.rate:.0%} ({interval}; {rate.prior})")
    if not told.usable and told.note:
        lines.append(told.note)
    rows: list[tuple[str, ...]] = [("symbol", "similarity", "closed", "end", "net", "trade hash")]
    for item in told.matches[:_SHOWN]:
        why, net = item.termination_reason.replace("_", " "), f"{item.profit_percentage:+.2f} %"
        rows.append((item.symbol, f"{item.similarity:.2f}", when(item.closed_at), why, net, item.trade_hash[:16]))
    lines += table(rows, left=(0, 2, 3, 5), indent="").splitlines()
    more = len(told.matches) - _SHOWN
    return [*lines, f"and {more} more"] if more > 0 else lines


def _registry(dossier: Dossier) -> list[str]:
    told = dossier.registration
    if told.why:
        return [f"not registered: {told.why}"]
    lines = [f"trade hash {told.trade_hash}", f"soulprint {told.soulprint}", f"pattern {told.pattern}"]
    if told.corrects:
        lines.append(f"corrects {told.corrects}")
    return lines + [f"in quarantine in {name}: {reason}" for name, reason in told.quarantine.items()]


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
