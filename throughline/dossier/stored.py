"""What else the home stores of a trade: its entries in the registries, and the bytes that its inputs were read from.

Belongs here: where they are and whether they are what they are called. Does not belong here: the entries' own checks
(story, links) and the bars (prices).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, select

from throughline.catalogue import catalogue
from throughline.dossier.parts import Chain, Knowledge
from throughline.dossier.prices import tombstone
from throughline.dossier.story import Story
from throughline.errors import StorageError
from throughline.storage import tables
from throughline.storage.artifacts import ArtifactStore
from throughline.tracking.system import MODE

ALONE = "this record belongs to no single trade"
"""Why a scan or a portfolio state lacks what a trade has."""


@dataclass(frozen=True)
class ArtifactCheck:
    """Stored bytes that the research snapshot names. ok: their hash is the one they are stored under; None where they
    were deleted, as `problem` explains."""

    hash: str
    names: tuple[str, ...]
    ok: bool | None
    problem: str | None


@dataclass(frozen=True)
class Registration:
    """The trade's place in the registries.

    trade_hash: None where it has none, with the reason in `why`; quarantine: table -> why the trade is out of use.
    """

    trade_hash: str | None
    uuid: str | None
    soulprint: str | None
    pattern: str | None
    corrects: str | None
    quarantine: Mapping[str, str]
    why: str | None


def registration(connection: Connection, story: Story, chain: Chain) -> Registration:
    """Return the trade's place in the registries, or why it has none."""
    from throughline.registry.quarantine import quarantined_entries

    trade = chain.trade
    if trade is None:
        return Registration(None, None, None, None, None, {}, _unregistered(connection, story, chain))
    own = {step.uuid for step in (trade, chain.soulprint, chain.bucket) if step}
    named = trade.body.get("specialized_hashes", {})
    return Registration(
        trade_hash=trade.content_hash,
        uuid=trade.uuid,
        soulprint=named.get("soulprints"),
        pattern=named.get("profit_buckets"),
        corrects=trade.supersedes,
        quarantine={item.table: item.reason for item in quarantined_entries(connection) if str(item.uuid) in own},
        why=None,
    )


def _unregistered(connection: Connection, story: Story, chain: Chain) -> str:
    """Return why a story has no entry in the canonical trade registry."""
    if chain.candidate is None:
        return ALONE
    if chain.outcome is None:
        return "no trade was closed: only closed trades are registered"
    if story.mode == MODE:
        return (
            "its outcome was recorded by hand and nobody registered it: the coordinator's add_trade_with_linkages does"
        )
    asset, day = catalogue().table_asset["canonical_trades"], chain.outcome.partition
    c = tables.partition_seals.c
    where = (c.experiment == story.experiment, c.asset == asset, c.partition == date.fromisoformat(day))
    if connection.execute(select(c.root).where(*where)).scalar() is None:
        return f"{asset} of {day} is not sealed in this experiment: materialise it, or run the same backtest again"
    return f"{asset} of {day} is sealed without an entry for this outcome"


def check_artifacts(connection: Connection, store: ArtifactStore, known: Knowledge) -> tuple[ArtifactCheck, ...]:
    """Read the stored bytes behind each input and check that they have the hash that the research snapshot names."""
    names: dict[str, list[str]] = {}
    for item in known.inputs:
        if item.artifact:
            names.setdefault(item.artifact, []).append(item.name)
    checks = []
    for digest, inputs in names.items():
        gone = tombstone(connection, digest)
        ok: bool | None = None if gone else True
        problem = gone
        if not gone:
            try:
                store.get(digest)
            except StorageError as error:
                ok, problem = False, str(error)
        checks.append(ArtifactCheck(digest, tuple(inputs), ok, problem))
    return tuple(checks)
