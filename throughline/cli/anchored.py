"""Anchoring what a command has recorded, at its end. Does not belong here: what is logged (`throughline.proof.log`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from throughline.cli.options import Options
from throughline.cli.screen import note

if TYPE_CHECKING:
    from throughline.storage.database import Database


def anchor_rows(options: Options, database: Database) -> None:
    """Sign and anchor what a command has just recorded; where that cannot be done, say why."""
    from throughline.proof.log import anchor_logged
    from throughline.proof.settings import open_proof

    problem = anchor_logged(database.engine("writer"), open_proof(options.home, database.embedded))
    if problem is not None:
        note(f"What was recorded is not anchored yet: {problem}", options.json)
