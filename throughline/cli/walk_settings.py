"""The settings of `walk-forward`: what the command sets itself, and which settings of a file it cannot follow.

Belongs here: from a configuration file and the options to the configuration of a walk, and the sentences about it. Does
not belong here: the settings and their bounds (`throughline.configuration`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from throughline.configuration import Configuration
from throughline.errors import SettingsError, printable


def walk_configuration(
    given: Configuration, path: Path | None, retrain: str | None
) -> tuple[Configuration, Sequence[str]]:
    """Return the configuration of a walk, and a sentence for each setting that the command changes.

    Args:
        given: the settings of the file.
        path: the file; None = the defaults.
        retrain: the option --retrain; None = not given.

    Raises:
        SettingsError: by the settings no model decides.
    """
    if given.model_policy == "none" and "model_policy" in given.model_fields_set:
        raise SettingsError(
            f"{printable(str(path))}: setting 'model_policy' is \"none\", and in a walk-forward models decide: remove "
            'the line or write model_policy = "gated"; `throughline backtest` runs the rule alone'
        )
    sentences = []
    if given.model_policy == "none":
        sentences.append(f'walk-forward sets model_policy = "gated": {policy_words(given.cash_policy)}.')
    learning = given.learning
    if retrain is not None and retrain != learning.retrain:
        if "retrain" in learning.model_fields_set:
            replaced = f'learning.retrain = "{learning.retrain}" of {printable(str(path))}'
            sentences.append(f"--retrain {retrain} replaces {replaced}.")
        learning = learning.model_copy(update={"retrain": retrain})
    return given.model_copy(update={"model_policy": "gated", "learning": learning}), sentences


def policy_words(cash_policy: str) -> str:
    """Return what model policy 'gated' means beside a cash policy, as a part of a sentence."""
    closed = "is closed" if cash_policy == "close" else "would be closed, which is only reported,"
    return (
        "models that passed every gate decide, the rule decides where there is none, and the rule "
        f'{closed} while its candidates are shown to lose (cash_policy = "{cash_policy}")'
    )
