"""A proof file convinces with the right key and nothing else, and stops doing so when anything in it is changed."""

from __future__ import annotations

import copy
import json
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.integration.small_home import seal_experiment
from throughline.errors import UnknownRecord
from throughline.proof.check import check_proof
from throughline.proof.errors import ProofError
from throughline.proof.keys import FileSigner
from throughline.proof.prove import make_proof
from throughline.proof.rotation import rotate_key
from throughline.proof.settings import Proof, open_proof
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home

ALONE = ("dispositions", "outcomes", "shadow_outcomes", "canonical_trades", "soulprints", "profit_buckets")
"""Records that no other record of the chain of an execution stands on: a file without them proves less, and holds."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("proofs")


@pytest.fixture(scope="module")
def own(folder: Path) -> Iterator[Database]:
    """A sealed home with a key of its own, since a test here changes keys."""
    with pytest.MonkeyPatch.context() as patch, open_database(Home(folder / "home")) as database:
        patch.setenv("THROUGHLINE_SIGNING_KEY", str(folder / "signing.pem"))
        seal_experiment(database, ArtifactStore(folder / "artifacts"))
        yield database


@pytest.fixture(scope="module")
def proof(own: Database) -> Proof:
    return open_proof(own.home, own.embedded)


def proof_of(own: Database, table: str, order: str = "uuid") -> dict[str, Any]:
    with own.engine("reader").connect() as connection:
        asked = connection.execute(text(f"SELECT uuid FROM {table} ORDER BY {order} LIMIT 1")).scalar_one()
        made = make_proof(connection, asked)
    return json.loads(made.text())


@pytest.mark.parametrize(
    ("table", "holds"),
    [
        ("market_scans", {"market_scans"}),
        ("portfolio_states", {"portfolio_states"}),
        ("outcomes", {"market_scans", "candidates", "research_docs", "dispositions", "executions", "outcomes"}),
        ("canonical_trades", {"outcomes", "canonical_trades", "soulprints", "profit_buckets"}),
        ("soulprints", {"candidates", "canonical_trades", "soulprints"}),
    ],
)
def test_a_proof_of_any_record_holds_with_its_whole_chain(
    own: Database, proof: Proof, table: str, holds: set[str]
) -> None:
    made = proof_of(own, table)
    told = check_proof(made, proof.signer.public_key)
    assert told.problems == ()
    assert told.ok
    assert holds <= {record["table"] for record in made["records"]}
    assert made["asked"] in told.lines[0]
    assert len(told.lines) == len(made["records"]) + 1
    assert len(json.dumps(made)) < 60_000


def test_no_other_key_is_convinced_and_a_key_inside_the_file_changes_nothing(
    own: Database, proof: Proof, folder: Path
) -> None:
    made = proof_of(own, "outcomes")
    stranger = FileSigner(folder / "stranger.pem").public_key
    told = check_proof(made, stranger)
    assert not told.ok
    assert "not signed with the key you gave" in told.problems[0]
    made["key"] = stranger.hex()
    assert not check_proof(made, stranger).ok
    assert not check_proof(made, proof.signer.public_key).ok


def leaves_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value that is no container, and of every list and object that is empty."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    empty = True
    for key, item in items:
        empty = False
        yield from leaves_of(item, (*path, key))
    if empty:
        yield path


def changed(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return "changed"
    if isinstance(value, int):
        return value + rng.choice([-1, 1, 1000])
    place = rng.randrange(len(value)) if value else 0
    swapped = "1" if value[place : place + 1] != "1" else "2"
    return value[:place] + swapped + value[place + 1 :]


@pytest.mark.parametrize("table", ["canonical_trades", "market_scans"])
def test_changing_any_value_of_the_file_is_noticed(own: Database, proof: Proof, table: str) -> None:
    made = proof_of(own, table)
    rng = random.Random(11)
    paths = sorted(leaves_of(made), key=str)
    assert check_proof(made, proof.signer.public_key).ok
    for path in rng.sample(paths, min(1500, len(paths))):
        other = copy.deepcopy(made)
        place = other
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = changed(place[path[-1]], rng)
        told = check_proof(other, proof.signer.public_key)
        assert not told.ok, f"{path} can be changed"
        assert told.problems
        assert told.lines == ()


def test_taking_away_or_adding_any_part_of_the_file_is_noticed(own: Database, proof: Proof) -> None:
    made = proof_of(own, "executions")
    for name in made:
        assert not check_proof({key: value for key, value in made.items() if key != name}, proof.signer.public_key).ok
    for name in ("records", "events"):
        for place in range(len(made[name])):
            fewer = {**made, name: made[name][:place] + made[name][place + 1 :]}
            dropped = made[name][place]
            alone = name == "records" and dropped["table"] in ALONE
            told = check_proof(fewer, proof.signer.public_key)
            assert told.ok <= alone, (name, place)
            assert not check_proof({**made, name: [*made[name], dropped]}, proof.signer.public_key).ok
        for record in made["records"]:
            assert not check_proof({**made, "records": [*made["records"], record]}, proof.signer.public_key).ok


@pytest.mark.parametrize(
    "data", [None, [], {}, "text", 7, {"format": "throughline proof 1"}, {"format": 1, "records": [], "events": []}]
)
def test_anything_else_is_no_proof_and_no_exception(data: object) -> None:
    told = check_proof(data, bytes(32))
    assert not told.ok
    assert "not a proof" in told.problems[0]


def test_what_is_not_logged_cannot_be_proved_and_an_unknown_id_is_said_to_be_unknown(own: Database) -> None:
    with own.engine("owner").connect() as connection:
        with pytest.raises(UnknownRecord):
            make_proof(connection, uuid.uuid4())
        asked = connection.execute(text("SELECT uuid FROM outcomes ORDER BY uuid DESC LIMIT 1")).scalar_one()
        connection.execute(text("DELETE FROM seal_events WHERE asset = 'executions'"))
        with pytest.raises(ProofError, match="not in the seal log yet"):
            make_proof(connection, asked)
        connection.execute(text("DELETE FROM seal_heads"))
        with pytest.raises(ProofError, match="Nothing of this home"):
            make_proof(connection, asked)
        connection.rollback()


@pytest.mark.parametrize("change", ["body = body || ' '", "content_hash = repeat('0', 64)"])
def test_a_record_that_was_changed_since_cannot_be_proved(own: Database, change: str) -> None:
    with own.engine("owner").connect() as connection:
        asked = connection.execute(text("SELECT uuid FROM outcomes ORDER BY uuid LIMIT 1")).scalar_one()
        connection.execute(text(f"UPDATE outcomes SET {change} WHERE uuid = :u"), {"u": asked})
        with pytest.raises(ProofError, match="was changed since it was sealed"):
            make_proof(connection, asked)
        connection.rollback()


def test_after_a_change_of_keys_the_old_key_vouches_for_new_proofs(own: Database, proof: Proof) -> None:
    """Last in this file: it changes the key."""
    signer = proof.signer
    assert isinstance(signer, FileSigner)
    old, before = signer.public_key, proof_of(own, "outcomes")
    rotate_key(own.engine("writer"), proof, signer.successor())
    signer.replace_by_successor()
    new = signer.public_key
    assert new != old
    after = proof_of(own, "outcomes")
    assert check_proof(after, new).ok
    told = check_proof(after, old)
    assert told.ok
    assert "has handed the log over" in told.lines[0]
    assert check_proof(before, old).ok
    assert not check_proof(before, new).ok  # the head of then was signed with the old key
    place = next(k for k, item in enumerate(after["events"]) if item["body"]["kind"] == "key")
    after["events"][place]["body"]["signature"] = "A" * 86 + "=="
    assert not check_proof(after, old).ok
