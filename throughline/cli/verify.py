"""`throughline verify`: has anything been changed?"""

from __future__ import annotations

import click

from throughline.cli.options import Options, common
from throughline.cli.screen import Bar, out_json

_SHOWN = 50


@click.command()
@click.option("--experiment", metavar="ID", help="Check one experiment only (id or its beginning).")
@common
def verify(options: Options, experiment: str | None) -> int:
    """Recompute every hash, link, sum, seal and artifact of the home; exit 1 if anything does not hold."""
    from throughline.verification import verify as recompute

    with options.open() as (database, artifacts), Bar(None, "verify", options.json) as bar:
        engine = database.engine("auditor")
        chosen = None if experiment is None else [_one(engine, experiment)]
        result = recompute(engine, artifacts, lambda what, rows: bar.step(rows, what), chosen)
    if options.json:
        out_json(result.as_json())
        return 0 if result.ok else 1
    for finding in result.findings[:_SHOWN]:
        click.echo(f"BROKEN  {finding.table}  {finding.row}: {finding.problem}")
    if len(result.findings) > _SHOWN:
        click.echo(f"... and {len(result.findings) - _SHOWN:,} more (all of them with --json)")
    days = sum(len(held) for assets in result.seals.values() for held in assets.values())
    summary = f"{result.rows:,} rows and {days:,} seals of {len(result.seals)} experiment(s) recomputed"
    if result.pending:
        summary += f"; {result.pending:,} of the rows wait for their seal (a run was stopped in between)"
    if result.ok:
        click.echo(f"{summary}: nothing has been changed.")
        return 0
    click.echo(f"{summary}: {len(result.findings):,} finding(s) on {result.broken:,} row(s).", err=True)
    return 1


def _one(engine: object, beginning: str) -> str:
    """Return the id that `beginning` abbreviates. Raises SettingsError where it is none or not the only one."""
    from sqlalchemy import Engine

    from throughline.errors import SettingsError
    from throughline.storage.queries import read_experiments

    assert isinstance(engine, Engine)
    with engine.connect() as connection:
        found = [item.id for item in read_experiments(connection) if item.id.startswith(beginning)]
    if len(found) != 1:
        count = "no" if not found else str(len(found))
        raise SettingsError(f"{count} experiment of this home begins with '{beginning}': see `throughline experiments`")
    return found[0]
