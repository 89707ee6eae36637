"""Proof: the seal log (RFC 9162), its signed heads, the anchor outside the database, and proof files.

Belongs here: everything that lets somebody who does not trust the database see that nothing was changed. Does not
belong here: what the sealed rows say (registry, flow) and whether they agree with each other (verification, registry).
"""
