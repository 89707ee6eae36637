"""How the core is compiled: no fast-math, one cache on the disk for all of its files. Imports numba; load it lazily.

Arithmetic: only + - * / sqrt and round-to-integer on IEEE doubles, in fixed order, no fast-math and no contraction into
fused operations (a test looks into the machine code), so results have the same bits on every processor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba  # noqa: TID253 - this module is only loaded by the first simulation
from numba.core.caching import FunctionCache  # noqa: TID253

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"error_model": "numpy"}
_WITHOUT_COUNTS: dict[str, Any] = _OPTIONS | {"_nrt": False}


@cache
def stamp(folder: Path = Path(__file__).parent) -> str:
    """Return the hash of the files of `folder` (this package) that compiled functions are made from."""
    files = sorted(
        [*folder.glob("kernel/*.py"), *(folder / name for name in ("compiling.py", "ordering.py", "types.py"))]
    )
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files if file.exists())).hexdigest()


class _PackageCache(FunctionCache):
    """numba's cache, stamped with all files of the core: numba looks at the file of the outermost function only,
    and would go on using the machine code of an inner function that another file has changed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._cache_file._source_stamp = stamp()


def compiled(function: F) -> F:
    """Compile an entrance of the core, with a cache on the disk where a folder for it can be written."""
    return _cached(function, numba.njit(**_OPTIONS)(function))


def compiled_without_arrays(function: F) -> F:
    """Compile an entrance that makes no arrays, without numba's reference counts (`_nrt`).

    Counting the dozen arrays of `BarArrays` at each inner call took three quarters of the time.
    """
    return _cached(function, numba.njit(**_WITHOUT_COUNTS)(function))


def inlined(function: F) -> F:
    """Compile a part of an entrance into it. Such a part makes no arrays."""
    return cast(F, numba.njit(forceinline=True, **_WITHOUT_COUNTS)(function))


def _cached(function: F, dispatcher: Any) -> F:
    try:
        dispatcher._cache = _PackageCache(function)
    except RuntimeError:  # "no locator available": neither the package folder nor a user cache folder is writable
        return cast(F, dispatcher)
    return cast(F, dispatcher)
