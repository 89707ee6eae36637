"""The dossier of one trade: its story, and everything that stands beside the records, read and checked.

Belongs here: putting the parts together and asking the database and the artifact store for what they need. Does not
belong here: the parts (its neighbours) and how a dossier looks (page, text). Reads only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, select

from throughline.catalogue import BARS
from throughline.configuration import ExitSettings
from throughline.dossier.exit_levels import RuleLevel, rule_levels
from throughline.dossier.log import Claim, LogCheck, SealLog, claim_of
from throughline.dossier.parts import (
    Chain,
    Costs,
    Knowledge,
    Moment,
    PathEnd,
    chain_of,
    costs,
    knowledge,
    path_ends,
    raw_exit_price,
    timeline,
)
from throughline.dossier.prices import Barriers, PricePath, barriers, price_path
from throughline.dossier.similar import SimilarTrades, nothing_similar, similar_trades
from throughline.dossier.soulprint import SoulprintView, soulprint
from throughline.dossier.stored import (
    ALONE,
    ArtifactCheck,
    Registration,
    check_artifacts,
    registration,
)
from throughline.dossier.story import Step, Story, find, step_of, tell
from throughline.experiment.identity import from_body
from throughline.identity import parse_time
from throughline.proof.settings import Proof
from throughline.storage import tables
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.ids import TypedId
from throughline.storage.queries import read_experiment
from throughline.tracking.system import MODE

if TYPE_CHECKING:
    from throughline.registry.index_loading import LoadedIndex

BEFORE, AFTER = timedelta(hours=24), timedelta(hours=12)
"""How much of the price path is shown before the decision and after the end, at least."""
LEAST_BARS = 10
"""With long bars the path reaches at least this many bars back."""
_GARBLED = "its records cannot be read together: one of them lacks or garbles a field"
_UNREADABLE = (KeyError, IndexError, TypeError, ValueError, ArithmeticError, AttributeError)
"""What reading a body that somebody changed may raise."""

_NO_ENDS: tuple[PathEnd, ...] = ()

T = TypeVar("T")


@dataclass(frozen=True)
class Dossier:
    """Everything about one trade. `single` is false for a scan and a portfolio state, which belong to no single trade:
    then the parts are empty and say why. states: the portfolio states that record how each fill model ended it."""

    story: Story
    chain: Chain
    registration: Registration
    timeline: tuple[Moment, ...]
    prices: PricePath
    barriers: Barriers | None
    levels: tuple[RuleLevel, ...]
    exit_price: str | None
    knowledge: Knowledge
    costs: Costs
    paths: tuple[PathEnd, ...]
    paths_why: str | None
    states: tuple[Step, ...]
    soulprint: SoulprintView
    similar: SimilarTrades
    artifacts: tuple[ArtifactCheck, ...]
    log: LogCheck

    @property
    def single(self) -> bool:
        """True if the record that was asked for belongs to one decision."""
        return self.chain.candidate is not None or self.chain.trade is not None

    @property
    def records_hold(self) -> bool:
        """True if every record that it is made of holds, whatever is wrong with stored bytes and log."""
        return self.story.ok and all(step.ok for step in self.states)

    @property
    def problems(self) -> tuple[str, ...]:
        """What does not hold, beside what the story itself names."""
        days = [f"bars of {day.day}: {day.problem}" for day in self.prices.days if day.ok is False]
        stored = [f"artifact {item.hash[:16]}...: {item.problem}" for item in self.artifacts if item.ok is False]
        states = [f"portfolio state {step.uuid}: {problem}" for step in self.states for problem in step.problems]
        return (*days, *stored, *states, *self.log.problems)

    @property
    def ok(self) -> bool:
        """True if everything that could be checked holds."""
        return self.story.ok and not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``trade --json`` prints: the story's, and the parts beside it."""
        return self.story.as_json() | {
            "ok": self.ok,
            "problems": list(self.problems),
            "trade_hash": self.registration.trade_hash,
            "registration": _plain(self.registration),
            "timeline": [_plain(item) for item in self.timeline],
            "prices": _plain(self.prices)
            | {"barriers": None if self.barriers is None else _plain(self.barriers), "exit_price": self.exit_price}
            | {"levels": [_plain(level) for level in self.levels]},
            "known": _plain(self.knowledge),
            "costs": _plain(self.costs),
            "paths": {"ends": [_plain(item) for item in self.paths], "why": self.paths_why},
            "soulprint": _plain(self.soulprint),
            "similar": _plain(self.similar),
            "artifacts": [_plain(item) for item in self.artifacts],
            "log": _plain(self.log),
        }


def _plain(value: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(value)))
    return plain


def compile_dossier(
    connection: Connection,
    artifacts: ArtifactStore,
    proof: Proof | None,
    asked: TypedId | str,
    loaded: LoadedIndex | None = None,
    log: SealLog | None = None,
) -> Dossier:
    """Return the dossier of the record or trade that an ID names.

    A part that cannot be compiled from records that were changed is empty and says so; the story names what is wrong.

    Args:
        connection: may read everything; with `proof.anchor` of one `proof.snapshot.anchored_snapshot`.
        artifacts: the store that holds bars and inputs.
        proof: key and anchor of the home; None leaves signature and anchor of the seal log unchecked.
        asked: UUID of a record, trade hash, or a unique beginning of one.
        loaded: the index of the trade's experiment, where several dossiers are compiled.
        log: the seal log of the same snapshot, where several dossiers are compiled; None reads it.

    Raises:
        UnknownRecord: no record has the ID, or several have it.
    """
    story = tell(connection, find(connection, asked))
    chain = chain_of(story)
    known = readable(story.ok, lambda: knowledge(chain), Knowledge(None, (), (), _GARBLED))
    exits = _exits(connection, story, chain)
    filled = chain.execution.body if chain.execution and exits else None
    limits = readable(story.ok, lambda: barriers(filled, exits) if filled and exits else None, None)
    states = _states(connection, story, chain)
    ends = _ends(states, str(story.candidate))
    nothing = SoulprintView(None, None, None, (), (), None, None, {}, (), _GARBLED)
    vector = readable(story.ok, lambda: soulprint(chain), nothing)
    unseen = PricePath("", None, (), (), _GARBLED)
    path = readable(story.ok, lambda: _prices(connection, artifacts, story, chain, limits), unseen)
    bars = [Claim(story.experiment, day.root, BARS, day.day) for day in path.days if not day.before_epoch]
    at = chain.decided_at
    ended = chain.outcome.body if chain.outcome else None
    return Dossier(
        story=story,
        chain=chain,
        registration=registration(connection, story, chain),
        timeline=readable(story.ok, lambda: timeline(chain, known, limits.deadline if limits else None), ()),
        prices=path,
        barriers=limits,
        levels=readable(story.ok, lambda: rule_levels(filled, ended, exits, path) if filled and exits else (), ()),
        exit_price=readable(story.ok, lambda: raw_exit_price(chain), None),
        knowledge=known,
        costs=readable(story.ok, lambda: costs(chain), Costs(None, (), None, None, None, _GARBLED)),
        paths=ends,
        paths_why=None if ends else _paths_why(story, chain),
        states=states,
        soulprint=vector,
        similar=readable(
            story.ok,
            lambda: similar_trades(connection, story.experiment, at, vector, loaded),
            nothing_similar(_GARBLED),
        ),
        artifacts=check_artifacts(connection, artifacts, known),
        log=(log or SealLog(connection, proof)).check([*bars, *(claim_of(step) for step in (*story.steps, *states))]),
    )


def readable(holds: bool, make: Callable[[], T], otherwise: T) -> T:
    """Return what `make` gives, or `otherwise` where it fails on a record that does not hold.

    holds: whether all records that it reads hold; then nothing is caught, since the mistake would be ours.
    """
    try:
        return make()
    except _UNREADABLE:
        if holds:
            raise
        return otherwise


def _exits(connection: Connection, story: Story, chain: Chain) -> ExitSettings | None:
    """Return the exit settings of a fill; None without one, and for records written by hand, which name none."""
    if chain.execution is None or story.mode == MODE:
        return None
    stored = read_experiment(connection, story.experiment)
    return None if stored is None else from_body(stored.body).configuration.exits


def _prices(
    connection: Connection, artifacts: ArtifactStore, story: Story, chain: Chain, limits: Barriers | None
) -> PricePath:
    named = (chain.candidate or chain.trade or story.steps[0]).body
    name = str(named.get("instrument") or named.get("symbol") or "")
    if chain.candidate is None:
        why = "a trade that was registered by hand names no sealed bars" if chain.trade else ALONE
        return PricePath(name, None, (), (), why)
    if story.mode == MODE:
        return PricePath(name, None, (), (), "records written by hand name no sealed bars")
    decided = parse_time(chain.candidate.body["decision_time"])
    ends = [step.body.get("exit_time") for step in (chain.outcome, chain.shadow) if step]
    if chain.outcome is None and limits is not None:
        ends.append(limits.deadline)
    last = max([decided, *(parse_time(text) for text in ends if text)]) + AFTER
    body = chain.candidate.body
    path = price_path(connection, artifacts, story.experiment, body, decided - BEFORE, last)
    wide = timedelta(seconds=LEAST_BARS * (path.interval_seconds or 0))
    if wide > BEFORE:
        return price_path(connection, artifacts, story.experiment, body, decided - wide, last + wide / 2)
    return path


def _states(connection: Connection, story: Story, chain: Chain) -> tuple[Step, ...]:
    """Return the portfolio states that record how each path ended the trade, from the decision's day on.

    States in which the position is merely still open are left out, unless they have a problem.
    """
    if chain.candidate is None or story.mode == MODE:
        return ()
    source = tables.portfolio_states
    later = source.alias("later")
    statement = select(source).where(
        source.c.experiment == story.experiment,
        source.c.partition >= date.fromisoformat(chain.candidate.partition),
        ~select(1).where(later.c.supersedes == source.c.uuid).exists(),
    )
    key = str(story.candidate)
    states: list[Step] = []
    with connection.execute(statement.order_by(source.c.partition).execution_options(yield_per=8)) as rows:
        for row in rows.mappings():
            states.append(step_of(connection, "portfolio_states", dict(row), [], by_hand=False))
            ends = _ends(states, key)
            if all(end.status != "open" for end in ends):
                break
    recording = {end.state for end in _ends(states, key)}
    return tuple(step for step in states if step.uuid in recording or step.problems)


def _ends(states: Sequence[Step], candidate: str) -> tuple[PathEnd, ...]:
    return readable(all(step.ok for step in states), lambda: path_ends(states, candidate), _NO_ENDS)


def _paths_why(story: Story, chain: Chain) -> str:
    if chain.candidate is None:
        return "a trade that was registered by hand has no portfolio" if chain.trade else ALONE
    if story.mode == MODE:
        return "records written by hand have no portfolio: nothing was filled by the three fill models"
    return f"portfolio_state of {chain.candidate.partition} is not sealed yet"
