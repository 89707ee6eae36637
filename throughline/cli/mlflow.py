"""`throughline mlflow`: MLflow's own UI on the models of this home."""

from __future__ import annotations

import os
import subprocess
import sys

import click

from throughline.cli.options import Options, common
from throughline.cli.screen import note


@click.command()
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="Port of the UI.")
@common
def mlflow(options: Options, port: int) -> int:
    """Start MLflow's UI on this home's models, on this machine only, until Ctrl-C.

    MLflow shows what Throughline recorded and is never asked who serves. Its server has no login.
    """
    with options.open() as (database, _):
        # By environment, not as an argument: the process list of a machine shows everybody the arguments.
        environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": database.url("mlflow")}
        note(f"MLflow's UI will be at http://127.0.0.1:{port} (Ctrl-C stops it)", options.json)
        command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
        return subprocess.run(command, env=environment, check=False).returncode
