"""Rights in words: what an access control list of PostgreSQL grants, and to whom.

Belongs here: reading the text form of ``aclitem`` (https://www.postgresql.org/docs/current/ddl-priv.html). Does not
belong here: which rights are expected (`pristine`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_WORDS = {
    "r": "SELECT",
    "a": "INSERT",
    "w": "UPDATE",
    "d": "DELETE",
    "D": "TRUNCATE",
    "x": "REFERENCES",
    "t": "TRIGGER",
    "m": "MAINTAIN",
    "X": "EXECUTE",
    "U": "USAGE",
    "C": "CREATE",
    "c": "CONNECT",
    "T": "TEMPORARY",
    "s": "SET",
    "A": "ALTER SYSTEM",
}
_ITEM = re.compile(r'^("(?:[^"]|"")*"|[^=]*)=([A-Za-z*]*)/(.*)$', re.DOTALL)
_RIGHT = re.compile(r"([A-Za-z])(\*?)")


def granted(items: Sequence[str], owner: str | None) -> Iterator[tuple[str, str]]:
    """Yield each grantee with its rights in words; the owner, who may take any right, is left out.

    Args:
        items: text forms of aclitem, such as ``throughline_writer=ar/throughline_owner``.
        owner: name of the object's owner.

    Yields:
        Name of the grantee, PUBLIC for everyone, and its rights, such as ``INSERT, SELECT``, with the grantor where
        that is not the owner.

    Raises:
        ValueError: an item is not written as PostgreSQL writes it.
    """
    words_by_grantee: dict[str, list[str]] = {}
    for item in items:
        match = _ITEM.match(item)
        if match is None:
            raise ValueError(f"{item!r} is not an access control item")
        grantee, letters, grantor = _unquoted(match[1]), match[2], _unquoted(match[3])
        if owner is not None and grantee == owner:
            continue
        by = "" if grantor == owner else f" granted by {grantor}"
        for letter, option in _RIGHT.findall(letters):
            word = _WORDS.get(letter, letter) + (" with grant option" if option else "") + by
            words_by_grantee.setdefault(grantee or "PUBLIC", []).append(word)
    for grantee, words in words_by_grantee.items():
        yield grantee, ", ".join(sorted(words))


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
