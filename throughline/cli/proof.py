"""`throughline proof ID`: a small file that proves a record to somebody without the database."""

from __future__ import annotations

import json

import click

from throughline.cli.interrupt import shell_word
from throughline.cli.options import Options, common
from throughline.cli.record_choice import choose_record, experiment_option
from throughline.cli.screen import echo, echo_line, out_json
from throughline.user_files import write_file


@click.command(short_help="Write a file that proves a record without the database.")
@click.argument("id_", metavar="ID")
@click.option("--out", metavar="FILE", help="File to write (default: proof-ID.json in the current folder).")
@experiment_option
@common
def proof(options: Options, id_: str, out: str | None, experiment: str | None) -> int:
    """Write a file that proves the record ID and the chain behind it without the database.

    ID is the UUID of any record, or the hash of a trade; the first 8 or more hex digits are enough where only one
    begins with them. Experiments over the same days share these digits: --experiment says which one is meant.
    `throughline verify --proof FILE --key FILE` checks the file anywhere.
    """
    from throughline.proof.check import check_proof
    from throughline.proof.errors import ProofError
    from throughline.proof.prove import make_proof
    from throughline.proof.settings import open_proof
    from throughline.storage.ids import parse_id

    typed = parse_id(id_, "record", "trade")
    with options.open() as (database, _), database.engine("reader").connect() as connection:
        snapshot = connection.execution_options(isolation_level="REPEATABLE READ")
        asked = choose_record(snapshot, options, "proof", typed, experiment)
        proof = make_proof(snapshot, asked)
        known = open_proof(options.home, database.embedded).signer.known_public_key()
    text = proof.text()
    if known is not None:
        check = check_proof(json.loads(text), known)
        if not check.ok:
            raise ProofError(f"The proof of {asked} does not hold: {check.problems[0]}. Run `throughline verify`.")
    path = write_file(f"proof-{asked}.json" if out is None else out, text.encode("utf-8"), "--out")
    records, size = len(proof.data["records"]), len(text.encode("utf-8"))
    if options.json:
        left_out = [{"table": table, "uuid": key} for table, key in proof.left_out]
        summary = {"file": str(path), "asked": str(asked), "records": records, "bytes": size, "left_out": left_out}
        out_json({**summary, "checked": known is not None})
        return 0
    echo_line(f"{path}: {records} records, {size:,} bytes.")
    for table, key in proof.left_out:
        echo(f"  not in it, because not in the seal log yet: {table} {key}")
    echo_line(f"Check it anywhere: throughline verify --proof {shell_word(str(path))} --key KEYFILE")
    echo("The key file (`throughline key show --out KEYFILE`) has to reach the other side by another way.")
    return 0
