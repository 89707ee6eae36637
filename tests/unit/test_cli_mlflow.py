"""Stopping MLflow's UI is no interrupted command: it ends the server and says so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from throughline.cli.mlflow import serve


def test_a_server_that_is_stopped_by_hand_has_ended_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    servers: list[subprocess.Popen[bytes]] = []
    wait = subprocess.Popen.wait

    def interrupted_once(server: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if not servers:
            servers.append(server)
            raise KeyboardInterrupt
        return wait(server, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted_once)
    assert serve([sys.executable, "-c", "import time; time.sleep(60)"], os.environ) == 0
    assert servers[0].poll() is not None
    assert "MLflow's UI has stopped" in capsys.readouterr().err


def test_the_exit_code_of_a_server_that_ends_by_itself_is_passed_on() -> None:
    assert serve([sys.executable, "-c", "raise SystemExit(3)"], os.environ) == 3
