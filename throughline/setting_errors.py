"""What a validation error of the configuration says to a person: the file, the key, the value and the remedy.

Belongs here: words for pydantic's kinds of errors. Does not belong here: the settings themselves (`configuration`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from throughline.errors import SettingsError, printable, shown

_LIMITS = {
    "greater_than": ("gt", "must be greater than"),
    "greater_than_equal": ("ge", "must be greater than or equal to"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be less than or equal to"),
}
_KINDS = {
    "finite_number": "must be a finite number",
    "int": "must be a whole number (an integer)",
    "float": "must be a number",
    "bool": "must be true or false",
    "string": "must be a text",
    "model": "must be a table of settings (a dictionary), written as [{key}]",
}


def setting_error(
    path: Path, model: type[BaseModel], error: ValidationError, retired: Mapping[str, str]
) -> SettingsError:
    """Return (not raise) the first fault of a configuration file as one sentence.

    Args:
        path: the file, for the message.
        model: the settings that were validated.
        error: what pydantic found.
        retired: settings of older versions -> what to do about them, as the end of a sentence.
    """
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    key = printable(".".join(part[:60] for part in place))[:200]
    return SettingsError(
        f"{printable(str(path))}: setting '{key}' {retired.get(key) or _reason(model, place, key, first)}"
    )


def _reason(model: type[BaseModel], place: Sequence[str], key: str, first: Mapping[str, Any]) -> str:
    kind, context = str(first["type"]), first.get("ctx", {})
    value = f" (it is {shown(first['input'])})"
    if kind == "extra_forbidden":
        return "does not exist, so nothing would read it" + _did_you_mean(model, place)
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return f"{words} {context[name]:g}{value}"
    if kind == "missing":
        return "is missing: write it, or remove its table"
    if kind == "literal_error":
        return f"must be one of {context['expected']}{value}"
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"must have a length of {bound} (it has {context['actual_length']})"
    if kind == "value_error":
        return str(context["error"])
    for start, words in _KINDS.items():
        if kind.startswith(start):
            return words.format(key=key) + value
    return f"cannot be read{value}"


def _did_you_mean(model: type[BaseModel], place: Sequence[str]) -> str:
    """Return the nearest key of the same table, else the same key in another table, else what the table knows."""
    tables = _tables(model, "")
    here = ".".join(place[:-1])
    typed = place[-1][:60]
    known = tables.get(here, [])
    near = difflib.get_close_matches(typed, known, 1, 0.6)
    if near:
        return f"; did you mean '{here + '.' if here else ''}{near[0]}'?"
    everywhere = {name: f"{table}.{name}" if table else name for table, names in tables.items() for name in names}
    far = difflib.get_close_matches(typed, list(everywhere), 1, 0.8)
    if far:
        return f"; did you mean '{everywhere[far[0]]}'?"
    return f"; the settings {'of [' + here + ']' if here else 'at the top'} are {', '.join(known)}"


def _tables(model: type[BaseModel], name: str) -> dict[str, list[str]]:
    """Return the keys of every table of the configuration: dotted name -> keys."""
    tables = {name: list(model.model_fields)}
    for key, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            tables |= _tables(field.annotation, f"{name}.{key}" if name else key)
    return tables
