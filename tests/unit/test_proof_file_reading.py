"""Files that claim to be proofs: read in one way, within bounds, or refused in one sentence."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.proof.errors import ProofError
from throughline.proof.files import MOST_BYTES, MOST_DEPTH, read_proof_file

VALUES = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(value=VALUES)
def test_json_with_one_reading_is_read_as_it_is(value: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("proof") / "proof.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    assert read_proof_file(path) == value


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"records": 1, "records": 2}', "names the key 'records' twice"),
        (b'{"a": [{"b": 1, "b": 1}]}', "names the key 'b' twice"),
        (b'\xef\xbb\xbf{"format": 1}', "byte order mark"),
        ('{"format": 1}'.encode("utf-16"), "byte order mark"),
        ('{"format": 1}'.encode("utf-16-le"), "is no JSON"),
        (b'{"format": "\xff"}', "is not UTF-8"),
        (b"[NaN]", "a number that is not finite or has thousands of digits"),
        (b"[1" + b"0" * 5000 + b"]", "a number that is not finite or has thousands of digits"),
        (b"[" * (MOST_DEPTH + 1) + b"]" * (MOST_DEPTH + 1), "nested deeper"),
        (b'["' + b"[" * 1000 + b'", ' + b"[" * 200_000, "nested deeper"),
        (b"{", "is no JSON"),
        (b"", "is no JSON"),
    ],
)
def test_a_file_with_no_or_two_readings_is_refused_in_one_sentence(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    path.write_bytes(data)
    with pytest.raises(ProofError, match=words) as refused:
        read_proof_file(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("piece", [b"[],", b'"\\', b'{"a":', b'"'])
def test_a_huge_file_is_refused_at_once(piece: bytes, tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    path.write_bytes(b"[" + piece * (2 * MOST_BYTES // len(piece)))
    started = time.monotonic()
    with pytest.raises(ProofError, match="larger than 16 MB"):
        read_proof_file(path)
    assert time.monotonic() - started < 2.0


def test_a_string_that_never_ends_is_refused_as_quickly(tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    path.write_bytes(b'["' + b'\\"' * 2_000_000)
    started = time.monotonic()
    with pytest.raises(ProofError, match="is no JSON"):
        read_proof_file(path)
    assert time.monotonic() - started < 3.0


def test_brackets_inside_text_are_not_nesting(tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    told = {"text": "[" * 500 + '"' + "\\"}
    path.write_text(json.dumps(told))
    assert read_proof_file(path) == told
