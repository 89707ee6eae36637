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
_SUSPECT = 64 << 20
_MOST_TIMES, _MOST_TIMES_STRONG = 300, 3_000
"""Beyond `_SUSPECT` bytes a gzip or zip file, and a bzip2 or xz file, may unpack to so many times its size. Bars pack
to a third to a thirtieth, flat candles of a dead coin to a fourteenth with gzip and to a hundredth with xz."""
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
    (b"version https://git-lfs.github.com", "a Git LFS pointer, which stands for a file that was not downloaded"),
    (b"/annex/objects/", "a git-annex pointer, which stands for a file that was not downloaded"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"ORC", "ORC"),
    (b"Obj\x01", "Avro"),
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
    if head[257:262] == b"ustar":
        return "a tar archive"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    if text.startswith(b"<"):
        return "a web page or XML"
    if text.startswith((b"[", b"{")):
        return "JSON"
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32 text"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _every_second_byte_is_zero(head):
        return "UTF-16 text"
    return None


def _every_second_byte_is_zero(head: bytes) -> bool:
    """Say whether this is UTF-16 of mostly ASCII characters without a byte order mark."""
    some = head[:64]
    return len(some) >= 4 and any(
        some[start::2].count(0) == len(some[start::2]) and 0 not in some[1 - start :: 2] for start in (0, 1)
    )


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
    size = path.stat().st_size
    if size > LARGEST:
        raise _too_large(path)
    try:
        if kind == "zip":
            return _from_zip(path)
        if kind == "gzip":
            with gzip.open(path, "rb") as handle:
                return _bounded(handle, path, size)
        if kind == "bzip2":
            with bz2.open(path, "rb") as handle:
                return _bounded(handle, path, size, _MOST_TIMES_STRONG)
        if kind == "xz":
            with lzma.open(path, "rb") as handle:
                return _bounded(handle, path, size, _MOST_TIMES_STRONG)
        if kind in ("zstd", "lz4", "7-Zip", "RAR", "an empty zip file"):
            raise ArchiveError(f"{name}: looks like {kind}, which is not read; unpack it, or pack it with gzip")
        with _opened(path) as handle:
            return _bounded(handle, path, size)
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        raise ArchiveError(
            f"{name}: cannot be unpacked: the {kind or 'text'} file is damaged, cut off or encrypted"
        ) from None


def _from_zip(path: Path) -> bytes:
    with zipfile.ZipFile(path) as packed:
        members = [item for item in packed.infolist() if not item.is_dir() and not _by_macos(item.filename)]
        if any(item.filename == "[Content_Types].xml" for item in members):
            raise ArchiveError(
                f"{printable(str(path))}: looks like an Excel workbook, which is not read; save the sheet as CSV"
            )
        if len(members) != 1:
            names = ", ".join(shown(item.filename) for item in members[:3])
            raise ArchiveError(
                f"{printable(str(path))}: holds {len(members)} files{f' ({names}' if members else ''}"
                f"{', ...' if len(members) > 3 else ''}{')' if members else ''}; "
                "a zip file is read where it holds exactly one: unpack it"
            )
        with packed.open(members[0]) as handle:
            return _bounded(handle, path, members[0].compress_size)


def _by_macos(name: str) -> bool:
    """Say whether a member was put into a zip file by macOS and not by the user."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2] in (".DS_Store",)


def _bounded(handle: _Readable, path: Path, packed: int, times: int = _MOST_TIMES) -> bytes:
    """Return all that a file of `packed` bytes unpacks to.

    Raises ArchiveError as soon as it is too large, larger than text ever is beside its packed form, or a long run of
    NUL characters, as in a file that is filled up with nothing.
    """
    parts, size = [], 0
    while part := handle.read(_STEP):
        size += len(part)
        if size > LARGEST:
            raise _too_large(path)
        if size > _SUSPECT and size > times * packed:
            raise ArchiveError(
                f"{printable(str(path))}: unpacks to more than {times:,} times its size, which no table does; "
                "unpack it and look what it is"
            )
        if not part.strip(b"\0"):
            raise ArchiveError(
                f"{printable(str(path))}: holds nothing but NUL characters from byte {size - len(part):,} on; is the "
                "file damaged, or its download cut off?"
            )
        parts.append(part)
    return b"".join(parts)


def _too_large(path: Path) -> ArchiveError:
    return ArchiveError(f"{printable(str(path))}: holds more than {LARGEST >> 30} GiB; split it into several files")


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError:
        name = printable(str(path))
        raise ArchiveError(f"{name}: no such file; check --data and the path in the description") from None
    except OSError as error:
        raise ArchiveError(f"{printable(str(path))}: cannot be opened ({error.strerror}); check its rights") from None
