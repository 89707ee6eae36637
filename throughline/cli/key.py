"""`throughline key`: the key that signs the seal log, its change, and a new beginning of the anchor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from throughline.cli.options import Options, common
from throughline.cli.screen import echo, note, out_json
from throughline.user_files import resolved_path, write_file

if TYPE_CHECKING:
    from throughline.proof.keys import Signer


@click.group(short_help="Show or rotate the signing key; start a new anchor.")
def key() -> None:
    """The key that signs the seal log, and the anchor it is copied to."""


@key.command(short_help="Print the key's ID and its public half.")
@click.option("--out", metavar="FILE", help="Write the public key to this file, for those who verify.")
@common
def show(options: Options, out: str | None) -> int:
    """Print the key's ID and its public half. A key is created if there is none."""
    from throughline.proof.keys import KEY_VARIABLE, SIGNER_VARIABLE, FileSigner, public_pem
    from throughline.proof.settings import open_proof

    signer = open_proof(options.home, embedded=True).signer
    created = signer.known_public_key() is None
    pem = public_pem(signer.public_key)
    place = str(signer.path) if isinstance(signer, FileSigner) else f"the command in {SIGNER_VARIABLE}"
    if out is not None:
        _refuse_private(signer, out)
        write_file(out, pem.encode("ascii"), "--out")
    if options.json:
        out_json({"key_id": signer.key_id, "public_key": pem, "place": place, "made": created, "file": out})
        return 0
    echo(f"key {signer.key_id}, {'created' if created else 'stored'} at {place}")
    if isinstance(signer, FileSigner):
        note(f"Keep that file to yourself and out of the home's backups ({KEY_VARIABLE} names another place).")
    echo(pem.rstrip("\n") if out is None else f"Its public half is in {out}.")
    return 0


@key.command(short_help="Hand over from the old signing key to a new one.")
@click.option(
    "--signer", "command", metavar="COMMAND", help="Command that signs with the new key, if it is not a file."
)
@click.option("--public-key", metavar="FILE", help="File with the public key of --signer.")
@common
def rotate(options: Options, command: str | None, public_key: str | None) -> int:
    """Replace the signing key: the old key signs the change, the new key the next head. The old file is kept."""
    from throughline.errors import SettingsError
    from throughline.proof.keys import PUBLIC_KEY_VARIABLE, SIGNER_VARIABLE, CommandSigner
    from throughline.proof.rotation import rotate_key, rotate_key_file
    from throughline.proof.settings import open_proof

    if (command is None) != (public_key is None):
        raise SettingsError("--signer and --public-key belong together: give both")
    with options.open() as (database, _):
        engine = database.engine("writer")
        proof = open_proof(options.home, database.embedded)
        if command is None or public_key is None:
            rotated = rotate_key_file(engine, proof)
        else:
            rotated = rotate_key(engine, proof, CommandSigner(command, public_key))
    if options.json:
        out_json({"old_key_id": rotated.old_key_id, "key_id": rotated.new_key_id, "tree_size": rotated.tree_size})
        return 0
    echo(f"The seal log was handed over from key {rotated.old_key_id} to key {rotated.new_key_id}.")
    if command is not None:
        echo(f"Set {SIGNER_VARIABLE} and {PUBLIC_KEY_VARIABLE} to the new signer now.")
    echo("Give the new public key to those who verify: `throughline key show --out FILE`.")
    return 0


@key.command(short_help="Start a new anchor from the database as it is now.")
@common
def anchor(options: Options) -> int:
    """Start a new anchor from the database as it is now, after the old anchor was moved or lost.

    The new anchor cannot reveal earlier changes: run `throughline verify` against the old one first.
    """
    from throughline.proof.anchoring import reanchor
    from throughline.proof.settings import open_proof

    with options.open() as (database, _):
        proof = open_proof(options.home, database.embedded)
        events = reanchor(database.engine("writer"), proof.anchor)
    if options.json:
        out_json({"anchor": proof.anchor.location, "strength": proof.strength, "events": events})
        return 0
    echo(f"{events:,} events of the seal log are anchored at {proof.anchor.location} ({proof.strength}).")
    return 0


def _refuse_private(signer: Signer, out: str) -> None:
    """Raise SettingsError where the public half would take the place of the signing key itself, or of an older one."""
    from throughline.errors import SettingsError
    from throughline.proof.keys import FileSigner

    if not isinstance(signer, FileSigner):
        return
    target = resolved_path(out, "--out")
    own = signer.path.resolve()
    if target.parent == own.parent and (target.name == own.name or target.name.startswith(f"{own.name}.")):
        raise SettingsError(
            f"--out {out} would write the public half over a signing key: choose a file elsewhere, such as key.pem"
        )
