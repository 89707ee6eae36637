"""Which key signs, where the anchor lies and what time it is: the three things that proof needs from outside.

Belongs here: reading them from the environment, once, at the edge. Does not belong here: what is done with them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from throughline.clock import Clock, SystemClock
from throughline.proof.anchor import Anchor, Strength
from throughline.proof.keys import Signer, signer_from
from throughline.storage.home import Home
from throughline.user_files import resolved_path

ANCHOR_VARIABLE = "THROUGHLINE_ANCHOR"
DEFAULT_FOLDER = "anchor"
"""Folder inside the home that is the anchor where none is named."""


@dataclass(frozen=True)
class Proof:
    """What the seal log needs: who signs, where it is anchored, what time it is."""

    signer: Signer
    anchor: Anchor
    clock: Clock

    @property
    def strength(self) -> Strength:
        """What the anchor is worth."""
        return self.anchor.strength


def open_proof(
    home: Home, embedded: bool, environment: Mapping[str, str] = os.environ, clock: Clock | None = None
) -> Proof:
    """Return the proof settings of a home. Nothing is made or read but a signer command's public key.

    embedded: whether the database is the home's own server (its superuser is then the user's own account, and the
    anchor is weak whatever it is). Raises ProofError where a variable names something unusable.
    """
    named = environment.get(ANCHOR_VARIABLE, "").strip()
    place = named or str(home.path / DEFAULT_FOLDER)
    weak = embedded or ("://" not in place and _inside(place, home.path))
    anchor = Anchor(place, "self-anchored: weak" if weak else "external")
    return Proof(signer_from(environment), anchor, clock or SystemClock())


def _inside(path: str, folder: Path) -> bool:
    return resolved_path(path, f"the anchor ({ANCHOR_VARIABLE})").is_relative_to(folder)
