"""How differences are named, whose signatures count, and that the threat model says what it must."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from throughline.findings import Finding
from throughline.proof.events import Event, Head, rotation, sign_head
from throughline.proof.keys import FileSigner, key_id
from throughline.proof.manifest import Leaf, manifest_bytes, manifest_hash
from throughline.proof.runs import Runs
from throughline.proof.threat import CANNOT_FIND, FINDS, THREAT_MODEL
from throughline.proof.tree import Frontier
from throughline.proof.trust import KeyLine, untrusted

TIME = "2026-01-01T00:00:00.000000Z"


def told(states: str) -> list[tuple[str, str, str | None]]:
    """Return (row, kind, count) for a line of things: '.' intact, 'x' changed, '-' gone."""
    runs = Runs()
    for place, state in enumerate(states):
        if state == ".":
            runs.intact(("t", ""))
        else:
            kind = "missing_row" if state == "-" else "hash_mismatch"
            runs.differs(("t", ""), Finding("t", str(place), "differs", kind, "a", "b"), missing=state == "-")
    return [(item.row, item.kind, item.expected) for item in runs.finish()]


def test_single_differences_are_named_one_by_one() -> None:
    assert told("....") == []
    assert told(".x.-") == [("1", "hash_mismatch", "a"), ("3", "missing_row", "a")]
    assert told(".xx.") == [("1", "hash_mismatch", "a"), ("2", "hash_mismatch", "a")]


def test_a_run_to_the_end_is_named_by_its_first_and_count() -> None:
    assert told("..--") == [("2", "truncated", "2")]
    assert told("x.xxx") == [("0", "hash_mismatch", "a"), ("2", "rewritten", "3")]
    assert told("..x-") == [("2", "rewritten", "2")]


def test_a_very_long_run_in_the_middle_is_named_by_its_first_and_count_too() -> None:
    assert told("." + "x" * 1000 + ".") == [(str(k), "hash_mismatch", "a") for k in range(1, 1001)]
    assert told("." + "-" * 1001 + ".") == [("1", "truncated", "1001")]


@given(st.text(alphabet=".x-", max_size=60))
def test_every_difference_is_counted_once_and_the_first_is_always_named(states: str) -> None:
    found = told(states)
    assert sum(int(count) if kind in ("truncated", "rewritten") else 1 for _, kind, count in found) == sum(
        state != "." for state in states
    )
    if found:
        assert found[0][0] == str(min(place for place, state in enumerate(states) if state != "."))


def test_lines_do_not_end_each_other() -> None:
    runs = Runs()
    for line in ("a", "b"):
        for place in range(2):
            runs.differs((line, ""), Finding(line, str(place), "gone", "missing_row"), missing=True)
    runs.intact(("a", ""))
    assert [(item.table, item.kind) for item in runs.finish()] == [
        ("a", "missing_row"),
        ("a", "missing_row"),
        ("b", "truncated"),
    ]


def head(signer: FileSigner, size: int) -> Head:
    frontier = Frontier()
    for number in range(size):
        frontier.append(bytes([number]) * 32)
    return sign_head(signer, "log", frontier, TIME)


def genesis(signer: FileSigner) -> Event:
    return Event.of({"kind": "genesis", "log": "log", "seq": 0, "key": signer.public_key.hex(), "recorded_at": TIME})


def change(old: FileSigner, new: FileSigner, seq: int, log: str = "log") -> Event:
    told = rotation(old, log, seq, new.public_key)
    return Event.of({"kind": "key", "log": log, "seq": seq, "recorded_at": TIME, **told})


def test_each_key_counts_in_its_time_and_only_with_the_word_of_the_one_before(tmp_path: Path) -> None:
    first, second, thief = (FileSigner(tmp_path / name) for name in ("first", "second", "thief"))
    line = KeyLine()
    assert line.add(genesis(first)) is None
    assert line.add(change(first, second, 4)) is None
    assert line.problem(head(first, 4)) is None
    assert line.problem(head(second, 5)) is None
    assert "the key of the log at this size is" in str(line.problem(head(first, 5)))
    assert "the key of the log at this size is" in str(line.problem(head(second, 4)))
    assert line.problem(head(thief, 5)) is not None
    assert line.add(change(thief, thief, 6)) == "a change of keys that the key before has not signed"
    assert line.in_force(100) == second.public_key
    forged = head(thief, 5)
    named = Head(
        forged.body.replace(thief.key_id.encode(), second.key_id.encode()),
        forged.signature,
        {**forged.told, "key_id": second.key_id},
    )
    assert "does not hold" in str(line.problem(named))


def test_a_rotation_cannot_be_replayed_elsewhere(tmp_path: Path) -> None:
    first, second = FileSigner(tmp_path / "first"), FileSigner(tmp_path / "second")
    for other in ({"seq": 5}, {"log": "another"}, {"new_key": first.public_key.hex()}, {"signature": "AAAA"}):
        line = KeyLine()
        line.add(genesis(first))
        event = change(first, second, 4)
        assert line.add(Event.of({**event.told, **other})) is not None, other


def test_a_log_is_trusted_only_where_the_trusted_key_itself_has_signed(tmp_path: Path) -> None:
    mine, thief = FileSigner(tmp_path / "mine"), FileSigner(tmp_path / "thief")
    line = KeyLine()
    line.add(genesis(thief))
    assert "is not among the keys" in str(untrusted(line, [head(thief, 3)], mine.public_key))
    line.add(change(thief, mine, 3))  # a thief may hand a forged log over to the true key
    assert "no head is signed by the trusted key" in str(untrusted(line, [head(thief, 3)], mine.public_key))
    assert untrusted(line, [head(thief, 3), head(mine, 4)], mine.public_key) is None


def test_a_manifest_is_lines_of_table_key_and_hash() -> None:
    leaves = [Leaf("outcomes", "u1", "ab"), Leaf("candidates", "u2", "cd")]
    assert manifest_bytes(leaves) == b"outcomes u1 ab\ncandidates u2 cd\n"
    assert manifest_hash(leaves) != manifest_hash(leaves[::-1])
    assert manifest_hash([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_threat_model_says_what_is_found_and_what_is_not() -> None:
    for words in (
        "controls the database",
        "neither the signing key nor the anchor",
        "before a record is anchored",
        "restoring the home and the anchor together",
        "a stolen key",
        "self-anchored: weak",
    ):
        assert words in " ".join(THREAT_MODEL.split())
    assert "neither key nor anchor" in FINDS
    assert "stolen key" in CANNOT_FIND
    assert len(key_id(bytes(32))) == 16
