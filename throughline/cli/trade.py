"""`throughline trade ID`: the story behind any UUID of the chain."""

from __future__ import annotations

from collections.abc import Mapping

import click

from throughline.cli.options import Options, common
from throughline.cli.record_words import TITLES, describe
from throughline.cli.screen import out_json


@click.command()
@click.argument("id_", metavar="ID")
@common
def trade(options: Options, id_: str) -> int:
    """Print the story behind ID, from data to outcome, with each hash recomputed.

    ID is the UUID of a scan, candidate, research snapshot, disposition, execution, outcome or shadow outcome.
    """
    from throughline.verification.story import parse_id, tell

    asked = parse_id(id_)
    with options.open() as (database, _), database.engine("reader").connect() as connection:
        story = tell(connection, asked)
    if options.json:
        out_json(story.as_json())
        return 0 if story.ok else 1
    click.echo(f"{story.asked} is in {story.found_in}, experiment {story.experiment[:12]}")
    if story.candidate and story.candidate != story.asked:
        click.echo(f"candidate {story.candidate}")
    _print_data(story.data)
    for step in story.steps:
        click.echo(f"\n{TITLES[step.table]}  {'OK' if step.ok else 'BROKEN'}")
        click.echo(f"  {step.uuid}  day {step.partition}  sha256 {step.content_hash[:16]}...")
        if step.supersedes:
            click.echo(f"  corrects {step.supersedes}")
        for problem in step.problems:
            click.echo(f"  BROKEN: {problem}")
        for line in describe(step.table, step.body):
            click.echo(f"  {line}")
    broken = sum(not step.ok for step in story.steps)
    tail = "nothing in it has been changed" if story.ok else f"{broken} of them BROKEN"
    click.echo(f"\n{len(story.steps)} records recomputed: {tail}.")
    return 0 if story.ok else 1


def _print_data(data: Mapping[str, tuple[str, bool | None]]) -> None:
    if not data:
        return
    wrong = [day for day, (_, held) in data.items() if held is False]
    before = sum(held is None for _, held in data.values())
    days = list(data)
    click.echo(f"\nData read  {'BROKEN' if wrong else 'OK'}")
    click.echo(f"  market bars of {days[0]} to {days[-1]} ({len(days)} days, {before} of them before the epoch)")
    for day in wrong:
        click.echo(f"  BROKEN: bars of {day} have another seal than the records name")
