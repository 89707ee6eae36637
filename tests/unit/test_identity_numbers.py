"""The text of money and scores, and of times."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from throughline.identity import (
    decimal_text,
    parse_time,
    score_text,
    sig10,
    time_text,
    time_text_ms,
    time_to_ms,
)

PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")
money = st.decimals(min_value=Decimal(-(10**19)), max_value=Decimal(10**19), places=24)
doubles = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        ("-0.0000000000000000001", "0"),
        ("0.0000000000000000005", "0"),  # half to even, down
        ("0.0000000000000000015", "0.000000000000000002"),  # half to even, up
        ("0.0000000000000000025", "0.000000000000000002"),
        ("0.00000000000000000250000000000001", "0.000000000000000003"),
        ("-0.0000000000000000015", "-0.000000000000000002"),
        (1e-15, "0.000000000000001"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e19, "10000000000000000000"),
        ("1.50", "1.5"),
        (Decimal("1E+3"), "1000"),
        (7, "7"),
    ],
)
def test_decimal_text_is_numeric_38_18_rounded_half_even(value: float | int | str | Decimal, text: str) -> None:
    assert decimal_text(value) == text


@given(money)
def test_decimal_text_equals_rounding_with_python_s_decimals(value: Decimal) -> None:
    with localcontext() as context:
        context.prec, context.rounding = 60, ROUND_HALF_EVEN
        expected = value.quantize(Decimal(1).scaleb(-18))
    assert Decimal(decimal_text(value)) == expected
    assert PLAIN.fullmatch(decimal_text(value))


@given(st.floats(-1e19, 1e19) | st.floats(-1e-6, 1e-6))
@example(5e-324)
@example(1.5e-18)
def test_decimal_text_of_a_double_is_plain_and_stable(value: float) -> None:
    text = decimal_text(value)
    assert PLAIN.fullmatch(text)
    assert text != "-0"
    assert decimal_text(Decimal(text)) == text
    assert decimal_text(text) == text
    # what reads it back as a double writes the same again: records may be resumed from
    assert decimal_text(float(text)) == text or abs(value) >= 1e-3 or len(text.lstrip("-0.")) > 15


@given(st.floats(1e-3, 1e15))
def test_decimal_text_loses_nothing_of_ordinary_doubles(value: float) -> None:
    assert math.isclose(float(decimal_text(value)), value, rel_tol=2**-52, abs_tol=1e-18)
    if len(repr(value).partition(".")[2]) <= 18 and "e" not in repr(value):
        assert float(decimal_text(value)) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), Decimal("NaN"), Decimal("sNaN")])
def test_decimal_text_and_score_text_refuse_what_is_not_finite(value: float | Decimal) -> None:
    with pytest.raises(ValueError, match="finite"):
        decimal_text(value)
    with pytest.raises(ValueError, match="None for a missing value"):
        score_text(value)


@pytest.mark.parametrize(
    "value", [1e20, "100000000000000000000", "99999999999999999999.9999999999999999995", "abc", ""]
)
def test_decimal_text_refuses_what_does_not_fit_with_a_value_error(value: float | str) -> None:
    with pytest.raises(ValueError, match=r"does not fit|is no number"):
        decimal_text(value)


def test_the_largest_numeric_38_18_fits() -> None:
    assert decimal_text("99999999999999999999.999999999999999999") == "99999999999999999999.999999999999999999"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (-0.0, "0"),
        (1 / 3, "0.3333333333"),
        (2 / 3, "0.6666666667"),
        (12345678905, "12345678900"),  # half to even in the tenth digit
        (12345678915, "12345678920"),
        (1.23456789e-20, "0.0000000000000000000123456789"),
        (1e22, "10000000000000000000000"),
        (-0.99999999995, "-1"),
    ],
)
def test_score_text_has_ten_significant_digits_and_no_exponent(value: float, text: str) -> None:
    assert score_text(value) == text


@given(doubles)
@example(5e-324)
@example(1.7976931348623157e308)
def test_score_text_is_plain_idempotent_and_within_half_a_unit(value: float) -> None:
    text = score_text(value)
    assert PLAIN.fullmatch(text)
    assert score_text(Decimal(text)) == text
    assert len(text.replace(".", "").lstrip("-0").rstrip("0")) <= 10
    if value:
        assert abs(Decimal(text) - Decimal(repr(value))) <= abs(Decimal(repr(value))) * Decimal("5.0000000001e-10")


@given(doubles)
@example(-0.0)
def test_the_text_of_a_double_is_that_of_its_exact_decimal(value: float) -> None:
    exact = Decimal(repr(value))
    assert score_text(value) == score_text(exact)
    if abs(value) < 1e19:
        assert decimal_text(value) == decimal_text(exact)


@given(st.integers(-(10**12), 10**12), st.integers(0, 20))
def test_texts_are_exact_at_the_edge_of_their_digits(digits: int, places: int) -> None:
    value = digits / 10**places
    assert score_text(value) == score_text(Decimal(repr(value)))
    assert decimal_text(value) == decimal_text(Decimal(repr(value)))


@given(doubles)
def test_sig10_is_the_double_that_score_text_names(value: float) -> None:
    assert sig10(value) == float(score_text(value))
    assert sig10(sig10(value)) == sig10(value)


def test_sig10_lets_the_missing_through() -> None:
    assert math.isnan(sig10(float("nan")))
    assert sig10(float("-inf")) == float("-inf")


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001
def test_times_are_utc_with_six_digits_and_read_back(naive: datetime, hours: int) -> None:
    instant = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    text = time_text(instant)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert parse_time(text) == instant
    assert time_text(parse_time(text)) == text
    milliseconds = time_to_ms(instant)
    assert parse_time(time_text_ms(milliseconds)) <= instant < parse_time(time_text_ms(milliseconds + 1))


def test_milliseconds_are_floored_before_1970_too() -> None:
    assert time_to_ms(datetime(1969, 12, 31, 23, 59, 59, 999_500, tzinfo=UTC)) == -1
    assert time_text_ms(-1) == "1969-12-31T23:59:59.999000Z"


def test_naive_instants_are_refused() -> None:
    for function in (time_text, time_to_ms):
        with pytest.raises(ValueError, match="no time zone"):
            function(datetime(2021, 1, 1))  # noqa: DTZ001
