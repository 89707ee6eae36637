"""Write the snapshot of a pristine database that ships with the code: after a migration, or for a server version.

    python scripts/pristine.py            the embedded server of a new home
    python scripts/pristine.py URL        a server of another version, as a superuser

The file is `throughline/integrity/database/snapshots/postgresql_<major>.json`; a test compares it with what is made
now.
"""

import sys
import tempfile
from pathlib import Path

from throughline.integrity.database import pristine as package
from throughline.integrity.database.pristine import read_expected
from throughline.integrity.database.shipped import FOLDER, encode, file_name
from throughline.storage.beside import pristine_database
from throughline.storage.database import open_database


def main(url: str | None) -> None:
    """Make a pristine database, read it and write the file."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_database(Path(folder) / "home", url) as database,
        database.engine("auditor").connect() as connection,
        pristine_database(connection, roles=True) as fresh,
    ):
        expected = read_expected(fresh)
        raw = fresh.connection.driver_connection
        server, major = raw.get_parameter_status("server_version"), raw.server_version // 10000
    assert expected.built_in is not None
    path = Path(package.__file__).parent / FOLDER / file_name(major)
    path.write_text(encode(expected.snapshot, expected.built_in, server, expected.fixed_below), encoding="utf-8")
    sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
