"""Identity: canonical bytes, content hashes, chain UUIDs and Merkle roots. The bottom of the house.

Belongs here: pure functions from values to bytes and from bytes to identities. Does not belong here: what a record
says (tracking), where it is kept (storage).

Rules: bodies are RFC 8785 (JCS) JSON whose only numbers are integers; money, prices and quantities are decimal strings
of NUMERIC(38,18) rounded half-even; scores are strings of 10 significant digits; times are UTC RFC 3339 with six
digits; text is NFC. The content hash is SHA-256 over ``kind NUL version NUL`` + canonical bytes. Chain UUIDs are RFC
9562 version 8. Seals are RFC 9162 Merkle tree roots over leaves ordered by bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

import rfc8785

SCHEMA_VERSION = 1
"""Version of the record bodies written by this code; inside every body."""

_EIGHTEEN_PLACES = Decimal(1).scaleb(-18)
_TOO_LARGE = Decimal("99999999999999999999.9999999999999999995")  # rounds to 10^20: NUMERIC(38,18) has no room for it
_NUMERIC = Context(prec=38, rounding=ROUND_HALF_EVEN)
_TEN_DIGITS = Context(prec=10, rounding=ROUND_HALF_EVEN)
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_SAFE_INTEGER = 2**53 - 1  # RFC 8785 section 3.2.2.3: beyond it other languages read another number


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _without_zero(text: str) -> str:
    """Return the `repr` of a float without exponent as canonical text: no trailing ``.0``, no negative zero."""
    plain = text[:-2] if text.endswith(".0") else text
    return "0" if plain == "-0" else plain


def decimal_text(value: float | int | str | Decimal) -> str:
    """Return a money amount, price or quantity as canonical decimal text.

    The value is taken at its shortest exact reading (`repr` for floats), rounded half-even to 18 decimals and written
    without exponent, trailing zeros or negative zero. Raises ValueError for NaN, infinities, text that is no number and
    anything that does not fit NUMERIC(38,18).
    """
    if isinstance(value, float):
        text = repr(float(value))
        # At most 20 characters without exponent are at most 18 decimals: nothing is left to round ("n": NaN, infinity).
        if len(text) <= 20 and "e" not in text and "n" not in text:
            return _without_zero(text)
        value = text
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is no number: give digits, with a point for decimals") from error
    if not number.is_finite():
        raise ValueError(f"{value!r} has no decimal text: only finite numbers can be recorded")
    if number.copy_abs() >= _TOO_LARGE:  # abs() would round to 28 digits first
        raise ValueError(f"{value!r} does not fit NUMERIC(38,18): at most 20 digits before the point")
    return _plain(number.quantize(_EIGHTEEN_PLACES, context=_NUMERIC))


def score_text(value: float | int | Decimal) -> str:
    """Return a score or feature as text of 10 significant digits (half-even), plain decimal notation.

    Raises ValueError for NaN and infinities: missing is None, never NaN.
    """
    if isinstance(value, float):
        text = repr(float(value))
        # Room for ten digits and the point, for the sign, and for a leading 0: nothing is left to round.
        if len(text) <= 11 + (value < 0.0) + (-1.0 < value < 1.0) and "e" not in text and "n" not in text:
            return _without_zero(text)
        number = Decimal(text)
    else:
        number = Decimal(value)
    if not number.is_finite():
        raise ValueError(f"{value!r} has no score text: use None for a missing value")
    return _plain(_TEN_DIGITS.plus(number))


def time_text(instant: datetime) -> str:
    """Return an aware instant as UTC RFC 3339 with six fractional digits. Raises ValueError if it is naive."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone: pass an aware datetime")
    return instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def time_text_ms(milliseconds: int) -> str:
    """Return Unix milliseconds (UTC) as `time_text` writes them."""
    seconds, rest = divmod(int(milliseconds), 1000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:03d}000Z"


def parse_time(text: str) -> datetime:
    """Return the instant that `time_text` wrote. Raises ValueError for any other form."""
    if len(text) != 27 or text[10] != "T" or text[19] != "." or text[26] != "Z":
        raise ValueError(f"{text!r} is not a time in the form 2021-01-01T00:00:00.000000Z")
    return datetime.fromisoformat(text)


_ENCODE = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False).encode
_Path = tuple["_Path", str | int] | None
"""Where a value stands, from the value upwards: its key or index, after the path of what holds it. It becomes text only
for an error: a text for every value takes half the time of `canonical_bytes`."""


def _where(path: _Path) -> str:
    if path is None:
        return "$"
    above, step = path
    return _where(above) + (f"[{step}]" if isinstance(step, int) else f".{step}")


def _text(value: str) -> str:
    return value if value.isascii() else unicodedata.normalize("NFC", value)


class _Unusual(Exception):
    """A body holds something that the quick walk leaves to `_canonical_value`."""


def _quick_value(value: Any) -> Any:
    """Return `_canonical_value` of plain ASCII bodies at a fifth of its cost; raise _Unusual for anything else."""
    kind = type(value)
    if kind is dict:
        result = {}
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                raise _Unusual
            if item is None or (type(item) is str and item.isascii()):
                result[key] = item
            else:
                result[key] = _quick_value(item)
        return result
    if kind is list or kind is tuple:
        return [_quick_value(item) for item in value]
    if kind is bool or value is None or (kind is str and value.isascii()):
        return value
    if kind is int and -_MAX_SAFE_INTEGER <= value <= _MAX_SAFE_INTEGER:
        return value
    if kind is date:
        return value.isoformat()
    if kind is datetime and value.tzinfo is not None:
        return time_text(value)
    if kind is uuid.UUID:
        return str(value)
    raise _Unusual


def _canonical_value(value: Any, path: _Path) -> Any:
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > _MAX_SAFE_INTEGER:
            raise ValueError(f"{_where(path)}: integer {value} is beyond 2^53-1; write it as text")
        return value
    if isinstance(value, dict | Mapping):  # dict by itself first: the abstract class is slow to ask
        result = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{_where(path)}: key {key!r} is not text")
            result[_text(key)] = _canonical_value(item, (path, key))
        if len(result) != len(value):
            raise ValueError(f"{_where(path)}: two keys are the same text after NFC")
        return result
    if isinstance(value, list | tuple):
        return [_canonical_value(item, (path, i)) for i, item in enumerate(value)]
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError(
        f"{_where(path)}: {type(value).__name__} cannot be recorded; write money with decimal_text, scores with "
        "score_text"
    )


def canonical_form(body: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return a record body as plain JSON values, as reading its bytes gives them, and its RFC 8785 bytes.

    Raises as `canonical_bytes`.
    """
    try:
        value = _quick_value(body)
    except _Unusual:
        value = _canonical_value(body, None)
    # json's C encoder gives the very bytes of JCS when there are no floats and all keys are ASCII (keys then sort the
    # same by code point and by UTF-16 unit), at three times the speed of the library; tests compare the two.
    text = _ENCODE(value)
    if text.isascii() or _keys_are_ascii(value):
        return value, text.encode("utf-8")
    return value, rfc8785.dumps(value)


def canonical_bytes(body: Mapping[str, Any]) -> bytes:
    """Return the RFC 8785 bytes of a record body.

    Times, dates and UUIDs are turned into text, text into NFC. Floats and Decimals are refused (ValueError names the
    path): the caller decides between `decimal_text` and `score_text`.
    """
    return canonical_form(body)[1]


def _keys_are_ascii(value: Any) -> bool:
    if isinstance(value, dict):
        return all(key.isascii() and _keys_are_ascii(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_keys_are_ascii(item) for item in value)
    return True


def content_hash(kind: str, canonical: bytes, version: int = SCHEMA_VERSION) -> str:
    """Return the hex SHA-256 of a record: over ``kind NUL version NUL`` + canonical bytes (domain separation)."""
    return hashlib.sha256(kind.encode("ascii") + b"\0" + str(version).encode("ascii") + b"\0" + canonical).hexdigest()


def hash_body(kind: str, body: Mapping[str, Any]) -> str:
    """Return the content hash of a body that is not stored as a record (settings, lists of hashes)."""
    return content_hash(kind, canonical_bytes(body))


def sha256_hex(data: bytes) -> str:
    """Return the hex SHA-256 of raw bytes."""
    return hashlib.sha256(data).hexdigest()


def chain_uuid(
    kind: str, experiment: str, parent: uuid.UUID | None, natural_key: Sequence[str], event_time: datetime
) -> uuid.UUID:
    """Return the deterministic chain UUID of a stage (RFC 9562 version 8).

    Layout: 48 bits of `event_time` in Unix milliseconds, 4 bits version 8, 12 bits hash, 2 bits variant, 62 bits hash;
    the hash bits are the first 74 of SHA-256 over the canonical bytes of (kind, experiment, parent, natural key, time).
    Equal inputs give equal UUIDs on every machine, and UUIDs sort by event time. Raises ValueError for a naive time or
    one outside 1970 to 10889.
    """
    milliseconds = int(time_to_ms(event_time))
    if not 0 <= milliseconds < 2**48:
        raise ValueError(f"event time {event_time} does not fit the 48 bits of a chain UUID")
    seed = canonical_bytes(
        {
            "event_time": event_time,
            "experiment": experiment,
            "kind": kind,
            "natural_key": list(natural_key),
            "parent": str(parent) if parent else None,
        }
    )
    digest = int.from_bytes(hashlib.sha256(b"chain-uuid\0001\0" + seed).digest(), "big") >> (256 - 74)
    high, low = digest >> 62, digest & ((1 << 62) - 1)
    return uuid.UUID(int=(milliseconds << 80) | (0x8 << 76) | (high << 64) | (0b10 << 62) | low)


def time_to_ms(instant: datetime) -> int:
    """Return Unix milliseconds of an aware instant (floor). Raises ValueError if it is naive."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone: pass an aware datetime")
    delta = instant.astimezone(UTC) - _UNIX_EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def merkle_root(leaves: Iterable[bytes]) -> str:
    """Return the hex RFC 9162 Merkle tree hash of `leaves` ordered by their bytes.

    Leaf hash SHA-256(0x00 || leaf), node hash SHA-256(0x01 || left || right), the split at the largest power of two
    below n; the root of nothing is SHA-256 of the empty string (section 2.1.1).
    """
    level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in sorted(leaves)]
    if not level:
        return hashlib.sha256(b"").hexdigest()
    # Pairing neighbours and carrying an odd last node up is the same tree as the recursive definition.
    while len(level) > 1:
        paired = [hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0].hex()


def seal_of(hashes: Iterable[str]) -> str:
    """Return the partition seal over record content hashes (hex): the Merkle root of their 32 raw bytes."""
    return merkle_root(bytes.fromhex(item) for item in hashes)


def sig10(value: float) -> float:
    """Return `value` rounded half-even to 10 significant digits; NaN and infinities pass through."""
    if not math.isfinite(value):
        return value
    return float(_TEN_DIGITS.plus(Decimal(repr(float(value)))))
