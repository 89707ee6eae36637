"""Verification: has anything in a home been changed since it was written?

Belongs here: recomputing every hash, UUID, link, seal, sum and artifact from what is stored, and naming what does not
hold. Reads only. Does not belong here: deciding or writing anything.

What it proves: the stored bodies, columns, links, seals, verdicts and artifacts agree with each other and with their
hashes. Whoever owns the database and rewrites *everything* consistently (bodies, hashes, UUIDs, children, seals) leaves
no trace inside it; the signed seal log and its anchor outside the database (`throughline.proof`) show that too.
"""

from throughline.findings import Finding
from throughline.verification.result import VerifyResult
from throughline.verification.verify import verify, verify_connection

__all__ = ["Finding", "VerifyResult", "verify", "verify_connection"]
