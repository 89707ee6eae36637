"""The holdout of a model: what its one opening says, and how many of its days earlier models have seen. Pure.

Belongs here: the figures of an opening and the overlap with other openings. Does not belong here: which labels are the
holdout (splits), the gate (gates), storage (store).

A holdout opens once for each model id, and no model is trained on its own. That does not make its days unseen: the
holdout is the last share of the days known at a training, so the next training's holdout shares days with it, and a
model is tried again after the holdout of the one before refused it. Each opening therefore records how many of its
days lie in holdouts that other models of the experiment had opened by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from throughline.identity import score_text
from throughline.learning.metrics import brier, log_growth, mean_gain
from throughline.learning.models import FittedModel
from throughline.learning.splits import DAY_MS
from throughline.learning.types import I64, Mask, TrainingData


@dataclass(frozen=True)
class Opening:
    """What the holdout said. gain: mean gain over the champion a label; days: decision days of the holdout; seen: those
    of them that other openings had shown; body: what is recorded, canonical JSON."""

    gain: float
    days: int
    seen: int
    body: Mapping[str, Any]

    @property
    def sentence(self) -> str:
        """Say how many of its days were unseen."""
        return f"{self.seen} of its {self.days} days lie in holdouts that earlier models of the experiment opened"


def open_holdout(
    rest: TrainingData,
    model: FittedModel,
    champion_takes: Callable[[TrainingData], Mask],
    stake_share: float,
    earlier: Sequence[Mapping[str, Any]],
) -> Opening:
    """Return what the holdout says of a model.

    Args:
        rest: labels of the holdout, in order of decision; at least one.
        model: trained on none of them.
        champion_takes: what the champion takes of given labels.
        stake_share: of the fund that one trade stakes.
        earlier: bodies of the openings of other models of the same experiment.
    """
    probability, _, take = model.score(rest.features)
    champion = champion_takes(rest)
    gain = mean_gain(rest.net_return, take, rest.weight)
    other = mean_gain(rest.net_return, champion, rest.weight)
    growth = log_growth(rest.net_return, take, rest.weight, stake_share)
    days, seen = days_seen(rest.decided, earlier)
    body = {
        "brier": score_text(brier(rest.net_return > 0.0, probability, rest.weight)),
        "days": days,
        "days_seen": seen,
        "first_decided": int(rest.decided[0]),
        "gain": score_text(gain),
        "gain_champion": score_text(other),
        "labels": len(rest),
        "last_decided": int(rest.decided[-1]),
        "log_growth": score_text(growth) if take.any() else None,
        "taken": int(take.sum()),
        "taken_champion": int(champion.sum()),
    }
    return Opening(gain - other, days, seen, body)


def days_seen(decided: I64, earlier: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Return the number of decision days, and of those that lie between first and last decision of an earlier opening.

    Args:
        decided: [n] instants of decision, Unix milliseconds.
        earlier: bodies of openings (`first_decided`, `last_decided` in Unix milliseconds).
    """
    days = np.unique(decided // DAY_MS)
    seen = np.zeros(len(days), dtype=np.bool_)
    for body in earlier:
        seen |= (days >= body["first_decided"] // DAY_MS) & (days <= body["last_decided"] // DAY_MS)
    return len(days), int(seen.sum())
