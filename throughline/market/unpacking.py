"""The bytes of a text file, unpacked where it is compressed, and what a file looks like by its first bytes.

Belongs here: gzip, bzip2, xz and zip with one member. Does not belong here: what the text says (`csv_file`,
`json_file`). A file is unpacked in steps and refused beyond `LARGEST`, so that a small file cannot fill the memory.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import IO, Protocol

from throughline.errors import ArchiveError, printable, shown

LARGEST = 2 << 30
"""Bytes that one file may unpack to: 2 GiB."""
_STEP = 1 << 20
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "an empty zip file"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"7z\xbc\xaf", "7-Zip"),
    (b"Rar!", "RAR"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Feather"),
    (b"FEA1", "Feather"),
    (b"\x89HDF", "HDF5"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0", "an Excel file"),
    (b"%PDF", "PDF"),
)
_FORMATS = {"Parquet": "parquet", "Feather": "feather", "JSON": "json"}


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def looks_like(head: bytes) -> str | None:
    """Return what a file is by its first bytes, in words; None where nothing is known of them."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "a web page"
    if text.startswith((b"[", b"{")):
        return "JSON"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16 text"
    return None


def format_hint(head: bytes) -> str:
    """Return ``"; it looks like ..."`` with the setting that reads it, or an empty text."""
    kind = looks_like(head)
    if kind is None:
        return ""
    if kind in _FORMATS:
        return f'; it looks like {kind}: write format = "{_FORMATS[kind]}"'
    return f"; it looks like {kind}"


def head_of(path: Path) -> bytes:
    """Return the first 512 bytes of a file. Raises ArchiveError where it cannot be opened."""
    with _opened(path) as handle:
        return handle.read(512)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, unpacked if it is compressed.

    Raises:
        ArchiveError: it cannot be opened or unpacked, is too large, or is a zip file of several members.
    """
    kind = looks_like(head_of(path))
    name = printable(str(path))
    try:
        if kind == "zip":
            return _from_zip(path)
        if kind == "gzip":
            with gzip.open(path, "rb") as handle:
                return _bounded(handle, path)
        if kind == "bzip2":
            with bz2.open(path, "rb") as handle:
                return _bounded(handle, path)
        if kind == "xz":
            with lzma.open(path, "rb") as handle:
                return _bounded(handle, path)
        if kind in ("zstd", "lz4", "7-Zip", "RAR", "an empty zip file"):
            raise ArchiveError(f"{name}: looks like {kind}, which is not read; unpack it, or pack it with gzip")
        with _opened(path) as handle:
            return _bounded(handle, path)
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        raise ArchiveError(
            f"{name}: cannot be unpacked: the {kind or 'text'} file is damaged, cut off or encrypted"
        ) from None


def _from_zip(path: Path) -> bytes:
    with zipfile.ZipFile(path) as packed:
        members = [
            item for item in packed.infolist() if not item.is_dir() and not item.filename.startswith("__MACOSX/")
        ]
        if len(members) != 1:
            names = ", ".join(shown(item.filename) for item in members[:3])
            raise ArchiveError(
                f"{printable(str(path))}: holds {len(members)} files ({names}{', ...' if len(members) > 3 else ''}); "
                "a zip file is read where it holds exactly one: unpack it"
            )
        with packed.open(members[0]) as handle:
            return _bounded(handle, path)


def _bounded(handle: _Readable, path: Path) -> bytes:
    parts, size = [], 0
    while part := handle.read(_STEP):
        size += len(part)
        if size > LARGEST:
            raise ArchiveError(f"{printable(str(path))}: holds more than {LARGEST >> 30} GiB of text; split it")
        parts.append(part)
    return b"".join(parts)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError:
        name = printable(str(path))
        raise ArchiveError(f"{name}: no such file; check --data and the path in the description") from None
    except OSError as error:
        raise ArchiveError(f"{printable(str(path))}: cannot be opened ({error.strerror}); check its rights") from None
