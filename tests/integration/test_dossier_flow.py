"""Dossiers of a sealed home's trades: what they tell follows from the sealed bars and rows, or they say what broke."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

from tests.integration.proof_home import new_experiment, seal_days
from tests.integration.small_home import END, START, seal_experiment
from throughline.catalogue import catalogue
from throughline.cli import DirectWiring, run
from throughline.dossier.page import dossier_html, write_dossiers
from throughline.dossier.read import Dossier, compile_dossier
from throughline.dossier.story import find
from throughline.errors import UnknownRecord
from throughline.experiment.identity import Experiment
from throughline.flow.market_view import midnight
from throughline.identity import canonical_bytes, parse_time, time_text_ms, time_to_ms
from throughline.market.blocks import segment_ms
from throughline.market.simulated import SimulatedProvider
from throughline.proof.log import publish
from throughline.proof.settings import Proof, open_proof
from throughline.proof.snapshot import anchored_snapshot
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.storage.ids import parse_id
from throughline.tracking.records import body_hash

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_database(Home(tmp_path_factory.mktemp("dossiers") / "home")) as database:
        yield database


@pytest.fixture(scope="module")
def store(own: Database) -> ArtifactStore:
    return ArtifactStore(own.home.artifacts)


@pytest.fixture(scope="module")
def sealed(own: Database, store: ArtifactStore) -> Experiment:
    return seal_experiment(own, store)


@pytest.fixture(scope="module")
def proof(own: Database, sealed: Experiment) -> Proof:
    return open_proof(own.home, own.embedded)


@pytest.fixture(scope="module")
def every(own: Database, store: ArtifactStore, proof: Proof) -> list[Dossier]:
    """The dossiers of all canonical trades."""
    with own.engine("reader").connect() as connection:
        ids = connection.execute(text("SELECT content_hash FROM canonical_trades ORDER BY uuid")).scalars().all()
        assert len(ids) >= 10
        return [compile_dossier(connection, store, proof, parse_id(id_)) for id_ in ids]


@pytest.fixture
def owner(own: Database, sealed: Experiment) -> Iterator[Connection]:
    """The owner's connection, foreign keys taken away; everything done on it is rolled back."""
    with own.engine("owner").connect() as connection:
        keys = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f'"
        for table, name in connection.execute(text(keys)).all():
            connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        yield connection
        connection.rollback()


def one(connection: Connection, sql: str, **values: Any) -> Any:
    return connection.execute(text(sql), values).scalar_one()


def rewrite(connection: Connection, table: str, uuid: str, change: Any) -> None:
    """Change a body and its hash together."""
    body = json.loads(bytes(one(connection, f"SELECT body FROM {table} WHERE uuid = :u", u=uuid)))
    change(body)
    data = canonical_bytes(body)
    statement = text(f"UPDATE {table} SET body = :b, content_hash = :h WHERE uuid = :u")
    connection.execute(statement, {"b": data, "h": body_hash(table, data), "u": uuid})


def broken(made: Dossier) -> str:
    """Return all that does not hold, as one text."""
    assert not made.ok
    steps = [f"{item.table}: {problem}" for item in made.story.steps for problem in item.problems]
    html = dossier_html(made)
    assert "BROKEN" in html
    assert "Nothing in it has been changed" not in html
    return "\n".join([*steps, *made.problems])


def test_every_trade_of_an_untouched_home_holds_with_all_its_parts(every: list[Dossier]) -> None:
    for made in every:
        assert made.ok, made.problems
        assert [item.table for item in made.story.steps][-3:] == ["canonical_trades", "soulprints", "profit_buckets"]
        assert made.registration.why is None
        assert made.prices.why is None
        assert made.knowledge.inputs
        assert all(item.ok for item in made.artifacts)
        assert {item.path: item.status for item in made.paths}["base"] == "closed"
        assert made.soulprint.origin == "soulprints"


def test_any_id_of_a_chain_gives_the_same_records(own: Database, store: ArtifactStore, every: list[Dossier]) -> None:
    whole = every[-1]
    records = [step.uuid for step in whole.story.steps]
    ids = [step.uuid for step in whole.story.steps if step.table != "market_scans"]
    ids += [str(whole.registration.trade_hash), str(whole.registration.trade_hash)[:8].upper()]
    with own.engine("reader").connect() as connection:
        for id_ in ids:
            made = compile_dossier(connection, store, None, parse_id(id_))
            assert [step.uuid for step in made.story.steps] == records


def test_a_beginning_that_several_hashes_share_is_not_guessed(owner: Connection, every: list[Dossier]) -> None:
    first = str(every[0].registration.trade_hash)
    other = first[:20] + ("0" if first[20] != "0" else "1") + first[21:]
    values = {"h": other, "u": every[1].registration.uuid}
    owner.execute(text("UPDATE canonical_trades SET content_hash = :h WHERE uuid = :u"), values)
    with pytest.raises(UnknownRecord, match="begins the IDs of several things: trade "):
        find(owner, parse_id(first[:12]))
    assert str(find(owner, parse_id(first[:21]))) == every[0].registration.uuid
    with pytest.raises(UnknownRecord, match="no record or trade of this home has the ID"):
        find(owner, parse_id("0" * 32))


def test_the_bars_are_those_of_the_market_from_a_day_before_to_half_a_day_after(every: list[Dossier]) -> None:
    panel = SimulatedProvider(7).load(midnight(START) - 72 * HOUR, midnight(END) + 24 * HOUR)
    grids = (panel.open, panel.high, panel.low, panel.close)
    for made in every:
        chain, column = made.chain, panel.instruments.index(made.prices.instrument)
        ended = max(step.body["exit_time"] for step in (chain.outcome, chain.shadow) if step)
        decided, last = parse_time(str(chain.decided_at)), min(parse_time(ended) + 12 * HOUR, midnight(END) + 23 * HOUR)
        started = segment_ms(chain.candidate.body["segment"])
        expected = [
            (time_text_ms(int(opened)), *(float(grid[row, column]) for grid in grids))
            for row, opened in enumerate(panel.open_time)
            if time_to_ms(decided - 24 * HOUR) <= opened <= time_to_ms(last)
            and panel.segment_start[row, column] == started
            and not math.isnan(panel.close[row, column])
        ]
        told = [
            (bar.open_time, *(float(value or "nan") for value in (bar.open, bar.high, bar.low, bar.close)))
            for bar in made.prices.bars
        ]
        assert told == expected


def test_the_barriers_drawn_are_those_that_ended_the_trade(every: list[Dossier]) -> None:
    seen = set()
    for made in every:
        limits, outcome, execution = made.barriers, made.chain.outcome, made.chain.execution
        assert limits is not None
        body = outcome.body
        filled = execution.body["fill_bar_open"]
        held = [bar for bar in made.prices.bars if filled <= bar.open_time < body["exit_bar_open"]]
        last = next(bar for bar in made.prices.bars if bar.open_time == body["exit_bar_open"])
        if {"partial_exit", "no_volume"} & set(body["flags"]):
            continue
        assert all(float(limits.stop) < float(bar.low) and float(bar.high) < float(limits.target) for bar in held)
        reason = body["termination_reason"]
        seen.add(reason)
        if reason == "stop_loss":
            assert float(last.low) <= float(limits.stop)
        elif reason == "profit_target":
            assert float(last.high) >= float(limits.target)
        elif reason == "time_limit":
            assert body["exit_time"] == limits.deadline
    assert {"stop_loss", "profit_target"} & seen


def test_costs_come_out_and_the_base_path_is_the_outcome(every: list[Dossier]) -> None:
    for made in every:
        deducted = sum(Decimal(line.usd or "nan") for line in made.costs.lines)
        assert abs(Decimal(made.costs.gross or "nan") - deducted - Decimal(made.costs.net or "nan")) < Decimal("1e-6")
        base = next(item for item in made.paths if item.path == "base")
        assert base.net_pnl_usd == made.chain.outcome.body["realized_pnl_usd"]
        assert base.exit_time == made.chain.outcome.body["exit_time"]


def test_similar_trades_were_all_closed_before_it_was_decided(every: list[Dossier]) -> None:
    answered = [made for made in every if made.similar.matches]
    assert answered
    for made in every:
        assert made.similar.matches or made.similar.why
        assert all(item.closed_at < str(made.chain.decided_at) for item in made.similar.matches)
        assert made.registration.trade_hash not in [item.trade_hash for item in made.similar.matches]


def test_every_seal_behind_a_trade_stands_in_the_signed_and_anchored_log(every: list[Dossier]) -> None:
    for made in every:
        log = made.log
        assert log.signed
        assert log.anchored_size == log.tree_size > 0
        assert {step.seal.asset for step in made.story.steps if step.seal} <= {
            place.what.split("/")[0] for place in log.places
        }
        assert all(place.seq is not None and place.head and place.anchored for place in log.places)


def test_a_candidate_that_was_not_taken_says_why_it_has_no_trade(
    own: Database, store: ArtifactStore, sealed: Experiment
) -> None:
    with own.engine("reader").connect() as connection:
        sql = "SELECT candidate_uuid::text FROM dispositions WHERE disposition <> 'taken' ORDER BY uuid LIMIT 1"
        made = compile_dossier(connection, store, None, parse_id(one(connection, sql)))
    assert made.ok
    assert made.barriers is None
    assert made.prices.bars
    assert "no trade was closed" in str(made.costs.why)
    assert "only closed trades are registered" in str(made.registration.why)
    assert made.soulprint.origin == "research_docs"
    assert "not taken" in dossier_html(made)


@pytest.mark.parametrize("table", ["market_scans", "portfolio_states"])
def test_a_record_of_no_single_trade_is_told_without_the_parts_of_one(
    own: Database, store: ArtifactStore, sealed: Experiment, table: str
) -> None:
    with own.engine("reader").connect() as connection:
        id_ = one(connection, f"SELECT uuid::text FROM {table} ORDER BY uuid DESC LIMIT 1")
        made = compile_dossier(connection, store, None, parse_id(id_))
    assert made.ok
    assert not made.single
    html = dossier_html(made)
    assert "Price path" not in html
    assert "Every hash and its check" in html


def test_a_home_from_before_the_registries_says_so(
    owner: Connection, store: ArtifactStore, every: list[Dossier]
) -> None:
    for table in ("profit_buckets", "soulprints", "canonical_trades"):
        owner.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        owner.execute(text(f"DELETE FROM {table}"))
    owner.execute(text("ALTER TABLE partition_seals DISABLE TRIGGER ALL"))
    owner.execute(
        text("DELETE FROM partition_seals WHERE asset IN ('canonical_trades', 'soulprints', 'profit_buckets')")
    )
    made = compile_dossier(owner, store, None, parse_id(every[0].chain.outcome.uuid))
    assert made.ok
    assert "is not sealed in this experiment" in str(made.registration.why)
    assert "no trade of this experiment had been closed" in str(made.similar.why)
    assert "Not registered: canonical_trades of" in dossier_html(made)


def test_a_registered_trade_that_says_something_else_than_its_chain_is_named(
    owner: Connection, store: ArtifactStore, every: list[Dossier]
) -> None:
    owner.execute(text("ALTER TABLE canonical_trades DISABLE TRIGGER ALL"))
    trade = str(every[0].registration.uuid)
    rewrite(owner, "canonical_trades", trade, lambda body: body.update(confidence="0.99"))
    made = compile_dossier(owner, store, None, parse_id(every[0].chain.outcome.uuid))
    assert "canonical_trades: confidence is 0.99, its chain has" in broken(made)


def test_a_repointed_soulprint_and_a_changed_vector_are_named(
    owner: Connection, store: ArtifactStore, every: list[Dossier]
) -> None:
    owner.execute(text("ALTER TABLE soulprints DISABLE TRIGGER ALL"))
    first, second = every[0].chain, every[1].chain
    swap = "UPDATE soulprints SET canonical_uuid = :t WHERE uuid = :u"
    owner.execute(text(swap), {"t": UUID(int=1), "u": first.soulprint.uuid})
    made = compile_dossier(owner, store, None, parse_id(first.candidate.uuid))
    assert "canonical_trades: has no entry in soulprints, where it names" in broken(made)
    third = every[2].chain
    rewrite(owner, "soulprints", third.soulprint.uuid, lambda body: body.update(soulprint="0" * 64))
    problems = broken(compile_dossier(owner, store, None, parse_id(third.candidate.uuid)))
    assert "in soulprints, its entry there has another hash" in problems
    rewrite(owner, "soulprints", second.soulprint.uuid, lambda body: body["values"].update(momentum="9"))
    problems = broken(compile_dossier(owner, store, None, parse_id(second.candidate.uuid)))
    assert "soulprints: its values hash to another soulprint than it says" in problems
    assert "soulprints: its field 'values' differs from the research snapshot" in problems


def test_an_entry_without_its_trade_is_found_by_its_id_and_broken(
    owner: Connection, store: ArtifactStore, every: list[Dossier]
) -> None:
    owner.execute(text("ALTER TABLE canonical_trades DISABLE TRIGGER ALL"))
    owner.execute(text("DELETE FROM canonical_trades WHERE uuid = :u"), {"u": every[0].registration.uuid})
    made = compile_dossier(owner, store, None, parse_id(every[0].chain.bucket.uuid))
    assert "profit_buckets: canonical names canonical_trades" in broken(made)


def test_a_rewritten_event_or_head_of_the_log_breaks_the_dossier(
    owner: Connection, store: ArtifactStore, proof: Proof, every: list[Dossier]
) -> None:
    id_ = parse_id(every[0].chain.outcome.uuid)
    place = next(item for item in every[0].log.places if item.what.startswith("outcomes/"))
    owner.execute(text("ALTER TABLE seal_events DISABLE TRIGGER ALL"))
    owner.execute(text("ALTER TABLE seal_heads DISABLE TRIGGER ALL"))
    with owner.begin_nested() as savepoint:
        changed = "convert_to(replace(convert_from(body, 'UTF8'), :a, :b), 'UTF8')"
        sql = f"UPDATE seal_events SET body = {changed} WHERE seq = :s"
        root = next(step.seal.root for step in every[0].story.steps if step.table == "outcomes")
        owner.execute(text(sql), {"a": root, "b": "0" * 64, "s": place.seq})
        assert "has another leaf hash or number than its body gives" in broken(
            compile_dossier(owner, store, proof, id_)
        )
        savepoint.rollback()
    with owner.begin_nested() as savepoint:
        owner.execute(text("UPDATE seal_events SET leaf_hash = :h WHERE seq = 0"), {"h": "0" * 64})
        assert "does not follow from its events" in broken(compile_dossier(owner, store, proof, id_))
        savepoint.rollback()
    with owner.begin_nested() as savepoint:
        owner.execute(text("UPDATE seal_heads SET signature = 'AAAA'"))
        problems = broken(compile_dossier(owner, store, proof, id_))
        assert "not signed by the key of this machine" in problems
        assert "the seal log does not have the anchored head" in problems
        savepoint.rollback()
    assert compile_dossier(owner, store, proof, id_).ok


def test_a_trade_whose_day_a_run_has_not_sealed_yet_is_unsealed_and_not_changed(
    owner: Connection, store: ArtifactStore, every: list[Dossier]
) -> None:
    step = every[-1].chain.outcome
    owner.execute(text("ALTER TABLE partition_seals DISABLE TRIGGER ALL"))
    unsealed = "DELETE FROM partition_seals WHERE asset = 'outcomes' AND partition >= :d"
    owner.execute(text(unsealed), {"d": step.partition})
    made = compile_dossier(owner, store, None, parse_id(step.uuid))
    assert made.story.ok  # the log, which this test leaves as it is, does name the seal
    assert made.chain.outcome.seal.waiting
    assert "not sealed yet" in dossier_html(made)
    unsealed = "DELETE FROM partition_seals WHERE asset = 'portfolio_state' AND partition >= :d"
    owner.execute(text(unsealed), {"d": step.partition})
    assert "outcomes of" in broken(compile_dossier(owner, store, None, parse_id(step.uuid)))


def test_an_anchored_event_that_the_log_rewrote_is_named(
    owner: Connection, own: Database, store: ArtifactStore, proof: Proof, every: list[Dossier], tmp_path: Path
) -> None:
    place = next(item for item in every[0].log.places if item.what.startswith("outcomes/"))
    first, last = next(item for item in proof.anchor.segments() if item[0] <= (place.seq or 0) <= item[1])
    segment = own.home.path / "anchor" / "segments" / f"{first:020}-{last:020}.jsonl"
    kept = segment.read_bytes()
    root = next(step.seal.root for step in every[0].story.steps if step.table == "outcomes" and step.seal)
    segment.chmod(0o600)
    segment.write_bytes(kept.replace(str(root).encode(), b"0" * 64))
    try:
        made = compile_dossier(owner, store, proof, parse_id(every[0].chain.outcome.uuid))
        assert f"event {place.seq} is not the one that was anchored" in broken(made)
    finally:
        segment.write_bytes(kept)


def test_changed_bytes_of_bars_or_inputs_break_the_dossier_and_expired_ones_do_not(
    owner: Connection, store: ArtifactStore, every: list[Dossier]
) -> None:
    made = every[0]
    id_ = parse_id(made.chain.outcome.uuid)
    day, stored = made.prices.days[1], made.artifacts[0]
    for digest, words in ((str(day.artifact), f"bars of {day.day}"), (stored.hash, f"artifact {stored.hash[:16]}")):
        file = Path(store.root) / store.location(digest)
        kept = file.read_bytes()
        data = bytearray(gzip.decompress(kept))
        data[len(data) // 2] ^= 1
        try:
            file.write_bytes(gzip.compress(bytes(data)))
            assert words in broken(compile_dossier(owner, store, None, id_))
            file.unlink()
            assert "is missing" in broken(compile_dossier(owner, store, None, id_))
            with owner.begin_nested() as savepoint:
                told = (
                    "INSERT INTO artifact_tombstones (hash, expired_at, reason) VALUES (:h, '2025-03-01+00', 'a year')"
                )
                owner.execute(text(told), {"h": digest})
                expired = compile_dossier(owner, store, None, id_)
                assert expired.ok
                assert "expired on 2025-03-01: a year" in dossier_html(expired)
                savepoint.rollback()
        finally:
            file.write_bytes(kept)
    assert compile_dossier(owner, store, None, id_).ok


def test_a_changed_seal_of_bars_is_named_by_its_day(
    owner: Connection, store: ArtifactStore, every: list[Dossier]
) -> None:
    owner.execute(text("ALTER TABLE partition_seals DISABLE TRIGGER ALL"))
    change = text("UPDATE partition_seals SET root = :r WHERE asset = 'market_bars' AND partition = :d")
    day = every[0].chain.outcome.partition
    owner.execute(change, {"r": "0" * 64, "d": day})
    problems = broken(compile_dossier(owner, store, None, parse_id(every[0].chain.outcome.uuid)))
    assert f"bars of {day}: its bars give another seal than the sealed one" in problems
    assert f"market_bars/{day} in the seal log: event" in problems


@pytest.mark.parametrize("table", ["candidates", "research_docs", "executions", "outcomes", "canonical_trades"])
def test_a_record_that_says_nothing_any_more_leaves_a_dossier_that_says_so(
    owner: Connection, store: ArtifactStore, every: list[Dossier], table: str
) -> None:
    owner.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
    uuid = next(step.uuid for step in every[0].story.steps if step.table == table)
    for data in (b"\xff nonsense", b"{}", b'{"features":3,"inputs":[1],"raw_price":"x","exit_time":7}'):
        owner.execute(text(f"UPDATE {table} SET body = :b WHERE uuid = :u"), {"b": data, "u": uuid})
        made = compile_dossier(owner, store, None, parse_id(every[0].chain.outcome.uuid))
        assert f"{table}: body hashes to" in broken(made)
        json.dumps(made.as_json(), allow_nan=False)


def test_the_page_is_the_same_each_time_and_called_after_the_record(
    own: Database, store: ArtifactStore, every: list[Dossier], proof: Proof, tmp_path: Path
) -> None:
    engine, id_ = own.engine("reader"), str(every[0].registration.trade_hash)
    page = write_dossiers(engine, store, proof, [id_], tmp_path / "reports" / "new")[id_]
    assert page == tmp_path / "reports" / "new" / f"dossier-{every[0].registration.uuid}.html"
    kept = page.read_bytes()
    assert write_dossiers(engine, store, proof, [id_], page.parent) == {id_: page}
    assert page.read_bytes() == kept == dossier_html(every[0]).encode()


def test_text_json_and_page_come_from_one_command(
    own: Database, every: list[Dossier], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    id_, page = str(every[0].registration.trade_hash)[:16], tmp_path / "page.html"
    home = ("--home", str(own.home.path))
    assert run(["trade", id_, "--json", "--html", str(page), *home], DirectWiring()) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["trade_hash"] == every[0].registration.trade_hash
    assert (said.err, page.is_file()) == ("", True)
    assert run(["trade", id_, "--html", str(page), *home], DirectWiring()) == 0
    said = capsys.readouterr()
    for words in ("Canonical trade  OK", "Prices  OK", "Seal log  OK", "nothing in it has been changed"):
        assert words in said.out
    assert str(page) in said.err
    assert run(["trade", id_, "--html", str(tmp_path / "no" / "page.html"), *home], DirectWiring()) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"throughline: {tmp_path / 'no' / 'page.html'} cannot be written")
    assert len(said.err.splitlines()) == 1


def test_a_dossier_holds_while_another_run_appends_to_log_and_anchor(
    own: Database, store: ArtifactStore, proof: Proof, every: list[Dossier]
) -> None:
    id_ = parse_id(every[0].chain.outcome.uuid)
    with anchored_snapshot(own.engine("reader"), proof.anchor) as (connection, anchor):
        seal_days(own.engine("writer"), new_experiment(own.engine("writer"), "appended meanwhile"), 2)
        publish(own.engine("writer"), proof)
        made = compile_dossier(connection, store, replace(proof, anchor=anchor), id_)
    assert made.ok, made.problems


def test_every_body_of_the_flow_has_exactly_the_fields_of_its_version(own: Database, sealed: Experiment) -> None:
    with own.engine("reader").connect() as connection:
        for table, kind in catalogue().records.items():
            bodies = connection.execute(text(f"SELECT body FROM {table} WHERE experiment = :e"), {"e": sealed.id})
            for data in bodies.scalars():
                body = json.loads(bytes(data))
                assert body["schema_version"] == kind.version, table
                assert body.keys() - {"schema_version", "supersedes", *kind.optional.split()} == kind.fields, table
