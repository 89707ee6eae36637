"""Numbers and instants as a person gives them: read exactly, refused by name where they are none.

Belongs here: reading one value, and comparing two that must be the same up to rounding. Does not belong here: what is
done with them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from throughline.errors import InvalidTrade

_SLACK = Decimal("1e-9")
"""Relative to the sums that are subtracted: what float arithmetic in the caller may lose."""


def instant(name: str, value: Any) -> datetime:
    """Return an aware UTC instant from Unix seconds or an aware datetime.

    Raises:
        InvalidTrade: where there is none, or it has no time zone; it names the field.
    """
    if value is None:
        raise InvalidTrade(f"{name} is missing: say when, as Unix seconds or an aware datetime")
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidTrade(f"{name} {value} has no time zone: pass an aware datetime or Unix seconds")
        return value.astimezone(UTC)
    seconds = number(name, value)
    try:
        return datetime.fromtimestamp(float(seconds), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidTrade(f"{name} {value!r} is no instant: give Unix seconds") from error


def number(name: str, value: Any) -> Decimal:
    """Return a number exactly as it reads.

    Raises:
        InvalidTrade: where it is missing, no number, NaN or infinite; it names the field.
    """
    if value is None:
        raise InvalidTrade(f"{name} is missing: a closed trade has one")
    try:
        if isinstance(value, bool):
            raise ValueError("a truth value")
        result = Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise InvalidTrade(f"{name} is {value!r}: give a number") from error
    if not result.is_finite():
        raise InvalidTrade(f"{name} is {value!r}: give a finite number")
    return result


def agrees(given: Decimal, expected: Decimal, scale: Decimal) -> bool:
    """Return whether `given` is `expected` rounded to the decimals that it is given with (at least two).

    Args:
        given: the number of a person.
        expected: the number that follows from others.
        scale: size of what was subtracted to get it, which the slack for float arithmetic is relative to.
    """
    exponent = given.as_tuple().exponent
    places = max(2, -exponent if isinstance(exponent, int) else 0)
    return abs(given - expected) <= Decimal(5).scaleb(-places - 1) + _SLACK * abs(scale)
