"""Small pieces of HTML for the cells and sentences of a page. Whatever is not `Markup` already is escaped.

Belongs here: elements that know nothing of trades. An instrument may be called ``<script>``.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from throughline.rendering.formats import NOT_RECORDED, amount, clock_time, percent_points

DASH = Markup("&ndash;")
NOTHING = Markup()


def joined(parts: Iterable[object], between: str = "") -> Markup:
    """Return parts one after the other, each escaped unless it is markup."""
    return escape(between).join(map(escape, parts))


def element(name: str, content: object, kind: str = "") -> Markup:
    """Return an element of the class `kind` around `content`."""
    attribute = Markup(' class="{}"').format(kind) if kind else NOTHING
    return Markup("<{0}{1}>{2}</{0}>").format(name, attribute, content)


def code(value: object) -> Markup:
    """Return a hash or an ID, which may break anywhere; a dash for None."""
    return DASH if value is None else element("code", value)


def mark(ok: bool | None, good: str = "holds", bad: str = "BROKEN", unknown: str = "not checked") -> Markup:
    """Return a coloured word for a check; the word alone tells the result too."""
    if ok is None:
        return element("span", unknown, "mark unknown")
    return element("span", good, "mark good") if ok else element("span", bad, "mark bad")


def quiet(content: object) -> Markup:
    """Return text in the page's quiet voice."""
    return element("span", content, "sub")


def stamp(time: str | None) -> Markup:
    """Return a UTC time (RFC 3339 text) as an element that does not break; a dash for None."""
    if time is None:
        return DASH
    return Markup('<time datetime="{}">{}</time>').format(time, clock_time(time))


def coloured(text: str, value: float) -> Markup:
    """Return a text in the colour of a gain or a loss, with a real minus sign."""
    return element("span", text.replace("-", "\N{MINUS SIGN}"), "gain" if value > 0 else "loss" if value < 0 else "")


def amount_coloured(text: str | None) -> Markup:
    """Return USD with sign and two decimals in colour; 'not recorded' for None."""
    return quiet(NOT_RECORDED) if text is None else coloured(amount(text, signed=True), float(text))


def percent_coloured(text: str | float | None) -> Markup:
    """Return a number that is in percent already with its sign in colour; a dash for None."""
    return DASH if text is None else coloured(percent_points(text), float(text))
