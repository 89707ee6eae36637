"""The records of a day as typed values, decoded once from their rows.

Belongs here: what the stages read of a record, under one name and one type each. Does not belong here: writing bodies
(the stage that decides them), rows and hashes (records), versions of bodies (versions).

Amounts and prices are floats of the recorded decimals; texts that go on into other records stay as they were recorded.
Times are UTC: texts as in records, or Unix milliseconds where the name ends in `_ms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from throughline.identity import parse_time, time_to_ms
from throughline.storage.records import LedgerRow
from throughline.tracking.records import reference
from throughline.tracking.versions import read_body

Texts = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trade opportunity, as the stages after it read it.

    Args:
        key: its UUID as text, the engine's name of the entry.
        reference: {uuid, hash}, by which other records name it.
        experiment: ID of its experiment.
        day: partition.
        decision_time: instant of the decision (record text).
        instrument: name.
        segment: name of the instrument segment.
        side: 'buy'.
        strategy: name of the strategy.
        opportunity: score by which competing candidates are served.
        notional_usd: size that the strategy asks for, as text; None for a candidate written by hand.
        arm: 'champion' or 'canary'.
        model: ID of the model that decided, or 'rule'.
        take: what that model decided; None where the rule alone decides.
        features: name -> text of the feature, None = missing. Open: each strategy has its own.
        features_hash: identity of the feature vector; None for a candidate written by hand.
        scores: confidence, opportunity and parts as text.
        missing: names of features without a value.
        verdicts: filter -> what it said.
        scan: {uuid, hash} of the scan that it comes from.

    Example:
        >>> candidates = [Candidate.of(row) for row in rows]
        >>> max(candidates, key=lambda candidate: candidate.opportunity).instrument
    """

    key: str
    reference: Mapping[str, str]
    experiment: str
    day: date
    decision_time: str
    instrument: str
    segment: str
    side: str
    strategy: str
    opportunity: float
    notional_usd: str | None
    arm: str
    model: str
    take: bool | None
    features: Texts
    features_hash: str | None
    scores: Mapping[str, Any]
    missing: tuple[str, ...]
    verdicts: Mapping[str, str]
    scan: Mapping[str, str] | None

    @classmethod
    def of(cls, row: LedgerRow) -> Candidate:
        """Return the candidate of a row of `candidates`. Raises UnknownVersion for a body of a newer release."""
        body = read_body("candidates", row.body)
        opportunity = body["opportunity_score"]
        return cls(
            key=str(row.uuid),
            reference=reference(row),
            experiment=row.experiment,
            day=row.partition,
            decision_time=body["decision_time"],
            instrument=body["instrument"],
            segment=body["segment"],
            side=body["side"],
            strategy=body["strategy"],
            opportunity=0.0 if opportunity is None else float(opportunity),
            notional_usd=body["notional_usd"],
            arm=body["arm"],
            model=body["model_version"],
            take=None if body["decision"] is None else body["decision"]["take"],
            features=body["features"],
            features_hash=body["features_hash"],
            scores={"confidence": body["confidence"], "opportunity": opportunity, "parts": body["scores"]},
            missing=tuple(body["missing"]),
            verdicts=body["verdicts"],
            scan=body["scan"],
        )

    @property
    def notional(self) -> float:
        """USD that the strategy asks for; 0 where the candidate was written by hand."""
        return float(self.notional_usd or 0.0)

    @property
    def decision_ms(self) -> int:
        """Instant of the decision in Unix ms."""
        return time_to_ms(parse_time(self.decision_time))


@dataclass(frozen=True, slots=True)
class Research:
    """A research snapshot. candidate: {uuid, hash}; snapshot: the body, which the feature vector is a function of."""

    reference: Mapping[str, str]
    candidate: Mapping[str, str]
    decision_time: str
    instrument: str
    segment: str
    snapshot: Mapping[str, Any]

    @classmethod
    def of(cls, row: LedgerRow) -> Research:
        """Return the snapshot of a row of `research_docs` that the flow wrote."""
        body = read_body("research_docs", row.body)
        return cls(
            reference=reference(row),
            candidate=body["candidate"],
            decision_time=body["decision_time"],
            instrument=body["instrument"],
            segment=body["scan_row"]["segment"],
            snapshot=body,
        )


@dataclass(frozen=True, slots=True)
class Execution:
    """An entry that was filled. candidate: {uuid, hash}; fill_bar_open: None where it was written by hand."""

    reference: Mapping[str, str]
    candidate: Mapping[str, str]
    experiment: str
    instrument: str
    segment: str
    fill_time: str
    fill_bar_open: str | None
    entry_price: float

    @classmethod
    def of(cls, row: LedgerRow) -> Execution:
        """Return the execution of a row of `executions`."""
        body = read_body("executions", row.body)
        return cls(
            reference=reference(row),
            candidate=body["candidate"],
            experiment=row.experiment,
            instrument=body["instrument"],
            segment=body["segment"],
            fill_time=body["fill_time"],
            fill_bar_open=body["fill_bar_open"],
            entry_price=float(body["entry_price"]),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended. return_percent: net return as text; exit_bar_open: None where written by hand."""

    reference: Mapping[str, str]
    candidate: Mapping[str, str]
    entry_time: str
    exit_time: str
    exit_bar_open: str | None
    exit_price: float
    return_percent: str
    reason: str
    flags: tuple[str, ...]

    @classmethod
    def of(cls, row: LedgerRow) -> Outcome:
        """Return the outcome of a row of `outcomes`."""
        body = read_body("outcomes", row.body)
        return cls(
            reference=reference(row),
            candidate=body["candidate"],
            entry_time=body["label"]["t0"],
            exit_time=body["label"]["t1"],
            exit_bar_open=body["exit_bar_open"],
            exit_price=float(body["exit_price"]),
            return_percent=body["realized_pnl_percent"],
            reason=body["termination_reason"],
            flags=tuple(body["flags"]),
        )


@dataclass(frozen=True, slots=True)
class Shadow:
    """What the exit rules gave a candidate at a fixed size. Times and return are None where it expired."""

    reference: Mapping[str, str]
    candidate: Mapping[str, str]
    entry_time: str | None
    exit_time: str | None
    return_percent: str | None
    reason: str
    flags: tuple[str, ...]

    @classmethod
    def of(cls, row: LedgerRow) -> Shadow:
        """Return the counterfactual outcome of a row of `shadow_outcomes`."""
        body = read_body("shadow_outcomes", row.body)
        return cls(
            reference=reference(row),
            candidate=body["candidate"],
            entry_time=body["entry_time"],
            exit_time=body["exit_time"],
            return_percent=body["return_percent"],
            reason=body["termination_reason"],
            flags=tuple(body["flags"] or ()),
        )
