"""`throughline trade ID`: the dossier behind any UUID of the chain, or behind a trade hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import click

from throughline.cli.options import Options, common
from throughline.cli.record_choice import choose_record, experiment_option
from throughline.cli.screen import echo, echo_line, note, out_json
from throughline.dossier.record_text import describe, record_title
from throughline.dossier.text import parts
from throughline.user_files import write_file


@click.command(short_help="Print the dossier of a trade, each hash recomputed.")
@click.argument("id_", metavar="ID")
@click.option("--html", "html_file", metavar="FILE", help="Write the dossier as one self-contained HTML page.")
@experiment_option
@common
def trade(options: Options, id_: str, html_file: str | None, experiment: str | None) -> int:
    """Print the dossier of ID: the story from data to outcome and registry, with each hash recomputed.

    ID is the UUID of a scan, candidate, research snapshot, disposition, execution, outcome, shadow outcome or registry
    entry, or a trade hash; the first 8 or more hex digits are enough where only one begins with them. Experiments over
    the same days share these digits: --experiment says which one is meant.
    """
    from throughline.storage.ids import parse_id

    asked = parse_id(id_, "record", "trade")
    with options.open() as (database, artifacts):
        from throughline.dossier.read import compile_dossier
        from throughline.proof.settings import open_proof
        from throughline.proof.snapshot import anchored_snapshot

        proof = open_proof(options.home, database.embedded)
        with anchored_snapshot(database.engine("reader"), proof.anchor) as (connection, anchor):
            record = str(choose_record(connection, options, "trade", asked, experiment))
            dossier = compile_dossier(connection, artifacts, replace(proof, anchor=anchor), record)
    if html_file is not None:
        from throughline.dossier.page import dossier_html

        page = write_file(html_file, dossier_html(dossier).encode("utf-8"), "--html")
        note(f"Dossier: {page}", quiet=options.json)
    story = dossier.story
    if options.json:
        out_json(dossier.as_json())
        return 0 if dossier.ok else 1
    echo(f"{story.asked} is in {story.found_in}, experiment {story.experiment[:12]}")
    if story.candidate and story.candidate != story.asked:
        echo(f"candidate {story.candidate}")
    _print_data(story.data)
    for step in story.steps:
        echo(f"\n{record_title(step.table)}  {'OK' if step.ok else 'BROKEN'}")
        echo(f"  {step.uuid}  day {step.partition}  sha256 {step.content_hash[:16]}...")
        if step.supersedes:
            echo(f"  corrects {step.supersedes}")
        if step.seal is not None and step.seal.waiting:
            echo(f"  its day is not sealed yet: a run has to reach {step.seal.asset} of {step.seal.partition}")
        for problem in step.problems:
            echo_line(f"  BROKEN: {problem}")
        for line in describe(step.table, step.body):
            echo_line(f"  {line}")
    for title, holds, lines in parts(dossier):
        echo(f"\n{title}{'' if holds is None else '  OK' if holds else '  BROKEN'}")
        for line in lines:
            echo_line(f"  {line}")
    steps = (*story.steps, *dossier.states)
    for step in dossier.states:
        for problem in step.problems:
            echo(f"\nPortfolio state of {step.partition}  BROKEN\n  {step.uuid}\n  BROKEN: {problem}")
    broken = sum(not step.ok for step in steps)
    tail = "nothing in it has been changed" if dossier.ok else f"{broken} of them BROKEN"
    echo(f"\n{len(steps)} records recomputed: {tail}.")
    return 0 if dossier.ok else 1


def _print_data(data: Mapping[str, tuple[str, bool | None]]) -> None:
    if not data:
        return
    wrong = [day for day, (_, holds) in data.items() if holds is False]
    before = sum(holds is None for _, holds in data.values())
    days = list(data)
    echo(f"\nData read  {'BROKEN' if wrong else 'OK'}")
    span = f"{days[0]} to {days[-1]}" if len(days) > 1 else days[0]
    count = f"{len(days)} day{'s' if len(days) > 1 else ''}, {before} of them before the epoch"
    echo(f"  market bars of the days before the decision: {span} ({count}); its own day is in the seal log below")
    for day in wrong:
        echo(f"  BROKEN: bars of {day} have another seal than the records name")
