"""`SafeMLPipeline`: training, trial, promotion and rollback of models, with the method names of the seed document.

Belongs here: the seed's names over the same functions that commands and jobs use, on the active experiment of a mode.
Does not belong here: anything they do (nightly, lifecycle). Gates, policy and sealed days hold here as everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from throughline.clock import Clock, SystemClock
from throughline.errors import UnknownRecord
from throughline.experiment.choice import choose
from throughline.experiment.identity import Experiment
from throughline.experiment.mode import default_mode
from throughline.learning import lifecycle
from throughline.learning.events import ServingState
from throughline.learning.lifecycle import Change
from throughline.learning.mirror import open_mirror
from throughline.learning.model_cards import model_list, serving_json, standing
from throughline.learning.store import StoredModel, read_model, read_verdicts, trades_by_model
from throughline.learning.trades import ModelTrade, model_of, trades_of
from throughline.learning.types import RULE, GateResult
from throughline.registry.opening import configured_artifacts, open_configured
from throughline.storage.home import Home
from throughline.storage.ids import resolve_id, resolve_record

if TYPE_CHECKING:
    from throughline.quality.verdict import GateRunner


class ModelMetrics:
    """The figures of a model by the seed's names (`r2_score`) and by those of its record; None where it has none."""

    def __init__(self, recorded: Mapping[str, Any]) -> None:
        self.recorded = recorded

    @property
    def r2_score(self) -> float | None:
        """Out-of-fold R2 of the expected return."""
        return self.number("r2")

    def number(self, name: str) -> float | None:
        """Return a figure of the record as a number, None where there is no such number."""
        value = self.recorded.get(name)
        try:
            return None if value is None else float(value)
        except (TypeError, ValueError):
            return None


@dataclass(frozen=True)
class ModelVersion:
    """A model. version_id: its model id, or `RULE`; passed: whether every gate let it through; state: its place."""

    version_id: str
    metrics: ModelMetrics
    passed: bool
    state: str
    trained_as_of: str | None
    gates: tuple[GateResult, ...]


class SafeMLPipeline:
    """The models of one home. Use it as a context manager or call `close`.

    db_path: folder of the home (the seed's name of it); home: the same by our name; None = THROUGHLINE_HOME or the
    default. mode: whose active experiment is meant; None = the default mode (backtest). experiment: another one of that
    mode, by its ID. gates: judges the training set; None = Great Expectations. clock: says whether the check of the
    registries is recent. Every ID that a method takes may be the first 8 or more digits.
    """

    def __init__(
        self,
        db_path: str | os.PathLike[str] | None = None,
        *,
        home: str | os.PathLike[str] | None = None,
        mode: str | None = None,
        experiment: str | None = None,
        gates: GateRunner | None = None,
        clock: Clock | None = None,
    ) -> None:
        where = Home.locate(home if home is not None else db_path)
        self._database = open_configured(where)
        try:
            self._engine: Engine = self._database.engine("writer")
            self.experiment: Experiment = choose(self._engine, mode or default_mode().name, experiment).experiment
        except BaseException:
            self._database.close()
            raise
        self._artifacts = configured_artifacts(where)
        self._mirror = open_mirror(self._database, where, self._artifacts)
        self._gates = gates
        self._clock = clock or SystemClock()

    def __enter__(self) -> SafeMLPipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the home back."""
        self._database.close()

    def train_new_model(self) -> ModelVersion | None:
        """Train on what was resolved by the end of the last sealed day; None where a gate refused the model.

        What each gate said is recorded either way. Raises MissingPredecessor where nothing is sealed, GateClosed where
        the registries were not found consistent lately.
        """
        from throughline.learning.nightly import train_challenger
        from throughline.learning.standing import last_close
        from throughline.quality.runner import GreatExpectationsRunner

        gates = self._gates or GreatExpectationsRunner(self.experiment.configuration.gates)
        with self._engine.connect() as conn:
            as_of = last_close(conn, self.experiment)
        trained = train_challenger(self._engine, self._artifacts, self.experiment, gates, as_of, self._clock.now())
        return self.get_model(trained.model) if trained.passed else None

    def deploy_canary(self, version_id: str, *, reason: str = "by hand", at: datetime | None = None) -> Change:
        """Put a model on trial. at: from when on; None = the first instant that is not decided yet."""
        return self._change(lifecycle.start_canary, version_id, reason, at)

    def promote_canary_to_production(
        self, version_id: str, *, reason: str = "by hand", at: datetime | None = None
    ) -> Change:
        """Make the canary champion. at: as in `deploy_canary`."""
        return self._change(lifecycle.promote, version_id, reason, at)

    def rollback(self, version_id: str | None = None, *, reason: str = "by hand", at: datetime | None = None) -> Change:
        """Take a model out of service for good; None = the model on trial, else the champion.

        Raises UnknownRecord where no model serves.
        """
        with self._engine.connect() as conn:
            state = lifecycle.current(conn, self.experiment.id)
        model = version_id or state.canary or state.champion
        if model == RULE:
            raise UnknownRecord("no model serves: the rule decides everything, and there is nothing to roll back")
        return self._change(lifecycle.roll_back, model, reason, at)

    def get_active_model(self) -> ModelVersion:
        """Return the champion: a model, or the rule, which has no figures and needs no gate."""
        with self._engine.connect() as conn:
            state = lifecycle.current(conn, self.experiment.id)
        if state.champion == RULE:
            return ModelVersion(RULE, ModelMetrics({}), True, "champion", None, ())
        return self.get_model(state.champion)

    def get_model(self, version_id: str) -> ModelVersion:
        """Return a model of the experiment. Raises UnknownRecord where its ID names none."""
        with self._engine.connect() as conn:
            stored = read_model(conn, self._named(conn, version_id))
            assert stored is not None
            return _version(stored, lifecycle.current(conn, stored.experiment), read_verdicts(conn, stored.id))

    def get_model_performance_summary(self) -> dict[str, Any]:
        """Return every model with its place, its gates and the closed trades it decided, and who serves."""
        with self._engine.connect() as conn:
            state = lifecycle.current(conn, self.experiment.id)
            listed = model_list(conn, self.experiment, state)
            trades = trades_by_model(conn, self.experiment.id)
            profit = {
                model: sum((trade.pnl_usd for trade in trades_of(conn, self.experiment.id, model)), start=0)
                for model in trades
            }
        return {
            **listed,
            "serving": serving_json(state),
            "performance": {
                model: {"trades": count, "profit_usd": str(profit[model])} for model, count in trades.items()
            },
        }

    def get_trades_of(self, version_id: str) -> tuple[ModelTrade, ...]:
        """Return the closed trades that a model (or the rule) decided, by decision."""
        with self._engine.connect() as conn:
            model = version_id if version_id == RULE else self._named(conn, version_id)
            return trades_of(conn, self.experiment.id, model)

    def get_model_of(self, trade: UUID | str) -> str:
        """Return the model that decided the trade of any UUID of its chain. Raises UnknownRecord."""
        with self._engine.connect() as conn:
            return model_of(conn, resolve_record(conn, trade, "record"))

    def _change(self, change: Any, model: str, reason: str, at: datetime | None) -> Change:
        with self._engine.connect() as conn:
            named = self._named(conn, model)
            since = at or lifecycle.next_instant(conn, self.experiment)
        outcome: Change = change(
            self._engine, self.experiment, named, at=since, by="hand", reason=reason, mirror=self._mirror
        )
        return outcome

    def _named(self, conn: Connection, version_id: str) -> str:
        return resolve_id(conn, version_id, "model", experiment=self.experiment.id).id


def _version(stored: StoredModel, state: ServingState, gates: tuple[GateResult, ...]) -> ModelVersion:
    return ModelVersion(
        version_id=stored.id,
        metrics=ModelMetrics(stored.body["metrics"]),
        passed=bool(gates) and all(item.status == "pass" for item in gates),
        state=standing(state, stored.id),
        trained_as_of=stored.body["identity"]["as_of"],
        gates=gates,
    )
