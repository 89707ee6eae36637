"""Several processes that register trades at once leave the same registries as one that does it in order.

Three processes write trades by hand through the coordinator (each its own, and one in five also its neighbour's), one
runs an experiment by itself, one runs another through Dagster as the UI does, all in one home at the same time. The
other home has one process that does it all in order.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.integration.small_home import TableGates, seal_experiment
from tests.integration.tampering.home import trade
from throughline.catalogue import catalogue
from throughline.clock import FixedClock
from throughline.configuration import Configuration
from throughline.experiment.identity import Experiment, make_experiment
from throughline.experiment.registry import activate, register
from throughline.findings import Finding
from throughline.flow import make_context
from throughline.identity import seal_of
from throughline.market.simulated import SimulatedProvider
from throughline.proof.events import Event
from throughline.proof.log import publish
from throughline.proof.settings import open_proof
from throughline.registry.consistency import check_connection
from throughline.registry.coordinator import RegistryCoordinator
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.storage.tables import REGISTRY
from throughline.verification import verify_connection

START, END = date(2024, 3, 2), date(2024, 3, 5)
WRITERS, TRADES, SINGLE = 3, 50, 40
"""Processes that write by hand, how many trades each writes, and how many of them one by one."""
PAUSE = 0.1
"""Seconds between calls where all write at once, so that the writers are still there when the runs log their days."""
FLOW_SEED, UI_SEED = 7, 11

pytestmark = pytest.mark.slow


def by_hand(home: str, writer: int, pause: float = 0.0) -> None:
    """Write the trades of one writer, one by one and a few at once, and every fifth of its neighbour's."""
    own = range(writer * TRADES, (writer + 1) * TRADES)
    other = range((writer + 1) % WRITERS * TRADES, ((writer + 1) % WRITERS + 1) * TRADES, 5)
    with RegistryCoordinator(home) as registry:
        for number in own[:SINGLE]:
            registry.add_trade_with_linkages(*trade(number))
            time.sleep(pause)
        registry.add_trades([trade(number) for number in other])
        registry.add_trades([trade(number) for number in own[SINGLE:]])


def by_flow(home: str) -> None:
    """Run an experiment without any orchestrator, a day at a time."""
    with open_database(Home(home)) as database:
        for day in range((END - START).days + 1):
            store = ArtifactStore(Path(home) / "artifacts")
            seal_experiment(database, store, FLOW_SEED, START, START + timedelta(days=day))


def by_ui(home: str) -> None:
    """Run another experiment through Dagster, a day a run, as a backfill from the UI does."""
    from pipelines.backfill import materialize_range
    from resources.settings import Settings

    with open_database(Home(home)) as database:
        experiment, provider = ui_experiment()
        engine = database.engine("writer")
        register(engine, experiment)
        activate(engine, experiment, {"seed": UI_SEED})
        clock = FixedClock(datetime(2024, 4, 1, tzinfo=UTC))
        store = ArtifactStore(Path(home) / "artifacts")
        context = make_context(experiment, provider, engine, store, TableGates(), clock)
        context = replace(context, proof=open_proof(database.home, database.embedded, clock=clock))
        materialize_range(Settings(Home(home)), context, START, END, chunk_days=1)


def ui_experiment() -> tuple[Experiment, SimulatedProvider]:
    """Return the experiment that Dagster runs."""
    provider = SimulatedProvider(UI_SEED)
    source = provider.description.source_hash
    made = make_experiment("demo", START, Configuration(), source, UI_SEED, lock="0" * 64, code="1" * 64)
    return made, provider


JOBS: tuple[tuple[Callable[..., None], tuple[Any, ...]], ...] = (
    *((by_hand, (writer,)) for writer in range(WRITERS)),
    (by_flow, ()),
    (by_ui, ()),
)


def in_order(home: str) -> None:
    """One process does everything, one thing after the other."""
    for job, arguments in JOBS:
        job(home, *arguments)


def at_once(home: str, number: int, barrier: Any) -> None:
    """One of several processes: wait until all are ready, then do its part."""
    import_module("pipelines.backfill")  # loaded before the start, so that nobody is late
    job, arguments = JOBS[number]
    barrier.wait(120)
    job(home, *arguments, *([PAUSE] if job is by_hand else []))


@dataclass(frozen=True)
class Told:
    """What a home came to.

    roots: experiment -> table -> root over its content hashes. statistics: what the coordinator says of each
    experiment. seals: every partition seal. logged: the seals and rows by hand that the log names. sequence: the
    numbers of its events; kinds: the kinds of those that seal or list records, in that order.
    """

    roots: dict[str, dict[str, str]]
    statistics: dict[str, Any]
    seals: dict[tuple[str, str, str], tuple[str, int, str]]
    logged: set[tuple[str, ...]]
    sequence: list[int]
    kinds: list[str]
    findings: list[Finding]
    anchored: bool


def told_of(home: Path) -> Told:
    """Read what is in a home."""
    with open_database(Home(home)) as database:
        proof = open_proof(database.home, database.embedded)
        published = publish(database.engine("writer"), proof)
        with database.engine("auditor").connect() as connection:
            roots: dict[str, dict[str, str]] = {}
            experiments = list(connection.exec_driver_sql("SELECT id FROM experiments").scalars())
            for experiment in experiments:
                for table in REGISTRY:
                    query = f"SELECT content_hash FROM {table.name} WHERE experiment = %s"
                    hashes = connection.exec_driver_sql(query, (experiment,)).scalars().all()
                    roots.setdefault(experiment, {})[table.name] = seal_of(hashes)
            rows = connection.exec_driver_sql(
                "SELECT experiment, asset, partition::text, root, leaves, status FROM partition_seals"
            )
            seals = {(row[0], row[1], row[2]): (row[3], row[4], row[5]) for row in rows}
            bodies = connection.exec_driver_sql("SELECT body FROM seal_events ORDER BY seq").scalars().all()
            events = [Event.read(bytes(body)) for body in bodies]
            findings = list(verify_connection(connection, ArtifactStore(home / "artifacts")).findings)
            key = proof.signer.public_key
            findings += check_connection(connection, anchor=proof.anchor, public_key=key).findings
        return Told(
            roots,
            _statistics(database, experiments),
            seals,
            {item for event in events for item in _named(event)},
            [event.seq for event in events],
            [event.kind for event in events if event.kind != "rows"],
            findings,
            published.anchored == published.tree_size == len(events),
        )


def _statistics(database: Database, experiments: list[str]) -> dict[str, Any]:
    with RegistryCoordinator(database.home.path) as registry:
        return {item: registry.get_registry_statistics(experiment=item) for item in sorted(experiments)}


def _named(event: Event) -> list[tuple[str, ...]]:
    if event.kind == "seal":
        return [("seal", event.told["experiment"], event.name, event.told["manifest"])]
    if event.kind not in ("entries", "quarantine"):  # the others list rows that hold the time of their writing
        return []
    return [tuple(row) for row in event.told.get("rows", ())]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Return what one process leaves that does everything in order."""
    home = tmp_path_factory.mktemp("in_order") / "home"
    _run([(in_order, (str(home),))])
    return told_of(home)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Return what all processes leave that do it at once."""
    home = tmp_path_factory.mktemp("at_once") / "home"
    barrier = multiprocessing.get_context("spawn").Barrier(len(JOBS))
    with open_database(Home(home)):  # the server is there; who comes first makes key and log
        _run([(at_once, (str(home), number, barrier)) for number in range(len(JOBS))])
        return told_of(home)


def _run(jobs: list[tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=job, args=arguments) for job, arguments in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join(200)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def test_every_registry_has_trades_of_all_ways(reference: Told) -> None:
    assert len(reference.roots) == 3
    held = [told["canonical_trades"]["entries"] for told in reference.statistics.values()]
    assert sorted(held)[-1] == WRITERS * TRADES
    assert min(held) >= 2
    assert {asset for _, asset, _ in reference.seals} >= set(catalogue().registries)


def test_the_registries_have_the_same_roots(reference: Told, together: Told) -> None:
    assert together.roots == reference.roots
    assert together.statistics == reference.statistics
    assert together.seals == reference.seals


def test_the_log_names_the_same_and_has_no_gap(reference: Told, together: Told) -> None:
    assert together.logged == reference.logged
    for told in (reference, together):
        assert told.sequence == list(range(len(told.sequence)))
        assert told.anchored


def test_they_really_wrote_at_once(reference: Told, together: Told) -> None:
    assert len([kind for kind, _ in groupby(reference.kinds)]) == 3, "genesis, by hand, the runs"
    assert len([kind for kind, _ in groupby(together.kinds)]) > 3, "one after the other: nothing was tried"


def test_nothing_is_found_in_either(reference: Told, together: Told) -> None:
    assert reference.findings == []
    assert together.findings == []
