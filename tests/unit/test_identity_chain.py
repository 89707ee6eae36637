"""Chain UUIDs and Merkle roots: golden values, published vectors, slow definitions."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.identity import chain_uuid, merkle_root, seal_of, time_to_ms

EXPERIMENT = "e" * 64
AT = datetime(2021, 2, 3, 4, 5, 6, 789_123, tzinfo=UTC)
instants = st.datetimes(datetime(1970, 1, 1), datetime(2500, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("parent", "key", "golden"),
    [
        (None, ("BTC@20210101T000000Z", "high_volatility_low_cap", "buy"), "01776610-b465-8427-9041-449603b477e1"),
        (uuid.UUID(int=7), (), "01776610-b465-8887-b4db-99209d729447"),
        (uuid.UUID(int=7), ("é",), "01776610-b465-8262-813e-60804b8100ba"),
    ],
)
def test_chain_uuids_have_their_golden_values(parent: uuid.UUID | None, key: tuple[str, ...], golden: str) -> None:
    assert str(chain_uuid("candidate", EXPERIMENT, parent, key, AT)) == golden


@given(instants, st.lists(st.text(max_size=5), max_size=3))
def test_a_chain_uuid_is_version_8_with_the_rfc_variant_and_starts_with_its_milliseconds(
    instant: datetime, key: list[str]
) -> None:
    value = chain_uuid("candidate", EXPERIMENT, None, key, instant)
    assert (value.version, value.variant) == (8, uuid.RFC_4122)
    assert value.int >> 80 == time_to_ms(instant)


@given(instants, instants)
def test_chain_uuids_sort_by_time_to_the_millisecond(one: datetime, other: datetime) -> None:
    first, second = sorted([one, other])
    if time_to_ms(first) == time_to_ms(second):
        return
    a, b = (chain_uuid("outcome", EXPERIMENT, None, ("x",), t) for t in (first, second))
    assert a < b
    assert str(a) < str(b)
    assert a.bytes < b.bytes


def test_whatever_differs_gives_another_uuid() -> None:
    base = ("candidate", EXPERIMENT, None, ("a", "b"), AT)
    others = [
        ("execution", *base[1:]),
        (base[0], "f" * 64, *base[2:]),
        (*base[:2], uuid.UUID(int=0), *base[3:]),  # a nil parent is a parent
        (*base[:3], ("a",), AT),
        (*base[:3], ("ab",), AT),
        (*base[:3], ("b", "a"), AT),
        (*base[:4], AT + timedelta(microseconds=1)),
        (*base[:4], AT + timedelta(milliseconds=1)),
    ]
    values = {chain_uuid(*base)} | {chain_uuid(*other) for other in others}
    assert len(values) == 1 + len(others)
    assert chain_uuid(*base) == chain_uuid(*base)


@pytest.mark.parametrize("year", [1969, 1960])
def test_times_before_1970_do_not_fit(year: int) -> None:
    with pytest.raises(ValueError, match="does not fit the 48 bits"):
        chain_uuid("candidate", EXPERIMENT, None, (), datetime(year, 6, 1, tzinfo=UTC))


def test_a_naive_event_time_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        chain_uuid("candidate", EXPERIMENT, None, (), datetime(2021, 1, 1))  # noqa: DTZ001


# The reference tree of Certificate Transparency (google/certificate-transparency, merkle tree tests; RFC 6962/9162).
CT_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def _slow_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + _slow_root(leaves[:split]) + _slow_root(leaves[split:])).digest()


def test_the_certificate_transparency_reference_tree_has_its_published_roots() -> None:
    assert sorted(CT_LEAVES) == CT_LEAVES  # they stand in the order of their bytes, which is the order we use
    assert [merkle_root(CT_LEAVES[:size]) for size in range(9)] == CT_ROOTS


@given(st.lists(st.binary(max_size=6), max_size=40))
def test_merkle_root_equals_the_recursive_definition_over_ordered_leaves(leaves: list[bytes]) -> None:
    assert merkle_root(leaves) == _slow_root(sorted(leaves)).hex()


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=12), st.randoms())
def test_a_seal_does_not_depend_on_the_order_and_covers_the_raw_bytes(leaves: list[bytes], random: object) -> None:
    shuffled = list(leaves)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert seal_of(leaf.hex() for leaf in shuffled) == _slow_root(sorted(leaves)).hex()


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=8, unique=True), st.data())
def test_leaving_out_doubling_or_changing_a_leaf_gives_another_seal(leaves: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(leaves) - 1))
    flipped = bytes([leaves[place][0] ^ 1]) + leaves[place][1:]
    seals = {
        merkle_root(leaves),
        merkle_root(leaves[:place] + leaves[place + 1 :]),
        merkle_root([*leaves, leaves[place]]),
    }
    assert len(seals) == 3
    if flipped not in leaves:
        assert merkle_root([*leaves[:place], flipped, *leaves[place + 1 :]]) not in seals
