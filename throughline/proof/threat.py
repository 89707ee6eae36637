"""The threat model: what the proof detects and what it cannot, in the words that `verify` prints and the README shows.

Belongs here: the text. It promises exactly what tests/integration/test_proof_audit.py holds it to.
"""

from __future__ import annotations

DETECTED = (
    """any edit, deletion or insertion of anchored records, seals, verdicts, log events or heads by somebody who rules
the database (as its superuser, triggers and foreign keys off, hashes and seals made to agree again) but has neither the
signing key nor the anchor; named by row, by first row and count, or by object""",
    """a history signed with another key, unless the old key has signed the change""",
    """a log that was cut off, rewritten, or replaced by an older one""",
)
NOT_DETECTED = (
    """changes before a record is anchored (`verify` counts the unanchored rows)""",
    """restoring the home and the anchor together to an earlier state""",
    """anything that is signed with a stolen key""",
    """data that was false when it was recorded""",
    """what no record says: kind and times of an artifact's row, whether an expired artifact had really expired, when an
experiment was first run, and consistency reports""",
)
FINDS = "any change to what is anchored by somebody who rules the database but has neither key nor anchor"
CANNOT_FIND = "changes before a row is anchored; home and anchor restored together; a stolen key; false data"
"""The two lists in a line each, for a terminal."""
_WEAK = """
On the embedded default the database's superuser is your own account and the anchor lies beside it: whoever can act as
you can change both, and `verify` says 'self-anchored: weak'. To make it more than that, name an anchor that this
account cannot overwrite in THROUGHLINE_ANCHOR (a bucket with object lock, a folder of another user), use a database
server of its own, and keep the key in a signer (THROUGHLINE_SIGNER)."""


def _listed(items: tuple[str, ...]) -> list[str]:
    return [f"- {' '.join(item.split())}." for item in items]


THREAT_MODEL = "\n".join(
    ["What is detected:", *_listed(DETECTED), "", "What is not:", *_listed(NOT_DETECTED), "", " ".join(_WEAK.split())]
)
"""In full, for the README (Markdown)."""
