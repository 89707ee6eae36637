"""Metadata of the learning assets, with markdown previews.

Belongs here: names, units, tables and words. Does not belong here: the model card (`throughline.analytics.model_card`),
figures, and when anything runs (`learning`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from throughline.rendering.blocks import Block, markdown
from throughline.rendering.table import Table

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from throughline.configuration import CanarySettings, LearningSettings
    from throughline.experiment.identity import Experiment
    from throughline.learning.cash import RuleJudgement
    from throughline.learning.drift_windows import DriftFound
    from throughline.learning.events import ModelEvent, ServingState
    from throughline.learning.nightly import Challenger
    from throughline.learning.store import StoredModel
    from throughline.learning.types import GateResult, Judgement, TrainingData

SHOWN = 25
"""At most this many lines of a table are shown, the most important first."""


def name_of(model: str | None) -> str:
    """Return a model's short name; the rule has a name of its own, nobody is a dash."""
    return "-" if model is None else "the rule" if model == _rule() else f"`{model[:12]}`"


def training_set(
    data: TrainingData, read: Sequence[tuple[date, str]], as_of: datetime, settings: LearningSettings
) -> dict[str, Any]:
    """Return the metadata of a training set: how much there is, from where, and what is missing in it."""
    import numpy as np

    from throughline.learning.effective import effective_number

    labels = len(data)
    executed = int(data.executed.sum())
    days = len(np.unique(data.decided // 86_400_000))
    wins = int((data.net_return > 0.0).sum())
    worth = effective_number(data)
    counted = (
        f"**{labels:,} labels that resolved before {as_of:%Y-%m-%d %H:%M} UTC**, from {len(read):,} sealed days: "
        f"{executed:,} of executed trades, {labels - executed:,} of shadows. They overlap and share a market, and are "
        f"worth {worth.effective:,.0f} independent ones."
    )
    lines: list[Block] = [
        counted,
        Table(
            ["", "there are", "a model needs"],
            [
                ["labels", f"{labels:,}", f"{settings.minimum_labels:,}"],
                ["days of decision", f"{days:,}", f"{settings.minimum_days:,}"],
                ["independent labels", f"{worth.effective:,.0f}", f"{settings.minimum_effective:,.0f}"],
            ],
        ),
    ]
    metadata: dict[str, Any] = {
        "as_of": as_of.isoformat(),
        "labels": labels,
        "executed": executed,
        "shadows": labels - executed,
        "effective_labels": round(worth.effective, 3),
        "unique_labels": round(worth.unique, 3),
        "same_day_correlation": round(worth.correlation, 6),
        "days_of_decision": days,
        "days_read": len(read),
        "segments": len(set(data.segments)),
    }
    if labels:
        metadata["win_rate"] = round(wins / labels, 6)
        lines.append(f"{wins:,} of them gained ({wins / labels:.1%}), net of costs.")
        missing = sorted(
            zip(np.isnan(data.features).mean(axis=0).tolist(), data.names, strict=True), key=lambda item: -item[0]
        )
        metadata["missing"] = dg.MetadataValue.json({name: round(share, 6) for share, name in missing if share > 0.0})
        gaps = [[name.replace("_", " "), f"{share:.1%}"] for share, name in missing if share > 0.0]
        if gaps:
            lines.append(Table(["feature", "missing"], gaps[:SHOWN]))
    if read:
        metadata["first_day"], metadata["last_day"] = str(read[0][0]), str(read[-1][0])
    return metadata | {"preview": dg.MetadataValue.md(markdown(lines))}


def gates_sentence(challenger: Challenger) -> str:
    """Return which gates refused a challenger, in one sentence each."""
    if challenger.passed:
        return f"all {len(challenger.verdicts)} gates passed"
    reasons = "; ".join(f"{item.gate} ({item.status}): {item.reason}" for item in challenger.refusals)
    return f"{len(challenger.refusals)} of {len(challenger.verdicts)} gates did not pass: {reasons}"


def challenger(engine: Engine, model: Challenger, waiting: str | None) -> dict[str, Any]:
    """Return the metadata of a training: the model card, and whether the model went on trial.

    engine: may read; waiting: why the model does not serve, None where it does.
    """
    from throughline.analytics.model_card import card_markdown, read_card

    with engine.connect() as conn:
        card = read_card(conn, model.model)
    state = f"It does not serve: {waiting}." if waiting else "It is on trial, or serves already."
    if not model.fitted:
        state = f"Nothing can serve: {waiting}."
    known = " The same training was recorded before, so nothing was done." if model.known else ""
    return {
        "preview": dg.MetadataValue.md(f"{card_markdown(card)}\n\n{state}{known}"),
        "model": model.model,
        "passed": model.passed,
        "gates_passed": sum(item.status == "pass" for item in model.verdicts),
        "gates_failed": sum(item.status == "fail" for item in model.verdicts),
        "gates_insufficient": sum(item.status == "insufficient" for item in model.verdicts),
        "gates": dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "gate": item.gate,
                        "status": item.status,
                        "value": "" if item.value is None else f"{item.value:.6g}",
                        "threshold": "" if item.threshold is None else f"{item.threshold:.6g}",
                        "reason": item.reason,
                    }
                )
                for item in model.verdicts
            ]
        ),
        "labels": model.body["labels"]["labels"],
        "trained_now": model.fitted and not model.known,
        **({"waiting": waiting} if waiting else {}),
    }


def nobody_on_trial(as_of: datetime, state: ServingState) -> dict[str, Any]:
    """Return the metadata of an evaluation without a model to evaluate."""
    sentence = (
        f"**No model is on trial at {as_of:%Y-%m-%d %H:%M} UTC.** {name_of(state.champion).capitalize()} decides, and "
        "was not promoted over another model, so there is nothing to compare it with."
    )
    return {
        "preview": dg.MetadataValue.md(sentence),
        "as_of": as_of.isoformat(),
        "champion": state.champion,
        "verdict": "nobody",
    }


def judgement(
    result: Judgement, model: str, before: ServingState, after: ServingState, settings: CanarySettings
) -> dict[str, Any]:
    """Return the metadata of an evaluation: the verdict, the evidence with its thresholds, and the counts."""
    watched = before.canary is None
    role = "the champion, watched against the one before it," if watched else "the canary"
    against = before.fallback if watched else before.champion
    days = "not in sight yet" if result.days_to_verdict is None else f"{result.days_to_verdict:,.1f}"
    summary = (
        f"**{result.verdict.replace('_', ' ')}** of {role} {name_of(model)} against {name_of(against)}, "
        f"at {result.as_of:%Y-%m-%d %H:%M} UTC: {result.reason}"
    )
    lines: list[Block] = [
        summary,
        Table(
            ["evidence that it", "e-value", "needs", "then"],
            [
                ["earns less", f"{result.worse:.3g}", f"{1 / settings.alpha:g}", "roll back"],
                ["is stopped out more often", f"{result.tail:.3g}", f"{1 / settings.tail_alpha:g}", "roll back"],
                ["loses everything more often", f"{result.lost:.3g}", f"{1 / settings.tail_alpha:g}", "roll back"],
                [
                    f"is not worse by {settings.margin:g}",
                    f"{result.noninferior:.3g}",
                    f"{1 / settings.alpha:g}",
                    "-" if watched else "promote",
                ],
            ],
        ),
        Table(
            ["", "there are", "a promotion needs"],
            [
                ["closed days of decision", f"{result.units:,}", ""],
                ["pairs", f"{result.pairs:,}", f"{settings.minimum_pairs:,}"],
                ["decided differently", f"{result.disagreements:,}", ""],
                ["executed trades", f"{result.trades:,}", f"{settings.minimum_trades:,}"],
                ["expected days to a verdict", days, ""],
                ["error spent", f"{result.spent:.3g}", ""],
            ],
        ),
        *(f"- guard: {text}" for text in result.guards),
        f"Now {name_of(after.champion)} is champion, {name_of(after.canary)} on trial.",
    ]
    figures: dict[str, Any] = {
        "verdict": result.verdict,
        "reason": result.reason,
        "model": model,
        "against": against or "",
        "as_of": result.as_of.isoformat(),
        "units": result.units,
        "pairs": result.pairs,
        "disagreements": result.disagreements,
        "trades": result.trades,
        "e_worse": result.worse,
        "e_noninferior": result.noninferior,
        "e_tail": result.tail,
        "e_lost": result.lost,
        "error_spent": result.spent,
        "champion": after.champion,
    }
    optional = {
        "mean_difference": result.mean_difference,
        "expected_days_to_verdict": result.days_to_verdict,
        "canary": after.canary,
    }
    figures |= {name: value for name, value in optional.items() if value is not None}
    return figures | {"preview": dg.MetadataValue.md(markdown(lines))}


def rule(result: RuleJudgement, experiment: Experiment) -> dict[str, Any]:
    """Return the metadata of a look at the rule."""
    acts = "" if experiment.configuration.closes_rule else " (reported only: the policy does not close the rule)"
    return {
        "rule": f"{result.verdict}: {result.reason}{acts}",
        "rule_evidence": result.evidence,
        "rule_evidence_needed": result.needed,
        "rule_closed_until_now": result.term.closed,
    }


def drift(report: DriftFound) -> dict[str, Any]:
    """Return the metadata of a drift report: every test, what is most certain first."""
    source = (
        f"what model {name_of(report.model)} was trained on"
        if report.model
        else "everything before, since no model was trained yet"
    )
    tested = len([item for item in report.columns if item.p is not None])
    summary = (
        f"**{len(report.drifted)} of {tested} tests find drift** between {report.since:%Y-%m-%d} and "
        f"{report.as_of:%Y-%m-%d}, against {source}: {report.current:,} episodes against {report.reference:,}."
    )
    lines: list[Block] = [summary]
    if report.model:
        lines.append(f"Scores are compared with those of {report.scored:,} episodes since the training.")
    if tested < len(report.columns):
        lines.append(f"{len(report.columns) - tested} tests have too few known values on either side to say anything.")
    shown = [item for item in report.columns if item.p is not None][:SHOWN]
    if shown:
        lines.append(
            Table(
                ["feature or score", "test", "distance", "p, adjusted", "PSI", ""],
                [
                    [
                        item.feature.replace("_", " "),
                        item.test,
                        f"{item.statistic:.3f}",
                        f"{item.adjusted:.3g}",
                        "" if item.psi is None else f"{item.psi:.3f}",
                        "drift" if item.drifted else "",
                    ]
                    for item in shown
                ],
            )
        )
    return {
        "preview": dg.MetadataValue.md(markdown(lines)),
        "as_of": report.as_of.isoformat(),
        "since": report.since.isoformat(),
        "model": report.model or "none",
        "tests": tested,
        "drifted": len(report.drifted),
        "episodes": report.current,
        "episodes_reference": report.reference,
    }


def drift_sentence(report: DriftFound) -> str:
    """Return what drifted, in one sentence."""
    if not report.drifted:
        return f"no drift among {len(report.columns)} tests of {report.current} episodes against {report.reference}"
    names = ", ".join(dict.fromkeys(item.feature for item in report.drifted))
    return f"{len(report.drifted)} of {len(report.columns)} tests find drift: {names}"


def registry_state(
    state: ServingState,
    models: Sequence[tuple[StoredModel, Sequence[GateResult]]],
    events: Sequence[ModelEvent],
    trades: Mapping[str, int],
) -> dict[str, Any]:
    """Return the metadata of the models: who serves, every model with its gates and trades, every event."""
    barred = f"; {len(state.barred)} barred for good" if state.barred else ""
    closed = f" The rule is closed since {state.rule_since:%Y-%m-%d}: cash is held." if state.rule_closed else ""
    serving = (
        f"Champion {name_of(state.champion)}, on trial {name_of(state.canary)}, a rollback of the champion would "
        f"return to {name_of(state.fallback)}{barred}. The rule decided {trades.get(_rule(), 0):,} closed trades."
        f"{closed}"
    )
    known = [_model_line(item, verdicts, trades) for item, verdicts in reversed(models)]
    happened = [
        [f"{item.effective_at:%Y-%m-%d}", item.kind.replace("_", " "), name_of(item.model), item.by, item.reason]
        for item in reversed(events)
    ]
    lines: list[Block] = [serving]
    if known:
        lines.append(
            Table(
                ["known at", "model", "labels", "gates", "refused by", "closed trades"],
                known[:SHOWN],
                left=(0, 1, 3, 4),
            )
        )
    else:
        lines.append("No model was trained yet: every trade is decided by the rule.")
    if happened:
        lines.append(Table(["from", "what", "model", "by", "why"], happened[:SHOWN], left=range(5)))
    return {
        "preview": dg.MetadataValue.md(markdown(lines)),
        "champion": state.champion,
        "models": len(models),
        "events": len(events),
        "barred": len(state.barred),
        "trades_by_model": dg.MetadataValue.json(dict(trades)),
        **({"canary": state.canary} if state.canary else {}),
        **({"fallback": state.fallback} if state.fallback else {}),
    }


def _model_line(item: StoredModel, verdicts: Sequence[GateResult], trades: Mapping[str, int]) -> list[str]:
    passed = sum(verdict.status == "pass" for verdict in verdicts)
    refused = ", ".join(verdict.gate.replace("_", " ") for verdict in verdicts if verdict.status != "pass")
    return [
        item.body["identity"]["as_of"][:10],
        name_of(item.id),
        f"{item.body['labels']['labels']:,}",
        f"{passed} of {len(verdicts)}",
        refused,
        f"{trades.get(item.id, 0):,}",
    ]


def _rule() -> str:
    from throughline.learning.types import RULE  # here: it brings numpy, and definitions import this module

    return RULE
