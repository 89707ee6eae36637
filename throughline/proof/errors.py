"""The error of this room; its text is for a person, as in throughline/errors.py."""

from __future__ import annotations

from throughline.errors import ThroughlineError


class ProofError(ThroughlineError):
    """Key, seal log, anchor or proof file cannot be used; the message names the thing and the remedy."""
