"""Dagster's web server behind a guard that a web page of another site cannot get through.

Belongs here: the guard, and starting the server with it (``python -m pipelines.webserver``, with the options of
dagster-webserver). Does not belong here: who starts it (`pipelines/dev_server.py`).

The server has no login. On the loopback address it is safe from other machines, but not from the browser on this one:
any page may make it send requests there. Three ways in are closed: another site's name that resolves to this machine
(DNS rebinding, so only loopback names are answered), requests that name another site as their origin, web sockets
included, and mutations by GET, which an image tag sends without an origin. No other site may show the UI in a frame.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAKE_APP = "create_app_from_workspace_process_context"
"""Name of the function of dagster-webserver that makes its application."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_NO_FRAMES = "frame-ancestors 'none'"
_POLICY_VIOLATION = 1008
_ADDRESS = re.compile(r"[!-~]+")


class LocalOnly:
    """Answers requests that come from this machine's own pages and programs, and refuses all others with 403."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or web socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        problem = refusal(scope)
        if problem is None:
            await self._app(scope, receive, _framed(send))
        elif scope["type"] == "http":
            await PlainTextResponse(f"{problem}\n", status_code=403)(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": problem})


def refusal(scope: Scope) -> str | None:
    """Return why a request or web socket is refused, None where it is served."""
    headers = Headers(scope=scope)
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not is_local(f"http://{hosts[0]}"):
        return "This server answers only under a name of this machine (localhost or 127.0.0.1)."
    own = _place(f"http://{hosts[0]}")
    if own is None or any(_place(origin) != own for origin in origins):
        return "This server answers no page of another site."
    foreign = any(site not in ("none", "same-origin") for site in headers.getlist("sec-fetch-site"))
    if foreign and not origins and not _is_navigation(scope, headers):
        return "This server answers no page of another site."
    if scope["type"] == "http" and scope["method"] in SAFE_METHODS and _asks_for_a_change(scope):
        return "A mutation has to be sent by POST."
    return None


def is_local(address: str) -> bool:
    """Return whether an address (``scheme://host[:port]``) names this machine by a loopback name."""
    if not _ADDRESS.fullmatch(address):  # urlsplit leaves tabs and line feeds out: "local\thost" would be localhost
        return False
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if host is None or parts.path or parts.query or parts.fragment or parts.username is not None:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _place(origin: str) -> tuple[str, int] | None:
    """Return host and port of an origin of this machine, without TLS as ours is; None for any other, as ``null``."""
    if not is_local(origin):
        return None
    parts = urlsplit(origin)
    if parts.scheme != "http" or parts.hostname is None:
        return None
    return parts.hostname, parts.port or 80


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Return whether a person followed a link to a page: that shows the UI in a window of its own and does nothing."""
    page = headers.getlist("sec-fetch-dest") == ["document"] and not _is_graphql(scope)
    return page and scope["type"] == "http" and scope["method"] == "GET"


def _asks_for_a_change(scope: Scope) -> bool:
    """Return whether a GET request carries a GraphQL operation that is not certainly a query."""
    fields = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return any(not _only_reads(document) for document in fields.get("query", ())) and _is_graphql(scope)


def _is_graphql(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.rstrip("/").endswith("/graphql")


def _only_reads(document: str) -> bool:
    """Return whether a GraphQL document is readable and holds queries and fragments alone."""
    from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

    try:
        parsed = parse(document, max_tokens=20_000)
    except (GraphQLError, RecursionError):
        return False
    operations = [node for node in parsed.definitions if isinstance(node, OperationDefinitionNode)]
    return all(node.operation is OperationType.QUERY for node in operations)


def _framed(send: Send) -> Send:
    """Return `send` with headers that keep other sites from showing the answer in a frame."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Frame-Options"] = "DENY"
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            policy = headers.get("Content-Security-Policy")
            headers["Content-Security-Policy"] = f"{policy.rstrip('; ')}; {_NO_FRAMES}" if policy else _NO_FRAMES
        await send(message)

    return sending


def main(arguments: Sequence[str] | None = None) -> None:
    """Run dagster-webserver behind the guard, with its own command line."""
    from dagster_webserver import cli

    make: Callable[..., ASGIApp] = getattr(cli, MAKE_APP)

    def guarded(*args: object, **kwargs: object) -> ASGIApp:
        return LocalOnly(make(*args, **kwargs))

    setattr(cli, MAKE_APP, guarded)
    cli.cli(args=None if arguments is None else list(arguments), auto_envvar_prefix="DAGSTER_WEBSERVER")


if __name__ == "__main__":
    main()
