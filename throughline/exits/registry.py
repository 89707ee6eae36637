"""The exit rules there are, and the reasons they give. A rule is a module of `rules/`; nothing else lists it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from throughline.discovery import discover, package_modules
from throughline.errors import SettingsError
from throughline.exits import rules as package
from throughline.exits.rule import ExitRule, Reason, RuleSettings

_HOOKS = ("stop", "target", "leave")


@cache
def all_rules() -> Mapping[str, ExitRule]:
    """Return every rule by name, in order of precedence.

    Raises:
        SettingsError: A module declares no rule, or two declare one name or one reason.
    """
    declared = discover(package.__name__, "RULE", ExitRule).values()
    for rule in declared:
        _check(rule)
    owner: dict[str, str] = {}
    for rule in declared:
        for reason in rule.reasons:
            if reason.name in owner:
                raise SettingsError(
                    f"exit rule '{rule.name}': the reason '{reason.name}' belongs to the rule '{owner[reason.name]}'; "
                    "choose another name"
                )
            owner[reason.name] = rule.name
    return {rule.name: rule for rule in sorted(declared, key=lambda rule: (rule.order, rule.name))}


def _check(rule: ExitRule) -> None:
    if rule.carry is not None and not rule.moves:
        raise SettingsError(f"exit rule '{rule.name}' carries numbers, so its levels move; set moves=True")
    for gives in _HOOKS:
        if sum(reason.gives == gives for reason in rule.reasons) > 1:
            raise SettingsError(f"exit rule '{rule.name}' gives two reasons for its {gives}; it can give one")


@cache
def reasons() -> tuple[Reason, ...]:
    """Return every reason, in order of its code in the engine's columns.

    Raises:
        SettingsError: The codes given do not run from 0 without a gap.
    """
    known = [reason for rule in all_rules().values() for reason in rule.reasons]
    fixed = sorted(
        (reason for reason in known if reason.code is not None), key=lambda reason: str(reason.code).zfill(9)
    )
    for code, reason in enumerate(fixed):
        if reason.code != code:
            raise SettingsError(f"exit reason '{reason.name}' has the code {reason.code}; leave the code out")
    return (*fixed, *sorted((reason for reason in known if reason.code is None), key=lambda reason: reason.name))


@cache
def reason_names() -> tuple[str, ...]:
    """Return the names of the reasons in order of their codes."""
    return tuple(reason.name for reason in reasons())


@cache
def stopped_reasons() -> frozenset[str]:
    """Return the names of the reasons that end a position at its stop or worse."""
    return frozenset(reason.name for reason in reasons() if reason.stopped)


@cache
def optional_rules() -> Mapping[str, ExitRule]:
    """Return the rules that are off unless the configuration has a table of their name."""
    return {name: rule for name, rule in all_rules().items() if not rule.always}


def chosen(exits: Any) -> tuple[RuleSettings, ...]:
    """Return the settings of the optional rules that `exits` (the configuration's [exits]) switches on."""
    tables = (getattr(exits, name) for name in optional_rules())
    return tuple(table for table in tables if table is not None)


def rule_of(settings: RuleSettings) -> ExitRule:
    """Return the rule that settings belong to. Raises SettingsError where there is none."""
    for rule in all_rules().values():
        if type(settings) is rule.settings:
            return rule
    raise SettingsError(
        f"{type(settings).__name__} is the settings of no exit rule; the rules are {', '.join(all_rules())}"
    )


def rule_files() -> tuple[Path, ...]:
    """Return the files of all rules, also of those outside of this package, by name."""
    return tuple(sorted(Path(str(module.__file__)) for module in package_modules(package.__name__)))
