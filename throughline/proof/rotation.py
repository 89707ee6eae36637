"""Changing the signing key: an event signed by the old key names the new one, the next head is signed with the new.

Belongs here: the order of the steps, so that a crash between any two of them is finished by doing it again. Does not
belong here: how the change is signed (events) and believed (trust).

A key file serves all homes of its owner, a change is logged in one: in every other home, doing it there too hands that
log over from the old key, which is kept beside the new one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Engine

from throughline.proof.anchoring import catch_up
from throughline.proof.errors import ProofError
from throughline.proof.events import rotation
from throughline.proof.keys import FileSigner, Signer, key_id
from throughline.proof.settings import Proof
from throughline.proof.writing import last_head, open_tail, sign
from throughline.storage.row_log import lock_log


@dataclass(frozen=True)
class Rotated:
    """Which key the log was handed over from and to, and its size after that."""

    old_key_id: str
    new_key_id: str
    tree_size: int


def rotate_key(engine: Engine, proof: Proof, successor: Signer) -> Rotated:
    """Hand the log over from the present signer to `successor`, which the caller makes the signer afterwards.

    Raises ProofError where the log's last head is not the present signer's, and as `publish` does.
    """
    with engine.connect() as connection:
        with connection.begin():
            lock_log(connection)
            tail = open_tail(connection, proof, begin=True)
            assert tail is not None
            told = rotation(proof.signer, tail.log, tail.size, successor.public_key)
            tail.add(proof, "key", told)
            head = sign(tail, proof, successor)
        catch_up(connection, proof.anchor)
    return Rotated(proof.signer.key_id, successor.key_id, head.tree_size)


def rotate_key_file(engine: Engine, proof: Proof) -> Rotated:
    """Change the key in a key file: make a new one, hand the log over, put the new file in the old one's place.

    Where the log still waits for a key file that was changed already (for another home, or before a crash), only the
    missing steps are done. Raises ProofError where nothing is logged yet, or where the log's key cannot be found.
    """
    signer = proof.signer
    if not isinstance(signer, FileSigner):
        raise ProofError("The signer is a command: name the new one with --signer and --public-key.")
    with engine.connect() as connection:
        last = last_head(connection)
    if last is None:
        raise ProofError(
            f"Nothing is logged in this home yet, so its key can simply be changed: move {signer.path} away."
        )
    coming = signer.successor()
    known = coming.known_public_key()
    if known is not None and last.key == key_id(known):  # a crash came between the log and the files
        old = signer.key_id
        signer.replace_by_successor()
        return Rotated(old, last.key, last.tree_size)
    if last.key != signer.key_id:
        kept = signer.kept(last.key)
        if kept.known_public_key() is None:
            raise ProofError(
                f"The log is signed with key {last.key}, which is neither {signer.path} ({signer.key_id}) nor "
                f"{kept.path}: bring that key back first."
            )
        return rotate_key(engine, replace(proof, signer=kept), signer)
    rotated = rotate_key(engine, proof, coming)
    signer.replace_by_successor()
    return rotated
