"""Reading one described table: all its files as one set of columns, each row with the instrument it is of.

Belongs here: which files, which instrument, and where a row came from. Does not belong here: file formats
(`columns`), whether files fit together (`pieces`), rules on rows (`cleaning`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from throughline.errors import ArchiveError, printable, shown
from throughline.market.columns import F64, I64, Names, Rows, read_rows
from throughline.market.copies import copies_error, original_of
from throughline.market.layout import TableLayout
from throughline.market.names import alike, did_you_mean, name_fault
from throughline.market.paths import (
    INSTRUMENT,
    DataFolders,
    find_files,
    hive_parts,
    hive_value,
    instrument_of,
    plain_stem,
    require_whole_names,
)
from throughline.market.settings_table import Column
from throughline.market.stamps import read_stamps

I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Table:
    """The rows of a table, in the order of its files.

    names: the instruments, sorted by UTF-8 bytes. code: int32 per row, into names. stamp: Unix ms per row. values,
    times: column -> float64, and Unix ms. files: their names in messages; present: the columns that each has.
    origin: per row, its number (from 0) over all files; starts: number of each file's first row. by_path: whether the
    files' paths name the instruments, by a pattern, their names or a Hive partition. partitions: the Hive partitions of
    each file's path, key to value.
    """

    names: tuple[str, ...]
    code: I32
    stamp: I64
    values: dict[Column, F64]
    times: dict[Column, I64]
    files: tuple[str, ...]
    present: tuple[tuple[str, ...], ...]
    origin: I64
    starts: I64
    by_path: bool
    partitions: tuple[Mapping[str, str], ...] = ()

    def place(self, row: int) -> str:
        """Return where a row stands in words: its file and its number there, from 1."""
        file = int(np.searchsorted(self.starts, self.origin[row], "right")) - 1
        return f"{self.files[file]}: row {int(self.origin[row] - self.starts[file]) + 1}"

    def file_of(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the number of the file of each row."""
        return np.searchsorted(self.starts, self.origin[rows], "right") - 1

    def select(self, rows: NDArray[np.intp]) -> Table:
        """Return some of the rows, in the order given."""
        return replace(
            self,
            code=self.code[rows],
            stamp=self.stamp[rows],
            values={name: column[rows] for name, column in self.values.items()},
            times={name: column[rows] for name, column in self.times.items()},
            origin=self.origin[rows],
        )

    def only(self, requested: Sequence[str]) -> Table:
        """Return the rows of some instruments, all of which must be there."""
        chosen = tuple(name for name in self.names if name in set(requested))
        place = np.full(len(self.names), -1, np.int32)
        for number, name in enumerate(chosen):
            place[self.names.index(name)] = number
        rows = np.flatnonzero(place[self.code] >= 0)
        return replace(self.select(rows), names=chosen, code=place[self.code[rows]])


def read_table(
    layout: TableLayout, folders: DataFolders, numbers: Sequence[Column], times: Sequence[Column] = ()
) -> Table:
    """Read every file of a table.

    Args:
        layout: the table's description.
        folders: where files may lie.
        numbers: the columns to read as float64.
        times: the columns to read as Unix ms, beside the stamp.

    Raises:
        ArchiveError: naming file, row and column.
    """
    files = find_files(folders, layout.file)
    if layout.instrument is None and INSTRUMENT not in layout.file:
        require_whole_names([(plain_stem(path), path) for path in files])
    partitions = tuple(hive_parts(folders, path) for path in files)
    by_path = layout.instrument is None or all(layout.instrument in parsed for parsed in partitions)
    read = [_read_file(layout, folders, path, [*numbers, layout.time, *times]) for path in files]
    _require_one_order([*numbers, layout.time, *times], [rows for rows, _ in read])
    if by_path:
        _require_a_file_each([(parsed.names[0], path) for (_, parsed), path in zip(read, files, strict=True)])
    names = tuple(sorted({name for _, parsed in read for name in parsed.names}, key=lambda name: name.encode()))
    place = {name: number for number, name in enumerate(names)}
    code = [np.array([place[name] for name in parsed.names], np.int32)[parsed.codes] for _, parsed in read]
    counts = np.array([len(rows) for rows, _ in read], np.int64)
    return Table(
        names=names,
        code=np.concatenate(code),
        stamp=_joined([read_stamps(rows, layout.time, layout) for rows, _ in read]),
        values={name: _joined([rows.numbers(name) for rows, _ in read]) for name in dict.fromkeys(numbers)},
        times={name: _joined([read_stamps(rows, name, layout) for rows, _ in read]) for name in dict.fromkeys(times)},
        files=tuple(rows.file for rows, _ in read),
        present=tuple(rows.present for rows, _ in read),
        origin=np.arange(int(counts.sum()), dtype=np.int64),
        starts=np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64),
        by_path=by_path,
        partitions=partitions,
    )


def _require_one_order(requested: Sequence[Column], files: Sequence[Rows]) -> None:
    """Refuse files of which a column that is given by its position has another name in another file."""
    for column in dict.fromkeys(requested):
        if not isinstance(column, int):
            continue
        first = files[0].present[column - 1]
        for rows in files[1:]:
            if rows.present[column - 1] != first:
                raise ArchiveError(
                    f"{files[0].file} and {rows.file}: column number {column} is {shown(first)} in one and "
                    f"{shown(rows.present[column - 1])} in the other; give the column by its name"
                )


def _require_a_file_each(named: Sequence[tuple[str, Path]]) -> None:
    """Refuse one file that gives two instruments, by a link to it or to its folder."""
    first: dict[tuple[int, int], tuple[str, Path]] = {}
    for name, path in named:
        status = path.stat()
        other, before = first.setdefault((status.st_dev, status.st_ino), (name, path))
        if other != name:
            raise ArchiveError(
                f"{printable(str(before))} and {printable(str(path))} are one file (a link), and would be two "
                f"instruments, {shown(other)} and {shown(name)}; remove the link"
            )


_Kind = TypeVar("_Kind", bound=np.generic)


def _joined(parts: list[NDArray[_Kind]]) -> NDArray[_Kind]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _read_file(layout: TableLayout, folders: DataFolders, path: Path, requested: list[Column]) -> tuple[Rows, Names]:
    if layout.instrument is None:
        name = instrument_of(folders, layout.file, path) if INSTRUMENT in layout.file else plain_stem(path)
        rows = read_rows(path, layout.source, requested)
        return rows, _one_name(rows, path, name)
    # A Hive partition `symbol=AAA` names the instrument of files that do not hold the column themselves.
    folder = hive_value(folders, path, layout.instrument) if isinstance(layout.instrument, str) else None
    if folder is None:
        rows = read_rows(path, layout.source, [*requested, layout.instrument])
        return rows, rows.names(layout.instrument)
    rows = read_rows(path, layout.source, requested)
    if layout.instrument in rows.present:
        raise rows.fail(
            f"column {shown(layout.instrument)} names the instrument, and so does the folder {shown(layout.instrument)}"
            f"={shown(folder)}; read one of them: rename the folder, or write {layout.instrument}={INSTRUMENT} in file"
        )
    return rows, _one_name(rows, path, folder)


def _one_name(rows: Rows, path: Path, name: str) -> Names:
    fault = name_fault(name)
    if fault is not None:
        raise ArchiveError(f"{printable(str(path))}: the instrument's name in this path {fault}")
    return Names(np.zeros(len(rows), np.int32), (unicodedata.normalize("NFC", name),))


def require_known(requested: Sequence[str], table: Table, where: str, pattern: str) -> None:
    """Raise ArchiveError for the first name that the table does not hold.

    Args:
        requested: the names.
        table: what must hold them.
        where: the file and key that name them, for the message.
        pattern: what the message calls the table.
    """
    known = set(table.names)
    for name in requested:
        if name not in known:
            raise ArchiveError(
                f"{where} names {shown(name)}, which {pattern} does not hold{did_you_mean(name, table.names)}"
            )


def require_no_copies(table: Table) -> None:
    """Refuse two instruments of which the path of one is named like a copy of the other's (`copies`).

    Raises:
        ArchiveError: naming both files and the remedy.
    """
    if not table.by_path:
        return
    names = set(table.names)
    for name in table.names:
        original = original_of(name, names)
        if original is not None:
            files = (_file_with(table, original), _file_with(table, name))
            raise copies_error(original, name, files, "name both in bars.only with the others that you want")


def _file_with(table: Table, name: str) -> str:
    """Return the first file with rows of an instrument, as messages name it."""
    first = np.flatnonzero(table.code == table.names.index(name))[:1]
    return table.files[int(table.file_of(first)[0])]


def require_different_places(table: Table, roles: Sequence[tuple[str, Column | None]]) -> None:
    """Refuse one column of a file that the description names twice, once by name and once by position.

    Args:
        table: the bars.
        roles: what each column of the description is, and the column.

    Raises:
        ArchiveError: naming the file and both.
    """
    if not any(isinstance(column, int) for _, column in roles):
        return
    for file, present in zip(table.files, table.present, strict=True):
        seen: dict[int, str] = {}
        for role, column in roles:
            if column is None or (isinstance(column, str) and column not in present):
                continue  # the latter is a Hive partition
            place = column - 1 if isinstance(column, int) else present.index(column)
            other = seen.setdefault(place, role)
            if other != role:
                raise ArchiveError(
                    f"{file}: bars.{other} and bars.{role} are one column, number {place + 1} "
                    f"({shown(present[place])}); name another one for one of them"
                )


def require_different(table: Table) -> None:
    """Refuse two names that look alike: they are one instrument spelled twice, or nobody could tell them apart.

    Raises:
        ArchiveError: naming both, and where each stands first.
    """
    both = alike(table.names)
    if both is None:
        return
    one, other = (table.place(int(np.flatnonzero(table.code == table.names.index(name))[0])) for name in both)
    raise ArchiveError(
        f"{shown(both[0])} ({one}) and {shown(both[1])} ({other}) are names that differ in case, width, spaces or "
        "invisible characters alone; write one name for one instrument, or choose with bars.only"
    )
