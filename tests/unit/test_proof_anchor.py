"""The anchor: whole files, written once, on a folder or an object store alike."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from throughline.proof.anchor import Anchor, Anchored, pack
from throughline.proof.errors import ProofError
from throughline.proof.events import Event, sign_head
from throughline.proof.keys import FileSigner
from throughline.proof.manifest import Leaf
from throughline.proof.tree import Frontier

LEAVES = [Leaf("outcomes", str(uuid.UUID(int=7)), "ab" * 32), Leaf("outcomes", str(uuid.UUID(int=8)), "cd" * 32)]


def event(seq: int, **told: Any) -> Event:
    body = {
        "kind": "genesis",
        "log": "log",
        "seq": seq,
        "key": "ü\u2028€",
        "recorded_at": "2026-01-01T00:00:00.000000Z",
    }
    return Event.of({**body, **told})


@pytest.fixture(params=["folder", "memory"])
def anchor(request: pytest.FixtureRequest, tmp_path: Path) -> Anchor:
    return Anchor(tmp_path / "a" / "b" if request.param == "folder" else f"memory://{uuid.uuid4().hex}/anchor")


def test_an_empty_anchor_holds_nothing_and_asking_makes_nothing(anchor: Anchor, tmp_path: Path) -> None:
    assert (anchor.log_id(), anchor.head_sizes(), anchor.segments()) == (None, [], [])
    assert not list(tmp_path.iterdir())


def test_what_was_written_is_read_back_byte_for_byte(anchor: Anchor, tmp_path: Path) -> None:
    anchor.start("log")
    assert anchor.log_id() == "log"
    events = [event(0), event(1, quote='"\\', leaves_like=',"leaves":[["x"]]}')]
    anchor.write_segment([Anchored(events[0], pack(LEAVES)), Anchored(events[1], pack([]))])
    anchor.write_segment([Anchored(event(2), pack([]))])
    assert anchor.segments() == [(0, 1), (2, 2)]
    first, second = anchor.read_segment(0, 1)
    assert (first.event.body, first.leaves()) == (events[0].body, LEAVES)
    assert (second.event.body, second.leaves()) == (events[1].body, [])
    frontier = Frontier()
    for item in (*events, event(2)):
        frontier.append(item.leaf)
    signer = FileSigner(tmp_path / "signing.pem")
    head = sign_head(signer, "log", frontier, "2026-01-01T00:00:00.000000Z")
    anchor.write_head(head)
    assert anchor.head_sizes() == [3]
    read = anchor.head(3)
    assert (read.body, read.signature) == (head.body, head.signature)
    assert read.signed_by(signer.public_key)
    assert read.frontier().root() == frontier.root()


def test_the_same_again_writes_nothing_and_other_bytes_are_refused(anchor: Anchor) -> None:
    anchor.start("log")
    anchor.start("log")
    with pytest.raises(ProofError, match="other bytes"):
        anchor.start("another log")
    anchor.write_segment([Anchored(event(0), pack(LEAVES))])
    anchor.write_segment([Anchored(event(0), pack(LEAVES))])
    with pytest.raises(ProofError, match="nothing is ever overwritten"):
        anchor.write_segment([Anchored(event(0), pack([]))])
    (read,) = anchor.read_segment(0, 0)
    assert read.leaves() == LEAVES


def test_a_pinned_anchor_does_not_see_what_comes_later(anchor: Anchor) -> None:
    anchor.start("log")
    anchor.write_segment([Anchored(event(0), pack([]))])
    pinned = anchor.pin()
    anchor.write_segment([Anchored(event(1), pack([]))])
    assert anchor.segments() == [(0, 0), (1, 1)]
    assert pinned.segments() == [(0, 0)]
    assert pinned.head_sizes() == []
    assert next(iter(pinned.read_segment(0, 0))).event.seq == 0


@pytest.mark.parametrize("data", [b"", b"oops", b'{"event":{"seq":0,"kind":"x"},"leaves":[]}\n{}\n', b'{"event":[]}\n'])
def test_a_segment_that_says_something_else_is_a_value_error(tmp_path: Path, data: bytes) -> None:
    anchor = Anchor(tmp_path)
    anchor.write_segment([Anchored(event(0), pack([]))])
    (tmp_path / "segments" / f"{0:020}-{0:020}.jsonl").write_bytes(data)
    with pytest.raises(ValueError, match=r".+"):
        list(anchor.read_segment(0, 0))
    with pytest.raises(ValueError, match="missing"):
        list(anchor.read_segment(5, 5))
    with pytest.raises(ValueError, match="missing"):
        anchor.head(5)


def test_an_anchor_that_cannot_be_written_or_understood_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ProofError, match=r"cannot be (read|written)"):
        Anchor(tmp_path / "file").start("log")
    with pytest.raises(ProofError, match="cannot be used"):
        Anchor("nosuchprotocol://x")
    (tmp_path / "log.json").write_text("oops")
    with pytest.raises(ProofError, match="says nothing"):
        Anchor(tmp_path).log_id()


def test_files_are_for_their_owner_and_no_temporary_ones_are_left(tmp_path: Path) -> None:
    anchor = Anchor(tmp_path / "anchor")
    anchor.start("log")
    (tmp_path / "anchor" / ".log.json.part").write_text("of a process that was killed")
    anchor.write_segment([Anchored(event(0), pack([]))])
    (tmp_path / "anchor" / "segments" / ".x.part").write_text("half")
    anchor.write_segment([Anchored(event(1), pack([]))])
    assert not list((tmp_path / "anchor" / "segments").glob(".*"))
    assert (tmp_path / "anchor").stat().st_mode & 0o077 == 0
    assert anchor.segments() == [(0, 0), (1, 1)]


WRITER = """
import sys
from throughline.proof.anchor import Anchor, Anchored, pack
from tests.unit.test_proof_anchor import LEAVES, event
anchor = Anchor(sys.argv[1])
start = anchor.segments()[-1][1] + 1 if anchor.segments() else 0
print("ready", flush=True)
for seq in range(start, start + 100_000):
    anchor.write_segment([Anchored(event(seq), pack(LEAVES * 200))])
"""


def test_a_writer_that_is_killed_leaves_whole_files_only(tmp_path: Path, repo: Path) -> None:
    anchor = Anchor(tmp_path / "anchor")
    for attempt in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, anchor.location],
            cwd=repo,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(repo)},
        )
        assert writer.stdout is not None
        assert writer.stdout.readline()
        time.sleep(0.02 + 0.03 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    segments = anchor.segments()
    assert len(segments) > 5
    assert [first for first, _ in segments] == list(range(len(segments)))
    for first, last in segments:
        (read,) = anchor.read_segment(first, last)
        assert len(read.leaves()) == 2 * 200
