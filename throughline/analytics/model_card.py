"""The card of a model as markdown: its origin, the verdict of every gate, its figures and pictures.

Belongs here: reading one model's record, sentences, tables and their order. Does not belong here: drawing
(model_pictures) and figures (`throughline.learning.figures`). Everything shown is in the record of the model and in the
ledger of trials; nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from throughline.analytics.model_pictures import (
    Importance,
    ScoreBin,
    TrialPoint,
    calibration_chart,
    deciles_chart,
    importance_chart,
    trials_chart,
)
from throughline.errors import UnknownRecord
from throughline.learning.store import read_model, read_trials, read_verdicts
from throughline.learning.types import CASH, RULE, GateResult, Trial
from throughline.rendering.blocks import Block, Heading, Picture, markdown
from throughline.rendering.formats import minute, percent, plain, words
from throughline.rendering.table import Table

SHOWN_FEATURES = 15
SHOWN_TRIALS = 48
"""At most so many trials of other trainings are drawn."""

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
"""Name for people, key in the record, and unit."""


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
        """The gates that it did not pass."""
        return tuple(item for item in self.verdicts if item.status != "pass")


def read_card(conn: Connection, model: str) -> ModelCard:
    """Return the card of a model. Raises UnknownRecord for an id that no model of this home has."""
    stored = read_model(conn, model)
    if stored is None:
        raise UnknownRecord(f"no model of this home has the id {model}: `throughline models` lists them")
    trials = tuple(read_trials(conn, stored.experiment))
    return ModelCard(model, stored.body, tuple(read_verdicts(conn, model)), trials, stored.file_hash)


def card_pictures(card: ModelCard) -> list[Picture]:
    """Return the pictures that the record can give, in their order; none of a model that was not trained."""
    metrics = card.body["metrics"]
    pictures = []
    if metrics.get("reliability"):
        bins = [_bin(item) for item in metrics["reliability"]]
        pictures.append(Picture(calibration_chart(bins, _number(metrics["brier"])), "calibration"))
    if metrics.get("deciles"):
        pictures.append(Picture(deciles_chart([_bin(item) for item in metrics["deciles"]]), "deciles"))
    items = [
        Importance(item["feature"], rise, _number(item["spread"]) or 0.0)
        for item in metrics.get("importance", ())
        if (rise := _number(item["rise"]))
    ]
    if items:
        largest = sorted(items, key=lambda item: -abs(item.rise))[:SHOWN_FEATURES]
        pictures.append(Picture(importance_chart(largest), "importance"))
    points = trial_points(card)
    if points:
        pictures.append(Picture(trials_chart(points), "trials"))
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


def _trials_table(card: ModelCard) -> Table:
    bodies = {trial.hash: trial.body for trial in card.trials}
    chosen = card.body["metrics"].get("chosen")
    rows = []
    for place, name in enumerate(card.body["trials"], 1):
        body = bodies[name]
        settings = body["parameters"]
        trees = f"{settings['max_iter']} trees of {settings['max_leaf_nodes']} leaves"
        rows.append(
            (
                f"**{place}**" if name == chosen else str(place),
                f"{trees}, rate {settings['learning_rate']}, {settings['selected']} features",
                f"{body['taken']:,}",
                _figure(body["gain_per_taken"], "percent"),
                _figure(body["growth_per_candidate"], "percent"),
                _figure(body["sharpe"], "number"),
            )
        )
    header = (
        "trial",
        "hyper-parameters",
        "took",
        "mean net return per taken label",
        "log growth per candidate",
        "Sharpe ratio of days",
    )
    return Table(header, rows, left=(0, 1))


def card_markdown(card: ModelCard) -> str:
    """Return the card as markdown, with its pictures."""
    return markdown(_blocks(card))


def _blocks(card: ModelCard) -> Iterator[Block]:
    yield Heading(f"Model `{card.model[:12]}`", level=2)
    yield verdict_sentence(card)
    yield _origin(card)
    yield Heading("Gates")
    gates = [
        (
            words(item.gate),
            item.status if item.status == "pass" else f"**{item.status}**",
            plain(item.value),
            plain(item.threshold),
            item.reason,
        )
        for item in card.verdicts
    ]
    yield Table(("gate", "verdict", "value", "threshold", "reason"), gates, left=(0, 1, 4))
    metrics = card.body["metrics"]
    rows = [(name, _figure(metrics[key], kind)) for name, key, kind in FIGURES if metrics.get(key) is not None]
    if rows:
        yield Heading("Figures")
        yield (
            f"Out of fold on {metrics['labels_tested']:,} labels that the model of the fold had not seen, weighted by "
            f"uniqueness; it would take {metrics['taken']:,} of them."
        )
        yield Table(("figure", ""), rows)
    yield from card_pictures(card)
    if trial_points(card):
        yield trials_sentence(card)
        yield _trials_table(card)


def verdict_sentence(card: ModelCard) -> str:
    """Return the result of the gates in one sentence."""
    refused = card.refusals
    if not refused:
        return f"**It passed every one of {len(card.verdicts)} gates.**"
    failed = [item.gate for item in refused if item.status == "fail"]
    open_ = [item.gate for item in refused if item.status == "insufficient"]
    results = [
        f"{len(names)} {word} ({', '.join(map(words, names))})"
        for names, word in ((failed, "failed"), (open_, "had insufficient evidence"))
        if names
    ]
    if card.file is None:
        return f"**No model was trained: of {len(card.verdicts)} gates {' and '.join(results)}.**"
    return (
        f"**Refused: of {len(card.verdicts)} gates {' and '.join(results)}.** A refused model never decides anything."
    )


def trials_sentence(card: ModelCard) -> str:
    """Return how many trials stand behind the model: the more there are, the less the best of them proves."""
    own = len(card.body["trials"])
    count = len(card.trials)
    return (
        f"{own} trials were run for this model, {count} in the experiment so far; the deflated Sharpe ratio counts "
        "all of them. The filled point became the model; grey points are other trainings."
    )


def _origin(card: ModelCard) -> Table:
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
        ["known at", f"{minute(identity['as_of'])} UTC"],
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
    dropped = sorted((name, count) for name, count in body["dropped"].items() if count)
    if dropped:
        rows.append(["labels left out", ", ".join(f"{count:,} {words(name)}" for name, count in dropped)])
    parameters = body["metrics"].get("parameters")
    if parameters:
        chosen = ", ".join(f"{words(name)} {value}" for name, value in sorted(parameters.items()))
        rows.append(["hyper-parameters", chosen])
    return Table(("", ""), rows, left=(0, 1))


def _figure(text: str | None, kind: str) -> str:
    value = _number(text)
    if value is None:
        return ""
    return percent(value, digits=3) if kind == "percent" else f"{value:.4f}"


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _bin(item: Mapping[str, Any]) -> ScoreBin:
    return ScoreBin(float(item["predicted"]), float(item["observed"]), int(item["labels"]))
