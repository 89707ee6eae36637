"""The seals of one experiment: recomputed from rows, complete, in order, and in step with the gates' verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from throughline.catalogue import BARS, LOG, SESSION, catalogue
from throughline.findings import Finding, FindingKind
from throughline.identity import seal_of
from throughline.tracking.checking import finding
from throughline.verification.ledger import Ledger
from throughline.verification.store import warm_up

Row = Mapping[str, Any]
DAY = timedelta(days=1)


@dataclass
class Sealing:
    """by_asset: asset -> day -> seal row. pending: rows written by a session and not sealed by their own asset yet."""

    by_asset: dict[str, dict[date, Row]]
    findings: list[Finding] = field(default_factory=list)
    pending: int = 0

    def find(
        self,
        asset: str,
        day: date,
        problem: str,
        expected: object = None,
        actual: object = None,
        kind: FindingKind = "seal_mismatch",
    ) -> None:
        """Add a finding on a seal."""
        self.add("partition_seals", f"{asset}/{day}", kind, problem, expected, actual)

    def add(
        self,
        table: str,
        row: object,
        kind: FindingKind,
        problem: str,
        expected: object = None,
        actual: object = None,
    ) -> None:
        """Add a finding on a row of any table."""
        self.findings.append(finding(table, row, kind, problem, expected, actual))


def check_seals(
    seals: Sequence[Row],
    verdicts: Sequence[Row],
    ledger: Ledger,
    epoch: date,
    log: Mapping[date, Sequence[str]],
) -> Sealing:
    """Return what does not hold between seals, rows, verdicts and the order of the flow (bars are checked apart).

    log: day -> leaves that the log's own seal of the day is over (`throughline.registry.consistency.seals.log_leaves`).
    """
    by_asset: dict[str, dict[date, Row]] = {}
    for seal in seals:
        by_asset.setdefault(seal["asset"], {})[seal["partition"]] = seal
    result = Sealing(by_asset)
    for asset in by_asset.keys() - catalogue().upstream.keys():
        result.find(asset, min(by_asset[asset]), "no asset of the flow has this name")
    for asset in catalogue().upstream:
        held = by_asset.get(asset, {})
        _check_states(result, asset, held.values())
        _check_order(result, asset, sorted(held), epoch)
        if asset in catalogue().asset_tables:
            _check_roots(result, asset, held, ledger)
    _check_log(result, log)
    _check_unsealed(result, ledger)
    _check_details(result, ledger)
    _check_bars_read(result, ledger)
    _check_booked(result, ledger)
    _check_verdicts(result, verdicts)
    return result


def _check_states(result: Sealing, asset: str, seals: Iterable[Row]) -> None:
    for seal in seals:
        day, status = seal["partition"], seal["status"]
        if status not in ("sealed", "blocked"):
            result.find(asset, day, f"status is '{status}', which is neither sealed nor blocked", "sealed", status)
        elif (status == "blocked") != (seal["blocked_by"] is not None):
            result.find(asset, day, f"status is {status} but blocked_by is {seal['blocked_by']}")
        elif status == "blocked" and seal["leaves"]:
            result.find(asset, day, f"is blocked but has {seal['leaves']} rows", 0, seal["leaves"])
        if not isinstance(seal["details"], dict):
            result.find(asset, day, "details are not readable", kind="unreadable")


def _check_order(result: Sealing, asset: str, days: Sequence[date], epoch: date) -> None:
    for day in days:
        if day < epoch:
            result.find(asset, day, f"lies before the epoch {epoch}", epoch, day, "wrong_order")
        for above in catalogue().upstream[asset]:
            # An experiment of a release without this stage has no seal of it at all; the log lists a stage whose seals
            # were all removed.
            if above in result.by_asset and day not in result.by_asset[above]:
                result.find(above, day, f"seal is missing, though {asset} of that day is sealed", kind="missing_row")
    if asset == SESSION and days and days[0] > epoch:
        problem = f"seal is missing: sessions are sealed from {days[0]} on, the epoch is {epoch}"
        result.find(asset, epoch, problem, epoch, days[0], "missing_row")
    if asset == SESSION or SESSION in catalogue().upstream[asset]:
        for before, after in pairwise(days):
            for k in range(1, (after - before).days):
                problem = f"seal is missing between {before} and {after}"
                result.find(asset, before + k * DAY, problem, kind="missing_row")


def _check_roots(result: Sealing, asset: str, held: Mapping[date, Row], ledger: Ledger) -> None:
    tables = catalogue().asset_tables[asset]
    for day, seal in held.items():
        hashes = [item for table in tables for item in ledger.leaves.get(table, {}).get(day, ())]
        if len(hashes) != seal["leaves"]:
            missing = seal["leaves"] - len(hashes)
            word = f"{missing} row(s) are missing" if missing > 0 else f"{-missing} row(s) too many"
            problem = f"seals {seal['leaves']} rows, {' + '.join(tables)} hold {len(hashes)}: {word}"
            result.find(asset, day, problem, f"{seal['leaves']} rows", f"{len(hashes)} rows")
        root = seal_of(hashes)
        if root != seal["root"]:
            problem = f"root is {seal['root'][:16]}..., the rows give {root[:16]}..."
            result.find(asset, day, problem, seal["root"], root)


def _check_log(result: Sealing, log: Mapping[date, Sequence[str]]) -> None:
    """The seal of the log's asset is over the leaves of every other seal of its day."""
    for day, seal in result.by_asset.get(LOG, {}).items():
        given = log.get(day, ())
        root = seal_of(given)
        if (root, len(given)) != (seal["root"], seal["leaves"]):
            problem = f"root is {seal['root'][:16]}..., the {len(given)} other seals of the day give {root[:16]}..."
            result.find(LOG, day, problem, seal["root"], root)


def _check_unsealed(result: Sealing, ledger: Ledger) -> None:
    """Rows of a day without a seal: findings, but for what a session wrote and its assets have not reached yet."""
    for table, days in ledger.leaves.items():
        asset = catalogue().table_asset[table]
        held = result.by_asset.get(asset, {})
        last = max(held, default=date.min)
        for day, hashes in days.items():
            if day in held:
                continue
            if day > last and day in result.by_asset.get(catalogue().written_by.get(asset, ""), {}):
                result.pending += len(hashes)
            else:
                problem = f"{len(hashes)} row(s) are under no seal of {asset} of {day}"
                result.add(table, f"{asset}/{day}", "seal_mismatch", problem, "a seal", "none")


def _check_details(result: Sealing, ledger: Ledger) -> None:
    """What a seal's details repeat of the rows (reports read it there) is what the rows say."""
    for day, seal in result.by_asset.get("market_scan", {}).items():
        lines = _details(seal).get("funnel", ())
        told = {line["filter"]: [line["seen"], line["removed"], line["missing"]] for line in lines}
        summed = ledger.funnels.get(day) or {key: [0, 0, 0] for key in told}
        if seal["status"] == "sealed" and summed != told:
            problem = "the funnel in its details is not the sum of the scans' funnels"
            result.find("market_scan", day, problem, summed, told, "inconsistent")
    counts = {"trade_candidates": "candidates", "research_snapshots": "documents", "shadow_outcomes": "resolved"}
    for asset, name in (counts | {"executions": "executions", "outcomes": "outcomes"}).items():
        for day, seal in result.by_asset.get(asset, {}).items():
            count = _details(seal).get(name)
            rows = seal["leaves"] - ("open" in _details(seal))  # the state of what is open stands beside them
            if count not in (None, rows):
                problem = f"details say {count} {name}, the seal covers {rows} rows"
                result.find(asset, day, problem, rows, count, "inconsistent")
    for day, seal in result.by_asset.get(SESSION, {}).items():
        facts: dict[str, Any] = {"dispositions": dict(ledger.words.get(day, {})), "equity_usd": ledger.equity.get(day)}
        for name, fact in facts.items():
            if name in _details(seal) and fact is not None and _details(seal)[name] != fact:
                problem = f"{name} in its details are not those of the day's rows"
                result.find(SESSION, day, problem, fact, _details(seal)[name], "inconsistent")


def _details(seal: Row) -> Mapping[str, Any]:
    return seal["details"] if isinstance(seal["details"], dict) else {}


def _check_bars_read(result: Sealing, ledger: Ledger) -> None:
    """The seals of bars that scans and candidates say they read are the seals of those days."""
    bars = result.by_asset.get(BARS, {})
    roots = {day.isoformat(): (day, seal["root"]) for day, seal in bars.items()}
    for first, seal in bars.items():
        roots |= {day: (first, told["root"]) for day, told in warm_up(seal).items()}
    for day, root in sorted(ledger.data_seals.items()):
        where, sealed = roots.get(day, (None, root))
        if where is not None and sealed != root:
            problem = f"root of {day} is {sealed[:16]}..., scans read it as {root[:16]}..."
            result.find(BARS, where, problem, root, sealed)


def _check_booked(result: Sealing, ledger: Ledger) -> None:
    """What a portfolio state closed on its base path is what the outcomes of the day say."""
    for day, closed in ledger.closed.items():
        booked = ledger.booked.get(day, {})
        for candidate in sorted(closed.keys() | booked.keys()):
            ours, theirs = booked.get(candidate), closed.get(candidate)
            if ours != theirs:
                problem = f"outcome of {day} says {ours} USD, the portfolio state {theirs}"
                result.add("outcomes", f"candidate {candidate}", "inconsistent", problem, theirs, ours)


def _check_verdicts(result: Sealing, verdicts: Sequence[Row]) -> None:
    failed: set[tuple[str, date]] = set()
    judged: set[tuple[str, date]] = set()
    for verdict in verdicts:
        asset, day = verdict["asset"], verdict["partition"]
        where = f"{asset}/{day}"
        seal = result.by_asset.get(asset, {}).get(day)
        if not isinstance(verdict["failures"], list):
            result.add("gate_verdicts", where, "unreadable", "failures are not readable")
        elif verdict["passed"] != (not verdict["failures"]):
            word = "passed" if verdict["passed"] else "failed"
            problem = f"says {word} with {len(verdict['failures'])} broken rule(s)"
            result.add("gate_verdicts", where, "inconsistent", problem)
        if seal is None or seal["root"] != verdict["seal"]:
            problem = f"judges seal {verdict['seal'][:16]}..., which is not the day's"
            result.add("gate_verdicts", where, "dangling_link", problem, seal and seal["root"], verdict["seal"])
            continue
        judged.add((asset, day))
        if not verdict["passed"]:
            failed.add((asset, day))
    for asset in catalogue().gated:
        for day, seal in result.by_asset.get(asset, {}).items():
            if seal["status"] == "sealed" and (asset, day) not in judged:
                problem = "verdict on the sealed rows is missing"
                result.add("gate_verdicts", f"{asset}/{day}", "missing_row", problem, seal["root"])
    _check_blocked(result, failed)


def _check_blocked(result: Sealing, failed: set[tuple[str, date]]) -> None:
    """A day is blocked exactly where something upstream failed its gate or is blocked."""

    def shut(asset: str, day: date) -> bool:
        seal = result.by_asset.get(asset, {}).get(day)
        return (asset, day) in failed or (seal is not None and seal["status"] == "blocked")

    for asset in catalogue().blockable:
        for day, seal in result.by_asset.get(asset, {}).items():
            closed = [above for above in catalogue().upstream[asset] if shut(above, day)]
            if closed and seal["status"] != "blocked":
                problem = f"is not blocked, though {closed[0]} of that day failed its gate or is blocked"
                result.find(asset, day, problem, "blocked", seal["status"], "inconsistent")
            elif seal["status"] == "blocked" and not closed:
                problem = "is blocked, but nothing upstream failed its gate"
                result.add("gate_verdicts", f"{asset}/{day}", "inconsistent", problem, "sealed", "blocked")
