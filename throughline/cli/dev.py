"""`throughline dev`: the Dagster UI on this home."""

from __future__ import annotations

import click

from throughline.cli.options import Options, common

DEFAULT_PORT = 3000


@click.command(short_help="Start the Dagster UI and its daemon on this home.")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address: the web server has no login.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=int, help="Port of the UI.")
@common
def dev(options: Options, host: str, port: int) -> int:
    """Start the Dagster UI and its daemon on this home, until Ctrl-C."""
    return options.wiring.dev(options, host, port)
