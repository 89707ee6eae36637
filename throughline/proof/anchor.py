"""The anchor: a folder or bucket outside the database, to which every event, leaf manifest and head is copied.

Belongs here: the layout, writing files whole and once, reading them back. Does not belong here: when that is done (log)
and what follows from a difference (audit).

Layout: ``log.json`` (which log), ``segments/<first>-<last>.jsonl`` (one line per event: {event, leaves}),
``heads/<size>.json`` ({body, signature}), ``receipts/<size>`` (the newest head of a copy was written); numbers have 20
digits, so that names sort. A local file is whole or absent:
temporary name, fsync, link, fsync of the folder; on object stores a put is whole by itself. Nothing is ever overwritten
with other bytes; a head is written after the segments it stands for, so what it says is always there.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from throughline.errors import StorageError
from throughline.proof.errors import ProofError
from throughline.proof.events import Event, Head
from throughline.proof.manifest import Leaf
from throughline.storage.remote import open_remote, reason_of
from throughline.user_files import user_path

Strength = Literal["self-anchored: weak", "external"]
_SEGMENT = re.compile(r"(\d{20})-(\d{20})\.jsonl")
_HEAD = re.compile(r"(\d{20})\.json")
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Anchored:
    """An event as anchored. packed: the leaves behind it as JSON, read only where they are asked for."""

    event: Event
    packed: str

    def leaves(self) -> list[Leaf]:
        """Return the leaves. Raises ValueError where they are not readable."""
        return [Leaf(str(table), str(key), str(digest)) for table, key, digest in json.loads(self.packed)]


@dataclass(frozen=True, slots=True)
class _Listing:
    """What an anchor held at one instant. heads: sizes, ascending; segments: (first, last), ascending."""

    heads: list[int]
    segments: list[tuple[int, int]]


def pack(leaves: Sequence[Leaf]) -> str:
    """Return leaves as they stand in a segment."""
    return json.dumps(leaves, separators=(",", ":"))


class Anchor:
    """The anchor at a folder or an fsspec URL (``s3://bucket/prefix``); nothing is made until it is written to.

    strength: what it is worth; 'self-anchored: weak' where whoever rules the database rules it too.
    """

    def __init__(self, url_or_path: str | os.PathLike[str], strength: Strength = "external") -> None:
        text = os.fspath(url_or_path)
        self.strength = strength
        self._folder: Path | None = None
        self._remote: Any = None
        self._pinned: _Listing | ProofError | None = None
        if text.startswith("file://"):
            text = text.removeprefix("file://")
        if "://" not in text:
            self._folder = user_path(text, "the anchor (THROUGHLINE_ANCHOR)")
            self.location = str(self._folder)
            return
        try:
            self._remote, path = open_remote(text, "the anchor (THROUGHLINE_ANCHOR)")
        except StorageError as error:
            raise ProofError(str(error)) from None
        self.location = text.rstrip("/")
        self._root = path.rstrip("/")

    def log_id(self) -> str | None:
        """Return the id of the log that is anchored here, None where none is. Raises ProofError."""
        data = self._read("log.json")
        if data is None:
            return None
        try:
            return str(json.loads(data)["log"])
        except (ValueError, KeyError, TypeError):
            raise ProofError(f"{self.location}/log.json says nothing: restore the anchor from a copy.") from None

    def start(self, log: str) -> None:
        """Begin the anchor of `log`. Raises ProofError where another log's is here."""
        self._write("log.json", json.dumps({"format": "throughline anchor 1", "log": log}).encode("ascii") + b"\n")

    def pin(self) -> Anchor:
        """Return this anchor as it is now: what is added later is not seen through it.

        Never raises: an anchor that cannot be listed raises its ProofError where its heads or segments are asked for.
        """
        pinned = copy(self)
        try:
            # Heads first: a head is written after its segments, so the segments of every listed head are listed too.
            pinned._pinned = _Listing(self.head_sizes(), self.segments())
        except ProofError as error:
            pinned._pinned = error
        return pinned

    def _listed(self) -> _Listing | None:
        """Return what was listed by `pin`, None where this anchor is not pinned. Raises ProofError."""
        if isinstance(self._pinned, ProofError):
            raise self._pinned
        return self._pinned

    def head_sizes(self) -> list[int]:
        """Return the sizes of the anchored heads, ascending."""
        listed = self._listed()
        if listed is not None:
            return listed.heads
        found = (_HEAD.fullmatch(name) for name in self._names("heads"))
        return sorted(int(item[1]) for item in found if item)

    def head(self, size: int) -> Head:
        """Return the anchored head of `size`. Raises ValueError where the file says nothing."""
        data = self._read(f"heads/{size:020}.json")
        if data is None:
            raise ValueError("the file is missing")
        text = data.decode("utf-8")
        told, end = _DECODER.raw_decode(text, len('{"body":'))
        signature = json.loads(text)["signature"]
        head = Head.read(text[len('{"body":') : end].encode("utf-8"), str(signature))
        if head.tree_size != size:
            raise ValueError(f"the file says size {told['tree_size']}")
        return head

    def write_head(self, head: Head) -> None:
        """Write a head; the same again does nothing."""
        data = b'{"body":' + head.body + b',"signature":' + json.dumps(head.signature).encode("ascii") + b"}\n"
        self._write(f"heads/{head.tree_size:020}.json", data)

    def receipt(self, size: int) -> None:
        """Say that the head of `size` was written. After a deletion of that head, the receipt tells it from a head that
        a stopped run never wrote.

        A receipt protects nothing, so it is not made durable: that would cost every copy a third more.
        """
        place = f"receipts/{size:020}"
        try:
            if self._folder is not None:
                (self._folder / "receipts").mkdir(mode=0o700, parents=True, exist_ok=True)
                (self._folder / place).touch(mode=0o600)
            elif self._read(place) is None:
                self._remote.makedirs(f"{self._root}/receipts", exist_ok=True)
                self._remote.pipe_file(f"{self._root}/{place}", b"")
        except OSError as error:
            raise ProofError(
                f"The anchor {self.location} cannot be written ({reason_of(error)}): everything is anchored but the "
                "receipt of the newest head, which the next run writes."
            ) from error

    def lost_head(self) -> int | None:
        """Return the size of the newest head where it was written and is gone, None where it is not.

        The newest segment ends where the newest head does. Whether the head is gone is asked of the anchor as it is
        now, also through a pinned one: a run that was copying then may have written it since. Raises ProofError.
        """
        sizes, segments = self.head_sizes(), self.segments()
        size = segments[-1][1] + 1 if segments else 0
        if size <= (sizes[-1] if sizes else 0) or self._read(f"receipts/{size:020}") is None:
            return None
        return size if self._read(f"heads/{size:020}.json") is None else None

    def segments(self) -> list[tuple[int, int]]:
        """Return (first, last) of the segments, ascending."""
        listed = self._listed()
        if listed is not None:
            return listed.segments
        found = (_SEGMENT.fullmatch(name) for name in self._names("segments"))
        return sorted((int(item[1]), int(item[2])) for item in found if item)

    def read_segment(self, first: int, last: int) -> Iterator[Anchored]:
        """Yield the events of a segment. Raises ValueError where it says something else than its name."""
        data = self._read(f"segments/{first:020}-{last:020}.jsonl")
        if data is None:
            raise ValueError("the file is missing")
        if not data.endswith(b"\n"):
            raise ValueError("the file is cut off")
        lines = data[:-1].decode("utf-8").split("\n")
        if len(lines) != last - first + 1:
            raise ValueError(f"the file has {len(lines)} lines")
        for seq, line in enumerate(lines, first):
            _, end = _DECODER.raw_decode(line, len('{"event":'))
            event = Event.read(line[len('{"event":') : end].encode("utf-8"))
            if event.seq != seq:
                raise ValueError(f"line {seq - first + 1} is event {event.seq}")
            yield Anchored(event, line[end + len(',"leaves":') : -1])

    def write_segment(self, entries: Sequence[Anchored]) -> None:
        """Write events that follow each other as one segment; the same again does nothing."""
        lines = [
            b'{"event":' + entry.event.body + b',"leaves":' + entry.packed.encode("ascii") + b"}\n" for entry in entries
        ]
        first, last = entries[0].event.seq, entries[-1].event.seq
        self._write(f"segments/{first:020}-{last:020}.jsonl", b"".join(lines))

    def _names(self, folder: str) -> list[str]:
        try:
            if self._folder is not None:
                return os.listdir(self._folder / folder)  # noqa: PTH208 - names only: half the time of iterdir
            found = self._remote.ls(f"{self._root}/{folder}", detail=False, refresh=True)
            return [str(name).rpartition("/")[2] for name in found]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ProofError(
                f"The anchor {self.location} cannot be read ({reason_of(error)}): see THROUGHLINE_ANCHOR."
            ) from error

    def _read(self, place: str) -> bytes | None:
        try:
            if self._folder is not None:
                return (self._folder / place).read_bytes()
            return bytes(self._remote.cat_file(f"{self._root}/{place}"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ProofError(
                f"The anchor {self.location} cannot be read ({reason_of(error)}): see THROUGHLINE_ANCHOR."
            ) from error

    def _write(self, place: str, data: bytes) -> None:
        known = self._read(place)
        if known is None:
            try:
                if self._folder is not None:
                    _write_once(self._folder, place, data)
                else:
                    self._remote.makedirs(f"{self._root}/{place}".rpartition("/")[0], exist_ok=True)
                    self._remote.pipe_file(f"{self._root}/{place}", data)
            except OSError as error:
                raise ProofError(
                    f"The anchor {self.location} cannot be written ({reason_of(error)}): what is logged stays logged, "
                    "and the next run anchors it."
                ) from error
            known = self._read(place)
        if known != data:
            raise ProofError(
                f"The anchor has other bytes in {self.location}/{place}: it belongs to another log, or it was changed; "
                "nothing is ever overwritten. Run `throughline verify`, or name another anchor in THROUGHLINE_ANCHOR."
            )


def _write_once(root: Path, place: str, data: bytes) -> None:
    """Write a file whole or not at all; one that is there already stays."""
    path = root / place
    for folder in (root, path.parent):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(folder.parent)
    for stray in path.parent.glob(".*.part"):  # of a process that was killed; writers come one at a time
        stray.unlink(missing_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        part.replace(path)
    part.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
