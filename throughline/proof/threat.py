"""The threat model: what the proof detects and what it cannot, in the words that `verify` prints and the README shows.

Belongs here: the text. It promises exactly what the tests show: tests/integration/test_proof_audit.py,
test_listed_rows.py, test_database_tampers.py and tampering/.
"""

from __future__ import annotations

DETECTED = (
    """any edit, deletion or insertion of anchored rows by somebody who controls the database (as superuser, with
triggers and foreign keys off and with recomputed hashes and seals) but has neither the signing key nor the anchor:
records, seals, verdicts, experiments, artifacts, models with their verdicts, trials, holdouts, events, scores and
looks, quarantine, consistency reports, log events and heads, each with all its columns. Findings name the row, the
first row and a count, or the object""",
    """a model file that was exchanged, replaced or taken away; it is not loaded either""",
    """any change of the database's own objects: tables, columns, constraints, indexes, triggers, functions, views,
rules, rights, roles, settings of the database, of roles and of the server, objects that nothing of ours makes, and the
server's built-in functions, types and operators. On a database server of your own, only what touches ours; what its
owner may choose is no finding""",
    """a history signed with another key, unless the old key has signed the change""",
    """a log that was cut off, rewritten, or replaced by an older one""",
)
NOT_DETECTED = (
    """changes before a record is anchored (`verify` counts the unanchored rows)""",
    """restoring the home and the anchor together to an earlier state""",
    """anything that is signed with a stolen key""",
    """data that was false when it was recorded""",
    """settings and caches, which may change: the active experiment of a mode, what an experiment was last run from, the
latest feature vectors (an experiment that does not exist is named)""",
    """built-in objects of a server of another version than the embedded one, and programs of the server that were
replaced: the check asks the server what is in it""",
    """what an older release had recorded beside its seals, where it was changed before this release first published in
that home: it adopts the rows that it finds, and the log says so""",
)
FINDS = "any change to what is anchored by somebody who controls the database but has neither key nor anchor"
CANNOT_FIND = "changes before a row is anchored; home and anchor restored together; a stolen key; false data"
"""The two lists in a line each, for a terminal."""
_WEAK = """
On the embedded default the database's superuser is your own account and the anchor lies beside it: whoever can act as
you can change both, and `verify` reports 'self-anchored: weak'. To make it more than that, name an anchor that this
account cannot overwrite in THROUGHLINE_ANCHOR (a bucket with object lock, a folder of another user), use a database
server of its own, and keep the key in a signer (THROUGHLINE_SIGNER)."""


def _listed(items: tuple[str, ...]) -> list[str]:
    return [f"- {' '.join(item.split())}." for item in items]


THREAT_MODEL = "\n".join(
    ["What is detected:", *_listed(DETECTED), "", "What is not:", *_listed(NOT_DETECTED), "", " ".join(_WEAK.split())]
)
"""In full, for the README (Markdown)."""
