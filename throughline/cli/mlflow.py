"""`throughline mlflow`: MLflow's own UI on the models of this home."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import click

from throughline.cli.options import Options, common
from throughline.cli.screen import note

_SECONDS_TO_STOP = 10
"""A server that has not ended so long after SIGTERM is killed."""


@click.command(short_help="Start MLflow's UI on this home's models.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="Port of the UI.")
@common
def mlflow(options: Options, port: int) -> int:
    """Start MLflow's UI on this home's models, on this machine only, until Ctrl-C.

    MLflow displays what Throughline recorded; it does not decide which model serves. Its server has no login.
    """
    with options.open() as (database, _):
        # By environment, not as an argument: the process list of a machine shows everybody the arguments.
        environment = os.environ | {
            "MLFLOW_BACKEND_STORE_URI": database.url("mlflow"),
            "PYTHONWARNINGS": "ignore",  # MLflow's own deprecations say nothing to who looks at models
        }
        note(f"MLflow's UI will be at http://127.0.0.1:{port} (Ctrl-C stops it)", options.json)
        # One worker instead of four: one person looks at it, and four took 17 s to start on two cores.
        command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        return serve(command, environment)


def serve(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a server until it ends or this process is interrupted; return its exit code, 0 where it was stopped."""
    with subprocess.Popen(command, env=environment) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
            try:
                server.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                server.kill()
            note("MLflow's UI has stopped.")
            return 0
