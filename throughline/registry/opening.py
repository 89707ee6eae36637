"""Opening a home as its environment configures it: its database and its artifact store.

Belongs here: the variables that name others than the home's own. Does not belong here: which home (storage.home)
and the key and anchor (proof.settings). The environment is read here, at the edge of what people call directly.
"""

from __future__ import annotations

import os

from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home

DATABASE_VARIABLE = "THROUGHLINE_DATABASE_URL"
ARTIFACTS_VARIABLE = "THROUGHLINE_ARTIFACTS"
REDIS_VARIABLE = "THROUGHLINE_REDIS_URL"


def open_configured(home: Home) -> Database:
    """Open the database of `home`: the PostgreSQL that THROUGHLINE_DATABASE_URL names, else the home's own server."""
    return open_database(home, os.environ.get(DATABASE_VARIABLE, "").strip() or None)


def configured_artifacts(home: Home) -> ArtifactStore:
    """Return the artifact store of `home`: the one that THROUGHLINE_ARTIFACTS names, else the home's own folder."""
    return ArtifactStore(os.environ.get(ARTIFACTS_VARIABLE, "").strip() or home.artifacts)


def configured_redis() -> str | None:
    """Return the URL of the Redis that THROUGHLINE_REDIS_URL names; None keeps hot vectors in the database."""
    return os.environ.get(REDIS_VARIABLE, "").strip() or None
