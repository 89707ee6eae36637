"""The partition seals of the registries against their rows, and the seal of a day's seals against those.

Belongs here: what the rows of the registries give, and `log_leaves`, which verification shares. Does not belong here:
the log of the seals (proof) and the seals of other assets (verification).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from sqlalchemy import Connection, select

from throughline.catalogue import LOG, catalogue
from throughline.findings import Finding
from throughline.identity import seal_of
from throughline.proof.log import day_leaf
from throughline.storage.records import Seal
from throughline.storage.tables import partition_seals
from throughline.tracking.checking import finding

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
    held = _seals(connection, experiment, days)
    registries = catalogue().registries
    seals = {asset: {seal.partition: seal for seal in held if seal.asset == asset} for asset in (*registries, LOG)}
    for asset in registries:
        for day in sorted(seals[asset]):
            findings += _seal_findings(asset, day, seals[asset][day], leaves[asset].get(day, ()), by_hand)
        for day in sorted(leaves[asset].keys() - seals[asset].keys()):
            if not by_hand and not waits_for_seal(connection, experiment, asset, day):
                problem = f"{len(leaves[asset][day])} row(s) are under no seal of {asset} of {day}"
                findings.append(finding(asset, f"{asset}/{day}", "seal_mismatch", problem, "a seal", "none"))
    findings += _log_findings(seals[LOG], log_leaves(held))
    sealed = [day for day, seal in seals["canonical_trades"].items() if seal.status == "sealed"]
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


def _seals(connection: Connection, experiment: str, days: Sequence[date]) -> list[Seal]:
    """Return the seals of all assets of some days, however far apart those are."""
    c = partition_seals.c
    columns = [c[name] for name in Seal.__slots__]
    statement = select(*columns).where(c.experiment == experiment, c.partition.in_(list(days)))
    return [Seal(*row) for row in connection.execute(statement.order_by(c.asset.collate("C"), c.partition))]


def waits_for_seal(connection: Connection, experiment: str, asset: str, day: date) -> bool:
    """Return whether rows of an unsealed day of `asset` only wait for their seal.

    They do where an earlier asset of the run wrote them and sealed that day itself, and `asset` has sealed no later
    day: the run is under way, or it stopped in between and goes on from there.
    """
    before = catalogue().written_by.get(asset)
    if before is None:
        return False
    c = partition_seals.c
    written = select(c.root).where(c.experiment == experiment, c.asset == before, c.partition == day)
    later = select(c.root).where(c.experiment == experiment, c.asset == asset, c.partition > day).limit(1)
    return connection.execute(written).first() is not None and connection.execute(later).first() is None


def log_leaves(seals: Iterable[Seal]) -> dict[date, list[str]]:
    """Return day -> the leaves that the log's own seal of the day (`layout.LOG`) is over: those of every other seal."""
    leaves: dict[date, list[str]] = {}
    for seal in seals:
        if seal.asset != LOG:
            leaves.setdefault(seal.partition, []).append(day_leaf(seal))
    return leaves


def _log_findings(seals: Mapping[date, Seal], leaves: Mapping[date, Sequence[str]]) -> Iterator[Finding]:
    """Yield the days whose log seal does not follow from the day's other seals."""
    for day, seal in sorted(seals.items()):
        given = leaves.get(day, ())
        root = seal_of(given)
        if (root, len(given)) != (seal.root, seal.leaves):
            problem = f"root is {seal.root[:16]}..., the {len(given)} other seals of the day give {root[:16]}..."
            yield finding("partition_seals", f"{LOG}/{day}", "seal_mismatch", problem, seal.root, root)
