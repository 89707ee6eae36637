"""Which experiment a command, a run, a schedule or a notebook works on: the one rule, in one place.

1. What brings its own settings works on the experiment of those settings: `throughline backtest`, `demo` and
   `walk-forward`, and `UnifiedTradingPipeline`. The first experiment of a mode becomes the mode's active experiment;
   after that only `--use`, `throughline use ID` and the asset `<mode>/active_experiment` change which one is active.
2. Everything else works on the experiment that it is given (`--experiment ID`, the run tag `throughline/experiment`;
   any unique beginning of 8 or more digits), and without one on the active experiment of its mode: the assets, jobs,
   schedules and sensors, and `trades`, `equity`, `models`, `train`, `canary`, `promote` and `rollback`.
3. A question that knows no mode (`registry_coordinator`, `FeatureEngineer`) is about the experiment that it names, and
   without a name about the active one of mode backtest, else of demo (`throughline.registry.reading`).

Belongs here: the choice, and the inputs (paths of an archive, seed of a market) that an experiment is run from. Does
not belong here: how experiments are recorded and forked (registry).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from throughline.clock import Clock
from throughline.errors import SettingsError
from throughline.experiment.identity import Experiment, current_code_hash, from_body
from throughline.experiment.mode import find_mode, mode_names
from throughline.experiment.provider import make_provider
from throughline.market.panel import MarketDataProvider
from throughline.storage.ids import resolve_id
from throughline.storage.queries import (
    get_active,
    read_experiment,
    read_inputs,
    remember_inputs,
    set_active,
    set_first_active,
)


@dataclass(frozen=True)
class Chosen:
    """An experiment to work on.

    Args:
        experiment: the one that was chosen.
        inputs: what it is run from; None where this home does not know.
        active: whether it is the active experiment of its mode.
    """

    experiment: Experiment
    inputs: Mapping[str, Any] | None
    active: bool


def choose(engine: Engine, mode: str | None, given: str | None = None) -> Chosen:
    """Return the experiment to work on.

    Args:
        engine: may read.
        mode: whose active experiment is meant where none is given; an experiment that is given must be of this mode.
            None = an experiment of any mode may be given, and must be.
        given: an experiment ID or its beginning, None = the active experiment of `mode`.

    Returns:
        The experiment with its inputs: its own, else those of another experiment of the mode with the same source.

    Raises:
        UnknownRecord: the given ID names no experiment, or several.
        SettingsError: the given one is of another mode, or none is given and the mode has no active one.
    """
    with engine.connect() as conn:
        if given is None:
            if mode is None:
                raise SettingsError("name an experiment: `throughline experiments` lists them")
            return _active(conn, mode)
        name = resolve_id(conn, given, "experiment", modes=mode_names()).id
        stored = read_experiment(conn, name)
        assert stored is not None  # its ID was read a moment ago, and experiments are never deleted
        if mode is not None and stored.mode != mode:
            raise SettingsError(
                f"experiment {name[:12]} is of mode '{stored.mode}', not '{mode}': in the UI choose the assets under "
                f"{stored.mode}/, on the command line --mode {stored.mode}"
            )
        current = get_active(conn, stored.mode)
        return _chosen(conn, from_body(stored.body), current is not None and current.experiment == name)


def settle(engine: Engine, experiment: Experiment, inputs: Mapping[str, Any], *, use: bool = False) -> bool:
    """Keep what a registered experiment is run from; make it active if asked, or if its mode has no active one yet.

    Returns:
        Whether this call made it the active one.
    """
    with engine.begin() as conn:
        current = get_active(conn, experiment.mode)
        if use:
            set_active(conn, experiment.mode, experiment.id, inputs)
            return current is None or current.experiment != experiment.id
        remember_inputs(conn, experiment.id, inputs)
        return set_first_active(conn, experiment.mode, experiment.id)


def use(engine: Engine, given: str, mode: str | None = None) -> tuple[Chosen, str | None]:
    """Make an experiment the active one of its mode.

    Args:
        engine: may write.
        given: an experiment ID or its beginning.
        mode: the mode that it must be of, None = any.

    Returns:
        The experiment, and the ID of the one that was active before (None where there was none).

    Raises:
        UnknownRecord, SettingsError: as `choose`; SettingsError too where this home does not know its inputs.
    """
    chosen = choose(engine, mode, given)
    inputs = require_inputs(chosen)
    with engine.begin() as conn:
        before = get_active(conn, chosen.experiment.mode)
        set_active(conn, chosen.experiment.mode, chosen.experiment.id, inputs)
    return Chosen(chosen.experiment, inputs, True), None if before is None else before.experiment


def require_inputs(chosen: Chosen) -> Mapping[str, Any]:
    """Return the inputs of a chosen experiment.

    Raises:
        SettingsError: this home does not know them; the error names the command that records them.
    """
    if chosen.inputs is None:
        raise SettingsError(
            f"this home does not know from which files experiment {chosen.experiment.id[:12]} was run: run its "
            f"`throughline {next(iter(find_mode(chosen.experiment.mode).commands))}` command once more"
        )
    return chosen.inputs


def open_provider(chosen: Chosen, clock: Clock) -> MarketDataProvider:
    """Return the market data of a chosen experiment. clock: bars that close after its instant are left out.

    Raises SettingsError where its inputs are unknown or are another source by now, ArchiveError for unusable files.
    """
    provider = make_provider(chosen.experiment.mode, require_inputs(chosen), clock)
    if provider.description.source_hash != chosen.experiment.source_hash:
        place = ", ".join(f"{name} {value}" for name, value in sorted(require_inputs(chosen).items()))
        again = f"run its `throughline {next(iter(find_mode(chosen.experiment.mode).commands))}` command again"
        cure = f"put the description of its archive back, or {again} from where it lies now"
        if chosen.experiment.code_hash != current_code_hash():
            # A release may read the same description as another source: to put a file back would not help.
            cure = f"Throughline has changed since, too, so {again}, which makes an experiment of this release"
        raise SettingsError(
            f"experiment {chosen.experiment.id[:12]} belongs to another source than the one that is there now "
            f"({place}): {cure}"
        )
    return provider


def _active(conn: Connection, mode: str) -> Chosen:
    active = get_active(conn, mode)
    stored = read_experiment(conn, active.experiment) if active else None
    if stored is None:
        others = [name for name in mode_names() if name != mode and get_active(conn, name) is not None]
        hint = f", or choose --mode {others[0]}, which has one" if others else ""
        raise SettingsError(
            f"mode '{mode}' has no active experiment in this home: run `{find_mode(mode).first_command}` once to set "
            f"it, or name an experiment that was run before (`throughline experiments` lists them){hint}"
        )
    return _chosen(conn, from_body(stored.body), True)


def _chosen(conn: Connection, experiment: Experiment, active: bool) -> Chosen:
    known = read_inputs(conn)
    inputs: Mapping[str, Any] | None = known.get(experiment.id)
    if inputs is None:
        inputs = _inputs_of_same_source(conn, known, experiment)
    return Chosen(experiment, inputs, active)


def _inputs_of_same_source(
    conn: Connection, known: Mapping[str, Mapping[str, Any]], experiment: Experiment
) -> Mapping[str, Any] | None:
    """Return the inputs that were used last of an experiment with the same source: they lead to the same data."""
    for name, inputs in known.items():
        stored = read_experiment(conn, name)
        if stored is not None and stored.mode == experiment.mode:
            other = from_body(stored.body)
            if other.source_hash == experiment.source_hash:
                return inputs
    return None
