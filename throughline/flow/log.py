"""Stage `registry_seals`: the seals of a day, all of them under one, written to the seal log and anchored.

The stage's own seal is deterministic: the Merkle root over the day's other seals. The log is not (it has a clock and a
key), and is only ever added to: a late backfill or a correction appends.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from throughline.catalogue import LOG
from throughline.errors import SettingsError
from throughline.flow.context import DayResult, FlowContext
from throughline.flow.sealing import DayDraft, blocked_by_upstream, require_days, seal_days
from throughline.proof.log import day_leaf, publish
from throughline.storage.queries import read_all_seals
from throughline.storage.records import Seal


def log_seals(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Seal the seals of each of `days`, then log and anchor every seal of the experiment that is not logged yet.

    Raises ProofError where the rows behind a seal are no longer those that were sealed, or where the anchor cannot be
    written; what was sealed stays sealed, and the next call goes on from there.
    """
    if ctx.proof is None:
        raise SettingsError("registry_seals needs a signing key and an anchor: open the home with open_proof")
    days = require_days(ctx, days)
    seals: dict[date, list[Seal]] = {day: [] for day in days}
    with ctx.engine.connect() as conn:
        blocked_by_upstream(ctx, conn, LOG, days)  # raises where one of them is not sealed
        for seal in read_all_seals(conn, ctx.experiment.id, days[0], days[-1]):
            if seal.asset != LOG:
                seals[seal.partition].append(seal)
    drafts = [
        DayDraft(day=day, leaves=[day_leaf(seal) for seal in seals[day]], details={"seals": len(seals[day])})
        for day in days
    ]
    results = seal_days(ctx, LOG, drafts, blocked={})
    publish(ctx.engine, ctx.proof, ctx.experiment.id)
    return results
