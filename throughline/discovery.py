"""Declarations that are found by being there: one object per module of a package, without a list anywhere.

Belongs here: importing the modules of a package and collecting what they declare. Does not belong here: what a
declaration means (`throughline.experiment.mode`, `throughline.experiment.provider`).

The package's `__path__` says where modules lie, so that a folder outside the repository is added by appending it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

from throughline.errors import SettingsError

Declaration = TypeVar("Declaration")


def package_modules(package: str) -> Iterator[ModuleType]:
    """Import and yield the modules of a package, sorted by name. A module whose name begins with ``_`` is left out."""
    path = importlib.import_module(package).__path__
    for name in sorted(item.name for item in pkgutil.iter_modules(path)):
        if not name.startswith("_"):
            yield importlib.import_module(f"{package}.{name}")


def discover(package: str, attribute: str, kind: type[Declaration]) -> dict[str, Declaration]:
    """Return what the modules of a package declare, by the name of the declaration.

    Args:
        package: dotted name of the package.
        attribute: name under which each module holds its declaration.
        kind: type of a declaration; it has a `name`.

    Raises:
        SettingsError: a module declares nothing under that name, or two modules declare the same name.

    Example:
        >>> sorted(discover("throughline.experiment.modes", "MODE", Mode))  # doctest: +SKIP
        ['backtest', 'demo']
    """
    files: dict[str, str] = {}
    declared: dict[str, Declaration] = {}
    for module in package_modules(package):
        item = getattr(module, attribute, None)
        if not isinstance(item, kind):
            raise SettingsError(
                f"{module.__file__}: the module must define {attribute}, an instance of {kind.__name__}"
            )
        name = str(getattr(item, "name", ""))
        if name in declared:
            raise SettingsError(f"{module.__file__}: the name '{name}' is taken by {files[name]}: choose another name")
        declared[name], files[name] = item, str(module.__file__)
    return declared
