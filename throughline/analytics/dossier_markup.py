"""Small pieces of HTML for the dossier: escaped text, tables, marks, and how numbers and times are written.

Belongs here: markup that knows nothing of trades. Whatever is not already `Html` is escaped: an instrument may be
called ``<script>``.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def safe(value: object) -> Html:
    """Return a value as markup: `Html` as it is, anything else escaped, None as a dash."""
    if isinstance(value, Html):
        return value
    return Html("&ndash;" if value is None else html.escape(str(value)))


def joined(parts: Iterable[object], between: str = "") -> Html:
    """Return parts one after the other, each as `safe` gives it."""
    return Html(between.join(safe(part) for part in parts))


def tag(name: str, content: object, kind: str = "") -> Html:
    """Return an element of the class `kind`."""
    attribute = f' class="{html.escape(kind)}"' if kind else ""
    return Html(f"<{name}{attribute}>{safe(content)}</{name}>")


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], words: Iterable[int] = ()) -> Html:
    """Return a table whose first column names its rows. caption: for screen readers; words: columns that hold words,
    not numbers, and stand to the left. On a narrow screen it scrolls sideways by itself."""
    left = {0, *words}

    def kind(place: int) -> str:
        return ' class="words"' if place in left else ""

    top = "".join(f'<th scope="col"{kind(place)}>{safe(name)}</th>' for place, name in enumerate(head))
    lines = []
    for row in rows:
        cells = [f'<th scope="row">{safe(row[0])}</th>']
        cells += [f"<td{kind(place)}>{safe(cell)}</td>" for place, cell in enumerate(row[1:], 1)]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return Html(
        f'<div class="scroll"><table><caption>{safe(caption)}</caption><thead><tr>{top}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def code(value: object) -> Html:
    """Return a hash or an id, which may break anywhere."""
    return tag("code", value)


def mark(ok: bool | None, good: str = "holds", bad: str = "BROKEN", unknown: str = "not checked") -> Html:
    """Return a word with a colour: the word alone says it too."""
    if ok is None:
        return tag("span", unknown, "mark unknown")
    return tag("span", good, "mark good") if ok else tag("span", bad, "mark bad")


def note(sentence: object) -> Html:
    """Return a paragraph in the page's quiet voice."""
    return tag("p", sentence, "sub")


def when(text: str | None) -> str | None:
    """Return a UTC time text to the minute (to the second where there are any)."""
    if text is None:
        return None
    told = text[:19].replace("T", " ")
    return told[:16] if told.endswith(":00") else told


def stamp(text: str | None) -> Html:
    """Return a UTC time text as an element that does not break."""
    return safe(None) if text is None else Html(f'<time datetime="{html.escape(text)}">{safe(when(text))}</time>')


def amount(text: str | None, sign: bool = False) -> Html:
    """Return USD with two decimals, in colour where the sign is asked for; 'not recorded' for None."""
    if text is None:
        return tag("span", "not recorded", "sub")
    value = float(text) + 0.0  # a negative zero has no sign
    told = f"{value:+,.2f}" if sign else f"{value:,.2f}"
    return coloured(told, value) if sign else safe(told)


def percent(text: str | float | None) -> Html:
    """Return a percentage with its sign, in colour."""
    return safe(None) if text is None else coloured(f"{float(text) + 0.0:+.2f} %", float(text))


def coloured(told: str, value: float) -> Html:
    """Return a text in the colour of a gain or a loss."""
    return tag("span", told.replace("-", "\N{MINUS SIGN}"), "gain" if value > 0 else "loss" if value < 0 else "")


def number(text: str | None, digits: int = 8) -> str | None:
    """Return a number with so many significant digits, without an exponent."""
    if text is None:
        return None
    told = f"{float(text):,.{digits}g}"
    return f"{float(text):,.0f}" if "e+" in told else f"{float(text):.12f}".rstrip("0") if "e-" in told else told


def words(text: object) -> str:
    """Return a name of the records as words."""
    return str(text).replace("_", " ")
