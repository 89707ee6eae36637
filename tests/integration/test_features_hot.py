"""The hot store on a real Redis and on PostgreSQL: the newest wins, nothing false is served, online equals offline."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from sqlalchemy import delete, select, update

from tests.feature_cases import candidate_row, filled_values, research_row, snapshot, some_uuid, write_of
from tests.integration.redis_server import RedisServer
from throughline.errors import SettingsError, StorageError
from throughline.features.asof import asof_join
from throughline.features.errors import HotEntryRejected
from throughline.features.hot import HotEntry, HotReader, HotStore, entry_bytes, open_hot_store, read_entry
from throughline.features.offline import OfflineVectors, fill_hot_store, read_vectors
from throughline.features.vector import NAMES, feature_schema, feature_vector, vector_hash
from throughline.identity import canonical_bytes, content_hash, time_text
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.storage.ledger import register_experiment, write_partitions
from throughline.storage.tables import hot_features

T0 = datetime(2021, 3, 1, tzinfo=UTC)
KINDS = ("redis", "postgres")


@dataclass
class Place:
    """Where a namespace is kept, with a way around the store to its bytes."""

    kind: str
    database: Database
    namespace: str
    url: str | None

    def open(self, namespace: str | None = None) -> HotStore:
        return open_hot_store(self.url, self.database.engine("writer"), namespace or self.namespace)

    def client(self) -> Any:
        import redis

        assert self.url is not None
        return redis.Redis.from_url(self.url)

    def bytes(self, instrument: str) -> bytes:
        if self.kind == "redis":
            with self.client() as client:
                return bytes(client.get(f"throughline:hot:{self.namespace}:{instrument}"))
        c = hot_features.c
        asked = select(c.entry).where(c.namespace == self.namespace, c.instrument == instrument)
        with self.database.engine("writer").connect() as connection:
            return bytes(connection.execute(asked).scalar_one())

    def poke(self, instrument: str, data: bytes) -> None:
        """Put bytes there as whoever gets at the server can."""
        if self.kind == "redis":
            with self.client() as client:
                client.set(f"throughline:hot:{self.namespace}:{instrument}", data)
            return
        c = hot_features.c
        key = (c.namespace == self.namespace, c.instrument == instrument)
        with self.database.engine("writer").begin() as connection:
            changed = connection.execute(update(hot_features).where(*key).values(entry=data)).rowcount
            if not changed:
                row = {"namespace": self.namespace, "instrument": instrument, "event_time": T0, "entry": data}
                connection.execute(hot_features.insert().values(row))


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """Return the URL of a real Redis that lives for the module, and hold that nothing of it is left."""
    with RedisServer() as server:
        yield server.url
        pid, folder = server.pid, server.folder
    assert not psutil.pid_exists(pid)
    assert not folder.exists()


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, database: Database, redis_url: str) -> Place:
    """Return a namespace of its own in each kind of store."""
    return Place(request.param, database, uuid.uuid4().hex * 2, redis_url if request.param == "redis" else None)


@pytest.fixture
def store(place: Place) -> Iterator[HotStore]:
    """Return the opened store of `place`."""
    opened = place.open()
    yield opened
    opened.close()


def entry(instrument: str = "ABC", hour: float = 0, seed: int = 1, late: float = 0) -> HotEntry:
    """Return an entry of the hour; `late` hours pass until it is known."""
    values, event = filled_values(seed), T0 + timedelta(hours=hour)
    return HotEntry(
        instrument=instrument,
        candidate=some_uuid(f"{instrument} {hour} {seed}"),
        event_time=event,
        known_time=event + timedelta(hours=late),
        schema=feature_schema(),
        hash=vector_hash(values),
        values=values,
    )


class NoOffline:
    """An offline reader that holds that it is not asked."""

    def latest(self, instrument: str, *, as_of: datetime | None = None) -> HotEntry | None:
        raise AssertionError(f"offline was asked for {instrument}")


@dataclass
class Known:
    """An offline reader that knows one entry."""

    entry: HotEntry | None
    asked: int = 0

    def latest(self, instrument: str, *, as_of: datetime | None = None) -> HotEntry | None:
        self.asked += 1
        return self.entry


# What is written is read


def test_what_is_published_is_read_whole(store: HotStore) -> None:
    odd = entry("ÄB\"C\\'; %s :x {}", 1)
    lacking = dict.fromkeys(NAMES)
    empty = replace(entry("NONE"), values=lacking, hash=vector_hash(lacking))
    assert store.publish([odd, entry("XYZ", 2), empty]) == 3
    assert store.latest(odd.instrument) == odd
    assert store.latest("XYZ") == entry("XYZ", 2)
    assert store.latest("NONE") == empty
    assert store.latest("unheard of") is None
    assert store.publish([]) == 0


def test_the_newest_event_wins_whatever_the_order(store: HotStore) -> None:
    assert store.publish([entry(hour=5, seed=5)]) == 1
    assert store.publish([entry(hour=4, seed=4), entry("XYZ", 1)]) == 1
    assert store.publish([entry(hour=5, seed=6)]) == 0, "of equal instants the first stays"
    assert store.latest("ABC") == entry(hour=5, seed=5)
    assert store.publish([entry(hour=6, seed=6), entry(hour=8, seed=8), entry(hour=7, seed=7)]) == 1
    assert store.latest("ABC") == entry(hour=8, seed=8)


@pytest.mark.parametrize("step", [timedelta(microseconds=1), timedelta(days=1), timedelta(days=3650)])
def test_the_least_difference_of_time_decides(store: HotStore, step: timedelta) -> None:
    first = replace(entry(), event_time=datetime(2021, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
    second = replace(entry(seed=2), event_time=first.event_time + step)
    assert store.publish([second]) == 1
    assert store.publish([first]) == 0
    assert store.latest("ABC") == second
    assert store.publish([replace(first, event_time=second.event_time + step)]) == 1


def test_a_second_store_on_the_same_namespace_sees_the_same_and_another_namespace_nothing(place: Place) -> None:
    first, second, other = place.open(), place.open(), place.open("other" + place.namespace)
    first.publish([entry()])
    assert second.latest("ABC") == entry()
    assert other.latest("ABC") is None
    for opened in (first, second, other):
        opened.close()


def test_of_many_writers_at_once_the_newest_wins_and_every_reader_sees_whole_entries(place: Place) -> None:
    names = [f"COIN{k}" for k in range(20)]
    writers, each = 6, 15
    stop = threading.Event()
    wrong: list[BaseException] = []
    counted: list[int] = []

    def guarded(work: Callable[[HotStore], None]) -> None:
        opened = place.open()
        try:
            work(opened)
        except BaseException as error:
            wrong.append(error)
        finally:
            opened.close()

    def write(number: int) -> Callable[[HotStore], None]:
        def work(opened: HotStore) -> None:
            chance = random.Random(number)
            hours = [number + writers * k for k in range(each)]
            chance.shuffle(hours)
            for hour in hours:
                batch = [entry(name, hour, seed=hour) for name in chance.sample(names, len(names))]
                counted.append(opened.publish(batch))

        return work

    def read(opened: HotStore) -> None:
        seen: dict[str, datetime] = {}
        while not stop.is_set():
            for name in names:
                found = opened.latest(name)
                if found is not None:
                    assert found.event_time >= seen.get(name, found.event_time), "an older entry came back"
                    seen[name] = found.event_time

    threads = [threading.Thread(target=guarded, args=(write(number),)) for number in range(writers)]
    reader = threading.Thread(target=guarded, args=(read,))
    for thread in (*threads, reader):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    reader.join()
    assert wrong == []
    last = writers * each - 1
    opened = place.open()
    assert {name: opened.latest(name) for name in names} == {name: entry(name, last, seed=last) for name in names}
    opened.close()
    assert len(names) <= sum(counted) < writers * each * len(names)


# Nothing false is served


def rehashed(told: dict[str, Any]) -> bytes:
    """Return an entry whose outer hash fits whatever it says: what somebody with the source can make."""
    return canonical_bytes({"entry": told, "hash": content_hash("hot_entry", canonical_bytes(told))})


def test_an_entry_with_any_byte_changed_is_rejected(place: Place, store: HotStore) -> None:
    store.publish([entry()])
    whole = place.bytes("ABC")
    chance = random.Random(3)
    for at in chance.sample(range(len(whole)), 80):
        place.poke("ABC", whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :])
        with pytest.raises(HotEntryRejected) as caught:
            store.latest("ABC")
        assert caught.value.reason == "damaged", at
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        place.poke("ABC", whole[:cut])
        with pytest.raises(HotEntryRejected, match="publish them again"):
            store.latest("ABC")
    place.poke("ABC", whole)
    assert store.latest("ABC") == entry()


def test_an_entry_made_to_fit_its_own_hash_is_rejected_where_the_vector_does_not(place: Place, store: HotStore) -> None:
    store.publish([entry()])
    told = json.loads(place.bytes("ABC"))["entry"]
    cases: list[tuple[str, dict[str, Any]]] = [
        ("damaged", told | {"features": told["features"] | {"values": told["features"]["values"] | {"hour": "3"}}}),
        ("damaged", told | {"features": told["features"] | {"hash": "0" * 64}}),
        ("damaged", told | {"instrument": "XYZ"}),
        ("damaged", told | {"namespace": "another experiment"}),
        ("damaged", told | {"event_time": "yesterday"}),
        ("damaged", told | {"features": None}),
        ("damaged", told | {"features": told["features"] | {"values": ["1"]}}),
        ("damaged", {key: value for key, value in told.items() if key != "candidate"}),
        ("schema", told | {"features": told["features"] | {"schema": "1" * 64}}),
    ]
    few = {"hour": "3"}
    cases.append(("damaged", told | {"features": told["features"] | {"values": few, "hash": vector_hash(few)}}))
    for reason, body in cases:
        place.poke("ABC", rehashed(body))
        with pytest.raises(HotEntryRejected) as caught:
            store.latest("ABC")
        assert caught.value.reason == reason, body
        if reason == "schema":
            assert "1" * 64 in str(caught.value)
            assert feature_schema() in str(caught.value)


def test_an_entry_of_another_instrument_or_namespace_is_rejected_where_it_was_copied_to(place: Place) -> None:
    mine = place.open()
    mine.publish([entry("ABC"), entry("XYZ")])
    place.poke("XYZ", place.bytes("ABC"))
    with pytest.raises(HotEntryRejected, match="another place"):
        mine.latest("XYZ")
    place.poke("XYZ", place.bytes("ABC")[:-1] + b" }")
    with pytest.raises(HotEntryRejected, match="not what was published there"):
        mine.latest("XYZ")
    other = replace(place, namespace="other" + place.namespace)
    other.poke("ABC", place.bytes("ABC"))
    opened = other.open()
    with pytest.raises(HotEntryRejected, match="another place"):
        opened.latest("ABC")
    mine.close()
    opened.close()


def test_whatever_is_no_entry_is_rejected_and_gives_way_to_the_next_one(place: Place, store: HotStore) -> None:
    for rubbish in (b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"hash":1}', b"[" * 5000, b'{"event_time":"9999"}'):
        fitting = b'{"entry":' + rubbish + b',"hash":"' + content_hash("hot_entry", rubbish).encode() + b'"}'
        for data in (rubbish, fitting):
            place.poke("ABC", data)
            with pytest.raises(HotEntryRejected) as caught:
                store.latest("ABC")
            assert caught.value.reason == "damaged"
    assert store.publish([entry(hour=1)]) == 1
    assert store.latest("ABC") == entry(hour=1)


def test_nothing_is_served_before_it_was_known_or_when_it_is_too_old(store: HotStore) -> None:
    store.publish([entry(hour=10, late=2)])
    told = entry(hour=10, late=2)
    for hour, reason in ((9.0, "future"), (11.9, "future"), (12.0, None), (16.0, None), (16.1, "stale")):
        as_of, age = T0 + timedelta(hours=hour), timedelta(hours=6)
        if reason is None:
            assert store.latest("ABC", as_of=as_of, max_age=age) == told
            continue
        with pytest.raises(HotEntryRejected) as caught:
            store.latest("ABC", as_of=as_of, max_age=age)
        assert caught.value.reason == reason
    with pytest.raises(ValueError, match="no time zone"):
        store.latest("ABC", as_of=datetime(2021, 3, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="give both"):
        store.latest("ABC", max_age=timedelta(hours=1))


# The reader falls back


def test_the_reader_serves_from_the_store_and_falls_back_where_that_may_not_serve(
    place: Place, store: HotStore
) -> None:
    truth, later = entry(hour=3, seed=3), T0 + timedelta(hours=4)
    store.publish([truth])
    reader = HotReader(store, NoOffline())
    assert reader.latest("ABC", as_of=later, max_age=timedelta(hours=2)) == truth
    assert reader.counts == {**dict.fromkeys(reader.counts, 0), "hot": 1}

    reader = HotReader(store, Known(truth))
    assert reader.latest("unheard of") == truth
    whole = place.bytes("ABC")
    place.poke("ABC", whole[:-2] + b"0}")
    assert reader.latest("ABC") == truth
    told = json.loads(whole)["entry"]
    place.poke("ABC", rehashed(told | {"features": told["features"] | {"schema": "1" * 64}}))
    assert reader.latest("ABC") == truth
    store.publish([entry(hour=9)])
    place.poke("ABC", entry_bytes(entry(hour=9), place.namespace))
    assert reader.latest("ABC", as_of=later) == truth
    told_counts = {name: count for name, count in reader.counts.items() if count}
    assert told_counts == {"missing": 1, "damaged": 1, "schema": 1, "future": 1}


def test_what_is_too_old_offline_too_is_not_served(store: HotStore) -> None:
    store.publish([entry(hour=1)])
    reader = HotReader(store, Known(entry(hour=2)))
    as_of = T0 + timedelta(hours=10)
    assert reader.latest("ABC", as_of=as_of, max_age=timedelta(hours=3)) is None
    assert reader.latest("ABC", as_of=as_of, max_age=timedelta(hours=8)) == entry(hour=2)
    assert reader.counts["stale"] == 2
    assert HotReader(store, Known(None)).latest("ABC", as_of=as_of, max_age=timedelta(hours=3)) is None


def test_an_offline_reader_that_looks_ahead_is_not_believed(store: HotStore) -> None:
    with pytest.raises(HotEntryRejected, match="known from"):
        HotReader(store, Known(entry(hour=5))).latest("ABC", as_of=T0)


# Servers that are gone, killed or shut


def test_without_its_server_redis_says_so_without_the_url_and_the_reader_falls_back(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    engine = database.engine("writer")
    with RedisServer("--requirepass", "hunter2secret") as server:
        with pytest.raises(StorageError, match="does not serve") as refused:
            open_hot_store(server.url + "?password=wrongsecret", engine, "n")
        store = open_hot_store(server.url + "?password=hunter2secret", engine, "n")
        store.publish([entry()])
        assert store.latest("ABC") == entry()
        server.kill()
        with pytest.raises(StorageError, match="start it") as gone:
            store.latest("ABC")
        with pytest.raises(StorageError):
            store.publish([entry(hour=1)])
        reader = HotReader(store, Known(entry()))
        assert reader.latest("ABC") == entry()
        assert reader.counts["unreachable"] == 1
        shown = repr(store) + str(vars(store).get("_client"))
        server.start()
        assert store.publish([entry(hour=2)]) == 1, "a server that came back, empty, is written to again"
        assert store.latest("ABC") == entry(hour=2)
        store.close()
    for told in (caplog.text, shown, str(refused.value), str(gone.value)):
        assert "secret" not in told
    for error in (refused.value, gone.value):
        assert error.__cause__ is None
        assert error.__suppress_context__, "the client's own error would be printed with it"


@pytest.mark.parametrize(
    "url", ["redis://:pa#ss:secret@[host:x/0", "redis://:secret@host:port", "redis://u:secret@h/0?db=x"]
)
def test_a_url_that_cannot_be_read_is_refused_without_showing_it(database: Database, url: str) -> None:
    with pytest.raises((SettingsError, StorageError)) as caught:
        open_hot_store(url, database.engine("writer"), "n")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_url_of_another_kind_is_refused(database: Database) -> None:
    with pytest.raises(SettingsError, match="redis://host:6379/0"):
        open_hot_store("memcached://:secret@host", database.engine("writer"), "n")


def killed_while_writing(open_store: Callable[[], HotStore], kill: Callable[[], None]) -> dict[str, datetime]:
    """Write until the server is killed in the midst; return, for each instrument, what was acknowledged last."""
    acknowledged: dict[str, datetime] = {}
    store = open_store()
    names = [f"COIN{k}" for k in range(40)]
    running, killed = threading.Event(), threading.Event()

    def write() -> None:
        for hour in range(100_000):
            if killed.is_set():  # an engine may heal its server between two writes, and no error ever ends this
                return
            batch = [entry(name, hour, seed=hour % 7) for name in names]
            try:
                store.publish(batch)
            except StorageError:
                return
            acknowledged.update((item.instrument, item.event_time) for item in batch)
            if hour == 3:
                running.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert running.wait(30)
    time.sleep(0.05)
    kill()
    killed.set()
    writer.join(30)
    assert not writer.is_alive()
    store.close()
    return acknowledged


def require_whole(store: HotStore, acknowledged: dict[str, datetime]) -> None:
    for name, event_time in acknowledged.items():
        found = store.latest(name)  # raises where it is damaged
        assert found is not None
        assert found.event_time >= event_time, "an acknowledged entry was lost"
    store.close()


def test_redis_killed_while_it_writes_holds_whole_entries(database: Database) -> None:
    with RedisServer("--appendonly", "yes", "--appendfsync", "always") as server:

        def opened() -> HotStore:
            return open_hot_store(server.url, database.engine("writer"), "n")

        acknowledged = killed_while_writing(opened, server.kill)
        server.start()
        require_whole(opened(), acknowledged)


def test_postgres_killed_while_it_writes_holds_whole_entries(tmp_path: Path) -> None:
    with open_database(Home(tmp_path / "home")) as database:
        assert database._server is not None
        pid = database._server.pid

        def opened() -> HotStore:
            return open_hot_store(None, database.engine("writer"), "n")

        def kill() -> None:
            os.kill(pid, signal.SIGKILL)
            database.engine("writer").dispose()

        acknowledged = killed_while_writing(opened, kill)
        require_whole(opened(), acknowledged)


def test_a_database_that_refuses_is_told_without_what_was_sent(database: Database) -> None:
    store = open_hot_store(None, database.engine("reader"), "n")
    with pytest.raises(StorageError, match="InsufficientPrivilege") as caught:
        store.publish([entry()])
    assert "INSERT" not in str(caught.value)


# Online equals offline


@dataclass(frozen=True)
class Decisions:
    """A recorded experiment and the entries that were made online, from the snapshots in memory."""

    experiment: str
    online: Sequence[HotEntry]


@pytest.fixture(scope="module")
def decisions(database: Database) -> Decisions:
    """Return 10,000 decisions on 400 instruments, recorded whole."""
    name = uuid.uuid4().hex * 2
    engine = database.engine("writer")
    with engine.begin() as connection:
        register_experiment(connection, name, "demo", b'{"schema_version":1}')
    rng = np.random.default_rng(11)
    online = []
    candidates, research = defaultdict(list), defaultdict(list)
    for k in range(10_000):
        decided, instrument = T0 + timedelta(minutes=int(k)), f"COIN{k % 400}/USDT"
        told = snapshot(rng, decided, instrument)
        candidate = candidate_row(name, decided, instrument)
        vector = feature_vector(told)
        schema = feature_schema()
        online.append(HotEntry(instrument, candidate.uuid, decided, decided, schema, vector.hash, vector.values))
        candidates[decided.date()].append(candidate)
        research[decided.date()].append(research_row(candidate, told))
    days = sorted(candidates)
    write_partitions(engine, [write_of("trade_candidates", "candidates", name, day, candidates[day]) for day in days])
    write_partitions(engine, [write_of("research_snapshots", "research_docs", name, d, research[d]) for d in days])
    return Decisions(name, online)


def test_online_equals_offline_by_hash_on_ten_thousand_decisions(
    place: Place, decisions: Decisions, database: Database
) -> None:
    store = place.open(decisions.experiment)
    reader = HotReader(store, NoOffline())
    served = []
    for start in range(0, len(decisions.online), 400):  # one decision of each instrument at a time
        batch = decisions.online[start : start + 400]
        assert store.publish(batch) == len(batch)
        for item in batch:
            found = reader.latest(item.instrument, as_of=item.event_time)
            assert found is not None
            served.append((str(found.candidate), found.hash))
    assert reader.counts["hot"] == 10_000
    with database.engine("reader").connect() as connection:
        offline = read_vectors(connection, decisions.experiment)
    assert dict(served) == dict(zip(offline["candidate"], offline["hash"], strict=True))
    left = pd.DataFrame(
        {
            "instrument": [item.instrument for item in decisions.online],
            "time": pd.DatetimeIndex([item.event_time for item in decisions.online]),
        }
    )
    joined = asof_join(left, offline, exact=True)
    assert joined["hash"].tolist() == [told for _, told in served]
    truth = OfflineVectors(database.engine("reader"), decisions.experiment)
    for item in random.Random(5).sample(list(decisions.online), 12):
        assert truth.latest(item.instrument, as_of=item.event_time) == item
        assert truth.latest(item.instrument, as_of=item.event_time - timedelta(microseconds=1)) != item
    store.close()


def test_an_emptied_store_is_filled_from_the_ledger_and_until_then_the_ledger_answers(
    place: Place, decisions: Decisions, database: Database
) -> None:
    truth = OfflineVectors(database.engine("reader"), decisions.experiment)
    if place.kind == "postgres":
        with database.engine("writer").begin() as connection:
            connection.execute(delete(hot_features).where(hot_features.c.namespace == decisions.experiment))
    else:
        with place.client() as client:
            client.flushall()
    store = place.open(decisions.experiment)
    reader = HotReader(store, truth)
    last = decisions.online[-1]
    assert reader.latest(last.instrument) == last
    with database.engine("reader").connect() as connection:
        assert fill_hot_store(connection, store, decisions.experiment, last.event_time.date()) == 400
        assert fill_hot_store(connection, store, decisions.experiment, last.event_time.date()) == 0
    assert reader.latest(last.instrument) == last
    assert {name: count for name, count in reader.counts.items() if count} == {"missing": 1, "hot": 1}
    store.close()


def test_bytes_of_an_entry_are_the_same_whoever_makes_them() -> None:
    told = entry()
    turned = replace(told, values=dict(reversed(list(told.values.items()))))
    assert entry_bytes(turned, "n") == entry_bytes(told, "n")
    assert read_entry(entry_bytes(told, "n"), "n", "ABC") == told
    assert json.loads(entry_bytes(told, "n"))["entry"]["event_time"] == time_text(told.event_time)


def test_the_servers_own_clock_and_locale_play_no_part(place: Place, store: HotStore) -> None:
    far = replace(entry(), event_time=datetime(2199, 1, 1, tzinfo=UTC))
    assert store.publish([far]) == 1
    assert store.publish([entry()]) == 0
    assert store.latest("ABC") == far
