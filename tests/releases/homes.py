"""Restoring the home of an earlier release: its database at its own migration, artifacts, anchor and key."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from throughline.storage.database import APPLICATION, Database
from throughline.storage.home import Home

FOLDER = Path(__file__).parent
DUMP = "database.sql"
_COPY = re.compile(r"^COPY [^\n]* FROM stdin;\n", re.MULTILINE)


@dataclass(frozen=True)
class Release:
    """A release and the file that holds a home of it. number: in order of time; commit: what it was made from."""

    number: int
    commit: str

    @property
    def file(self) -> Path:
        """The stored home."""
        return FOLDER / f"{self.number}-{self.commit}.tar.xz"


RELEASES = tuple(
    Release(int(path.name.partition("-")[0]), path.name.partition("-")[2].removesuffix(".tar.xz"))
    for path in sorted(FOLDER.glob("*.tar.xz"))
)
"""Every release that a home is kept of."""


def write_signing_key(path: Path) -> Path:
    """Write the key that signed the stored homes: derived from a sentence, so that no secret lies in the repository."""
    seed = hashlib.sha256(b"throughline: homes of earlier releases, for tests only").digest()
    key = Ed25519PrivateKey.from_private_bytes(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return path


def restore(release: Release, folder: Path) -> Home:
    """Restore a stored home at `folder`, its database at the migration that its release had; nothing is migrated."""
    home = Home(folder).create()
    with tarfile.open(release.file) as archive:
        dump = archive.extractfile(DUMP)
        assert dump is not None
        text = dump.read().decode("utf-8")
        for member in archive.getmembers():
            if member.name.startswith("artifacts/"):
                _write(home.path / f"{member.name}.gz", archive, member, gzip.compress)
            elif member.isdir():
                (home.path / member.name).mkdir(mode=0o700, parents=True, exist_ok=True)
            elif member.name != DUMP:
                _write(home.path / member.name, archive, member)
    database = Database(home, None)
    assert database._server is not None
    try:
        database._server.acquire()
        database._prepare_embedded(APPLICATION)
        _load(database, text)
    finally:
        database.close()
    return home


def _write(
    path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, change: Callable[[bytes], bytes] = bytes
) -> None:
    """Write a stored file. Not by `extract`, whose safe filter Python has from 3.11.4 on."""
    data = archive.extractfile(member)
    assert data is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(change(data.read()))


def _load(database: Database, text: str) -> None:
    """Run a plain dump of pg_dump: statements as they are, the rows of each COPY from the text behind it."""
    from throughline.storage.cluster import ADMIN
    from throughline.storage.database import _connect

    connection = _connect(database._embedded_url(APPLICATION, ADMIN), "owner")
    try:
        with connection.cursor() as cursor:
            position = 0
            for found in _COPY.finditer(text):
                if found.start() < position:
                    continue  # text of a row that looks like a statement
                _run(cursor, text[position : found.start()])
                end = text.index("\n\\.\n", found.end() - 1)
                cursor.copy_expert(found[0].rstrip().rstrip(";"), io.StringIO(text[found.end() : end + 1]))
                position = end + len("\n\\.\n")
            _run(cursor, text[position:])
        connection.commit()
    finally:
        connection.close()


def _run(cursor: object, statements: str) -> None:
    kept = "\n".join(line for line in statements.splitlines() if not line.startswith(("--", "\\")))
    if kept.strip():
        cursor.execute(kept)  # type: ignore[attr-defined]
