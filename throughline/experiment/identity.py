"""An experiment: one complete configuration, named by the hash of all that decides its records (docs/architecture.md).

Inside: strategy, cost, gate and canary settings, starting cash, epoch, model policy, decision-code hash, lock-file
hash, seed, source, and for a fork its parent and data revision. Outside: end date, paths, run ids, wall clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from throughline.configuration import RETIRED, Configuration
from throughline.errors import SettingsError
from throughline.exits.registry import rule_files
from throughline.experiment.mode import find_mode
from throughline.identity import SCHEMA_VERSION, canonical_bytes, content_hash
from throughline.setting_errors import setting_error

_DECISION_PACKAGES = (
    "catalogue",
    "exits",
    "features",
    "flow",
    "learning",
    "market",
    "registries",
    "signals",
    "strategy",
    "tracking",
    "trading",
)


@dataclass(frozen=True)
class Experiment:
    """One experiment: a complete configuration of everything that decides its records.

    Attributes:
        id: hex SHA-256 of `body`.
        mode: name of its mode.
        epoch: first day (UTC); the portfolio is flat before it.
        configuration: strategy, exits, costs, gates, learning.
        source_hash: identity of its market data (`SourceDescription.source_hash`).
        seed: of baselines, models and, in an invented market, of the market.
        code_hash: hash of the decision code that made it.
        lock_hash: hash of the lock file that pins the environment.
        parent: ID of the experiment that it forks, None for a first one.
        data_revision: hash of the days that read differently than the parent's, None for a first one.
        body: the canonical bytes of all of this but `id`.

    Example:
        >>> experiment = make_experiment("demo", date(2024, 1, 1), Configuration(), "a" * 64, 7, lock="0" * 64)
        >>> from_body(experiment.body) == experiment
        True
    """

    id: str
    mode: str
    epoch: date
    configuration: Configuration
    source_hash: str
    seed: int
    code_hash: str
    lock_hash: str
    parent: str | None
    data_revision: str | None
    body: bytes


def decision_code_hash(package: Path | None = None) -> str:
    """Return the hash of the files that decide: market, signals, strategy, exits, trading, features, learning and flow,
    and of catalogue, registries and tracking, which decide how a record is written (its version, hash and UUID). Exit
    rules that lie elsewhere are among them.

    Not the git commit: documentation does not fork experiments. The flow is among them because it hands the engine
    its bars and sizes: with other files there, the same experiment could give other records.

    Over sorted (relative path, SHA-256) pairs of the ``.py`` files, read with universal newlines so that a checkout
    with other line ends is the same code.
    """
    root = package or Path(__file__).parents[1]
    listing = []
    for name in _DECISION_PACKAGES:
        files = sorted((root / name).rglob("*.py"), key=lambda item: item.relative_to(root).as_posix().encode())
        listing += [[path.relative_to(root).as_posix(), _text_hash(path)] for path in files]
    elsewhere = [] if package else [path for path in rule_files() if not path.is_relative_to(root)]
    listing += [[f"exits/rules/{path.name}", _text_hash(path)] for path in elsewhere]
    return content_hash("decision_code", canonical_bytes({"files": listing}))


def _text_hash(path: Path) -> str:
    return hashlib.sha256(path.read_text(encoding="utf-8").encode()).hexdigest()


@lru_cache(maxsize=1)
def current_code_hash() -> str:
    """Return the decision-code hash of the installed package (read once per process)."""
    return decision_code_hash()


def lock_hash(lock_file: Path | None = None) -> str:
    """Return the SHA-256 of the lock file that pins the environment. Raises SettingsError where it is missing."""
    path = lock_file or Path(__file__).parents[2] / "requirements.lock"
    if not path.is_file():
        raise SettingsError(
            f"{path}: the lock file is missing, so the environment has no identity; restore it from git"
        )
    return hashlib.sha256(path.read_text(encoding="utf-8").encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Return numbers of a configuration as exact text, so that the body gives back the values of the first run."""
    if isinstance(value, float):
        return repr(value + 0.0)  # minus zero is zero
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def make_experiment(
    mode: str,
    epoch: date,
    configuration: Configuration,
    source_hash: str,
    seed: int,
    *,
    lock: str,
    code: str | None = None,
    parent: str | None = None,
    data_revision: str | None = None,
) -> Experiment:
    """Return the experiment of these settings.

    Args:
        mode: name of the mode.
        epoch: first day (UTC).
        configuration: all settings of the configuration file.
        source_hash: identity of the market data.
        seed: of baselines and models.
        lock: hash of the lock file.
        code: hash of the decision code, None = that of the installed package.
        parent: ID of the experiment that it forks.
        data_revision: hash of the days that read differently than the parent's.

    Raises:
        SettingsError: the mode does not exist.
    """
    find_mode(mode)
    code_hash = code or current_code_hash()
    body = canonical_bytes(
        {
            "code_hash": code_hash,
            "configuration": _plain(configuration.model_dump(mode="json")),
            "data_revision": data_revision,
            "epoch": epoch,
            "lock_hash": lock,
            "mode": mode,
            "parent": parent,
            "schema_version": SCHEMA_VERSION,
            "seed": seed,
            "source": source_hash,
        }
    )
    return Experiment(
        id=content_hash("experiment", body),
        mode=mode,
        epoch=epoch,
        configuration=configuration,
        source_hash=source_hash,
        seed=seed,
        code_hash=code_hash,
        lock_hash=lock,
        parent=parent,
        data_revision=data_revision,
        body=body,
    )


def from_body(body: bytes) -> Experiment:
    """Return the experiment that `body` (canonical bytes) describes; its ID is recomputed.

    Raises:
        SettingsError: its settings lie outside the bounds of this version.
    """
    data = json.loads(body)
    for setting in RETIRED:  # the body of an earlier release keeps them, the settings of this one do not
        table, key = setting.split(".")
        data["configuration"].get(table, {}).pop(key, None)
    try:
        configuration = Configuration.model_validate(data["configuration"], strict=False)
    except ValidationError as error:
        name = Path(f"experiment {content_hash('experiment', body)[:12]}")
        raise setting_error(name, Configuration, error, RETIRED) from None
    return Experiment(
        id=content_hash("experiment", body),
        mode=data["mode"],
        epoch=date.fromisoformat(data["epoch"]),
        configuration=configuration,
        source_hash=data["source"],
        seed=data["seed"],
        code_hash=data["code_hash"],
        lock_hash=data["lock_hash"],
        parent=data["parent"],
        data_revision=data["data_revision"],
        body=body,
    )


def configuration_pointer(experiment: Experiment, part: str) -> str:
    """Return the pointer a record carries to its settings: the experiment and the part of its body."""
    return f"experiment:{experiment.id}#/configuration/{part}"
