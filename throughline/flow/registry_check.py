"""The consistency check of a home's registries as a step of the flow: log what is new, check, record the report.

Belongs here: the order of the three. Does not belong here: any check (`throughline.registry.consistency`).
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Engine

from throughline.clock import Clock
from throughline.errors import ThroughlineError
from throughline.flow.context import FlowContext
from throughline.proof.errors import ProofError
from throughline.proof.log import anchor_logged, publish
from throughline.proof.settings import Proof
from throughline.registry.consistency import ConsistencyResult, Report, check_registry, record_report, vouched_size
from throughline.storage.artifacts import ArtifactStore


def log_what_is_new(ctx: FlowContext) -> ThroughlineError | None:
    """Log and anchor what no run has: records that `TradeTrackingSystem` wrote, which knows no key, would never be.

    Returns why that was not possible: the check runs all the same, since it may find the cause.
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
    """Check the registries of the home, in full or since the last check that passed, and record the findings.

    Where no check vouches for a beginning, a daily check is a full one.
    """
    assert ctx.proof is not None
    return _check(ctx.engine, ctx.artifacts, ctx.proof, scope, enforces_roles, ctx.clock)


def check_what_is_new(
    engine: Engine, artifacts: ArtifactStore, proof: Proof, enforces_roles: bool, clock: Clock
) -> tuple[ConsistencyResult, Report]:
    """Log and anchor what was sealed and not logged, then check what was logged since the last check that passed.

    What training does before it reads a day that the newest check does not cover.

    Args:
        engine: with the writer role.
        artifacts: the home's store.
        proof: key and anchor of the seal log.
        enforces_roles: as `Database.enforces_roles`.
        clock: time at which the check began.

    Returns:
        The findings, and the recorded report.

    Raises:
        ProofError: the log could not be continued. The check runs and is recorded all the same: it names the cause.
    """
    try:
        publish(engine, proof)
    finally:
        checked = _check(engine, artifacts, proof, "daily", enforces_roles, clock)
    return checked


def _check(
    engine: Engine,
    artifacts: ArtifactStore,
    proof: Proof,
    scope: Literal["daily", "full"],
    enforces_roles: bool,
    clock: Clock,
) -> tuple[ConsistencyResult, Report]:
    since = None
    if scope == "daily":
        with engine.connect() as conn:
            since = vouched_size(conn)
    started = clock.now()
    result = check_registry(
        engine,
        scope="full" if since is None else "daily",
        since=since,
        artifacts=artifacts,
        anchor=proof.anchor,
        public_key=proof.signer.public_key,
        enforces_roles=enforces_roles,
    )
    report = record_report(engine, artifacts, result, started)[0]
    # The report's own rows are in the log now. Where they cannot be anchored, neither could what came before the check,
    # and the caller has that reason.
    anchor_logged(engine, proof)
    return result, report
