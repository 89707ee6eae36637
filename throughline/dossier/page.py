"""The dossier of a trade as one static HTML page that needs no network and no other file, and where it is written.

Belongs here: the page, its header and its file. Does not belong here: what a dossier holds (read), its sections
(`sections/`) and how anything looks (`throughline.rendering`). The same dossier gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Engine

from throughline.analytics.sentences import interval_reason
from throughline.dossier.log import SealLog
from throughline.dossier.read import Dossier, compile_dossier, readable
from throughline.experiment.mode import mode_warning
from throughline.proof.settings import Proof
from throughline.proof.snapshot import anchored_snapshot
from throughline.rendering.blocks import Block, Paragraph, Section, find_sections
from throughline.rendering.formats import amount, clock_time, significant, words
from throughline.rendering.markup import amount_coloured, joined, percent_coloured
from throughline.rendering.page import render_page, write_page
from throughline.storage.artifacts import ArtifactStore

if TYPE_CHECKING:
    from throughline.registry.index_loading import LoadedIndex

_GARBLED = Paragraph("This cannot be shown: one of its records lacks or garbles a field.", "warn")


def dossier_html(dossier: Dossier) -> str:
    """Return the page. Everything that comes from a record is escaped; equal dossiers give equal bytes."""
    no_tiles: list[tuple[object, str]] = []
    sections = find_sections("throughline.dossier.sections")
    parts = [(section.title, _blocks(section, dossier)) for section in sections]
    story, single = dossier.story, dossier.single
    name = dossier.prices.instrument or words(story.found_in)
    net = dossier.costs.net_percent
    garbled = _GARBLED.text
    heading = [name if dossier.prices.instrument else name.capitalize()]
    if net:
        heading += [" ", _shown(dossier, lambda: percent_coloured(net), garbled)]
    about = f"{story.mode} experiment {story.experiment[:12]} \N{MIDDLE DOT} asked for {story.found_in} {story.asked}"
    return render_page(
        "dossier.html.j2",
        title=f"Dossier: {name} {(dossier.chain.decided_at or '')[:10]}".strip(),
        heading=joined(heading),
        lines=[*([_shown(dossier, lambda: _result(dossier), garbled)] if single else []), about],
        checked=_checked(dossier),
        problems=[] if dossier.ok else list(_problems(dossier)),
        warnings=_shown(dossier, lambda: list(_warnings(dossier)), [garbled]),
        tiles=_shown(dossier, lambda: list(_tiles(dossier)), no_tiles) if single else [],
        sections=[(title, blocks) for title, blocks in parts if blocks],
        footer="Written by Throughline from the records of one home. Times are UTC.",
    )


def write_dossiers(
    engine: Engine,
    artifacts: ArtifactStore,
    proof: Proof | None,
    ids: Sequence[str],
    folder: Path,
    loaded: LoadedIndex | None = None,
) -> dict[str, Path]:
    """Write the dossiers of records into a folder, all from one snapshot; return ID -> path of its page.

    A file is named after the record that has the ID; an older one is replaced.

    Args:
        engine: may read everything.
        artifacts: the store that holds bars and inputs.
        proof: key and anchor of the home; None leaves signature and anchor of the seal log unchecked.
        ids: UUIDs of records of a chain, trade hashes, or unique beginnings of them, as ``throughline trade`` takes.
        folder: made where it is missing.
        loaded: the index of the trades' experiment (``registry.index_loading.load_index``); None reads it.

    Raises:
        UnknownRecord: no record has an ID.
        StorageError: a file cannot be written.
    """
    pages = {}
    with ExitStack() as stack:
        if proof is None:
            connection = stack.enter_context(engine.connect().execution_options(isolation_level="REPEATABLE READ"))
        else:
            connection, anchor = stack.enter_context(anchored_snapshot(engine, proof.anchor))
            proof = replace(proof, anchor=anchor)
        log = SealLog(connection, proof)
        for id_ in ids:
            dossier = compile_dossier(connection, artifacts, proof, id_, loaded, log)
            target = folder / f"dossier-{dossier.story.asked}.html"
            pages[id_] = write_page(dossier_html(dossier), target, "dossier", "name a folder that may be written to")
    return pages


def _blocks(section: Section[Dossier], dossier: Dossier) -> list[Block]:
    garbled: list[Block] = [_GARBLED]
    return _shown(dossier, lambda: list(section.blocks(dossier)), garbled)


T = TypeVar("T")


def _shown(dossier: Dossier, make: Callable[[], T], otherwise: T) -> T:
    """Return what `make` gives, or `otherwise` where a changed record cannot be shown; the checks name it."""
    return readable(dossier.records_hold, make, otherwise)


def _warnings(dossier: Dossier) -> Iterator[str]:
    """Yield what to know before the figures: an invented market, an interval as result, flags."""
    if mode_warning(dossier.story.mode):
        yield mode_warning(dossier.story.mode)
    outcome = dossier.chain.outcome
    if outcome is None:
        return
    why = interval_reason(outcome.body)
    if why is not None:
        ends = joined([amount_coloured(outcome.body[name]) for name in ("pnl_low_usd", "pnl_high_usd")], " and ")
        yield joined(["Its result lies between ", ends, f" USD: {why}."])
    if outcome.body.get("flags"):
        yield f"Flags of the trade: {', '.join(map(words, outcome.body['flags']))}."


def _result(dossier: Dossier) -> str:
    """Return in one line how it ended."""
    chain = dossier.chain
    entry, ended, trade = chain.execution, chain.outcome, chain.trade
    if entry and ended:
        hours = ended.body["time_in_market_seconds"] / 3600
        return (
            f"Bought {clock_time(entry.body['fill_time'])}, closed {clock_time(ended.body['exit_time'])} UTC by "
            f"{words(ended.body['termination_reason'])} after {hours:,.1f} h"
        )
    if trade:
        return (
            f"{trade.body['action']} {clock_time(trade.body['opened_at'])}, closed "
            f"{clock_time(trade.body['closed_at'])} UTC by {words(trade.body['termination_reason'])}"
        )
    if entry:
        return f"Bought {clock_time(entry.body['fill_time'])} UTC; no outcome is recorded"
    decided = clock_time(chain.decided_at or "")
    if chain.disposition:
        body = chain.disposition.body
        return f"Decided {decided} UTC and not taken: {words(body['disposition'])} ({body['reason']})"
    return f"Decided {decided} UTC; neither a disposition nor an entry is recorded yet"


def _checked(dossier: Dossier) -> str:
    """Return what was recomputed."""
    records = len(dossier.story.steps) + len(dossier.states)
    days, inputs = len(dossier.prices.days), len(dossier.artifacts)
    return f"{records} records, {days} days of bars and {inputs} stored inputs were recomputed and hold."


def _problems(dossier: Dossier) -> Iterator[str]:
    for step in dossier.story.steps:
        for problem in step.problems:
            yield f"{words(step.table)} {step.uuid}: {problem}"
    for day, (_, holds) in dossier.story.data.items():
        if holds is False:
            yield f"bars of {day} have another seal than its records name"
    yield from dossier.problems


def _tiles(dossier: Dossier) -> Iterator[tuple[object, str]]:
    chain, costs = dossier.chain, dossier.costs
    if costs.why is None:
        yield amount_coloured(costs.net), "net result, USD"
    entry, ended = chain.execution or chain.trade, chain.outcome or chain.trade
    if entry:
        yield significant(entry.body["entry_price"], 6), "entry price"
    if ended:
        yield significant(ended.body["exit_price"], 6), "exit price"
    known = [float(line.usd) for line in costs.lines if line.usd is not None]
    if known:
        yield amount(sum(known)), "costs, fees, attrition, USD"
    if costs.notional:
        yield amount(costs.notional), "paid at entry, USD"
    if chain.candidate and chain.candidate.body["confidence"]:
        yield significant(chain.candidate.body["confidence"], 3), "confidence"
