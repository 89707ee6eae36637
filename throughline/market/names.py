"""Names of instruments: which texts may be one, and which two are too alike to be distinguished.

Belongs here: single names and sets of names. Does not belong here: where they were read (`columns`, `tables`).
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from throughline.errors import shown

_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_LONGEST = 200
# Default_Ignorable_Code_Point of Unicode beyond the category Cf, and the blank Braille cell: they show nothing.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)


def name_fault(name: str) -> str | None:
    """Return why a text cannot be an instrument's name, as the end of a sentence that names the place; or None.

    Refused are empty and blank names, spaces around a name, names longer than 200 characters, and control, format
    (zero width, bidi), surrogate and private characters, each shown as U+XXXX.
    """
    if not name or not _INVISIBLE.sub("", name).strip():
        return "is empty; every row needs a name"
    for char in name:
        if unicodedata.category(char) in _REFUSED or char == "\ufffd":  # what could not be decoded
            label = unicodedata.name(char, "a control character").lower()
            return f"({shown(name)}) holds U+{ord(char):04X} ({label}), which cannot be seen; remove it from the name"
    if name != name.strip():
        return f"({shown(name)}) has a space before or behind the name; remove it"
    if len(name) > _LONGEST:
        return f"({shown(name)}) is longer than {_LONGEST} characters; is this the column with the names?"
    return None


def look_key(name: str) -> str:
    """Return what two names share that look alike: equal but for case, width, spaces and what shows nothing.

    NFKC and full case folding (Unicode Standard, section 3.13, compatibility caseless matching), then spaces as one.
    """
    visible = "".join(char for char in _INVISIBLE.sub("", name) if unicodedata.category(char) not in ("Cc", "Cf"))
    text = unicodedata.normalize("NFKC", visible).casefold()
    return " ".join(unicodedata.normalize("NFKC", text).split())


def alike(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two names that look alike (`look_key`), or None."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(look_key(name), name)
        if other != name:
            return other, name
    return None


def did_you_mean(name: str, choices: Sequence[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the choice nearest to `name`, or an empty text."""
    for choice in choices:
        if look_key(choice) == look_key(name):
            return f"; did you mean {shown(choice)}?"
    near = difflib.get_close_matches(name, choices[:5000], 1, 0.6)
    if not near:
        near = [choice for choice in choices[:5000] if choice.casefold().startswith(name.casefold())][:1]
    return f"; did you mean {shown(near[0])}?" if near else ""


def some_names(names: Sequence[str], count: int = 5) -> str:
    """Return a few names for a message: the first `count`, and how many more there are."""
    text = ", ".join(shown(name, 40) for name in names[:count])
    return text + (f" and {len(names) - count:,} more" if len(names) > count else "")
