"""Errors a person meets: one sentence that names the thing at fault and says what to do.

Every error that leaves the package derives from `ThroughlineError`; commands print its text and no traceback.
"""

from __future__ import annotations

import unicodedata

SHOWN = 60
"""Characters of a foreign text that a message shows at most."""


def shown(value: object, limit: int = SHOWN) -> str:
    """Return a value of a user's file or setting as a message may print it: short, on one line, printable.

    Texts stand in single quotes. Whatever a terminal could obey or hide (control, format, bidi and private characters,
    line separators, spaces other than U+0020) is written as <U+001B>; a long text is cut, with its length.
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    try:
        text = value if isinstance(value, str) else str(value)
    except ValueError:  # an integer of more than 4,300 digits
        return "a number of thousands of digits"
    safe = printable(text[:limit])
    if len(text) > limit:
        return f"'{safe}...' ({len(text):,} characters)" if isinstance(value, str) else f"{safe}..."
    return f"'{safe}'" if isinstance(value, str) else safe


def printable(text: str, keep: str = "", spaces: bool = False) -> str:
    """Return `text` with every character that is not plainly visible written as <U+XXXX>.

    The one place where a text from a file, a record or a proof is made fit for a terminal, a log or a message.

    Args:
        text: any text.
        keep: characters that stay as they are, such as line feeds in a text of several lines.
        spaces: whether spaces other than U+0020 stay as they are. In a message they are written out, because two names
            that differ in a space must not look alike; in a text of a script that uses them they belong to the text.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"<U+{ord(char):04X}>" if char not in keep and is_hidden(char, spaces) else char for char in text)


def is_hidden(char: str, spaces: bool = False) -> bool:
    """Return whether a terminal may obey or hide a character: control, format, bidi and private characters, surrogates,
    line separators, and spaces other than U+0020 unless `spaces` is set."""
    category = unicodedata.category(char)
    return category[0] == "C" or category in ("Zl", "Zp") or (category == "Zs" and char != " " and not spaces)


class ThroughlineError(Exception):
    """Base of all errors with a message fit for a person."""


class SettingsError(ThroughlineError):
    """A setting or a configuration file is wrong; the message names the file and the key."""


class CatalogueError(ThroughlineError):
    """Two declarations of the catalogue contradict each other; the message names the record kind, stage or file."""


class ArchiveError(ThroughlineError):
    """A data file or its description cannot be used; the message names the file, and the row or column."""


class StorageError(ThroughlineError):
    """The database server or the artifact store cannot serve; the message says how to mend it."""


class InvalidTrade(ThroughlineError, ValueError):
    """A trade or its specialised data cannot be registered; the message names the field."""


class LedgerConflict(ThroughlineError):
    """A write would change something already recorded; the message names the table, the record and both hashes."""


class MissingPredecessor(ThroughlineError):
    """A stage was asked for a day whose predecessor (or input) is not sealed; the message names the missing day."""


class OutsideExperiment(SettingsError):
    """A day was asked for that the experiment does not have; the message names the experiment and its epoch."""


class GateClosed(ThroughlineError):
    """A gate verdict is missing, failed or stale; the message names asset, day, rule and rows."""


class CheckOutgrown(GateClosed):
    """The newest registry check passed, but does not cover a day that is to be read; another check mends it."""


class RevisedData(ThroughlineError):
    """A sealed day reads differently now; the message counts added, changed and removed rows."""


class UnknownRecord(ThroughlineError):
    """No record has this id; the message says where it was looked for."""


class AmbiguousId(UnknownRecord):
    """Several records have this ID, or begin with it; the message lists the first of them.

    experiments: whole IDs of the experiments that the records belong to, in order; empty where the ID is not that of a
    record. digits: what was typed, safe to print.
    """

    def __init__(self, message: str, digits: str = "", experiments: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.digits = digits
        self.experiments = experiments
