"""A report stands on the ledger, so it is refused where the ledger failed its own gate."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.small_home import END, START, seal_experiment
from throughline.analytics.report import build_report
from throughline.errors import GateClosed
from throughline.experiment.choice import choose
from throughline.market.simulated import SimulatedProvider
from throughline.quality.verdict import Failure
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import open_database
from throughline.storage.home import Home


def test_a_report_over_a_day_whose_outcomes_failed_their_gate_is_refused(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    with open_database(Home(tmp_path / "home")) as database:
        with pytest.raises(GateClosed):
            seal_experiment(database, store, failing={("outcomes", END): Failure("ledger_rule", 2)})
        engine = database.engine("writer")
        experiment = choose(engine, "demo").experiment
        provider = SimulatedProvider(7)
        with pytest.raises(GateClosed, match=f"outcomes of {END} failed its gate: rule ledger_rule"):
            build_report(engine, store, provider, experiment, START, END)
        good = build_report(engine, store, provider, experiment, START, END - timedelta(days=1))
        assert good.end == END - timedelta(days=1)
