"""Reading Parquet and Feather: the requested columns as pyarrow arrays.

Belongs here: these two formats. Does not belong here: what types mean (`columns`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from throughline.errors import ArchiveError, printable
from throughline.market.header import place_columns
from throughline.market.settings_table import Column
from throughline.market.unpacking import format_hint, head_of, looks_like

_MOST_VALUES = 500_000_000
"""Values that are read of one Parquet file: 4 GB as numbers. A small file may say one value a billion times."""
_NAMES = {"parquet": "Parquet", "feather": "Feather"}


def read_arrow(path: Path, form: str, requested: Sequence[Column]) -> tuple[Mapping[Column, Any], tuple[str, ...]]:
    """Return (column -> pyarrow array, names of all columns). form: "parquet" or "feather".

    Raises:
        ArchiveError: the file is of another format, damaged, empty, or lacks a column.
    """
    import pyarrow as pa

    head = head_of(path)
    if not head:
        raise _fail(path, "is empty; remove it from the archive or write it anew")
    if looks_like(head) != _NAMES[form]:
        raise _fail(path, f"cannot be read as {_NAMES[form]}{format_hint(head) or ': it is something else'}")
    try:
        names, places, table = _read(path, form, requested)
    except (pa.ArrowException, OSError, ValueError, KeyError):
        raise _fail(path, f"cannot be read as {_NAMES[form]}: the file is damaged or cut off") from None
    if isinstance(places, str):
        raise _fail(path, places)
    if table is None:
        raise _fail(path, f"holds more than {_MOST_VALUES:,} values in the columns that are read; split it")
    if table.num_rows == 0:
        raise _fail(path, "has no rows; remove it from the archive or fill it")
    return {column: _one(table.column(names[place])) for column, place in places.items()}, names


def _read(path: Path, form: str, requested: Sequence[Column]) -> tuple[tuple[str, ...], dict[Column, int] | str, Any]:
    if form == "parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:
            names = tuple(file.schema_arrow.names)
            places = _unique(place_columns(requested, names), names)
            if isinstance(places, str):
                return names, places, None
            if file.metadata.num_rows * len(set(places.values())) > _MOST_VALUES:
                return names, places, None
            table = file.read(columns=[names[place] for place in set(places.values())], use_threads=True)
        table.validate(full=True)  # texts that are not UTF-8 among others
        return names, places, table
    import pyarrow.feather as feather

    table = feather.read_table(path, memory_map=False)
    table.validate(full=True)  # a damaged file reads as offsets that lead out of its buffers
    names = tuple(table.schema.names)
    return names, _unique(place_columns(requested, names), names), table


def _unique(places: dict[Column, int] | str, names: Sequence[str]) -> dict[Column, int] | str:
    """Refuse a position whose column's name stands twice: these formats are read by name."""
    if isinstance(places, dict):
        for place in places.values():
            if list(names).count(names[place]) > 1:
                return f"has column number {place + 1} under a name that stands twice; write the file with other names"
    return places


def _one(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _fail(path: Path, message: str) -> ArchiveError:
    return ArchiveError(f"{printable(str(path))}: {message}")
