"""The resource `notifier`: one line in the log, and the same message to the configured webhook.

Belongs here: its typed configuration, and what happens where the webhook does not accept a message. Does not belong
here: what a message says (`sensors`) and how it is delivered (`resources.webhook`).
"""

# No `from __future__ import annotations` here: Dagster reads the types of the fields at run time.

from collections.abc import Mapping
from logging import Logger
from typing import Any

import dagster as dg
from pydantic import Field

from resources.settings import WEBHOOK_PRIVATE_VARIABLE, WEBHOOK_VARIABLE, Settings
from resources.webhook import WebhookError, post_json

NOTIFIER = "notifier"
"""Key of the resource."""
TEXT_LIMIT = 2_000
"""Longest text of a message; a reason may quote a whole traceback."""


class NotifierResource(dg.ConfigurableResource[None]):
    """Where messages go: the log, and a webhook where one is configured.

    The address of the webhook may hold a token, so it is read from its environment variable when a sensor runs.
    """

    url: str | None = Field(
        default=None, description=f"Address of the webhook ({WEBHOOK_VARIABLE}). None: messages are only logged."
    )
    allow_private: bool = Field(
        default=False, description=f"Whether the webhook may have a private address ({WEBHOOK_PRIVATE_VARIABLE})."
    )

    def notify(self, log: Logger, message: Mapping[str, Any], subject: str) -> None:
        """Log a message and post it.

        Args:
            log: of the tick.
            message: what is posted, as JSON; its `text` is logged.
            subject: what the message is about, for the line that says that it could not be posted.
        """
        log.error(str(message["text"]))
        if self.url is None:
            return
        try:
            post_json(self.url, message, allow_private=self.allow_private)
        except WebhookError as error:
            # Not raised: the sensor would ask again and again, and later messages would wait behind this one.
            log.error(f"{error}; {subject} was only logged")


def notifier_resource(settings: Settings) -> NotifierResource:
    """Return the resource for the settings of this machine."""
    url = None if settings.webhook_url is None else dg.EnvVar(WEBHOOK_VARIABLE)
    return NotifierResource(url=url, allow_private=settings.webhook_private)
