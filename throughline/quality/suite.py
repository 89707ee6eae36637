"""Suites: what a day of an asset must satisfy, read from versioned JSON files.

Belongs here: reading, validating and hashing a suite, and filling in the thresholds of an experiment. Does not belong
here: evaluating it (`runner`), which is what needs Great Expectations.

A file is ``{asset, version, frames: {rows|days: {columns: {name: kind}, sums: {name: [columns]}, rules: [rule]}}}``.
A rule has a stable name, a sentence that says why, the Great Expectations type and its arguments; a rule of the frame
`days` may name the column that counts what broke it, and its unit: ``"counts": {"column": name, "unit": "rows"}``.
All types are row-level (a line is right or wrong by itself, or with its duplicates of the same day), so that the
verdict of a day depends on that day's lines alone. Numbers are integers or decimal text, thresholds of the experiment
are ``{"setting": name}``, the reasons of the exit rules ``{"reasons": "recorded"}``; so the hash of a file is the hash
of its canonical bytes, equal on every machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from throughline.catalogue import catalogue
from throughline.errors import SettingsError
from throughline.exits.registry import reasons
from throughline.identity import hash_body

TRAINING_SET = "training_set"
"""What a model is trained on has a suite as well; it has no days of its own, and its verdict is a gate of the model."""

COLUMN_KINDS = ("number", "text", "name", "day")
"""`name` is text that is only compared for equality with other lines (keys); it is judged as integer codes."""

ROW_LEVEL_TYPES = (
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_in_set",
    "expect_column_pair_values_to_be_equal",
    "expect_column_pair_values_a_to_be_greater_than_b",
    "expect_compound_columns_to_be_unique",
)
"""The Great Expectations types that a suite may use: those that judge each line by itself."""


@dataclass(frozen=True)
class Rule:
    """One expectation: stable name, why it must hold, Great Expectations type and arguments.

    counts: for a rule about a day's figures, the column that says how much of the day broke it; None = the line itself.
    unit: what a failure counts ("rows", "hours"; empty for a rule about the whole day).
    """

    name: str
    why: str
    type: str
    kwargs: Mapping[str, Any]
    counts: str | None = None
    unit: str = "rows"


@dataclass(frozen=True)
class FrameSuite:
    """The rules of one frame. columns: name -> kind (COLUMN_KINDS); sums: derived columns, name -> addends."""

    columns: Mapping[str, str]
    sums: Mapping[str, tuple[str, ...]]
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Suite:
    """The suite of one asset. `name` carries the version; `hash` identifies the file's content."""

    asset: str
    version: int
    hash: str
    rows: FrameSuite
    days: FrameSuite

    @property
    def name(self) -> str:
        """Asset and version, as stored beside each verdict."""
        return f"{self.asset}@{self.version}"


@cache
def load_suite(asset: str) -> Suite:
    """Return the suite of a gated asset. Raises SettingsError for an unknown asset or a malformed file."""
    known = (*catalogue().gated, TRAINING_SET)
    if asset not in known:
        raise SettingsError(f"asset {asset!r} has no quality suite; gated assets are {', '.join(known)}")
    file = resources.files("throughline.quality.suites").joinpath(f"{asset}.json")
    return parse_suite(json.loads(file.read_text(encoding="utf-8")), f"suites/{asset}.json")


def parse_suite(body: Mapping[str, Any], source: str) -> Suite:
    """Return a suite from its parsed JSON. Raises SettingsError naming `source` and the rule at fault."""
    frames = {
        name: _parse_frame(body["frames"][name], f"{source}: frame {name}", name == "days") for name in ("rows", "days")
    }
    names = [rule.name for frame in frames.values() for rule in frame.rules]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"{source}: rule {name!r} appears twice; a rule's name must be unique in its suite")
    return Suite(body["asset"], int(body["version"]), hash_body("quality_suite", body), frames["rows"], frames["days"])


def _parse_frame(body: Mapping[str, Any], source: str, per_day: bool) -> FrameSuite:
    columns = dict(body["columns"])
    sums = {name: tuple(addends) for name, addends in body.get("sums", {}).items()}
    for name, kind in columns.items():
        if kind not in COLUMN_KINDS:
            raise SettingsError(f"{source}: column {name!r} has the kind {kind!r}; write one of {COLUMN_KINDS}")
    known = columns.keys() | sums.keys() | {"partition"}
    rules = []
    for item in body["rules"]:
        counts = item.get("counts", {})
        unit = counts.get("unit", "" if per_day else "rows")
        rule = Rule(item["rule"], item["why"], item["type"], item["kwargs"], counts.get("column"), unit)
        if rule.type not in ROW_LEVEL_TYPES:
            raise SettingsError(
                f"{source}: rule {rule.name!r} uses {rule.type}, which does not judge line by line; "
                f"use one of {', '.join(ROW_LEVEL_TYPES)}"
            )
        for column in [*_columns_of(rule), *([rule.counts] if rule.counts else [])]:
            if column not in known:
                raise SettingsError(f"{source}: rule {rule.name!r} reads column {column!r}, which is not declared")
        rules.append(rule)
    return FrameSuite(columns, sums, tuple(rules))


def _columns_of(rule: Rule) -> list[str]:
    single = [rule.kwargs[key] for key in ("column", "column_A", "column_B") if key in rule.kwargs]
    return [*single, *rule.kwargs.get("column_list", ())]


def resolved_kwargs(rule: Rule, settings: Mapping[str, float]) -> dict[str, Any]:
    """Return a rule's arguments as Great Expectations takes them.

    Decimal text of the ends of a range becomes a float, ``{"setting": name}`` the experiment's threshold, and
    ``{"reasons": "recorded"}`` the reasons of the exit rules. Raises SettingsError for a setting that does not exist.
    """
    result: dict[str, Any] = dict(rule.kwargs)
    if result.get("value_set") == {"reasons": "recorded"}:
        result["value_set"] = [reason.name for reason in reasons() if reason.recorded]
    for key in ("min_value", "max_value"):
        if key not in result:
            continue
        value = result[key]
        if isinstance(value, Mapping):
            if value["setting"] not in settings:
                raise SettingsError(
                    f"rule {rule.name!r} reads the setting gates.{value['setting']}, which does not exist; "
                    f"there are {', '.join(sorted(settings))}"
                )
            value = settings[value["setting"]]
        result[key] = float(value)
    return result


def count_words(asset: str, rule: str, count: int) -> str:
    """Return how much of a day broke a rule, in words: "42 rows", "12 hours", or "the whole day"."""
    frames = (load_suite(asset).days, load_suite(asset).rows) if asset in catalogue().gated else ()
    unit = next((item.unit for frame in frames for item in frame.rules if item.name == rule), "rows")
    if not unit:
        return "the whole day"
    return f"{count:,} {unit[:-1] if count == 1 else unit}"
