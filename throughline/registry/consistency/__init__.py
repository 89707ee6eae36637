"""Consistency of the registries: every hash, link, seal, guard and artifact, in both directions, each finding named.

Belongs here: the check, its report, and the gate that stands on it. Does not belong here: mending (quarantine is the
coordinator's) and the days of the chain above the trades (verification).
"""

from throughline.registry.consistency.check import check_connection, check_registry
from throughline.registry.consistency.coverage import Reading
from throughline.registry.consistency.report import (
    Report,
    newest_report,
    record_report,
    refuse_failed,
    require_registry,
    vouched_size,
)
from throughline.registry.consistency.result import ConsistencyResult, Scope

__all__ = [
    "ConsistencyResult",
    "Reading",
    "Report",
    "Scope",
    "check_connection",
    "check_registry",
    "newest_report",
    "record_report",
    "refuse_failed",
    "require_registry",
    "vouched_size",
]
