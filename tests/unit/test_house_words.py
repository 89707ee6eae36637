"""Names in the product are standard words: a list of words that say nothing keeps out of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

EMPTY_WORDS = frozenset(
    ("told", "held", "wanted", "made", "shut", "found", "came", "says", "wish", "wishes", "wished", "heal", "mend")
)
"""Words that do not say what a value is: use its own name (body, rows_by_day, days, created, blocked, match)."""

FOLDERS = ("assets", "benchmarks", "examples", "pipelines", "resources", "sensors", "throughline")

REMAINING: dict[str, int] = {
    "benchmarks": 35,
    "throughline": 1,
    "throughline/analytics/trade_registry": 2,
    "throughline/dossier": 1,
    "throughline/integrity/database": 5,
    "throughline/learning": 3,
    "throughline/proof": 92,
    "throughline/registry/consistency": 33,
    "throughline/storage": 1,
    "throughline/trading/kernel": 1,
    "throughline/verification": 43,
}
"""Folder -> how many names of older code are still to be replaced. Lower the number with each one; never raise it."""


def _bound_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of everything that a module names: values, arguments, attributes, functions, classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def test_names_say_what_a_value_is(repo: Path) -> None:
    lines: dict[str, list[str]] = {}
    for path in sorted(path for folder in FOLDERS for path in (repo / folder).rglob("*.py")):
        for line, name in _bound_names(ast.parse(path.read_text(encoding="utf-8"))):
            if EMPTY_WORDS & set(name.lower().split("_")):
                where = path.relative_to(repo)
                lines.setdefault(where.parent.as_posix(), []).append(f"{where}:{line}: {name}")
    counts = {folder: len(places) for folder, places in lines.items()}
    more = [place for folder, places in lines.items() if counts[folder] > REMAINING.get(folder, 0) for place in places]
    assert not more, "names that do not say what a value is:\n" + "\n".join(more)
    assert counts == REMAINING, "fewer are left than REMAINING allows: lower its numbers"
