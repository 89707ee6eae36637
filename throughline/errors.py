"""Errors a person meets: one sentence that names the thing at fault and says what to do.

Every error that leaves the package derives from `ThroughlineError`; commands print its text and no traceback.
"""

from __future__ import annotations


class ThroughlineError(Exception):
    """Base of all errors with a message fit for a person."""


class SettingsError(ThroughlineError):
    """A setting or a configuration file is wrong; the message names the file and the key."""


class ArchiveError(ThroughlineError):
    """A data file or its description cannot be used; the message names the file, and the row or column."""


class StorageError(ThroughlineError):
    """The database server or the artifact store cannot serve; the message says how to mend it."""


class LedgerConflict(ThroughlineError):
    """A write would change something already recorded; the message names the table, the record and both hashes."""


class MissingPredecessor(ThroughlineError):
    """A stage was asked for a day whose predecessor (or input) is not sealed; the message names the missing day."""


class GateClosed(ThroughlineError):
    """A gate verdict is missing, failed or stale; the message names asset, day, rule and rows."""


class RevisedData(ThroughlineError):
    """A sealed day reads differently now; the message counts added, changed and removed rows."""


class UnknownRecord(ThroughlineError):
    """No record has this id; the message says where it was looked for."""
