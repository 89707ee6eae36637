"""The errors of this room; their texts are for a person, as in throughline/errors.py."""

from __future__ import annotations

from throughline.errors import ThroughlineError


class FeatureError(ThroughlineError):
    """Feature vectors cannot be used as they are stored or asked for; the message names which, and the remedy."""


class SchemaMismatch(FeatureError):
    """Vectors have another feature schema than this code's; the message names both."""


class HotEntryRejected(FeatureError):
    """An entry of the hot store must not be served. reason: 'damaged', 'schema', 'future' or 'stale'."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
