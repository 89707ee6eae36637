"""The UUID chain: records from candidate to outcome, and the tracking system that writes single ones.

Belongs here: what a record of each kind says, how it is named and projected, and finding it again. Does not belong
here: whole days (flow), SQL (storage).
"""

from throughline.tracking.system import TradeTrackingSystem
from throughline.tracking.types import (
    ExecutionRecord,
    ResearchDocument,
    TerminationReason,
    TradeCandidate,
    TradeOutcome,
)

__all__ = [
    "ExecutionRecord",
    "ResearchDocument",
    "TerminationReason",
    "TradeCandidate",
    "TradeOutcome",
    "TradeTrackingSystem",
]
