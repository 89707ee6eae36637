"""The home: one folder that holds all state of an installation. Two homes never meet.

Belongs here: which folder it is and the names of its parts. Does not belong here: what the parts hold.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from throughline.errors import SettingsError, shown
from throughline.user_files import resolved_path

HOME_VARIABLE = "THROUGHLINE_HOME"
DEFAULT_FOLDER = ".throughline"


@dataclass(frozen=True)
class Home:
    """A folder with all state. `path` is absolute with symbolic links resolved, so two names of it are one home."""

    path: Path

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Name the home at `path` (``~`` is expanded). Nothing is created."""
        if not os.fspath(path).strip():
            raise SettingsError(f"The home folder is empty: give --home a folder or unset {HOME_VARIABLE}.")
        resolved = resolved_path(path, f"the home (--home or {HOME_VARIABLE})")
        if any(unicodedata.category(char) == "Cc" for char in str(resolved)):
            # PostgreSQL counts the lines of its own files, in one of which the path stands.
            raise SettingsError(
                f"The home {shown(str(resolved), 200)} has a line feed or another control character in its path, which "
                "PostgreSQL cannot take: choose another --home."
            )
        object.__setattr__(self, "path", resolved)

    @classmethod
    def locate(cls, path: str | os.PathLike[str] | None = None) -> Home:
        """Return the home that `path` (--home), else THROUGHLINE_HOME, else ``~/.throughline`` names."""
        if path is not None:
            return cls(path)
        configured = os.environ.get(HOME_VARIABLE, "").strip()
        return cls(configured or f"~/{DEFAULT_FOLDER}")

    def create(self) -> Home:
        """Create the folder (mode 0700) where it is missing; an existing folder's mode is left alone.

        Raises SettingsError where that is not possible.
        """
        _make(self.path)
        return self

    def folder(self, name: str) -> Path:
        """Return the sub-folder `name`, created with mode 0700 where it is missing."""
        self.create()
        path = self.path / name
        _make(path)
        return path

    @property
    def database(self) -> Path:
        """Folder of the embedded server: data directory, locks, log."""
        return self.folder("database")

    @property
    def artifacts(self) -> Path:
        """Folder of the local artifact store."""
        return self.folder("artifacts")

    @property
    def reports(self) -> Path:
        """Folder of tear sheets and other reports."""
        return self.folder("reports")

    @property
    def dagster(self) -> Path:
        """Folder of Dagster's own files (compute logs, history)."""
        return self.folder("dagster")


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise SettingsError(
            f"The home needs a folder at {path}, but a file is there: move it or choose --home."
        ) from None
    except OSError as error:
        raise SettingsError(f"The folder {path} cannot be created ({error.strerror}): choose another --home.") from None
