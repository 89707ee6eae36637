"""Which model judges each candidate of an experiment, day after day in order.

Open only where the model policy lets models decide. Holds the lock of the experiment's model events meanwhile, so that
nobody becomes champion of an instant that is being decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from throughline.flow.context import FlowContext
from throughline.flow.market_view import DAY
from throughline.flow.sealing import missing_day, seals_by_day
from throughline.identity import parse_time, time_to_ms
from throughline.learning.episodes import GAP_MS, LastSignal
from throughline.storage.queries import advisory_lock

if TYPE_CHECKING:
    from throughline.features.vector import FeatureVector
    from throughline.learning.serving import Decision, Server

_LAST_SIGNALS = text(
    "SELECT DISTINCT ON (segment) segment, decision_time, convert_from(body, 'UTF8')::json #>> '{decision,episode}' "
    "FROM candidates WHERE experiment = :experiment AND partition BETWEEN :first AND :last AND supersedes IS NULL "
    "ORDER BY segment, decision_time DESC"
)


class ModelRouter:
    """Judges candidates in order of time. last: the newest signal of each segment before the first of them."""

    def __init__(self, server: Server, last: dict[str, LastSignal]) -> None:
        self._server = server
        self._last = last

    def decide(self, segment: str, decision_time: str, vector: FeatureVector) -> Decision:
        """Return the decision on a signal of `segment` at `decision_time` (record text); remembers the signal."""
        at = parse_time(decision_time)
        decision = self._server.decide(vector, segment, at, self._last.get(segment))
        self._last[segment] = LastSignal(time_to_ms(at), str(decision.body["episode"]))
        return decision


@contextmanager
def deciding(ctx: FlowContext, conn: Connection, days: Sequence[date]) -> Iterator[ModelRouter | None]:
    """Yield the router for `days` (an unbroken range), None where the rule alone decides.

    Raises MissingPredecessor where candidates of the days before, which an episode may go on from, are not sealed.
    """
    if ctx.experiment.configuration.model_policy == "none":
        yield None
        return
    from throughline.learning.event_log import events_lock
    from throughline.learning.serving import open_server

    with advisory_lock(conn, events_lock(ctx.experiment.id)):
        yield ModelRouter(open_server(conn, ctx.experiment, ctx.artifacts), _last_signals(ctx, conn, days[0]))


def _last_signals(ctx: FlowContext, conn: Connection, first: date) -> dict[str, LastSignal]:
    reach = GAP_MS // 86_400_000 + 1
    before = [first - k * DAY for k in range(reach, 0, -1) if first - k * DAY >= ctx.experiment.epoch]
    if not before:
        return {}
    sealed = seals_by_day(ctx, conn, "trade_candidates", before)
    for day in before:
        if day not in sealed:
            why = f"with models deciding, the episodes of {first} go on from the days before it"
            raise missing_day(ctx, conn, "trade_candidates", day, why)
    rows = conn.execute(_LAST_SIGNALS, {"experiment": ctx.experiment.id, "first": before[0], "last": before[-1]}).all()
    return {segment: LastSignal(time_to_ms(at), episode) for segment, at, episode in rows}
