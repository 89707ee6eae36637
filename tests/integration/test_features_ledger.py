"""Vectors and labels as the ledger holds them: as of an instant, whole days only, and only what was sealed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.feature_cases import candidate_row, label_row, research_row, snapshot, write_of
from tests.integration.small_home import START, seal_experiment
from throughline.errors import MissingPredecessor, UnknownRecord
from throughline.features.engineer import LABELS, FeatureEngineer
from throughline.features.errors import FeatureError, SchemaMismatch
from throughline.features.hot import HotReader, open_hot_store
from throughline.features.offline import OfflineVectors, fill_hot_store, read_vectors
from throughline.features.vector import NAMES, feature_schema, feature_vector
from throughline.identity import time_to_ms
from throughline.learning.dataset import read_training_data
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.storage.ledger import LedgerRow, append_record, read_rows, write_partition, write_partitions
from throughline.tracking.records import make_row, reference
from throughline.tracking.system import TradeTrackingSystem
from throughline.tracking.types import ResearchDocument

T0 = datetime(2021, 3, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)


class Ledger:
    """Writes chains of one experiment, day by day."""

    def __init__(self, database: Database, experiment: str) -> None:
        self.engine, self.experiment = database.engine("writer"), experiment
        self.rng = np.random.default_rng(3)

    def decide(self, decided: datetime, instrument: str = "ABC", **changes: Any) -> tuple[LedgerRow, LedgerRow, Any]:
        """Record a candidate with its research; return both and the snapshot. changes: of the research body."""
        told = snapshot(self.rng, decided, instrument)
        candidate = candidate_row(self.experiment, decided, instrument)
        research = research_row(candidate, told, **changes)
        with self.engine.begin() as connection:
            append_record(connection, "candidates", candidate)
            append_record(connection, "research_docs", research)
        return candidate, research, told

    def correct(self, table: str, row: LedgerRow, made: date, **changes: Any) -> LedgerRow:
        """Return the correction of a row, made on a day."""
        body = json.loads(row.body) | {"partition": made, "supersedes": reference(row)} | changes
        return replace(make_row(table, body), supersedes=row.uuid)

    def seal(self, day: date, rows: list[LedgerRow]) -> None:
        """Seal a day of labels."""
        write_partition(self.engine, write_of("trade_features", "trade_features", self.experiment, day, rows))

    def read(self, as_of: datetime, window_days: int | None = None) -> Any:
        """Return the training data and the seals."""
        with self.engine.connect() as connection:
            return read_training_data(connection, self.experiment, as_of=as_of, window_days=window_days)


@pytest.fixture
def ledger(database: Database, experiment: str) -> Ledger:
    """Return a ledger of a fresh experiment."""
    return Ledger(database, experiment)


@pytest.fixture
def labelled(ledger: Ledger) -> tuple[Ledger, list[tuple[LedgerRow, LedgerRow, Any]]]:
    """Return four sealed days: 1: two labels and a real one, 2: none, 3: one, 4: one."""
    chains = [ledger.decide(T0 + timedelta(hours=k), f"COIN{k % 2}") for k in range(4)]
    ends = [T0 + timedelta(hours=9), T0 + timedelta(hours=8), T0 + 2 * DAY, T0 + 3 * DAY]
    rows = [
        label_row(research, told, candidate, 0.1 * (k - 1), ends[k])
        for k, (candidate, research, told) in enumerate(chains)
    ]
    candidate, research, told = chains[0]
    real = label_row(research, told, candidate, -0.95, ends[0], source="executed")
    first = T0.date()
    ledger.seal(first, [rows[0], rows[1], real])
    ledger.seal(first + DAY, [])
    ledger.seal(first + 2 * DAY, [rows[2]])
    ledger.seal(first + 3 * DAY, [rows[3]])
    return ledger, chains


# Labels


def test_labels_come_in_order_of_decision_with_everything_they_say(labelled: Any) -> None:
    ledger, chains = labelled
    data, seals = ledger.read(T0 + 4 * DAY)
    candidates = [str(chain[0].uuid) for chain in chains]
    assert data.candidates == (candidates[0], *candidates)
    assert data.executed.tolist() == [True, False, False, False, False]
    np.testing.assert_allclose(data.net_return, [-0.95, -0.1, 0.0, 0.1, 0.2])
    assert data.lost.tolist() == [True, False, False, False, False]
    assert data.stopped.tolist() == [True, False, False, False, False]
    assert data.decided.tolist() == [time_to_ms(T0 + timedelta(hours=k)) for k in (0, 0, 1, 2, 3)]
    assert data.t1.tolist()[-1] == time_to_ms(T0 + 3 * DAY)
    expected = [feature_vector(chains[k][2]).numbers() for k in (0, 0, 1, 2, 3)]
    np.testing.assert_array_equal(data.features, np.array(expected))
    assert data.names == NAMES
    assert np.isnan(data.features).any()
    assert data.weight[0] == pytest.approx(data.weight[1])
    assert 0.3 < data.weight[0] < 0.51, "a shadow and a real label of one candidate share what they saw"
    assert [day for day, _ in seals] == [T0.date() + k * DAY for k in range(4)]


def test_as_of_an_instant_only_days_that_were_over_count(labelled: Any) -> None:
    ledger, _ = labelled
    for after, count in ((0, 0), (1, 3), (2, 3), (3, 4), (4, 5)):
        data, seals = ledger.read(datetime.combine(T0.date() + after * DAY, datetime.min.time(), UTC))
        assert (len(data), len(seals)) == (count, after)
    assert len(ledger.read(T0 + 3 * DAY - timedelta(hours=6, microseconds=1))[0]) == 3, "the third day is not over"
    assert (ledger.read(T0 + 3 * DAY)[0].t1 < time_to_ms(T0 + 3 * DAY)).all()


def test_a_window_leaves_out_what_was_resolved_before_it(labelled: Any) -> None:
    ledger, _ = labelled
    data, seals = ledger.read(T0 + 4 * DAY, window_days=2)
    assert len(data) == 2
    assert [day for day, _ in seals] == [T0.date() + 2 * DAY, T0.date() + 3 * DAY]


def test_what_is_written_later_changes_no_earlier_answer(labelled: Any) -> None:
    ledger, chains = labelled
    as_of = T0 + 4 * DAY
    before, seals = ledger.read(as_of)
    candidate, research, told = chains[1]
    wrong = label_row(research, told, candidate, 0.0, T0 + timedelta(hours=8))
    fixed = ledger.correct(
        "trade_features",
        wrong,
        T0.date() + 4 * DAY,
        label=json.loads(wrong.body)["label"] | {"net_return": "0.7"},
    )
    ledger.seal(T0.date() + 4 * DAY, [fixed])
    again, seals_again = ledger.read(as_of)
    assert seals_again == seals
    assert again.net_return.tolist() == before.net_return.tolist()
    later, _ = ledger.read(as_of + DAY)
    np.testing.assert_allclose(later.net_return, [-0.95, -0.1, 0.7, 0.1, 0.2])
    assert len(later) == 5, "the corrected label counts once"


def test_a_day_without_a_seal_is_named(labelled: Any) -> None:
    ledger, _ = labelled
    with pytest.raises(MissingPredecessor, match="trade_features of 2021-03-05 is not sealed"):
        ledger.read(T0 + 5 * DAY)


def test_rows_that_are_not_what_was_sealed_are_refused(ledger: Ledger) -> None:
    candidate, research, told = ledger.decide(T0)
    good = label_row(research, told, candidate, 0.1, T0 + timedelta(hours=5))
    write = write_of("trade_features", "trade_features", ledger.experiment, T0.date(), [good])
    better = replace(good, body=good.body.replace(b'"net_return":"0.1"', b'"net_return":"0.9"'))
    write_partition(ledger.engine, replace(write, rows={"trade_features": [better]}))  # same hash, other content
    with pytest.raises(FeatureError, match=f"of 2021-03-01 .* has seal {write.root}.*throughline verify"):
        ledger.read(T0 + DAY)


def test_a_row_that_was_added_to_a_sealed_day_is_found(labelled: Any) -> None:
    ledger, chains = labelled
    candidate, research, told = chains[3]
    extra = label_row(research, told, candidate, 9.0, T0 + timedelta(hours=9), source="executed")
    with ledger.engine.begin() as connection:
        append_record(connection, "trade_features", extra)
    with pytest.raises(FeatureError, match="its 4 rows give"):
        ledger.read(T0 + 4 * DAY)


def test_labels_of_another_feature_schema_are_refused_with_both_names(ledger: Ledger) -> None:
    candidate, research, told = ledger.decide(T0)
    features = {"hash": "0" * 64, "schema": "1" * 64, "values": {"momentum": "1"}}
    row = label_row(research, told, candidate, 0.1, T0 + timedelta(hours=5), features=features)
    ledger.seal(T0.date(), [row])
    with pytest.raises(SchemaMismatch) as caught:
        ledger.read(T0 + DAY)
    assert "1" * 64 in str(caught.value)
    assert feature_schema() in str(caught.value)


def test_an_experiment_without_labels_gives_empty_arrays(ledger: Ledger) -> None:
    data, seals = ledger.read(T0)
    assert (len(data), data.features.shape, seals) == (0, (0, len(NAMES)), ())
    with ledger.engine.connect() as connection, pytest.raises(ValueError, match="no time zone"):
        read_training_data(connection, ledger.experiment, as_of=datetime(2021, 3, 1))  # noqa: DTZ001


# Vectors


def test_a_correction_is_seen_from_the_day_after_it_was_made_and_not_before(ledger: Ledger) -> None:
    _, research, _ = ledger.decide(T0)
    other = snapshot(np.random.default_rng(99), T0, "ABC")
    vector = feature_vector(other)
    fixed = ledger.correct(
        "research_docs",
        research,
        T0.date() + 3 * DAY,
        **other,
        features={"hash": vector.hash, "schema": feature_schema()},
    )
    with ledger.engine.begin() as connection:
        append_record(connection, "research_docs", fixed)
    truth = OfflineVectors(ledger.engine, ledger.experiment)
    first = json.loads(research.body)["features"]["hash"]
    made = datetime(2021, 3, 5, tzinfo=UTC)
    for as_of, expected in ((T0, first), (made - timedelta(microseconds=1), first), (made, vector.hash)):
        found = truth.latest("ABC", as_of=as_of)
        assert found is not None
        assert found.hash == expected, as_of
    assert truth.latest("ABC", as_of=T0 - timedelta(microseconds=1)) is None
    assert truth.latest("XYZ") is None
    newest = truth.latest("ABC")
    assert newest is not None
    assert (newest.hash, newest.known_time) == (vector.hash, made)
    with ledger.engine.connect() as connection:
        frame = read_vectors(connection, ledger.experiment)
    assert sorted(frame["hash"]) == sorted([first, vector.hash])
    with pytest.raises(ValueError, match="no time zone"):
        truth.latest("ABC", as_of=datetime(2021, 3, 1))  # noqa: DTZ001


def test_a_document_that_names_another_vector_is_refused(ledger: Ledger) -> None:
    ledger.decide(T0, features={"hash": "0" * 64, "schema": feature_schema()})
    with ledger.engine.connect() as connection, pytest.raises(FeatureError, match="throughline verify"):
        read_vectors(connection, ledger.experiment)
    with pytest.raises(FeatureError, match="0000"):
        OfflineVectors(ledger.engine, ledger.experiment).latest("ABC")


def test_a_document_of_another_schema_is_refused_with_both_names(ledger: Ledger) -> None:
    ledger.decide(T0, features={"hash": "0" * 64, "schema": "1" * 64})
    with ledger.engine.connect() as connection, pytest.raises(SchemaMismatch, match=feature_schema()):
        read_vectors(connection, ledger.experiment)


def test_vectors_are_read_for_the_days_asked_for_with_missing_as_nan(ledger: Ledger) -> None:
    chains = [ledger.decide(T0 + k * DAY) for k in range(4)]
    with ledger.engine.connect() as connection:
        frame = read_vectors(connection, ledger.experiment, T0.date() + DAY, T0.date() + 2 * DAY)
    assert frame["candidate"].tolist() == sorted(str(chains[k][0].uuid) for k in (1, 2))
    expected = {str(chain[0].uuid): feature_vector(chain[2]).numbers() for chain in chains}
    for row in frame.itertuples():
        np.testing.assert_array_equal([getattr(row, name) for name in NAMES], expected[row.candidate])


# The engineer


def test_the_engineer_gives_the_seeds_three_steps_on_a_ledger(database: Database, ledger: Ledger) -> None:
    days = 40
    chains = [ledger.decide(T0 + timedelta(hours=6 * k), f"COIN{k % 3}") for k in range(4 * days)]
    by_day: dict[date, list[LedgerRow]] = {T0.date() + k * DAY: [] for k in range(days)}
    for k, (candidate, research, told) in enumerate(chains[:-4]):
        end = candidate.columns["decision_time"] + timedelta(hours=k % 12)
        by_day.setdefault(end.date(), []).append(label_row(research, told, candidate, 0.01 * (k % 7 - 3), end))
    writes = [
        write_of("trade_features", "trade_features", ledger.experiment, day, rows) for day, rows in by_day.items()
    ]
    write_partitions(ledger.engine, writes)
    with FeatureEngineer(engine=database.engine("reader"), experiment=ledger.experiment) as engineer:
        frame = engineer.extract_all_features()
        selected, features = engineer.select_features(frame, k=5)
        data = engineer.prepare_ml_dataset(selected)
    assert frame.attrs["left_out"] == {"by_hand": 0, "unlabelled": 4}
    assert frame.attrs["experiment"] == ledger.experiment
    assert frame.index.tolist() == [str(chain[0].uuid) for chain in chains[:-4]]
    assert frame.index.name == "candidate"
    assert {*NAMES, *LABELS} < set(frame.columns)
    assert (frame["win"] == (frame["net_return"] > 0)).all()
    assert set(frame["source"]) == {"shadow"}
    assert len(features) == 5
    assert len(data.train) > len(data.validation) > 0
    assert len(data.test) > 0
    assert data.train.labels["t1"].max() + timedelta(hours=24) < data.validation.labels["decision_time"].min()
    earlier = FeatureEngineer(
        engine=database.engine("reader"), experiment=ledger.experiment, as_of=T0 + 10 * DAY
    ).extract_all_features()
    assert earlier["t1"].max() < T0 + 10 * DAY
    assert 0 < len(earlier) < len(frame)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Return a home with a chain that was written by hand, and its experiment."""
    folder = tmp_path_factory.mktemp("hand") / "trades.db"
    with TradeTrackingSystem(folder) as tracker:
        candidate = tracker.create_candidate("BTC/USDT", "v1.0", 0.8, "params", "strategy", decided_at=T0)
        tracker.store_research_document(ResearchDocument(uuid=candidate.uuid, trade_rationale="by hand"))
        yield folder, tracker.experiment


def test_documents_written_by_hand_are_left_out_and_counted(by_hand: tuple[Path, str]) -> None:
    folder, experiment = by_hand
    with FeatureEngineer(db_path=str(folder), experiment=experiment) as engineer:
        frame = engineer.extract_all_features()
        assert len(frame) == 0
        assert frame.attrs["left_out"] == {"by_hand": 1, "unlabelled": 0}
        with pytest.raises(FeatureError, match="too few"):
            engineer.prepare_ml_dataset(frame)
        with engineer._engine.connect() as connection:
            assert read_vectors(connection, experiment).attrs["left_out"] == 1
    with FeatureEngineer(home=folder, experiment="0" * 64) as engineer, pytest.raises(UnknownRecord, match="0000"):
        engineer.extract_all_features()


def test_over_a_sealed_flow_what_was_decided_served_and_learned_is_one_vector(by_hand: tuple[Path, str]) -> None:
    home = Home(by_hand[0])
    end = START + timedelta(days=30)
    with open_database(home) as database:
        name = seal_experiment(database, ArtifactStore(home.artifacts), end=end).id
        engine = database.engine("writer")
        with FeatureEngineer(db_path=home.path) as engineer:  # of the active experiment
            frame = engineer.extract_all_features()
            selected, chosen = engineer.select_features(frame, k=50)
            data = engineer.prepare_ml_dataset(selected)
        assert (frame.attrs["experiment"], set(frame["source"])) == (name, {"executed", "shadow"})
        assert min(len(data.train), len(data.validation), len(data.test)) > 0
        assert "confidence" in chosen
        store = open_hot_store(None, engine, name)
        truth = OfflineVectors(engine, name)
        with engine.connect() as connection:
            offline = read_vectors(connection, name).set_index("candidate")
            assert fill_hot_store(connection, store, name) == offline["instrument"].nunique()
            recorded = {str(row.uuid): json.loads(row.body) for row in read_rows(connection, "candidates", name)}
            labels = [json.loads(row.body) for row in read_rows(connection, "trade_features", name)]
            learned, seals = read_training_data(connection, name, as_of=datetime.combine(end + DAY, time.min, UTC))
        assert {key: body["features_hash"] for key, body in recorded.items()} == offline["hash"].to_dict()
        for label in labels:
            assert label["features"]["hash"] == offline["hash"][label["candidate"]["uuid"]]
        np.testing.assert_array_equal(learned.features, frame[list(NAMES)].to_numpy())
        assert (len(learned), len(seals)) == (len(labels), 31)
        reader = HotReader(store, truth)
        for instrument in offline["instrument"].unique():
            assert reader.latest(instrument) == truth.latest(instrument)
        assert reader.counts["hot"] == offline["instrument"].nunique()
