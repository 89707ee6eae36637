"""Places that are no local folder: a bucket or another store that fsspec reaches, and why one cannot be used.

Belongs here: opening such a place, and the reason of a failure in words. Does not belong here: what is stored there.
"""

from __future__ import annotations

from typing import Any

from throughline.errors import StorageError, printable, shown

_LONGEST = 120
"""Characters that are repeated of what a store answers."""


def open_remote(url: str, what: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL and the path inside it.

    Args:
        url: ``scheme://...``.
        what: what lies there, for the message ("the artifact store (THROUGHLINE_ARTIFACTS)").

    Raises:
        StorageError: the scheme is not known, the package for it is not installed, or the address cannot be read.
    """
    import fsspec

    scheme = url.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError:
        raise StorageError(
            f"{what} is at {shown(f'{scheme}://')}, and the package for that is not installed: install the one that "
            "fsspec names for it (s3fs for s3://, gcsfs for gs://), or name a folder"
        ) from None
    except Exception:  # each store has its own errors for an address that it cannot read
        known = scheme in fsspec.available_protocols()
        problem = (
            "the address cannot be read" if known else f"{shown(f'{scheme}://')} is no kind of place that is known"
        )
        raise StorageError(
            f"{what} cannot be used: {problem}; name a folder, or a bucket such as s3://bucket/prefix"
        ) from None
    return system, str(path)


def reason_of(error: BaseException) -> str:
    """Return why the system or a store refused, in a few words and without numbers of errors."""
    reason = getattr(error, "strerror", None)
    if isinstance(reason, str) and reason:
        return reason
    lines = str(error).strip().splitlines()
    return printable(lines[0][:_LONGEST]) if lines else "no reason was given"
