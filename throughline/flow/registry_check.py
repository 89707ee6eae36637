"""The consistency check of a home's registries as a step of the flow: log what is new, check, record the report.

Belongs here: the order of the three. Does not belong here: any check (`throughline.registry.consistency`).
"""

from __future__ import annotations

from typing import Literal

from throughline.errors import ThroughlineError
from throughline.flow.context import FlowContext
from throughline.proof.errors import ProofError
from throughline.proof.log import publish
from throughline.registry.consistency import ConsistencyResult, Report, check_registry, record_report, vouched_size


def log_what_is_new(ctx: FlowContext) -> ThroughlineError | None:
    """Log and anchor what no run has: records that `TradeTrackingSystem` wrote, which knows no key, would never be.

    Returns why that was not possible: the check is made all the same, since it may find what stands behind it.
    """
    assert ctx.proof is not None
    try:
        publish(ctx.engine, ctx.proof, by_hand=True)
    except ProofError as error:
        return error
    return None


def check_registries(
    ctx: FlowContext, scope: Literal["daily", "full"], enforces_roles: bool
) -> tuple[ConsistencyResult, Report]:
    """Check the registries of the home, in full or since the last check that held, and record what was found.

    Where no check vouches for a beginning, a daily check is a full one.
    """
    assert ctx.proof is not None
    since = None
    if scope == "daily":
        with ctx.engine.connect() as conn:
            since = vouched_size(conn)
    started = ctx.clock.now()
    result = check_registry(
        ctx.engine,
        scope="full" if since is None else "daily",
        since=since,
        artifacts=ctx.artifacts,
        anchor=ctx.proof.anchor,
        public_key=ctx.proof.signer.public_key,
        enforces_roles=enforces_roles,
    )
    return result, record_report(ctx.engine, ctx.artifacts, result, started)[0]
