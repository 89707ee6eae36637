"""The notifier: one line in the log, and the same message to the configured webhook.

Belongs here: what happens where the webhook does not take it. Does not belong here: what a message says (the sensors)
and how it is delivered (`resources.webhook`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from logging import Logger
from typing import Any

from resources.webhook import WebhookError, post_json

TEXT_LIMIT = 2_000
"""Longest text of a message; a reason may quote a whole traceback."""


@dataclass(frozen=True)
class Notifier:
    """Where messages go. url: of the webhook, None to log only; allow_private: it may be a private address."""

    url: str | None
    allow_private: bool = False

    def tell(self, log: Logger, message: Mapping[str, Any], about: str) -> None:
        """Log `message` and post it. about: what it tells of, for the line that says it could not be posted."""
        log.error(str(message["text"]))
        if self.url is None:
            return
        try:
            post_json(self.url, message, allow_private=self.allow_private)
        except WebhookError as error:
            # Not raised: the sensor would ask again and again, and what comes after would wait behind it.
            log.error(f"{error}; {about} was only logged")
