"""Canonical bytes and hashes against published vectors, and against the library by property."""

from __future__ import annotations

import hashlib
import json
import unicodedata
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import rfc8785
from hypothesis import assume, given
from hypothesis import strategies as st

from throughline.identity import canonical_bytes, content_hash, hash_body, sha256_hex

# cyberphone/json-canonicalization (testdata), the reference data of RFC 8785; those without floats.
PUBLISHED = [
    (
        '{"1":{"f":{"f":"hi","F":5},"\\n":56},"10":{},"":"empty","a":{},"111":[{"e":"yes","E":"no"}],"A":{}}',
        '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}',
    ),
    (
        '{"sin":"ignore locale","pêche":"but canonicalization MUST","péché":"is wrong in French","peach":"This order"}',
        '{"peach":"This order","péché":"is wrong in French","pêche":"but canonicalization MUST","sin":"ignore locale"}',
    ),
    ('{"v":[56,{"d":true,"10":null,"1":[]}]}', '{"v":[56,{"1":[],"10":null,"d":true}]}'),
    # RFC 8785 section 3.2.2 (its string, without the numbers)
    (
        '{"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
        '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    ),
]

# RFC 8785 section 3.2.3. U+FB33 is the one key that NFC changes, see the test below.
SORTING = {
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "\U0001f600": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis",
}
SORTED_VALUES = [
    "Carriage Return",
    "One",
    "Control",
    "Latin Small Letter O With Diaeresis",
    "Euro Sign",
    "Emoji: Grinning Face",
    "Hebrew Letter Dalet With Dagesh",
]


@pytest.mark.parametrize(("given_text", "canonical"), PUBLISHED)
def test_the_published_vectors_of_rfc_8785_hold(given_text: str, canonical: str) -> None:
    assert canonical_bytes(json.loads(given_text)) == canonical.encode()


def test_the_sorting_example_of_rfc_8785_sorts_by_utf16_units_not_by_code_points() -> None:
    assert list(json.loads(rfc8785.dumps(SORTING)).values()) == SORTED_VALUES
    ours = {key: value for key, value in SORTING.items() if key != "\ufb33"}
    # U+F8FF is in no normalisation's way: as a UTF-16 unit it follows the emoji's surrogates, as a code point not.
    ours["\uf8ff"] = "Hebrew Letter Dalet With Dagesh"
    assert list(json.loads(canonical_bytes(ours)).values()) == SORTED_VALUES


def test_keys_and_text_are_nfc_where_jcs_alone_would_leave_them() -> None:
    assert canonical_bytes({"A\u030a": "e\u0301"}) == canonical_bytes({"Å": "é"}) == '{"Å":"é"}'.encode()
    normal = {unicodedata.normalize("NFC", key): value for key, value in SORTING.items()}
    assert canonical_bytes(SORTING) == rfc8785.dumps(normal)
    with pytest.raises(ValueError, match=r"^\$: two keys are the same text after NFC"):
        canonical_bytes({"A\u030a": 1, "Å": 2})


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
    ],
)
def test_the_fips_180_4_vectors_of_sha_256_hold(message: bytes, digest: str) -> None:
    assert sha256_hex(message) == digest


def test_a_content_hash_is_sha_256_over_kind_nul_version_nul_and_the_canonical_bytes() -> None:
    body = {"b": "2", "a": 1}
    canonical = b'{"a":1,"b":"2"}'
    expected = hashlib.sha256(b"candidate\x001\x00" + canonical).hexdigest()
    assert content_hash("candidate", canonical) == hash_body("candidate", body) == expected
    # golden: guards the formula itself against a change of both sides
    assert expected == "95c72fd7d9ce4cf6b0f1aa45fc44ac995eaff554b02134a2e4c2cf21a27e624b"


def test_kind_and_version_separate_the_domains_of_equal_bodies() -> None:
    canonical = canonical_bytes({"a": 1})
    hashes = {content_hash("a", canonical), content_hash("b", canonical), content_hash("a", canonical, 2)}
    assert len(hashes) == 3
    # "a" + NUL + "1" and "a1" + NUL must not meet
    assert content_hash("a", b"1", 1) != content_hash("a1", b"", 1)


json_text = st.text(max_size=12)  # any code point but surrogates, control characters included
json_leaf = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | json_text
json_value = st.recursive(
    json_leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_text, inner, max_size=4), max_leaves=20
)


def _nfc(value: Any) -> Any:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {_nfc(key): _nfc(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_nfc(item) for item in value]
    return value


def _count(value: Any) -> int:
    """Return the number of values inside a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(_count(item) for item in inner)


@given(st.dictionaries(json_text, json_value, max_size=5))
def test_canonical_bytes_are_the_library_s_for_every_body(body: dict[str, Any]) -> None:
    assume(_count(_nfc(body)) == _count(body))  # two keys that become one under NFC are refused, see above
    ours = canonical_bytes(body)
    assert ours == rfc8785.dumps(_nfc(body))
    assert canonical_bytes(json.loads(ours)) == ours


@given(st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), json_value, max_size=6))
def test_the_quick_path_for_ascii_keys_gives_the_library_s_bytes(body: dict[str, Any]) -> None:
    assume(_count(_nfc(body)) == _count(body))
    assert canonical_bytes(body) == rfc8785.dumps(_nfc(body))


@given(st.dictionaries(json_text, json_leaf, max_size=6), st.randoms())
def test_the_order_in_which_a_body_was_built_does_not_matter(body: dict[str, Any], random: Any) -> None:
    items = list(_nfc(body).items())
    random.shuffle(items)
    assert canonical_bytes(dict(items)) == canonical_bytes(_nfc(body))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"a": {"b": [1, 0.5]}}, r"^\$\.a\.b\[1\]: float cannot be recorded"),
        ({"a": float("nan")}, r"^\$\.a: float"),
        ({"a": [float("inf")]}, r"^\$\.a\[0\]: float"),
        ({"a": Decimal("1.5")}, r"^\$\.a: Decimal"),
        ({"a": np.float64(1.0)}, r"^\$\.a: float64"),
        ({"a": np.int64(1)}, r"^\$\.a: int64"),
        ({"a": b"x"}, r"^\$\.a: bytes"),
        ({"a": {1, 2}}, r"^\$\.a: set"),
        ({"a": 2**53}, r"^\$\.a: integer 9007199254740992 is beyond 2\^53-1"),
        ({"a": -(2**53)}, r"^\$\.a: integer -9007199254740992 is beyond 2\^53-1"),
        ({"a": {1: "x"}}, r"^\$\.a: key 1 is not text"),
    ],
)
def test_what_has_no_canonical_form_is_refused_and_its_path_named(body: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        canonical_bytes(body)


def test_naive_times_and_lone_surrogates_are_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        canonical_bytes({"a": datetime(2021, 1, 1)})  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match="surrogates"):
        canonical_bytes({"a": "\ud800"})


def test_times_dates_uuids_and_tuples_become_text_and_lists() -> None:
    eastern = datetime(2021, 2, 3, 4, 5, 6, 7, tzinfo=timezone(timedelta(hours=-5)))
    body = {"d": date(2021, 2, 3), "t": eastern, "u": uuid.UUID(int=1), "x": (1, True)}
    assert canonical_bytes(body) == (
        b'{"d":"2021-02-03","t":"2021-02-03T09:05:06.000007Z","u":"00000000-0000-0000-0000-000000000001","x":[1,true]}'
    )
    assert canonical_bytes({"t": eastern}) == canonical_bytes({"t": eastern.astimezone(UTC)})
