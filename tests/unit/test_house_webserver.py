"""The guard before Dagster's web server: this machine's own pages and programs pass, a hostile page does not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.dev_server import guarded_command
from pipelines.webserver import LocalOnly, is_local, refusal

OWN = "http://127.0.0.1:3000"
MUTATION = 'mutation { deletePipelineRun(runId: "a") { __typename } }'


@dataclass(frozen=True)
class Answer:
    """What came back. status: of HTTP, or the code that closed a web socket (0: it was accepted)."""

    status: int
    headers: Mapping[str, str]


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """The application behind the guard: it answers everything."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    headers = [(b"content-security-policy", b"default-src 'self'")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"answered"})


def ask(
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    kind: str = "http",
) -> Answer:
    """Send one request through the guard."""
    given_headers = {"host": "127.0.0.1:3000"} | {name.lower(): value for name, value in (headers or {}).items()}
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": urlencode(params).encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given_headers.items()],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect" if kind == "websocket" else "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(LocalOnly(answering)(scope, receive, send))
    first = sent[0]
    told = {name.decode(): value.decode() for name, value in first.get("headers", [])}
    status = first.get("status", first.get("code", 0))
    return Answer(status, told)


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:3000", "[::1]:3000", "127.0.0.1", "LOCALHOST:3000"])
def test_programs_and_pages_of_this_machine_are_answered(host: str) -> None:
    assert ask("GET", "/server_info", {"Host": host}).status == 200
    own = {"Host": host, "Origin": f"http://{host}".lower(), "Sec-Fetch-Site": "same-origin"}
    assert ask("POST", "/graphql", own).status == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example", "[::1"),
        *("127.0.0.1@evil.example", "192.168.1.2:3000", "0.0.0.0:3000", "localhost:x", "localhost/evil"),
        *("local\thost:3000", "\tlocalhost", "local\nhost", "localhost, evil.example", ""),
    ],
)
def test_a_name_that_is_not_this_machines_is_refused(host: str) -> None:
    assert ask("GET", "/server_info", {"Host": host}).status == 403


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:3001", "http://localhost:3000", "https://127.0.0.1:3000"],
)
def test_a_page_of_another_site_or_port_is_refused(origin: str) -> None:
    headers = {"Origin": origin}
    assert ask("POST", "/graphql", headers).status == 403
    assert ask("GET", "/graphql", headers, {"query": "{ version }"}).status == 403
    assert ask("OPTIONS", "/graphql", headers).status == 403


@pytest.mark.parametrize(
    "document",
    [MUTATION, f"query A {{ version }} {MUTATION}", "subscription { x }", "{ version", f"\ufeff{MUTATION}"],
)
@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/prefix/graphql"])
def test_what_is_not_certainly_a_query_is_refused_by_get(document: str, path: str) -> None:
    assert ask("GET", path, params={"query": document}).status == 403
    assert ask("GET", path, params=[("query", "{ version }"), ("query", document)]).status == 403


def test_queries_by_get_and_mutations_by_post_pass() -> None:
    assert ask("GET", "/graphql", params={"query": "query Q { version }"}).status == 200
    assert ask("GET", "/runs", params={"query": "tag:x mutation"}).status == 200
    assert ask("POST", "/graphql").status == 200


@pytest.mark.parametrize("kind", ["image", "script", "iframe", "empty", "document"])
def test_a_request_that_a_foreign_page_makes_without_an_origin_is_refused(kind: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": kind}
    assert ask("GET", "/graphql", headers, {"query": "{ version }"}).status == 403
    assert ask("GET", "/runs", headers).status == (200 if kind == "document" else 403)  # a link was followed


def test_no_other_site_may_frame_an_answer() -> None:
    headers = ask("GET", "/runs").headers
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"] == "default-src 'self'; frame-ancestors 'none'"


def test_a_web_socket_of_another_site_is_refused() -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}):
        assert ask("GET", "/graphql", headers, kind="websocket").status == 1008
    assert ask("GET", "/graphql", {"Origin": OWN}, kind="websocket").status == 0


@pytest.mark.parametrize(
    "more",
    [
        [("host", "127.0.0.1:3000"), ("host", "evil.example")],
        [("host", "127.0.0.1:3000"), ("origin", OWN), ("origin", "http://evil.example")],
        [("host", "127.0.0.1:3000"), ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
        [
            ("host", "127.0.0.1:3000"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-dest", "image"),
        ],
    ],
)
def test_a_header_that_is_sent_twice_counts_by_its_worse_value(more: list[tuple[str, str]]) -> None:
    headers = [(name.encode(), value.encode()) for name, value in more]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    assert refusal(scope) is not None


@given(st.text())
def test_no_name_makes_the_guard_stumble(text: str) -> None:
    assert is_local(f"http://{text}") in (True, False)


def test_dagster_dev_starts_the_guarded_server_and_nothing_else_changes() -> None:
    theirs: list[Any] = ["python", "-m", "dagster_webserver", "--port", "3000"]
    assert guarded_command(theirs) == ["python", "-m", "pipelines.webserver", "--port", "3000"]
    daemon = ["python", "-m", "dagster._daemon", "run"]
    assert guarded_command(daemon) == daemon
