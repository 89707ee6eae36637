"""One message to one address that the operator configured: posting JSON to a webhook, and nowhere else.

Belongs here: the request and what it refuses. Does not belong here: when to notify (`sensors`).

The address comes from the environment, but its name may resolve to anything and its server may redirect. So the name is
resolved once, every address behind it is checked, the connection goes to the address that was checked (no second
look-up), redirects are not followed, and the answer is read no further than its status. Addresses of private networks
and of this machine are refused unless the operator allows them; link-local ones, where clouds keep their credentials,
always.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from throughline.errors import ThroughlineError

TIMEOUT_SECONDS = 5.0


class WebhookError(ThroughlineError):
    """The message was not delivered; the message gives the reason without the address's path (it may hold a token)."""


def post_json(url: str, message: Mapping[str, Any], *, allow_private: bool = False) -> int:
    """Post `message` as JSON to `url` and return the HTTP status (200-299).

    Raises WebhookError where the address is refused or the server does not accept the message.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    address = checked_address(host, port, allow_private=allow_private)
    body = json.dumps(message, sort_keys=True).encode()
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.sock = socket.create_connection((address, port), TIMEOUT_SECONDS)
        if secure:
            connection.sock = ssl.create_default_context().wrap_socket(connection.sock, server_hostname=host)
        headers = {"Content-Type": "application/json", "User-Agent": "throughline", "Connection": "close"}
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise WebhookError(f"the webhook on {host}:{port} could not be reached ({type(error).__name__})") from error
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise WebhookError(f"the webhook on {host}:{port} answered {status}; redirects are not followed")
    return status


def checked_address(host: str, port: int, *, allow_private: bool) -> str:
    """Return the address to connect to. Raises WebhookError if any address behind `host` is one that is refused."""
    try:
        resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise WebhookError(f"the webhook's host {host} cannot be resolved") from error
    addresses = [str(item[4][0]) for item in resolved]
    for text in addresses:
        if not _is_allowed(text, allow_private):
            raise WebhookError(
                f"the webhook's host {host} is {text}, an address that is not public; set "
                "THROUGHLINE_WEBHOOK_PRIVATE=1 if it is a server of yours (link-local addresses are always refused)"
            )
    return addresses[0]


def _is_allowed(text: str, allow_private: bool) -> bool:
    address = ipaddress.ip_address(text.split("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.is_global:
        return True
    return allow_private and (address.is_private or address.is_loopback)
