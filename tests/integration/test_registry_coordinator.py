"""Registering trades: all or nothing, both directions, the same again, corrections, and the questions on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg2
import pytest
from sqlalchemy import text

from tests.integration.home_copies import open_copy
from tests.integration.registry_trades import AT, trade, vector
from throughline.clock import FixedClock
from throughline.errors import InvalidTrade, LedgerConflict, SettingsError, UnknownRecord
from throughline.findings import Finding
from throughline.identity import seal_of
from throughline.proof.settings import Proof, open_proof
from throughline.registry import writing
from throughline.registry.buckets import bucket_links, bucket_statistics, buckets_of, strategy_of
from throughline.registry.coordinator import RegistryCoordinator
from throughline.registry.entry import TradeEntry
from throughline.registry.index_loading import LoadedIndex, load_index, refresh_index
from throughline.registry.quarantine import quarantine, quarantined_entries
from throughline.registry.reading import choose_experiment
from throughline.registry.similarity import unit_rows
from throughline.signals.simhash import standardised
from throughline.signals.vector import vector_from_text
from throughline.storage.database import Database
from throughline.storage.home import Home
from throughline.storage.queries import register_experiment, set_active
from throughline.storage.tables import REGISTRY

CLOCK = FixedClock(datetime(2024, 8, 1, 12, tzinfo=UTC))


@dataclass(frozen=True)
class Bench:
    """A home of this file's own, its proof, and a coordinator on it."""

    home: Home
    database: Database
    proof: Proof
    registry: RegistryCoordinator

    def count(self, table: str) -> int:
        """Return the rows of a table."""
        with self.database.engine("reader").connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    def counts(self) -> dict[str, int]:
        """Return the rows of the registries and of the log."""
        return {name: self.count(name) for name in (*(table.name for table in REGISTRY), "seal_events")}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    home = Home(tmp_path_factory.mktemp("registry") / "home")
    with open_copy(home) as database:
        proof = open_proof(home, database.embedded, clock=CLOCK)
        with RegistryCoordinator(home.path, engine=database.engine("writer"), clock=CLOCK, proof=proof) as registry:
            yield Bench(home, database, proof, registry)


def test_a_trade_is_linked_in_both_directions_and_logged_in_one_go(bench: Bench) -> None:
    told, specialised = trade(1, "linked")
    before = bench.counts()
    name = bench.registry.add_trade_with_linkages(told, specialised)
    after = bench.counts()
    assert {key: after[key] - before[key] for key in before} == {
        "canonical_trades": 1,
        "soulprints": 1,
        "profit_buckets": 1,
        "seal_events": after["seal_events"] - before["seal_events"],
    }
    whole = bench.registry.get_trade_with_all_linkages(name)
    assert bench.registry.get_trade_with_all_linkages(f" {name[:8].upper()}") == whole
    assert whole["complete"]
    trade_told, entries = whole["canonical_trade"], whole["specialized_data"]
    assert trade_told["trade_hash"] == name
    assert trade_told["specialized_hashes"] == {
        "profit_buckets": entries["profit_buckets"]["pattern"],
        "soulprints": entries["soulprints"]["soulprint"],
    }
    for entry in entries.values():
        assert entry["canonical"] == {"hash": name, "uuid": trade_told["uuid"]}
    # no copy of the trade in the specialised registries
    assert not {"entry_price", "exit_price", "profit_usd"} & (entries["soulprints"].keys() | entries["profit_buckets"])
    with bench.database.engine("reader").connect() as connection:
        bodies = connection.execute(
            text("SELECT body FROM seal_events WHERE kind = 'entries' ORDER BY seq DESC LIMIT 1")
        )
        logged = {row[1]: row[2] for row in json.loads(bytes(bodies.scalar_one()))["rows"]}
        size = connection.execute(text("SELECT max(tree_size) FROM seal_heads")).scalar_one()
    assert logged[trade_told["uuid"]] == name
    assert len(logged) == 3
    assert bench.proof.anchor.head_sizes()[-1] == size == after["seal_events"]


def test_the_same_again_is_a_no_op_one_by_one_and_in_bulk(bench: Bench) -> None:
    trades = [trade(number, "again") for number in range(12)]
    first = bench.registry.add_trades(trades)
    after = bench.counts()
    assert bench.registry.add_trades([*reversed(trades), trades[0]]) == [*reversed(first), first[0]]
    assert [bench.registry.add_trade_with_linkages(*item) for item in trades] == first
    assert bench.registry.add_trade_with_linkages(TradeEntry.of(trades[0][0]), trades[0][1]) == first[0]
    assert bench.counts() == after
    assert len(set(first)) == 12


def test_bulk_and_one_by_one_give_the_same_hashes_and_roots(bench: Bench, tmp_path: Any) -> None:
    trades = [trade(number, "ways") for number in range(8)]
    with RegistryCoordinator(tmp_path / "other", clock=CLOCK) as other:
        single = [other.add_trade_with_linkages(*item) for item in trades]
        roots = {name: other.get_registry_statistics()[name]["root"] for name in ("soulprints", "canonical_trades")}
    assert bench.registry.add_trades(trades) == single
    assert roots["canonical_trades"] == seal_of(single)


def test_something_else_under_the_same_natural_key_is_refused_and_nothing_is_written(bench: Bench) -> None:
    told, specialised = trade(2, "conflict")
    name = bench.registry.add_trade_with_linkages(told, specialised)
    other = told | {"exit_price": told["exit_price"] + 1, "profit_usd": told["profit_usd"] + told["amount"]}
    before = bench.counts()
    with pytest.raises(LedgerConflict, match=f"recorded with hash {name}, this gives [0-9a-f]{{64}}"):
        bench.registry.add_trade_with_linkages(other, specialised | {"profit_buckets": {}})
    with pytest.raises(LedgerConflict, match="recorded with hash"):
        bench.registry.add_trades([trade(3, "conflict"), (told | {"confidence": 0.5}, specialised)])
    changed = specialised | {"soulprints": {"vector": {"drift": 1.0}}}
    with pytest.raises(LedgerConflict, match="canonical_trades"):
        bench.registry.add_trade_with_linkages(told, changed)
    assert bench.counts() == before


def test_a_failure_half_way_leaves_nothing_of_any_registry(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before, copied = bench.counts(), []

    def fails_on_the_last(cursor: Any, table: Any, *rest: Any) -> int:
        copied.append(table.name)
        if table.name == "profit_buckets":
            raise psycopg2.OperationalError("gone")
        return genuine(cursor, table, *rest)

    genuine = writing.copy_tuples
    monkeypatch.setattr(writing, "copy_tuples", fails_on_the_last)
    with pytest.raises(psycopg2.OperationalError):
        bench.registry.add_trades([trade(4, "half"), trade(5, "half")])
    assert copied == ["canonical_trades", "soulprints", "profit_buckets"]
    assert bench.counts() == before


def test_one_bad_trade_of_many_leaves_nothing_of_the_others(bench: Bench) -> None:
    before = bench.counts()
    with pytest.raises(InvalidTrade, match="profit_usd"):
        bench.registry.add_trades([trade(6, "bad"), trade(7, "bad", profit_usd=1)])
    assert bench.counts() == before


def test_a_correction_is_a_new_entry_of_the_day_it_is_made_and_counts_instead_of_the_first(bench: Bench) -> None:
    told, specialised = trade(8, "corrected")
    name = bench.registry.add_trade_with_linkages(told, specialised)
    right = told | {"fees": told["fees"] + 1, "profit_usd": told["profit_usd"] - 1}
    made = bench.registry.add_trade_with_linkages(right, specialised, supersedes=name)
    before, after = (bench.registry.get_trade_with_all_linkages(item) for item in (name, made))
    assert (before["corrected_by"], after["corrects"], after["complete"]) == (made, name, True)
    assert after["canonical_trade"]["partition"] == "2024-08-01"
    assert before["canonical_trade"]["partition"] == told["closed_at"].date().isoformat()
    figures = bench.registry.get_performance_analytics()["by_strategy"]["corrected"]
    assert figures["total_trades"] == 1
    assert Decimal(repr(figures["total_profit"])) == right["profit_usd"]
    # the same correction is a no-op, on another day too; another one is refused; the first as it was is a no-op
    counts = bench.counts()
    later = RegistryCoordinator(
        bench.home.path,
        engine=bench.database.engine("writer"),
        proof=bench.proof,
        clock=FixedClock(CLOCK.instant + timedelta(9)),
    )
    assert later.add_trade_with_linkages(right, specialised, supersedes=name) == made
    assert bench.registry.add_trade_with_linkages(told, specialised) == name
    with pytest.raises(LedgerConflict, match=f"already corrected by {made}"):
        later.add_trade_with_linkages(told | {"confidence": 0.5}, specialised, supersedes=name)
    assert bench.counts() == counts


def test_a_correction_needs_a_trade_that_was_registered_by_hand_and_a_clock_behind_it(
    bench: Bench, database: Database
) -> None:
    told, specialised = trade(9, "corrected")
    with pytest.raises(UnknownRecord, match="no trade of this home has the ID"):
        bench.registry.add_trade_with_linkages(told, specialised, supersedes="0" * 64)
    name = bench.registry.add_trade_with_linkages(told, specialised)
    with pytest.raises(UnknownRecord, match="is too short for an ID"):
        bench.registry.add_trade_with_linkages(told, specialised, supersedes=name[:7])
    early = RegistryCoordinator(
        bench.home.path, engine=bench.database.engine("writer"), proof=bench.proof, clock=FixedClock(AT - timedelta(9))
    )
    with pytest.raises(InvalidTrade, match="a correction is not made before what it corrects"):
        early.add_trade_with_linkages(told | {"confidence": 0.5}, specialised, supersedes=name)


def test_results_that_the_caller_tells_must_come_out_the_same(bench: Bench) -> None:
    told, specialised = trade(10, "told")
    name = bench.registry.add_trade_with_linkages(told, specialised)
    named = bench.registry.get_trade_with_all_linkages(name)["canonical_trade"]["specialized_hashes"]
    links = frozenset({"soulprints", "profit_buckets"})
    entry = replace(TradeEntry.of(told), trade_hash=name, specialized_hashes=named, linked_registries=links)
    assert bench.registry.add_trade_with_linkages(entry, specialised) == name
    for change, problem in (
        ({"trade_hash": name[:8]}, "trade_hash is"),
        ({"specialized_hashes": {"soulprints": "0" * 64}}, "specialized_hashes.soulprints is 0000"),
        ({"linked_registries": frozenset({"soulprints"})}, "linked_registries is soulprints; a trade is linked to"),
    ):
        with pytest.raises(InvalidTrade, match=problem):
            bench.registry.add_trade_with_linkages(replace(entry, **change), specialised)


def test_questions_are_about_the_hand_written_trades_unless_another_experiment_is_named(bench: Bench) -> None:
    assert bench.registry.get_performance_analytics()["experiment"] == bench.registry.hand_experiment
    with pytest.raises(UnknownRecord, match=r"no experiment of this home has the ID 'f+'"):
        bench.registry.get_registry_statistics(experiment="f" * 64)
    with pytest.raises(UnknownRecord, match="no trade of this home"):
        bench.registry.get_trade_with_all_linkages("a" * 64)


def test_an_unnamed_question_is_about_the_active_backtest_then_the_active_demo_whichever_ran_last(bench: Bench) -> None:
    ids = {mode: hashlib.sha256(mode.encode()).hexdigest() for mode in ("demo", "backtest")}
    with bench.database.engine("writer").connect() as connection, connection.begin() as transaction:
        for mode, name in ids.items():
            register_experiment(connection, name, mode, b"{}")
        assert choose_experiment(connection).experiment == bench.registry.hand_experiment
        set_active(connection, "demo", ids["demo"], {})
        assert choose_experiment(connection).experiment == ids["demo"]
        set_active(connection, "backtest", ids["backtest"], {})
        set_active(connection, "demo", ids["demo"], {})  # a demo that runs afterwards changes no answer
        chosen = choose_experiment(connection)
        assert (chosen.experiment, chosen.mode) == (ids["backtest"], "backtest")
        assert "active experiment of mode 'backtest'" in chosen.rule
        assert choose_experiment(connection, ids["demo"][:8].upper()).experiment == ids["demo"]
        transaction.rollback()


def test_an_answer_names_its_experiment_and_why_it_is_about_that_one(bench: Bench) -> None:
    for told in (bench.registry.get_performance_analytics(), bench.registry.get_registry_statistics()):
        assert told["experiment"] == bench.registry.hand_experiment
        assert told["mode"] == "tracking"
        assert "by hand" in told["chosen_by"]


def test_performance_figures_are_exact_and_add_up(bench: Bench) -> None:
    trades = [trade(number, "figures") for number in range(20)]
    bench.registry.add_trades(trades)
    told = bench.registry.get_performance_analytics()
    ours = told["by_strategy"]["figures"]
    profits = [item[0]["profit_usd"] for item in trades]
    assert ours["total_trades"] == 20
    assert ours["total_profit"] == float(sum(profits))
    assert ours["success_rate"] == sum(profit > 0 for profit in profits) / 20
    gained, lost = sum(p for p in profits if p > 0), -sum(p for p in profits if p < 0)
    assert ours["profit_factor"] == pytest.approx(float(gained / lost))
    for group in ("by_strategy", "by_symbol", "by_termination_reason"):
        assert sum(part["total_trades"] for part in told[group].values()) == told["total_trades"]
        assert sum(part["total_profit"] for part in told[group].values()) == pytest.approx(told["total_profit"])


def test_a_bucket_holds_wins_and_losses_links_many_to_many_and_only_what_was_closed_by_then(bench: Bench) -> None:
    same = trade(0, "bucket")[1]
    names = bench.registry.add_trades(
        [(trade(number, "bucket")[0], same | {"profit_buckets": {}}) for number in range(30)]
    )
    with bench.database.engine("reader").connect() as connection:
        uuid = UUID(bench.registry.get_trade_with_all_linkages(names[0])["canonical_trade"]["uuid"])
        keys = buckets_of(connection, uuid)
        assert len(keys) == 4
        for key in keys:
            found = bucket_statistics(connection, bench.registry.hand_experiment, key)
            assert (found.n, found.wins, found.losses) == (30, 12, 18)
            assert sorted(bucket_links(connection, bench.registry.hand_experiment, key)) == sorted(names)
        assert {item.reason: item.n for item in found.exits} == {"profit_target": 12, "stop_loss": 18}
        assert found.exits[0].reason == "profit_target"
        assert found.exits[0].favorable_percent is None  # not told
        assert found.win_rate is not None
        assert found.win_rate.low < 0.4 < found.win_rate.high
        assert found.usable
        # two hours after the tenth entry, ten trades were closed
        early = bucket_statistics(connection, bench.registry.hand_experiment, key, AT + timedelta(hours=11))
        assert (early.n, early.wins, early.usable) == (10, 4, False)
        assert early.note == "trades behind this: 10, fewer than 20, so it is not to be used"
        assert early.win_rate is not None
        assert early.win_rate.prior.source.startswith("base rate of strategy bucket: 4 of 10 trades won")
        nothing = bucket_statistics(connection, bench.registry.hand_experiment, key, AT)
        assert (nothing.n, nothing.win_rate, nothing.return_percent) == (0, None, None)
        with pytest.raises(ValueError, match="has no time zone"):
            bucket_statistics(connection, bench.registry.hand_experiment, key, datetime(2024, 1, 1))  # noqa: DTZ001


def test_a_buckets_quantiles_are_those_of_its_trades(bench: Bench) -> None:
    import numpy as np

    same = trade(0, "quantiles")[1]["soulprints"]
    trades = [
        (told, {"soulprints": same, "profit_buckets": own["profit_buckets"]})
        for told, own in (trade(n, "quantiles") for n in range(25))
    ]
    names = bench.registry.add_trades(trades)
    returns = [
        float(bench.registry.get_trade_with_all_linkages(name)["canonical_trade"]["profit_percentage"])
        for name in names
    ]
    with bench.database.engine("reader").connect() as connection:
        key = buckets_of(
            connection, UUID(bench.registry.get_trade_with_all_linkages(names[0])["canonical_trade"]["uuid"])
        )[0]
        found = bucket_statistics(connection, bench.registry.hand_experiment, key)
    assert found.return_percent == pytest.approx(np.quantile(returns, (0.1, 0.25, 0.5, 0.75, 0.9)))
    assert found.mean_percent == pytest.approx(np.mean(returns))
    assert found.exits[0].favorable_percent == (31.0,) * 5
    assert found.exits[1].adverse_percent == (-16.0,) * 5


def test_a_correction_is_unknown_before_the_day_after_it_was_made(bench: Bench) -> None:
    told, specialised = trade(0, "bitemporal")
    name = bench.registry.add_trade_with_linkages(told, specialised)
    halved = told | {"fees": told["fees"] + 10_000, "profit_usd": told["profit_usd"] - 10_000}
    made = bench.registry.add_trade_with_linkages(halved, specialised, supersedes=name)
    experiment = bench.registry.hand_experiment
    values = specialised["soulprints"]["vector"]
    with bench.database.engine("reader").connect() as connection:
        key = buckets_of(connection, UUID(bench.registry.get_trade_with_all_linkages(name)["canonical_trade"]["uuid"]))[
            0
        ]
        for instant, expected in (
            (told["closed_at"], name),
            (datetime(2024, 8, 1, 23, 59, tzinfo=UTC), name),
            (datetime(2024, 8, 2, tzinfo=UTC), made),
            (None, made),
        ):
            assert bucket_links(connection, experiment, key, instant) == [expected]
            answer = bench.registry.find_similar(values, instant, 1, experiment=experiment)
            assert [match.trade_hash for match in answer.matches] == [expected]
        assert bucket_links(connection, experiment, key, told["closed_at"] - timedelta(microseconds=1)) == []


def test_look_alikes_tell_how_many_stand_behind_them_and_refresh_with_the_log(bench: Bench) -> None:
    import random

    values = vector(random.Random(99))
    near = [
        (trade(n, "alike")[0], {"soulprints": {"vector": {**values, "psi": values["psi"] + n / 1000}}})
        for n in range(25)
    ]
    bench.registry.add_trades(near[:5])
    few = bench.registry.find_similar(values)
    assert few.trades_behind == len(few.matches) >= 5
    assert {match.strategy_id for match in few.matches[:5]} == {"alike"}
    assert f"looked for among {few.searched}" in few.note
    names = bench.registry.add_trades(near)
    many = bench.registry.find_similar(values)
    assert many.searched == few.searched + 20
    assert many.usable
    assert {match.trade_hash for match in many.matches} <= set(names)
    assert many.matches[0].trade_hash == names[0]
    assert many.matches[0].similarity == pytest.approx(1.0)
    assert "alike" in {strategy_of(bucket.key) for bucket in many.buckets}
    early = bench.registry.find_similar(values, near[9][0]["closed_at"], 100)
    assert {match.trade_hash for match in early.matches if match.strategy_id == "alike"} == set(names[:10])
    part = bench.registry.find_similar({"phase": values["phase"], "drift": values["drift"]}, k=100)
    assert part.compared == ("drift", "phase_cos", "phase_sin")
    assert set(names) <= {match.trade_hash for match in part.matches}
    assert "compared on 3 of 17 components" in part.note
    assert "25% of unrelated trades are as near, so it is not to be used" in part.note
    assert not part.usable
    assert (part.buckets, part.experiment) == ((), bench.registry.hand_experiment)
    with pytest.raises(ValueError, match="ghost: no component"):
        bench.registry.find_similar({"ghost": 1.0})


def arrays(loaded: LoadedIndex) -> dict[str, list[Any]]:
    return {name: getattr(loaded.index, name).tolist() for name in loaded.index.__dataclass_fields__}


def test_a_refreshed_index_is_the_one_that_is_read_anew_and_holds_the_vectors_as_recorded(bench: Bench) -> None:
    experiment = bench.registry.hand_experiment
    with bench.database.engine("reader").connect() as connection:
        loaded = load_index(connection, experiment)
        assert refresh_index(connection, loaded) is loaded
        connection.rollback()
        trades = [trade(number, "refreshed") for number in range(40)]
        names = bench.registry.add_trades(trades[::-1][:25])
        bench.registry.add_trades(trades)
        refreshed = refresh_index(connection, loaded)
        assert len(refreshed.index) == len(loaded.index) + 40
        assert arrays(refreshed) == arrays(load_index(connection, experiment))
    whole = bench.registry.get_trade_with_all_linkages(names[0])
    place = [UUID(bytes=row.tobytes()) for row in refreshed.index.uuid].index(UUID(whole["canonical_trade"]["uuid"]))
    recorded = whole["specialized_data"]["soulprints"]
    expected = unit_rows(standardised(vector_from_text(recorded["values"]))[None, :])[0]
    assert refreshed.index.unit[place].tolist() == expected.tolist()
    assert f"{int(refreshed.index.simhash[place]):016x}" == recorded["simhash"]


def test_the_cells_need_not_be_asked(bench: Bench) -> None:
    values = trade(0, "cells")[1]["soulprints"]["vector"]
    bench.registry.add_trades([trade(0, "cells")])
    full, bare = (bench.registry.find_similar(values, with_buckets=asked) for asked in (True, False))
    assert len(full.buckets) % 4 == 0 < len(full.buckets)
    assert replace(full, buckets=()) == bare


@pytest.mark.parametrize("table", ["canonical_trades", "soulprints", "profit_buckets"])
def test_what_is_in_quarantine_is_left_out_until_it_is_released_and_stays_recorded(bench: Bench, table: str) -> None:
    strategy = f"quarantine {table}"
    told, specialised = trade(0, strategy)
    names = bench.registry.add_trades([(told, specialised), trade(1, strategy)])
    whole = bench.registry.get_trade_with_all_linkages(names[0])
    uuid = whole["canonical_trade"]["uuid"] if table == "canonical_trades" else whole["specialized_data"][table]["uuid"]
    values = specialised["soulprints"]["vector"]
    counts = bench.counts()
    with bench.database.engine("writer").begin() as connection:
        finding = Finding(table, uuid, "looks wrong", "orphan")
        assert quarantine(connection, table, UUID(uuid), "looks wrong to me", finding) is not None
        assert quarantine(connection, table, UUID(uuid), "again", finding) is None
    with bench.database.engine("reader").connect() as connection:
        item = next(item for item in quarantined_entries(connection) if str(item.uuid) == uuid)
        key = whole["specialized_data"]["profit_buckets"]["buckets"][0]
        assert (item.reason, json.loads(item.finding)["kind"]) == ("looks wrong to me", "orphan")
        assert names[0] not in bucket_links(connection, bench.registry.hand_experiment, key)
    assert bench.registry.get_performance_analytics()["by_strategy"][strategy]["total_trades"] == 1
    assert names[0] not in {match.trade_hash for match in bench.registry.find_similar(values).matches}
    assert bench.registry.get_trade_with_all_linkages(names[0])["quarantine"] == {table: "looks wrong to me"}
    assert bench.registry.get_registry_statistics()["quarantine"][table] == 1
    bench.registry.restore(table, uuid, "it was right")
    assert bench.registry.get_performance_analytics()["by_strategy"][strategy]["total_trades"] == 2
    assert bench.registry.find_similar(values).matches[0].trade_hash == names[0]
    after = bench.counts()
    assert {name: after[name] for name in after if name != "seal_events"} == {
        name: counts[name] for name in counts if name != "seal_events"
    }
    assert after["seal_events"] == counts["seal_events"] + 2
    with pytest.raises(LedgerConflict, match="is not in quarantine"):
        bench.registry.restore(table, uuid, "once more")
    with pytest.raises(UnknownRecord, match=f"no record of {table} of this home"):
        bench.registry.restore(table, UUID(int=5), "never was")
    with pytest.raises(ValueError, match="has no reason"):
        bench.registry.restore(table, uuid, " ")


def test_statistics_count_links_in_both_directions(bench: Bench) -> None:
    wrong, specialised = trade(9, "counted")
    name = bench.registry.add_trade_with_linkages(wrong, specialised)
    before = bench.registry.get_registry_statistics()["canonical_trades"]["corrected"]
    right = wrong | {"fees": wrong["fees"] + 1, "profit_usd": wrong["profit_usd"] - 1}
    bench.registry.add_trade_with_linkages(right, specialised, supersedes=name)
    told = bench.registry.get_registry_statistics()
    trades = told["canonical_trades"]["entries"]
    assert trades > 0
    for link in told["linkage"].values():
        assert link == {"linked": trades, "unlinked": 0, "backlinked": trades, "dangling": 0, "coverage": 1.0}
    assert told["canonical_trades"]["corrected"] == bench.count("canonical_trades") - trades == before + 1


def test_an_engine_without_proof_and_home_is_refused(bench: Bench) -> None:
    with pytest.raises(SettingsError, match="an engine but no proof"):
        RegistryCoordinator(engine=bench.database.engine("writer"))
