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
    """One experiment. id: hex SHA-256 of `body`, the canonical bytes of everything that decides its records."""

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
    """Numbers of a configuration as text, exactly: what is read back from the body must be what the first run used."""
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
    """Return the experiment of these settings. Raises SettingsError for a mode that does not exist."""
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
