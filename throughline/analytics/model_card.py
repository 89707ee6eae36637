"""The card of a model: what it was made from, what every gate said, its figures and pictures, as markdown.

Belongs here: reading one model's record, sentences, tables and their order. Does not belong here: drawing
(model_pictures), figures (`throughline.learning.figures`). All that is shown is in the record of the model and in the
ledger of trials; nothing is measured here.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from throughline.analytics.model_pictures import (
    CalibrationBin,
    Decile,
    Importance,
    TrialPoint,
    calibration_png,
    deciles_png,
    importance_png,
    trials_png,
)
from throughline.errors import UnknownRecord
from throughline.learning.store import read_model, read_trials, read_verdicts
from throughline.learning.types import CASH, RULE, GateResult, Trial

SHOWN_FEATURES = 15
SHOWN_TRIALS = 48
"""At most so many trials of other trainings are drawn."""
PICTURES = ("calibration", "deciles", "importance", "trials")

_OTHERS = {RULE: "the rule", CASH: "cash: the rule was closed"}

FIGURES = (
    ("R2", "r2", "number"),
    ("R2, lower bound", "r2_lower", "number"),
    ("Brier score", "brier", "number"),
    ("Brier score, better than the base rate by", "brier_skill", "percent"),
    ("calibration error, by tenths", "calibration_error", "percent"),
    ("calibration error, by a line", "calibration_line_error", "percent"),
    ("calibration error, by a line, upper bound", "calibration_line_upper", "percent"),
    ("slope of gains on the probability", "calibration_slope", "number"),
    ("slope of gains on the probability, lower bound", "calibration_slope_lower", "number"),
    ("PR-AUC", "pr_auc", "number"),
    ("base rate of gains", "base_rate", "percent"),
    ("ROC-AUC", "roc_auc", "number"),
    ("log growth per taken label", "growth_per_taken", "percent"),
    ("log growth per candidate", "growth_per_candidate", "percent"),
    ("log growth per candidate, linear baseline", "growth_per_candidate_linear", "percent"),
    ("mean gain per candidate", "gain", "percent"),
    ("mean gain per candidate, champion", "gain_champion", "percent"),
    ("gain over the champion, lower bound", "improvement_lower", "percent"),
    ("deflated Sharpe ratio over cash and the rule, this experiment's trials", "deflated_sharpe", "number"),
    ("deflated Sharpe ratio over cash and the rule, all trials of the home", "deflated_sharpe_home", "number"),
    ("probability of backtest overfitting", "pbo", "percent"),
    ("takes a candidate from a probability of", "break_even", "percent"),
)
"""Words, name in the record, and how it is written."""


@dataclass(frozen=True)
class ModelCard:
    """A model as it is recorded. trials: the ledger of its experiment; file: hash of its file, if any."""

    model: str
    body: Mapping[str, Any]
    verdicts: tuple[GateResult, ...]
    trials: tuple[Trial, ...]
    file: str | None

    @property
    def refusals(self) -> tuple[GateResult, ...]:
        """The gates that did not say pass."""
        return tuple(item for item in self.verdicts if item.status != "pass")


def read_card(conn: Connection, model: str) -> ModelCard:
    """Return the card of a model. Raises UnknownRecord for an id that no model of this home has."""
    stored = read_model(conn, model)
    if stored is None:
        raise UnknownRecord(f"no model of this home has the id {model}: `throughline models` lists them")
    trials = tuple(read_trials(conn, stored.experiment))
    return ModelCard(model, stored.body, tuple(read_verdicts(conn, model)), trials, stored.file_hash)


def card_pictures(card: ModelCard) -> dict[str, bytes]:
    """Return the pictures that the record can give, by name (`PICTURES`); none of a model that was not trained."""
    metrics = card.body["metrics"]
    pictures: dict[str, bytes] = {}
    if metrics.get("reliability"):
        bins = [CalibrationBin(*_bin(item)) for item in metrics["reliability"]]
        pictures["calibration"] = calibration_png(bins, _number(metrics["brier"]))
    if metrics.get("deciles"):
        pictures["deciles"] = deciles_png([Decile(*_bin(item)) for item in metrics["deciles"]])
    items = [
        Importance(item["feature"], rise, _number(item["spread"]) or 0.0)
        for item in metrics.get("importance", ())
        if (rise := _number(item["rise"]))
    ]
    if items:
        pictures["importance"] = importance_png(sorted(items, key=lambda item: -abs(item.rise))[:SHOWN_FEATURES])
    points = trial_points(card)
    if points:
        pictures["trials"] = trials_png(points)
    return pictures


def trial_points(card: ModelCard) -> list[TrialPoint]:
    """Return the trial ledger to draw: those of other trainings first, then the model's own in the order of the grid.

    Nothing for a model without trials of its own.
    """
    known = {trial.hash: trial for trial in card.trials}
    own = [known[name] for name in card.body["trials"]]
    if not own:
        return []
    mine = set(card.body["trials"])
    others = [trial for trial in card.trials if trial.hash not in mine][:SHOWN_TRIALS]
    chosen = card.body["metrics"].get("chosen")
    return [
        *(_point(trial, "", other=True) for trial in others),
        *(_point(trial, str(place), chosen=trial.hash == chosen) for place, trial in enumerate(own, 1)),
    ]


def _point(trial: Trial, name: str, *, chosen: bool = False, other: bool = False) -> TrialPoint:
    gain = _number(trial.body["gain_per_taken"])
    return TrialPoint(name, gain, float(trial.body["sharpe"]), chosen=chosen, other=other)


def _trials_table(card: ModelCard) -> str:
    known = {trial.hash: trial.body for trial in card.trials}
    chosen = card.body["metrics"].get("chosen")
    rows = []
    for place, name in enumerate(card.body["trials"], 1):
        told = known[name]
        settings = told["parameters"]
        trees = f"{settings['max_iter']} trees of {settings['max_leaf_nodes']} leaves"
        rows.append(
            [
                f"**{place}**" if name == chosen else str(place),
                f"{trees}, rate {settings['learning_rate']}, {settings['selected']} features",
                f"{told['taken']:,}",
                _written(told["gain_per_taken"], "percent"),
                _written(told["growth_per_candidate"], "percent"),
                _written(told["sharpe"], "number"),
            ]
        )
    head = ["trial", "", "took", "mean net return per taken label", "log growth per candidate", "Sharpe ratio of days"]
    return _table(head, rows)


def card_markdown(card: ModelCard, pictures: Mapping[str, bytes]) -> str:
    """Return the card. pictures: PNGs by name."""
    parts = [
        f"## Model `{card.model[:12]}`",
        verdict_sentence(card),
        _origin(card),
        "### Gates",
        _table(
            ["gate", "verdict", "value", "threshold", "reason"],
            [
                [item.gate.replace("_", " "), _verdict(item), _short(item.value), _short(item.threshold), item.reason]
                for item in card.verdicts
            ],
        ),
    ]
    metrics = card.body["metrics"]
    rows = [[words, _written(metrics.get(name), how)] for words, name, how in FIGURES if metrics.get(name) is not None]
    if rows:
        measured = (
            f"Out of fold on {metrics['labels_tested']:,} labels that the model of the fold had not seen, weighted by "
            f"uniqueness; it would take {metrics['taken']:,} of them."
        )
        parts += ["### Figures", measured, _table(["figure", ""], rows)]
    for name in PICTURES:
        if name in pictures:
            parts.append(f"![{name}](data:image/png;base64,{base64.b64encode(pictures[name]).decode()})")
    if "trials" in pictures:
        parts += [trials_sentence(card), _trials_table(card)]
    return "\n\n".join(parts)


def verdict_sentence(card: ModelCard) -> str:
    """Return what the gates came to, in one sentence."""
    refused = card.refusals
    if not refused:
        return f"**It passed every one of {len(card.verdicts)} gates.**"
    failed = [item.gate for item in refused if item.status == "fail"]
    open_ = [item.gate for item in refused if item.status == "insufficient"]
    told = [
        f"{len(names)} {word} ({', '.join(name.replace('_', ' ') for name in names)})"
        for names, word in ((failed, "failed"), (open_, "had insufficient evidence"))
        if names
    ]
    if card.file is None:
        return f"**No model was trained: of {len(card.verdicts)} gates {' and '.join(told)}.**"
    return f"**Refused: of {len(card.verdicts)} gates {' and '.join(told)}.** A refused model never decides anything."


def trials_sentence(card: ModelCard) -> str:
    """Return how many trials stand behind the model: the more there are, the less the best of them says."""
    own = len(card.body["trials"])
    count = len(card.trials)
    return (
        f"{own} trials were made for this model, {count} in the experiment so far; the deflated Sharpe ratio counts "
        "all of them. The filled point became the model; grey points are other trainings."
    )


def _origin(card: ModelCard) -> str:
    body, identity = card.body, card.body["identity"]
    labels, seals = body["labels"], identity["seals"]
    against = identity["against"]
    counted = (
        f"{labels['labels']:,} ({labels['executed']:,} executed) of {labels['segments']:,} segments, worth "
        f"{float(labels['effective']):,.0f} independent ones"
    )
    rows = [
        ["model id", f"`{card.model}`"],
        ["experiment", f"`{identity['experiment']}`"],
        ["known at", f"{identity['as_of'][:16].replace('T', ' ')} UTC"],
        ["compared with", _OTHERS.get(against, f"`{against}`")],
        ["labels", counted],
        ["seed", str(identity["seed"])],
        ["feature schema", f"`{identity['feature_schema']}`"],
        ["code", f"`{identity['code']}`"],
        ["lock file", f"`{identity['lock']}`"],
        ["model file", f"`{card.file}`" if card.file else "none: nothing was trained"],
    ]
    if body["window"]:
        window = f"{body['window']['first']} to {body['window']['last']}"
        rows.insert(3, ["window", f"{window}: {len(seals):,} sealed days of labelled features"])
        ends = f"`{seals[0][1][:12]}` ({seals[0][0]}) to `{seals[-1][1][:12]}` ({seals[-1][0]})"
        rows.insert(4, ["seals read", f"{ends}; the model ID covers all of them"])
    dropped = {name.replace("_", " "): count for name, count in body["dropped"].items() if count}
    if dropped:
        rows.append(["labels left out", ", ".join(f"{count:,} {name}" for name, count in sorted(dropped.items()))])
    parameters = body["metrics"].get("parameters")
    if parameters:
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(parameters.items()))
        rows.append(["hyper-parameters", told])
    return _table(["", ""], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in row) + " |" for row in rows]
    return "\n".join(lines)


def _verdict(item: GateResult) -> str:
    return item.status if item.status == "pass" else f"**{item.status}**"


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _written(text: str | None, how: str) -> str:
    value = _number(text)
    if value is None:
        return ""
    return f"{100 * value:+.3f} %" if how == "percent" else f"{value:.4f}"


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _bin(item: Mapping[str, Any]) -> tuple[float, float, int]:
    return float(item["predicted"]), float(item["observed"]), int(item["labels"])
