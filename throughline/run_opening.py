"""Opening a run: from settings and market data to the recorded experiment, and from there to what its stages need.

Belongs here: the one way in that commands, Dagster, notebooks and `UnifiedTradingPipeline` share. Does not belong here:
which experiment a run works on (experiment.choice), running days (flow.run).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from throughline.clock import Clock, SystemClock
from throughline.experiment.choice import settle
from throughline.experiment.identity import Experiment, lock_hash, make_experiment
from throughline.experiment.registry import Revision, register, resolve
from throughline.flow.context import FlowContext, make_context
from throughline.proof.settings import open_proof

if TYPE_CHECKING:
    from throughline.configuration import Configuration
    from throughline.market.panel import MarketDataProvider
    from throughline.quality.verdict import GateRunner
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import Database
    from throughline.storage.home import Home


@dataclass(frozen=True)
class OpenHome:
    """A home that is open.

    Args:
        home: its folder.
        database: its database.
        artifacts: its store of content-addressed files.
        redis_url: Redis for online readers of vectors; None keeps them in the database.
    """

    home: Home
    database: Database
    artifacts: ArtifactStore
    redis_url: str | None = None


@dataclass(frozen=True)
class RunSettings:
    """What makes an experiment, and what it is run from.

    Args:
        mode: name of the mode.
        provider: the market data.
        configuration: strategy, exits, costs, gates, models.
        inputs: what the provider is opened from (`throughline.experiment.providers`).
        start: the epoch, before which the portfolio is flat.
        seed: of random baselines and models.
    """

    mode: str
    provider: MarketDataProvider
    configuration: Configuration
    inputs: Mapping[str, Any]
    start: date
    seed: int


@dataclass(frozen=True)
class RecordedExperiment:
    """An experiment in the registry.

    Args:
        experiment: the one to go on with: that of the settings, or its fork where sealed data changed.
        revision: what changed, where it is a fork.
        activated: it has become the active experiment of its mode just now.
    """

    experiment: Experiment
    revision: Revision | None
    activated: bool


def own_experiment(settings: RunSettings) -> Experiment:
    """Return the experiment of these settings alone, whatever is recorded. Raises SettingsError without a lock file."""
    source = settings.provider.description.source_hash
    return make_experiment(
        settings.mode, settings.start, settings.configuration, source, settings.seed, lock=lock_hash()
    )


def record_experiment(opened: OpenHome, settings: RunSettings, *, use: bool = False) -> RecordedExperiment:
    """Record the experiment of these settings, or its fork where data changed that is sealed.

    Args:
        opened: the home.
        settings: what makes the experiment.
        use: make it the active one of its mode; otherwise it becomes that only where the mode has none.

    Raises:
        SettingsError: the lock file is missing.
        ArchiveError: for unusable market data.
    """
    engine = opened.database.engine("writer")
    experiment, revision = resolve(engine, own_experiment(settings), settings.provider, opened.artifacts)
    register(engine, experiment)
    return RecordedExperiment(experiment, revision, settle(engine, experiment, settings.inputs, use=use))


def open_run(
    opened: OpenHome,
    experiment: Experiment,
    provider: MarketDataProvider,
    gates: GateRunner | None = None,
    clock: Clock | None = None,
) -> FlowContext:
    """Return what the stages of a recorded experiment need: data, storage, gates, proof and the hot store.

    Args:
        opened: the home.
        experiment: recorded already.
        provider: its market data.
        gates: evaluates the suites; None is Great Expectations in this process.
        clock: of what is written; None is the operating system's.

    Raises:
        ProofError: a variable of the key or the anchor names something unusable.
        StorageError: the Redis cannot be reached.

    Example:
        >>> recorded = record_experiment(opened, settings)
        >>> context = open_run(opened, recorded.experiment, settings.provider)
        >>> run_range(context, settings.start, settings.start)
    """
    from throughline.features.hot import open_hot_store
    from throughline.quality.runner import GreatExpectationsRunner

    clock = clock or SystemClock()
    engine = opened.database.engine("writer")
    return make_context(
        experiment,
        provider,
        engine,
        opened.artifacts,
        gates or GreatExpectationsRunner(experiment.configuration.gates),
        clock,
        proof=open_proof(opened.home, opened.database.embedded, clock=clock),
        hot=open_hot_store(opened.redis_url, engine, experiment.id),
    )
