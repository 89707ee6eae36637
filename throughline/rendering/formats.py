"""How numbers, times and names are written for people: the one place that every page and command takes them from.

Belongs here: one value at a time. Does not belong here: sentences and tables.
"""

from __future__ import annotations

from collections.abc import Mapping

NOT_AVAILABLE = "n/a"
NOT_RECORDED = "not recorded"


def percent(value: float | None, *, signed: bool = True, digits: int = 2) -> str:
    """Return a fraction (0.1 = 10 %) as percent text; 'n/a' for None."""
    return NOT_AVAILABLE if value is None else f"{value * 100:{'+' if signed else ''}.{digits}f} %"


def percent_points(value: str | float, digits: int = 2) -> str:
    """Return a number that is in percent already (10 = 10 %) with its sign; a negative zero has none."""
    return f"{float(value) + 0.0:+.{digits}f} %"


def percent_tick(value: float, *, signed: bool = True) -> str:
    """Return a round fraction as the label of an axis: '+5 %', '0 %'."""
    return f"{100 * value:{'+' if signed and value else ''}g} %"


def ratio(value: float | None) -> str:
    """Return a ratio with two digits; 'n/a' for None."""
    return NOT_AVAILABLE if value is None else f"{value:.2f}"


def plain(value: float | None, digits: int = 6) -> str:
    """Return a figure of any kind with so many significant digits; empty for None."""
    return "" if value is None else f"{value:.{digits}g}"


def usd(value: str | float) -> str:
    """Return an amount in USD with the sign before the dollar."""
    number = float(value)
    return f"-${-number:,.2f}" if number < 0 else f"${number:,.2f}"


def amount(value: str | float, *, signed: bool = False) -> str:
    """Return an amount with two decimals and without a currency; a negative zero has no sign."""
    return f"{float(value) + 0.0:{'+' if signed else ''},.2f}"


def amount_usd(text: str | None, *, signed: bool = False) -> str:
    """Return an amount with the word USD behind it; 'not recorded' for None."""
    return NOT_RECORDED if text is None else f"{amount(text, signed=signed)} USD"


def significant(value: str | float | None, digits: int = 8) -> str | None:
    """Return a number with so many significant digits, thousands separated and without an exponent; None for None."""
    if value is None:
        return None
    number = float(value)
    text = f"{number:,.{digits}g}"
    if "e+" in text:
        return f"{number:,.0f}"
    return f"{number:.12f}".rstrip("0") if "e-" in text else text


def p_value(value: float | None) -> str:
    """Return a p-value with three digits after the point; '< 0.001' below that, 'n/a' for None."""
    if value is None:
        return NOT_AVAILABLE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def probability(value: float | None) -> str:
    """Return a probability as percent, never as certain; 'n/a' for None."""
    if value is None:
        return NOT_AVAILABLE
    if not 0.001 <= value <= 0.999:
        return "> 99.9 %" if value > 0.5 else "< 0.1 %"
    return f"{value * 100:.1f} %"


def share(part: int, whole: int) -> str:
    """Return a part of a whole as percent; 'n/a' of nothing."""
    return NOT_AVAILABLE if not whole else f"{part / whole * 100:.1f} %"


def minute(time: object) -> str:
    """Return a UTC time (RFC 3339 text) to the minute."""
    return str(time)[:16].replace("T", " ")


def second(time: str | None) -> str:
    """Return a UTC time (RFC 3339 text) to the second, with its zone; a dash for None."""
    return "-" if time is None else f"{time[:19].replace('T', ' ')} UTC"


def clock_time(time: str) -> str:
    """Return a UTC time (RFC 3339 text) to the minute, to the second where there are any."""
    text = time[:19].replace("T", " ")
    return text[:16] if text.endswith(":00") else text


def words(name: object) -> str:
    """Return a name of a record as words: underscores become spaces."""
    return str(name).replace("_", " ")


def counts(values: Mapping[str, int]) -> str:
    """Return 'name n, name n' in falling order of n; 'none' where every count is 0."""
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{words(name)} {count:,}" for name, count in ordered if count) or "none"
