"""Whose signatures count: the one key that the verifier brings, and those that stand in a signed line with it.

Belongs here: the line of keys (first key, rotations signed by the key before) and judging heads by it. Does not belong
here: where the trusted key comes from (never from the database, the anchor or a proof file).

The trusted key vouches forwards (it has signed the rotation to the next key) and backwards (a head that it signed
covers the events that name the keys before it). A log in whose line the trusted key does not stand, or for which it
has not signed a single head, is not trusted at all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from throughline.proof.events import Event, Head, rotated_key
from throughline.proof.keys import key_id


@dataclass
class KeyLine:
    """The keys of a log in their order. sizes[k]: the smallest tree whose head keys[k] has to sign."""

    sizes: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)

    def add(self, event: Event) -> str | None:
        """Take in a `genesis` or `key` event; return what is wrong with it, None where nothing is."""
        if event.kind == "genesis":
            try:
                key = bytes.fromhex(str(event.told["key"]))
            except (KeyError, ValueError):
                return "names no public key"
            self.sizes, self.keys = [event.seq + 1], [key]
            return None
        if event.kind != "key":
            return None
        new = rotated_key(event, self.keys[-1]) if self.keys else None
        if new is None:
            return "a change of keys that the key before has not signed"
        self.sizes.append(event.seq + 1)
        self.keys.append(new)
        return None

    def in_force(self, tree_size: int) -> bytes | None:
        """Return the key that has to sign the head of this size."""
        place = bisect_right(self.sizes, tree_size)
        return self.keys[place - 1] if place else None

    def problem(self, head: Head) -> str | None:
        """Return why a head is not signed as it must be, None where it is."""
        expected = self.in_force(head.tree_size)
        if expected is not None and head.signed_by(expected):
            return None
        if expected is not None and head.key == key_id(expected):
            return f"the signature does not hold for key {head.key}"
        wanted = key_id(expected) if expected is not None else "none"
        return f"is signed by key {head.key}, the key of the log at this size is {wanted}"


def untrusted(line: KeyLine, heads: Sequence[Head], trusted: bytes) -> str | None:
    """Return why a log is not the trusted key's, None where it is. heads: those whose roots follow from the events."""
    if trusted not in line.keys:
        names = ", ".join(key_id(key) for key in line.keys) or "none"
        return f"the trusted key {key_id(trusted)} is not among the keys of the log ({names})"
    vouching = [head for head in heads if line.in_force(head.tree_size) == trusted and head.signed_by(trusted)]
    return None if vouching else f"no head is signed by the trusted key {key_id(trusted)}"
