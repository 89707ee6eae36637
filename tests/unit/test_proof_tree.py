"""The Merkle tree against the reference vectors of Certificate Transparency, and the laws of its proofs."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.identity import merkle_root
from throughline.proof import tree

# The eight leaves of the certificate-transparency project's Merkle tree tests, and the roots of their first n.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
INCLUSION = {
    (0, 1): (),
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (1, 5): (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
CONSISTENCY = {
    (1, 1): (),
    (1, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (2, 8): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
HASHES = [tree.leaf_hash(leaf) for leaf in LEAVES]


def raw(items: tuple[str, ...]) -> list[bytes]:
    return [bytes.fromhex(item) for item in items]


def grown(count: int) -> list[bytes]:
    return [tree.leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


@pytest.mark.parametrize("size", range(9))
def test_the_root_of_each_size_is_the_reference_root(size: int) -> None:
    assert tree.root(HASHES[:size]).hex() == ROOTS[size]
    frontier = tree.Frontier()
    for leaf in HASHES[:size]:
        frontier.append(leaf)
    assert frontier.root().hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_proofs_are_the_reference_proofs(index: int, size: int) -> None:
    path = tree.inclusion_proof(index, HASHES[:size])
    assert path == raw(INCLUSION[index, size])
    assert tree.verify_inclusion(HASHES[index], index, size, path, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second"), CONSISTENCY)
def test_consistency_proofs_are_the_reference_proofs(first: int, second: int) -> None:
    path = tree.consistency_proof(first, HASHES[:second])
    assert path == raw(CONSISTENCY[first, second])
    assert tree.verify_consistency(first, second, bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second]), path)


def test_every_proof_of_every_small_tree_verifies() -> None:
    leaves = grown(40)
    roots = [tree.root(leaves[:size]) for size in range(41)]
    for size in range(41):
        for index in range(size):
            path = tree.inclusion_proof(index, leaves[:size])
            assert tree.verify_inclusion(leaves[index], index, size, path, roots[size])
        for first in range(size + 1):
            path = tree.consistency_proof(first, leaves[:size])
            assert tree.verify_consistency(first, size, roots[first], roots[size], path)


def changes(path: list[bytes], at: int, kind: str) -> list[bytes]:
    """Return `path` with one thing changed at (about) place `at`."""
    if kind == "longer":
        place = at % (len(path) + 1)
        return [*path[:place], hashlib.sha256(b"more").digest(), *path[place:]]
    if not path:
        return [hashlib.sha256(b"new").digest()]
    place = at % len(path)
    if kind == "shorter":
        return [*path[:place], *path[place + 1 :]]
    flipped = bytearray(path[place])
    flipped[at % 32] ^= 1 << (at % 8)
    return [*path[:place], bytes(flipped), *path[place + 1 :]]


@given(
    size=st.integers(1, 300),
    index=st.integers(0, 299),
    other=st.integers(0, 299),
    at=st.integers(0, 10_000),
    kind=st.sampled_from(["longer", "shorter", "flip"]),
)
def test_a_changed_inclusion_proof_never_verifies(size: int, index: int, other: int, at: int, kind: str) -> None:
    leaves = grown(size)
    index, other = index % size, other % size
    expected, path = tree.root(leaves), tree.inclusion_proof(index, leaves)
    assert tree.verify_inclusion(leaves[index], index, size, path, expected)
    assert not tree.verify_inclusion(leaves[index], index, size, changes(path, at, kind), expected)
    assert not tree.verify_inclusion(tree.leaf_hash(b"another leaf"), index, size, path, expected)
    assert not tree.verify_inclusion(leaves[index], index, size, path, tree.leaf_hash(b"another root"))
    if other != index:
        assert not tree.verify_inclusion(leaves[index], other, size, path, expected)
        assert not tree.verify_inclusion(leaves[other], index, size, path, expected)
    for wrong in (-1, size, size + 7):
        assert not tree.verify_inclusion(leaves[index], wrong, size, path, expected)


@given(
    first=st.integers(1, 200),
    more=st.integers(1, 100),
    at=st.integers(0, 10_000),
    kind=st.sampled_from(["longer", "shorter", "flip"]),
)
def test_a_changed_consistency_proof_never_verifies(first: int, more: int, at: int, kind: str) -> None:
    second = first + more
    leaves = grown(second)
    old, new = tree.root(leaves[:first]), tree.root(leaves)
    path = tree.consistency_proof(first, leaves)
    assert tree.verify_consistency(first, second, old, new, path)
    assert not tree.verify_consistency(first, second, old, new, changes(path, at, kind))
    assert not tree.verify_consistency(first, second, new, new, path)
    assert not tree.verify_consistency(first, second, old, old, path)
    assert not tree.verify_consistency(second, first, old, new, path)
    rewritten = [tree.leaf_hash(b"rewritten"), *leaves[1:]]
    assert not tree.verify_consistency(
        first, second, old, tree.root(rewritten), tree.consistency_proof(first, rewritten)
    )


@pytest.mark.parametrize(("size", "claimed"), [(4, 8), (4, 5), (8, 4), (1, 2), (2, 1), (3, 9)])
def test_a_proof_does_not_pass_for_a_tree_of_another_depth(size: int, claimed: int) -> None:
    leaves = grown(size)
    path = tree.inclusion_proof(0, leaves)
    assert not tree.verify_inclusion(leaves[0], 0, claimed, path, tree.root(leaves))
    if size < claimed and size > 2:
        path = tree.consistency_proof(2, leaves)
        assert tree.verify_consistency(2, size, tree.root(leaves[:2]), tree.root(leaves), path)
        assert not tree.verify_consistency(2, claimed, tree.root(leaves[:2]), tree.root(leaves), path)


@given(st.lists(st.binary(max_size=40), max_size=80))
def test_the_root_over_sorted_leaves_is_the_partition_seal_and_the_frontier_gives_the_same(data: list[bytes]) -> None:
    hashes = [tree.leaf_hash(item) for item in sorted(data)]
    assert tree.root(hashes).hex() == merkle_root(data)
    frontier = tree.Frontier()
    for leaf in hashes:
        frontier.append(leaf)
        frontier = tree.Frontier(frontier.size, frontier.nodes)
    assert frontier.root() == tree.root(hashes)


def test_equal_sizes_need_equal_roots_and_the_empty_tree_begins_every_tree() -> None:
    one, two = tree.root(HASHES[:4]), tree.root(HASHES[:5])
    assert tree.verify_consistency(4, 4, one, one, [])
    assert not tree.verify_consistency(4, 4, one, two, [])
    assert not tree.verify_consistency(4, 4, one, one, [one])
    assert tree.verify_consistency(0, 5, tree.EMPTY, two, [])
    assert not tree.verify_consistency(0, 5, one, two, [])
    assert not tree.verify_consistency(3, 5, tree.root(HASHES[:3]), two, [])


def test_a_frontier_of_the_wrong_shape_and_proofs_outside_the_tree_are_refused() -> None:
    with pytest.raises(ValueError, match="frontier of 3 leaves has 2 nodes"):
        tree.Frontier(3, (HASHES[0],))
    with pytest.raises(IndexError):
        tree.inclusion_proof(8, HASHES)
    with pytest.raises(IndexError):
        tree.consistency_proof(9, HASHES)
