"""The partition seals of the registries against their rows, and the seal of a day's seals against those.

Belongs here: what the rows of the registries give, and `log_leaves`, which verification shares. Does not belong here:
the log of the seals (proof) and the seals of other assets (verification).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import Connection

from throughline.findings import Finding
from throughline.identity import seal_of
from throughline.proof.log import day_leaf
from throughline.storage.queries import read_all_seals, read_seals
from throughline.storage.records import Seal
from throughline.tracking.checking import finding
from throughline.tracking.layout import LOG, REGISTRIES, WRITTEN_BEFORE

Leaves = Mapping[str, Mapping[date, Sequence[str]]]
"""Registry -> day -> content hashes recomputed from the bodies."""


def check_seals(
    connection: Connection, experiment: str, days: Sequence[date], leaves: Leaves, by_hand: bool
) -> tuple[list[Finding], list[date]]:
    """Return what does not hold between the seals of `days` and their rows, and the days whose trades are sealed.

    Rows that an earlier asset wrote and whose own asset has not reached the day yet (a run that stopped in between) are
    no finding, as long as nothing after them is sealed.
    """
    findings: list[Finding] = []
    seals = {asset: read_seals(connection, experiment, asset, min(days), max(days)) for asset in REGISTRIES}
    wanted = set(days)
    for asset, held in seals.items():
        for day in sorted(wanted & held.keys()):
            findings += _seal_findings(asset, day, held[day], leaves[asset].get(day, ()), by_hand)
        for day in sorted(wanted & leaves[asset].keys() - held.keys()):
            before = WRITTEN_BEFORE.get(asset)
            waits = (
                before is not None and day in seals[before] and not _sealed_after(connection, experiment, asset, day)
            )
            if not by_hand and not waits:
                problem = f"{len(leaves[asset][day])} row(s) are under no seal of {asset} of {day}"
                findings.append(finding(asset, f"{asset}/{day}", "seal_mismatch", problem, "a seal", "none"))
    sealed = [day for day, seal in seals["canonical_trades"].items() if day in wanted and seal.status == "sealed"]
    return findings, ([] if by_hand else sorted(sealed))


def _seal_findings(asset: str, day: date, seal: Seal, hashes: Sequence[str], by_hand: bool) -> list[Finding]:
    where = f"{asset}/{day}"
    if by_hand:
        problem = "seals a day of records written by hand"
        return [finding("partition_seals", where, "seal_mismatch", problem)]
    findings = []
    if len(hashes) != seal.leaves:
        missing = seal.leaves - len(hashes)
        word = f"{missing} row(s) are missing" if missing > 0 else f"{-missing} row(s) too many"
        problem = f"seals {seal.leaves} rows, {asset} hold {len(hashes)}: {word}"
        told = f"{seal.leaves} rows", f"{len(hashes)} rows"
        findings.append(finding("partition_seals", where, "seal_mismatch", problem, *told))
    root = seal_of(hashes)
    if root != seal.root:
        problem = f"root is {seal.root[:16]}..., the rows give {root[:16]}..."
        findings.append(finding("partition_seals", where, "seal_mismatch", problem, seal.root, root))
    return findings


def _sealed_after(connection: Connection, experiment: str, asset: str, day: date) -> bool:
    return any(later > day for later in read_seals(connection, experiment, asset, day))


def log_leaves(
    connection: Connection, experiment: str, first: date | None = None, last: date | None = None
) -> dict[date, list[str]]:
    """Return day -> the leaves that the log's own seal of the day (`layout.LOG`) is over: every other seal's."""
    leaves: dict[date, list[str]] = {}
    for seal in read_all_seals(connection, experiment, first, last):
        if seal.asset != LOG:
            leaves.setdefault(seal.partition, []).append(day_leaf(seal))
    return leaves


def check_log_seals(connection: Connection, experiment: str, days: Sequence[date]) -> list[Finding]:
    """Return the days of `days` whose log seal does not follow from the day's other seals."""
    findings = []
    seals = read_seals(connection, experiment, LOG, min(days), max(days))
    leaves = log_leaves(connection, experiment, min(days), max(days))
    for day in sorted(set(days) & seals.keys()):
        given = leaves.get(day, [])
        root = seal_of(given)
        if (root, len(given)) != (seals[day].root, seals[day].leaves):
            problem = f"root is {seals[day].root[:16]}..., the {len(given)} other seals of the day give {root[:16]}..."
            found = finding("partition_seals", f"{LOG}/{day}", "seal_mismatch", problem, seals[day].root, root)
            findings.append(found)
    return findings
