"""Reading a proof file, which may come from anybody: bounded in size, in depth, and in how it may be understood.

Belongs here: from a path to JSON that has one reading. Does not belong here: what the JSON says (check).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from throughline.errors import SettingsError
from throughline.proof.errors import ProofError

MOST_BYTES = 16 * 1024 * 1024
"""No proof is larger: that of a whole trade with ten records takes about 31 kB."""
MOST_DEPTH = 64
"""No proof is nested deeper: bodies of records hold about six levels."""
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)  # one that never ends is one string: linear time
_BRACKETS = re.compile(rb"[\[\]{}]")


def read_proof_file(path: Path) -> Any:
    """Return the JSON of a proof file. Raises ProofError, in one sentence, for a file that has not exactly one reading.

    Raises SettingsError for a file that cannot be opened.

    Refused: a file that is larger or more deeply nested than any proof, that is not UTF-8 without
    a byte order mark, that is no JSON, and an object that names a key twice (another reader takes the other value).
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"the proof {path} cannot be read ({error.strerror}): give the file's path") from None
    if len(data) > MOST_BYTES:
        raise ProofError(f"{path} is larger than {MOST_BYTES // 2**20} MB: it is not a proof")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise ProofError(f"{path} begins with a byte order mark: a proof is plain UTF-8, so this file was changed")
    if _depth(data) > MOST_DEPTH:
        raise ProofError(f"{path} is nested deeper than {MOST_DEPTH} levels: it is not a proof")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise ProofError(f"{path} is not UTF-8 (byte {error.start + 1}): a proof is plain UTF-8") from None
    except json.JSONDecodeError as error:
        raise ProofError(f"{path} is no JSON (line {error.lineno}, column {error.colno}): it is not a proof") from None
    except _TwiceNamed as error:
        key = str(error)[:40]
        raise ProofError(f"{path} names the key '{key}' twice in one object: it can be read in two ways") from None
    except ValueError:
        raise ProofError(
            f"{path} holds a number that is not finite or has thousands of digits: it is not a proof"
        ) from None


class _TwiceNamed(Exception):
    """An object has a key twice; the text is the key."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _TwiceNamed(key)
            seen.add(key)
    return told


def _no_number(name: str) -> Any:
    raise ValueError(name)


def _depth(data: bytes) -> int:
    """Return how deep brackets are nested outside strings, up to just beyond `MOST_DEPTH`."""
    depth = deepest = 0
    for found in _BRACKETS.finditer(_STRINGS.sub(b"", data)):
        depth += 1 if found[0] in b"[{" else -1
        deepest = max(deepest, depth)
        if deepest > MOST_DEPTH:
            break
    return deepest
