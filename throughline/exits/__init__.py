"""Exit rules: what ends a position, one file per rule in `rules/`, found by discovery.

Belongs here: what a rule is (`rule`), the rules there are and the reasons they give (`registry`). Does not belong here:
fills and their order within a bar (`throughline.trading`), which ask the rules for levels and nothing else. This room
stands below the configuration, because each rule declares its own settings, and below tracking, because the reasons are
part of its records. Nothing here imports a compiler: the hooks are plain Python, which trading compiles.
"""

from __future__ import annotations

from throughline.exits.registry import all_rules, chosen, reason_names, reasons, stopped_reasons
from throughline.exits.rule import NEVER, NO_STOP, NO_TARGET, Bar, Entry, ExitRule, Level, Reason, RuleSettings

__all__ = [
    "NEVER",
    "NO_STOP",
    "NO_TARGET",
    "Bar",
    "Entry",
    "ExitRule",
    "Level",
    "Reason",
    "RuleSettings",
    "all_rules",
    "chosen",
    "reason_names",
    "reasons",
    "stopped_reasons",
]
