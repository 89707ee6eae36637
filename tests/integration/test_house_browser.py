"""What a hostile page in a real browser on the same machine can do to the web server of `throughline dev`: nothing."""

from __future__ import annotations

import http.server
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pipelines.webserver import LocalOnly

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PAGE = """<!DOCTYPE html><title>hostile</title>
<img src="{server}/graphql?query=mutation%7Bimage%7D">
<script src="{server}/graphql?query=mutation%7Bscript%7D"></script>
<iframe src="{server}/framed"></iframe>
<iframe name="hidden"></iframe>
<form id="form" method="post" enctype="text/plain" target="hidden" action="{server}/form">
<input name="a" value="b"></form>
<script>
document.getElementById("form").submit();
fetch("{server}/fetched", {{method: "POST", mode: "no-cors", body: '{{"query": "mutation{{a}}"}}'}}).catch(() => 0);
const json = {{"Content-Type": "application/json"}};
fetch("{server}/json", {{method: "POST", headers: json, body: "{{}}"}}).catch(() => 0);
navigator.sendBeacon("{server}/beacon", "x");
new WebSocket("{server}/socket".replace("http", "ws"));
</script>
"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed (looked for {', '.join(BROWSERS)})")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(guarded: bool) -> Iterator[tuple[str, list[str]]]:
    """Serve an application that notes what reaches it; yield its address and the notes."""
    reached: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            reached.append(scope["path"])
            await send({"type": "websocket.accept"})
        elif scope["type"] == "http":
            reached.append(scope["path"] + scope["query_string"].decode())
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"answered"})

    port = free_port()
    config = uvicorn.Config(LocalOnly(app) if guarded else app, port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}", reached
    finally:
        server.should_exit = True
        thread.join()


def visit(browser: str, folder: Path, server: str) -> None:
    """Open the hostile page, which lies on another port of this machine, in a headless browser."""
    (folder / "index.html").write_text(PAGE.format(server=server))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as pages:
        threading.Thread(target=pages.serve_forever).start()
        address = f"http://127.0.0.1:{pages.server_address[1]}/index.html"
        own = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
        command = [browser, *own, "--timeout=4000", "--dump-dom", address]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        finally:
            pages.shutdown()


def test_a_hostile_page_reaches_nothing_behind_the_guard(browser: str, tmp_path: Path) -> None:
    with served(guarded=True) as (address, reached):
        visit(browser, tmp_path, address)
        assert reached == []


def test_the_same_page_does_reach_a_server_without_the_guard(browser: str, tmp_path: Path) -> None:
    with served(guarded=False) as (address, reached):
        visit(browser, tmp_path, address)
        assert {"/graphqlquery=mutation%7Bimage%7D", "/form", "/fetched", "/socket", "/framed"} <= set(reached)
