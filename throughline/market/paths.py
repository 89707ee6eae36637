"""Which files a description names, and the instrument that a path names: templates, folders, confinement.

Belongs here: patterns and paths. Does not belong here: what is in the files (`tables`).

A pattern is a path with the wildcards ``*``, ``?``, ``[...]`` (within one folder) and ``**`` (folders), and the
placeholders ``{instrument}``, ``{year}`` (four digits), ``{month}`` and ``{day}`` (two digits). The instrument is never
guessed: a path in which the placeholder could be two different texts is refused. A part of the form
``key={instrument}`` is a Hive partition, whose value is percent-decoded as Spark writes it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from throughline.errors import ArchiveError, printable, shown
from throughline.market.copies import copies_error, original_of
from throughline.market.folder_search import file_fault, matching_files

INSTRUMENT = "{instrument}"
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
_DIGITS = {"{year}": 4, "{month}": 2, "{day}": 2}
_PLACEHOLDER = re.compile(r"\{[^{}/]*\}")
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class DataFolders:
    """The folders that an archive may read: `main` (--data), which relative paths start from, and others named too."""

    main: Path
    also: tuple[Path, ...] = ()

    def holds(self, path: Path) -> bool:
        """Say whether `path` lies in one of the folders after all links are followed."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError):  # a link that leads to itself
            return False
        return any(real.is_relative_to(folder.resolve()) for folder in (self.main, *self.also))

    def below(self, path: Path) -> tuple[str, ...]:
        """Return the parts of `path` below the data folder that it lies in: what stands above is none of its matter."""
        for folder in (self.main, *self.also):
            if path.is_relative_to(folder):
                return path.relative_to(folder).parts
        return path.parts[-1:]


def pattern_fault(pattern: str) -> str | None:
    """Return what is wrong with a pattern of a description, or None."""
    for placeholder in _PLACEHOLDER.findall(pattern):
        if placeholder != INSTRUMENT and placeholder not in _DIGITS:
            return f"holds {shown(placeholder)}; the placeholders are {INSTRUMENT}, {', '.join(_DIGITS)}"
    if pattern.count(INSTRUMENT) > 1:
        return f"holds {INSTRUMENT} twice; name the instrument once"
    parts = PurePosixPath(pattern).parts
    dynamic = next((place for place, part in enumerate(parts) if _is_dynamic(part)), len(parts))
    if ".." in parts[dynamic:]:
        return "holds '..' after a wildcard or placeholder; it may stand only at the beginning"
    if any("**" in part and part != "**" for part in parts):
        return "holds '**' beside other characters; it stands for whole folders ('**/')"
    if parts and parts[-1] == "**":
        return "ends in '**'; name the files in the folders ('**/*.csv')"
    return None


def find_files(folders: DataFolders, pattern: str) -> list[Path]:
    """Return the files that a pattern names, in order of path.

    Raises:
        ArchiveError: there is no such folder or file, or a file lies outside the data folders. Nothing is read.
    """
    for folder, remedy in [
        (folders.main, "give the folder that holds the data with --data"),
        *((folder, "mend --data-also") for folder in folders.also),
    ]:
        fault = _folder_fault(folder)
        if fault is not None:
            raise ArchiveError(f"{printable(str(folder))}: {fault}; {remedy}")
    anchor, rest = _split(pattern)
    base = folders.main / anchor
    _require_inside(folders, base / rest if not _is_dynamic(rest) else base, pattern)
    if _is_dynamic(rest):
        files = matching_files(base, _glob(rest))
        if INSTRUMENT in rest or any(mark in rest for mark in _DIGITS):
            expression = re.compile(_expression(rest))
            files = [path for path in files if expression.fullmatch(path.relative_to(base).as_posix())]
    else:
        files = _the_file(base / rest)
    if not files:
        name = printable(str(folders.main / pattern))
        hint = "; folders are divided by / in a description, not by \\" if "\\" in pattern else ""
        raise ArchiveError(f"{name}: no such file; check --data and the path in the description{hint}")
    for path in files:
        _require_inside(folders, path, pattern)
    return files


def _folder_fault(folder: Path) -> str | None:
    try:
        if folder.is_dir():
            return None
        return "is no folder" if folder.exists() else "no such folder"
    except OSError as error:
        return f"may not be read ({error.strerror})"


def _the_file(path: Path) -> list[Path]:
    """Return a file that is named without wildcards; nothing where it is not there. Raises ArchiveError for others."""
    try:
        if path.is_file():
            return [path]
        there = path.is_symlink() or path.exists()
    except PermissionError:
        raise ArchiveError(f"{printable(str(path))}: may not be read; check the rights of its folders") from None
    except OSError:  # a name longer than the file system allows
        return []
    if not there:
        return []
    name = printable(str(path))
    if path.is_dir():
        raise ArchiveError(
            f"{name}: is a folder, and there is no such file; name the files in it, as in 'folder/*.csv'"
        )
    raise ArchiveError(f"{name}: {file_fault(path)}; give a plain file")


def _require_inside(folders: DataFolders, path: Path, pattern: str) -> None:
    if not folders.holds(path):
        raise ArchiveError(
            f"{printable(str(path))}: lies outside the folder given with --data (the description names "
            f"{shown(pattern)}); allow its folder with --data-also DIR, or move the file"
        )


def instrument_of(folders: DataFolders, pattern: str, path: Path) -> str:
    """Return the instrument that `path` names through the ``{instrument}`` of `pattern`.

    Raises:
        ArchiveError: the placeholder fits more than one part of the path.
    """
    anchor, rest = _split(pattern)
    relative = path.relative_to(folders.main / anchor).as_posix()
    before, _, after = rest.partition(INSTRUMENT)
    head, tail = re.compile(_expression(before)), re.compile(_expression(after))
    starts = [place for place in range(len(relative)) if head.fullmatch(relative, 0, place)]
    ends = [place for place in range(1, len(relative) + 1) if tail.fullmatch(relative, place)]
    names = {relative[i:j] for i in starts for j in ends if i < j and "/" not in relative[i:j]}
    if len(names) > 1:
        first, second = sorted(names, key=lambda text: (len(text), text.encode("utf-8", "surrogatepass")))[:2]
        raise ArchiveError(
            f"{printable(str(path))}: {shown(pattern)} reads the instrument as {shown(first)} or as {shown(second)}; "
            "write more of the name into the pattern, for example {year}-{month} for a date"
        )
    return decoded(names.pop()) if before.endswith("=") else names.pop()


def hive_value(folders: DataFolders, path: Path, key: str) -> str | None:
    """Return the value of the Hive partition `key` (``key=value``, the innermost) below the data folder, or None."""
    for part in reversed(folders.below(path)[:-1]):
        name, equals, value = part.partition("=")
        if equals and decoded(name) == key:
            return decoded(value)
    return None


def hive_parts(folders: DataFolders, path: Path) -> dict[str, str]:
    """Return all Hive partitions of a path below the data folder, key to value; of two of one key the innermost."""
    parts = (part.partition("=") for part in folders.below(path)[:-1])
    return {decoded(name): decoded(value) for name, equals, value in parts if equals}


def decoded(value: str) -> str:
    """Return a Hive partition's text: percent-decoded; the mark for "no value" becomes empty."""
    return "" if value == _HIVE_NULL else unquote(value)


def plain_stem(path: Path) -> str:
    """Return a file's name without its ending, and without the ending of a compression before it."""
    name = path.name
    for ending in COMPRESSED:
        if name.lower().endswith(ending) and Path(name[: -len(ending)]).suffix:
            return Path(name[: -len(ending)]).stem
    return Path(name).stem


def ending_of(file: str) -> str:
    """Return the ending that tells a file's format, lower case without the point; "" where there is none."""
    path = PurePosixPath(file)
    ending = path.suffix.lower()
    if ending in COMPRESSED:
        inner = PurePosixPath(path.stem).suffix.lower()
        return inner.lstrip(".") if inner and not _is_dynamic(inner) else ending.lstrip(".")
    return ending.lstrip(".")


_PIECE = re.compile(
    r"(?:[-_. ()]+(?:\d+[a-z]?\d*|q\d|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
    r"|january|february|march|april|june|july|august|september|october|november|december)(?=[-_. ()]|$)\)?)+",
    re.IGNORECASE,
)


def require_whole_names(stems: Sequence[tuple[str, Path]]) -> None:
    """Refuse file names that cannot be an instrument each.

    Two files of one name are two instruments or one (``OLD/1h.csv``, ``NEW/1h.csv``), and names that differ in numbers
    or dates alone (``AAAUSDT-1h-2024-02``, ``-03``) are one instrument in pieces, or in two intervals.

    Raises:
        ArchiveError: naming two files and the pattern to write.
    """
    first: dict[str, tuple[str, Path]] = {}
    for stem, path in stems:
        key = _PIECE.sub("", stem)
        if key not in first:
            first[key] = (stem, path)
            continue
        other, before = first[key]
        names = f"{printable(str(before))} and {printable(str(path))}"
        if other == stem:
            raise ArchiveError(
                f"{names} would both be the instrument {shown(stem)} (instrument_from_file_name); say which part of "
                f'the path names it, for example file = "{INSTRUMENT}/{printable(path.name)}"'
            )
        for one, copy, files in ((other, stem, (before, path)), (stem, other, (path, before))):
            if original_of(copy, {one}) is not None:
                remedy = f'write file = "{INSTRUMENT}{printable(path.suffix)}" and name both in bars.only'
                raise copies_error(one, copy, (printable(str(files[0])), printable(str(files[1]))), remedy)
        raise ArchiveError(
            f"{names} look like one instrument in pieces, but instrument_from_file_name makes an instrument of each; "
            "say which part of the name it is, for example file = "
            f"{_suggested(other, stem, printable(path.suffix))}, or "
            f'file = "{INSTRUMENT}{printable(path.suffix)}" if each is one'
        )


def _suggested(one: str, other: str, ending: str) -> str:
    """Return, in quotes, a pattern that reads two names such as AAAUSDT-1h-2024-02 and -03 in one way.

    What comes before the first number is the instrument; what both have in common behind it stands in the pattern.
    """
    match = _PIECE.search(other)
    place = match.start() if match else len(other)
    mark = other[place : place + 1]
    left, right = one[place:], other[place:]
    head = _up_to_a_mark(left, right)
    left, right = left[len(head) :], right[len(head) :]
    tail = _up_to_a_mark(left[::-1], right[::-1])[::-1]
    parts = [re.sub(r"(?<!\d)\d{4}(?!\d)", "{year}", printable(part)) for part in (head or mark, tail)]
    short, whole = INSTRUMENT + mark + "*" + ending, INSTRUMENT + "*".join(parts) + ending
    return f'"{whole}"' if whole == short else f'"{whole}" ("{short}" could mean several parts)'


def _up_to_a_mark(one: str, other: str) -> str:
    """Return what two texts have in common at their beginning, up to the last mark between words."""
    count = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    shared = one[:count]
    return shared[: max(shared.rfind(mark) for mark in "-_. (") + 1]


def _split(pattern: str) -> tuple[str, str]:
    """Return (folder without wildcards, the rest); the rest is at least the file's name."""
    parts = PurePosixPath(pattern).parts
    dynamic = next((place for place, part in enumerate(parts) if _is_dynamic(part)), len(parts) - 1)
    place = min(dynamic, len(parts) - 1)
    return str(PurePosixPath(*parts[:place])) if place else ".", str(PurePosixPath(*parts[place:]))


def _is_dynamic(text: str) -> bool:
    return any(mark in text for mark in ("*", "?", "[", INSTRUMENT, *_DIGITS))


def _glob(rest: str) -> str:
    for mark, count in _DIGITS.items():
        rest = rest.replace(mark, "[0-9]" * count)
    rest = rest.replace(INSTRUMENT, "*")
    parts = (part if part == "**" else re.sub(r"\*{2,}", "*", part) for part in rest.split("/"))
    return "/".join(parts)  # "{instrument}*" must not become "**", which stands for folders


def _expression(pattern: str) -> str:
    """Return the regular expression of a relative pattern (or of a piece of one)."""
    result, place = "", 0
    while place < len(pattern):
        rest = pattern[place:]
        mark = next((name for name in (INSTRUMENT, *_DIGITS) if rest.startswith(name)), None)
        if mark is not None:
            result += r"[^/]+" if mark == INSTRUMENT else rf"[0-9]{{{_DIGITS[mark]}}}"
            place += len(mark)
        elif rest.startswith("**/"):
            result += r"(?:[^/]+/)*"
            place += 3
        elif rest[0] == "*":
            result += r"[^/]*"
            place += 1
        elif rest[0] == "?":
            result += r"[^/]"
            place += 1
        elif rest[0] == "[" and "]" in rest[2:]:
            end = rest.index("]", 2)
            inner = rest[1:end].replace("\\", "\\\\").replace("[", r"\[")
            result += "[" + ("^" + inner[1:] if inner[0] == "!" else inner) + "]"
            place += end + 1
        else:
            result += re.escape(rest[0])
            place += 1
    return result
