"""The Merkle tree of RFC 9162 section 2.1: roots, inclusion proofs, consistency proofs, and a frontier that grows.

Belongs here: pure functions over 32-byte hashes. Does not belong here: what a leaf says (log, manifest) and who signed
a root (keys).

A leaf hash is SHA-256(0x00 || data), a node SHA-256(0x01 || left || right); a tree of n > 1 leaves is split at the
largest power of two below n; the root of nothing is SHA-256 of nothing (2.1.1). Proofs are lists of sibling hashes from
the leaf upwards (2.1.3, 2.1.4). A proof says nothing about the tree's size: callers take sizes from signed heads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EMPTY = hashlib.sha256(b"").digest()
"""Root of the empty tree."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf whose content is `data`."""
    return hashlib.sha256(b"\0" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes in their order."""
    level = list(leaf_hashes)
    if not level:
        return EMPTY
    while len(level) > 1:
        level = _up(level)
    return level[0]


def _up(level: Sequence[bytes]) -> list[bytes]:
    """Pair neighbours; an odd last one is carried up, which gives the same tree as the recursive definition."""
    paired = [node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    if len(level) % 2:
        paired.append(level[-1])
    return paired


def inclusion_proof(index: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Return the path of leaf `index` (from 0): the siblings from the leaf up (2.1.3.1). Raises IndexError."""
    return inclusion_proofs([index], leaf_hashes)[index]


def inclusion_proofs(indices: Iterable[int], leaf_hashes: Sequence[bytes]) -> dict[int, list[bytes]]:
    """Return the paths of several leaves of one tree by their index; the tree is hashed once. Raises IndexError."""
    places = {index: index for index in indices}
    paths: dict[int, list[bytes]] = {index: [] for index in places}
    for index in places:
        if not 0 <= index < len(leaf_hashes):
            raise IndexError(f"leaf {index} is not in a tree of {len(leaf_hashes)}")
    level = list(leaf_hashes)
    while len(level) > 1:
        for index, place in places.items():
            if place ^ 1 < len(level):
                paths[index].append(level[place ^ 1])
            places[index] = place >> 1
        level = _up(level)
    return paths


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> bool:
    """Return whether `path` proves that leaf hash `leaf` is at `index` in the tree of `size` with root `expected`.

    The algorithm of section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    position, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = node(sibling, found)
            while position & 1 == 0 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node(found, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and found == expected


def consistency_proof(first: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Return the proof that the tree of the first `first` leaves is a prefix of the whole one (2.1.4.1).

    Empty for equal sizes and for first = 0, which every tree begins with. Raises IndexError beyond the tree.
    """
    size = len(leaf_hashes)
    if not 0 <= first <= size:
        raise IndexError(f"a tree of {size} leaves has no prefix of {first}")
    if first in (0, size):
        return []
    path: list[bytes] = []
    start, end, complete = 0, size, True
    while first - start != end - start:
        split = 1 << ((end - start - 1).bit_length() - 1)
        if first - start <= split:
            path.append(root(leaf_hashes[start + split : end]))
            end = start + split
        else:
            path.append(root(leaf_hashes[start : start + split]))
            start, complete = start + split, False
    if not complete:
        path.append(root(leaf_hashes[start:end]))
    return path[::-1]


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether `path` proves that the tree (first, first_root) is a prefix of (second, second_root).

    The algorithm of section 2.1.4.2; equal sizes need equal roots, the empty tree is a prefix of every tree.
    """
    if not 0 <= first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    if first == 0:
        return not path and first_root == EMPTY
    steps = list(path)
    if first & (first - 1) == 0:  # a whole subtree: its root is known and left out of the path
        steps.insert(0, first_root)
    if not steps:
        return False
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node(sibling, old), node(sibling, new)
            while position & 1 == 0 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


@dataclass
class Frontier:
    """A tree that only grows: the roots of its whole subtrees, largest first (a compact range from 0).

    nodes: one hash per set bit of `size`. Appending and the root cost O(log size), whatever was appended before.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.nodes) != self.size.bit_count():
            raise ValueError(f"a frontier of {self.size} leaves has {self.size.bit_count()} nodes")

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        nodes = [*self.nodes, leaf]
        carried = self.size
        while carried & 1:
            right = nodes.pop()
            nodes.append(node(nodes.pop(), right))
            carried >>= 1
        self.nodes = tuple(nodes)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree so far."""
        if not self.nodes:
            return EMPTY
        found = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            found = node(left, found)
        return found
