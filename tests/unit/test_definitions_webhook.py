"""The failure sensor tells a webhook, and only the address that was checked, in one try."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import pytest

from resources.notifier import NotifierResource
from resources.webhook import WebhookError, checked_address, post_json
from sensors.run_failure import failure_message, run_failure_sensors


class Heard(ThreadingHTTPServer):
    """A loopback server that remembers what it was told and answers with a status."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.messages: list[tuple[str, dict[str, Any]]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?token=secret"


class _Handler(BaseHTTPRequestHandler):
    server: Heard

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append((self.path, json.loads(body)))
        self.send_response(self.server.status)
        if 300 <= self.server.status < 400:
            self.send_header("Location", f"{self.server.url}&again")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(status: int = 200) -> Iterator[Heard]:
    server = Heard(status)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_message_is_posted_as_json_to_the_path_with_its_query() -> None:
    with listening() as server:
        assert post_json(server.url, {"text": "hello"}, allow_private=True) == 200
    assert server.messages == [("/hook?token=secret", {"text": "hello"})]


def test_a_private_address_is_refused_unless_the_operator_allows_it() -> None:
    with listening() as server, pytest.raises(WebhookError, match="not public; set THROUGHLINE_WEBHOOK_PRIVATE=1"):
        post_json(server.url, {})
    assert server.messages == []


def test_a_redirect_is_not_followed() -> None:
    with listening(307) as server, pytest.raises(WebhookError, match="answered 307; redirects are not followed"):
        post_json(server.url, {}, allow_private=True)
    assert len(server.messages) == 1


def test_an_error_of_the_server_is_told_without_the_token() -> None:
    with listening(500) as server, pytest.raises(WebhookError, match="answered 500") as caught:
        post_json(server.url, {}, allow_private=True)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "::ffff:169.254.169.254", "10.0.0.1", "127.0.0.1", "::1"],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(WebhookError, match="not public"):
        checked_address(address, 80, allow_private=False)


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "0.0.0.0"])
def test_link_local_addresses_are_refused_even_where_private_ones_are_allowed(address: str) -> None:
    with pytest.raises(WebhookError, match="not public"):
        checked_address(address, 80, allow_private=True)


def test_a_name_with_one_forbidden_address_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 80)) for text in ("93.184.216.34", "169.254.169.254")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(WebhookError, match=r"169\.254\.169\.254"):
        checked_address("rebinding.example", 80, allow_private=True)


def test_nobody_listening_is_one_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(WebhookError, match=f"127.0.0.1:{port} could not be reached"):
        post_json(f"http://127.0.0.1:{port}/", {}, allow_private=True)


@dg.op
def failing() -> None:
    raise dg.Failure("market_bars of 2021-03-01 is not sealed", allow_retries=False)


@dg.job
def failing_job() -> None:
    failing()


def failed_run(instance: dg.DagsterInstance) -> dg.RunFailureSensorContext:
    tags = {"dagster/partition": "2021-03-02", "throughline/experiment": "abc"}
    done = failing_job.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    return dg.build_run_status_sensor_context(
        "on_run_failure", done.get_run_failure_event(), instance, done.dagster_run
    ).for_run_failure()


def notify(url: str, instance: dg.DagsterInstance) -> None:
    """Evaluate the sensor on a failed run, with a notifier that posts to `url`."""
    (sensor,) = run_failure_sensors([])
    sensor(failed_run(instance), notifier=NotifierResource(url=url, allow_private=True))


def test_a_failed_run_is_told_with_its_partition_experiment_and_sentence() -> None:
    with dg.DagsterInstance.ephemeral() as instance, listening() as server:
        notify(server.url, instance)
    ((_, message),) = server.messages
    assert message["text"] == (
        "Throughline: failing_job for 2021-03-02 failed: market_bars of 2021-03-01 is not sealed"
    )
    assert (message["job"], message["partitions"], message["experiment"]) == ("failing_job", "2021-03-02", "abc")


def test_a_webhook_that_does_not_answer_is_logged_and_does_not_stop_the_sensor() -> None:
    with dg.DagsterInstance.ephemeral() as instance, listening(500) as server:
        notify(server.url, instance)
    assert len(server.messages) == 1


def test_a_range_is_named_by_its_days_and_long_reasons_are_cut() -> None:
    tags = {"dagster/asset_partition_range_start": "2021-03-01", "dagster/asset_partition_range_end": "2021-03-09"}
    run = dg.DagsterRun(job_name="job", run_id="0" * 8, tags=tags)
    message = failure_message(run, "x" * 5000)
    assert message["partitions"] == "2021-03-01 to 2021-03-09"
    assert len(message["text"]) == 2000
