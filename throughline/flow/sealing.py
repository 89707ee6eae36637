"""What all stages share: which inputs are sealed and open, and how a day is judged, written and sealed as one whole."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from throughline.catalogue import catalogue
from throughline.errors import GateClosed, MissingPredecessor, OutsideExperiment, RevisedData, SettingsError
from throughline.experiment.registry import warm_up
from throughline.flow.context import DayResult, FlowContext
from throughline.identity import seal_of
from throughline.quality.gate import gate_states, require_gate
from throughline.quality.verdict import Failure, Verdict
from throughline.storage.artifacts import ArtifactRef
from throughline.storage.ledger import write_partitions
from throughline.storage.queries import read_rows, read_seals
from throughline.storage.records import LedgerRow, PartitionWrite, Seal

PER_TRANSACTION = 30
"""Whole days that share a transaction: 0.03 ms instead of 0.4 ms a day, and less than a tenth on a slow disk."""

ROWS_AT_ONCE = 4_000
"""Rows that are judged and written together, about: a suite takes 0.1 s whatever the number of rows."""

Blocked = Mapping[str, Any]


@dataclass(frozen=True)
class DayDraft:
    """A day before it is judged: rows by table, the hashes its seal is made of, and what its suite looks at."""

    day: date
    rows: Mapping[str, Sequence[LedgerRow]] = field(default_factory=dict)
    leaves: Sequence[str] = ()
    artifact: ArtifactRef | None = None
    gate_rows: pd.DataFrame | None = None
    gate_day: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


def require_days(ctx: FlowContext, days: Sequence[date]) -> list[date]:
    """Return the days in order. Raises SettingsError for none or a hole, OutsideExperiment for one before the epoch."""
    ordered = sorted(set(days))
    if not ordered:
        raise SettingsError("no day was asked for: choose at least one partition")
    if ordered[0] < ctx.experiment.epoch:
        raise OutsideExperiment(
            f"{ordered[0]} lies before {ctx.experiment.epoch}, the epoch of experiment {ctx.experiment.id[:12]} (mode "
            f"{ctx.experiment.mode}): choose partitions from {ctx.experiment.epoch} on"
        )
    if (ordered[-1] - ordered[0]).days + 1 != len(ordered):
        raise SettingsError(f"the days from {ordered[0]} to {ordered[-1]} have holes: ask for one unbroken range")
    return ordered


def seals_by_day(ctx: FlowContext, conn: Connection, asset: str, days: Sequence[date]) -> dict[date, Seal]:
    """Return the seals of `asset` for those of `days` that are sealed."""
    return read_seals(conn, ctx.experiment.id, asset, days[0], days[-1])


def missing_day(ctx: FlowContext, conn: Connection, asset: str, day: date, why: str) -> MissingPredecessor:
    """Return the error for a `day` of `asset` that is not sealed. why: who needs that day, as a clause.

    It names the first day that the experiment lacks, not the one that was asked for: a session needs the state of the
    day before, which needs the one of the day before that, back to the epoch.
    """
    epoch = ctx.experiment.epoch
    sealed = read_seals(conn, ctx.experiment.id, asset, epoch, day)
    first = epoch
    while first in sealed:
        first += timedelta(days=1)
    known = "has no day of it" if first == epoch else f"has it from {epoch} to {first - timedelta(days=1)}"
    return MissingPredecessor(
        f"{asset} of {day} is not sealed in experiment {ctx.experiment.id[:12]} (mode {ctx.experiment.mode}), which "
        f"{known}; {why}: materialise all its daily assets from {first} on"
    )


def state_before(ctx: FlowContext, conn: Connection, asset: str, table: str, first: date) -> LedgerRow | None:
    """Return the state record with which the day before `first` ended; None at the epoch, where nothing is open.

    Raises:
        MissingPredecessor: where that day of `asset` is not sealed.
    """
    if first == ctx.experiment.epoch:
        return None
    before = first - timedelta(days=1)
    if before not in seals_by_day(ctx, conn, asset, [before]):
        raise missing_day(ctx, conn, asset, before, f"{first} starts from the state at its end")
    return next(iter(read_rows(conn, table, ctx.experiment.id, before, before)))


def blocked_days(ctx: FlowContext, conn: Connection, needs: Iterable[str], days: Sequence[date]) -> dict[date, Blocked]:
    """Return which of `days` are blocked by an input, and by what.

    An input day that is not sealed raises MissingPredecessor; a verdict that is missing or stale raises GateClosed:
    both fail closed. A failed verdict, or an input that is itself blocked, blocks the day; a failed verdict on the
    ledger's own assets raises GateClosed.
    """
    result: dict[date, Blocked] = {}
    for asset in needs:
        seals = seals_by_day(ctx, conn, asset, days)
        for day in days:
            if day not in seals:
                raise missing_day(ctx, conn, asset, day, f"what is built from it on {day} needs it")
        open_days = []
        for day in days:
            if seals[day].status == "blocked":
                result.setdefault(day, json.loads(seals[day].blocked_by or "{}"))
            else:
                open_days.append(day)
        if asset in catalogue().gated and open_days:
            _, suite_hash = ctx.gates.suite(asset)
            roots = {day: seals[day].root for day in open_days}
            if asset in catalogue().hard:
                require_gate(conn, ctx.experiment.id, asset, roots, suite_hash)
            for day, failures in gate_states(conn, ctx.experiment.id, asset, open_days, roots, suite_hash).items():
                if failures:
                    result.setdefault(day, {"asset": asset, "rows": failures[0].rows, "rule": failures[0].rule})
    return result


def blocked_by_upstream(ctx: FlowContext, conn: Connection, asset: str, days: Sequence[date]) -> dict[date, Blocked]:
    """Return which of `days` of a stage are blocked by the assets it stands on, and by what; none if it never is.

    Raises as `blocked_days` does, for every stage.
    """
    blocked = blocked_days(ctx, conn, catalogue().upstream[asset], days)
    return blocked if catalogue().stages[asset].blockable else {}


def require_unrevised(ctx: FlowContext, conn: Connection, days: Sequence[date]) -> dict[date, str]:
    """Return the seals of the bars of `days` as they read now. Raises RevisedData if a sealed day reads differently.

    Days before the epoch are no partition; what they were stands in the details of the epoch's seal.
    """
    epoch = ctx.experiment.epoch
    sealed = {day: seal.root for day, seal in seals_by_day(ctx, conn, "market_bars", days).items()}
    if days[0] < epoch:
        first = read_seals(conn, ctx.experiment.id, "market_bars", epoch, epoch).get(epoch)
        sealed |= {day: root for day, (root, _) in warm_up(first).items()} if first else {}
    roots = {day: ctx.view.root(day) for day in days}
    for day, root in roots.items():
        if day in sealed and sealed[day] != root:
            raise RevisedData(
                f"market_bars of {day} reads differently from what was sealed ({root[:12]} instead of "
                f"{sealed[day][:12]}): run `throughline backtest --use` on the revised files to fork the "
                "experiment and go on with the fork"
            )
    return roots


Evaluation = Callable[[], Mapping[date, tuple[Failure, ...]]]
"""Waits for the failures of each day."""


def start_evaluation(
    ctx: FlowContext, asset: str, rows: pd.DataFrame, summaries: Mapping[date, Mapping[str, Any]]
) -> Evaluation:
    """Begin to evaluate the suite of `asset` in another thread; return a function that waits for the failures by day.

    Args:
        ctx: the run.
        asset: whose suite is evaluated.
        rows: one line per record, with `partition`.
        summaries: the figures of each day that is evaluated.
    """
    days = pd.DataFrame([{"partition": day, **summary} for day, summary in summaries.items()])
    executor = ThreadPoolExecutor(1, thread_name_prefix="gates")
    future = executor.submit(ctx.gates.evaluate, asset, rows, days, list(summaries))
    executor.shutdown(wait=False)
    return future.result


def seal_days(
    ctx: FlowContext,
    asset: str,
    drafts: Iterable[DayDraft],
    blocked: Mapping[date, Blocked],
    evaluation: Evaluation | None = None,
) -> list[DayResult]:
    """Evaluate the drafts, then write each day whole: its rows, verdict and seal are in one transaction.

    Drafts are taken in batches, so that memory does not grow with the number of rows of a range.

    Args:
        ctx: the experiment.
        asset: whose days they are.
        drafts: in order of their days; an iterator may compute them one by one.
        blocked: days that get no rows and the status 'blocked', and why.
        evaluation: of all drafts, begun by `start_evaluation`; None evaluates each batch here.

    Raises:
        GateClosed: where the asset's gate is hard and a day fails: its verdict is written, the days after it are not.
    """
    results: list[DayResult] = []
    started = time.perf_counter()
    for batch in _batches(drafts):
        results += _seal_batch(ctx, asset, batch, blocked, evaluation, started)
        started = time.perf_counter()
    return results


def _batches(drafts: Iterable[DayDraft]) -> Iterator[list[DayDraft]]:
    """Yield the drafts in runs of whole days with about ROWS_AT_ONCE rows."""
    batch: list[DayDraft] = []
    rows = 0
    for draft in drafts:
        batch.append(draft)
        rows += sum(map(len, draft.rows.values()))
        if rows >= ROWS_AT_ONCE:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _seal_batch(
    ctx: FlowContext,
    asset: str,
    drafts: Sequence[DayDraft],
    blocked: Mapping[date, Blocked],
    evaluation: Evaluation | None,
    started: float,
) -> list[DayResult]:
    hard = asset in catalogue().hard
    roots = {draft.day: seal_of(draft.leaves) for draft in drafts}
    verdicts = _verdicts(ctx, asset, [draft for draft in drafts if draft.day not in blocked], roots, evaluation)
    broken = next((verdict for verdict in verdicts.values() if not verdict.passed), None) if hard else None
    kept = [draft for draft in drafts if broken is None or draft.day <= broken.day]
    writes = [
        _write(ctx, asset, draft, roots[draft.day], blocked.get(draft.day), verdicts.get(draft.day)) for draft in kept
    ]
    write_partitions(ctx.engine, writes, per_transaction=PER_TRANSACTION)
    shared = (time.perf_counter() - started) / max(1, len(kept))
    if broken is not None:
        failure = broken.failures[0]
        raise GateClosed(
            f"{asset} of {broken.day} broke the rule '{failure.rule}' in {failure.rows} row(s) "
            f"({', '.join(failure.sample[:3])}): the days before it are sealed, nothing after it was written"
        )
    return [
        DayResult(
            asset=asset,
            day=draft.day,
            status=write.status,
            rows=write.leaves,
            seal=write.root,
            verdict=verdicts.get(draft.day),
            blocked_by=blocked.get(draft.day),
            details=draft.details,
            seconds=draft.seconds + shared,
        )
        for draft, write in zip(kept, writes, strict=True)
    ]


def _write(
    ctx: FlowContext, asset: str, draft: DayDraft, root: str, cause: Blocked | None, verdict: Verdict | None
) -> PartitionWrite:
    return PartitionWrite(
        experiment=ctx.experiment.id,
        asset=asset,
        partition=draft.day,
        rows=draft.rows,
        root=root,
        leaves=len(draft.leaves),
        status="blocked" if cause else "sealed",
        blocked_by=json.dumps(dict(cause), sort_keys=True) if cause else None,
        artifact=draft.artifact,
        details=json.dumps(dict(draft.details), sort_keys=True),
        verdicts=(verdict,) if verdict else (),
        run_id=ctx.run_id,
    )


def _verdicts(
    ctx: FlowContext,
    asset: str,
    drafts: Sequence[DayDraft],
    roots: Mapping[date, str],
    evaluation: Evaluation | None,
) -> dict[date, Verdict]:
    if asset not in catalogue().gated or not drafts:
        return {}
    suite, suite_hash = ctx.gates.suite(asset)
    if evaluation is None:
        frames = [draft.gate_rows for draft in drafts if draft.gate_rows is not None and len(draft.gate_rows)]
        rows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"partition": [], "key": []})
        days = pd.DataFrame([{"partition": draft.day, **draft.gate_day} for draft in drafts])
        failures = ctx.gates.evaluate(asset, rows, days, [draft.day for draft in drafts])
    else:
        failures = evaluation()
    return {
        draft.day: Verdict(
            asset=asset,
            day=draft.day,
            seal=roots[draft.day],
            suite=suite,
            suite_hash=suite_hash,
            failures=tuple(failures.get(draft.day, ())),
        )
        for draft in drafts
    }
