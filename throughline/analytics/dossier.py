"""The dossier of a trade as one static HTML page that needs no network and no other file, and where it is written.

Belongs here: the page and its file. Does not belong here: what a dossier holds (verification.dossier) and its sections
(dossier_sections, dossier_proof). The same dossier gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from throughline.analytics import dossier_proof, dossier_sections
from throughline.analytics.dossier_markup import Html, amount, joined, number, percent, safe, tag, when, words
from throughline.analytics.words import interval_reason
from throughline.errors import StorageError
from throughline.experiment.mode import mode_warning
from throughline.proof.settings import Proof
from throughline.proof.snapshot import anchored_snapshot
from throughline.storage.artifacts import ArtifactStore
from throughline.user_files import write_whole
from throughline.verification.dossier import Dossier, compile_dossier, readable

if TYPE_CHECKING:
    from throughline.registry.index_loading import LoadedIndex

Section = Callable[[Dossier], Html]

_TRADE: tuple[tuple[str, Section], ...] = (
    ("Price path", dossier_sections.prices),
    ("Timeline of the chain", dossier_sections.times),
    ("What was known", dossier_sections.known),
    ("What was missing", dossier_sections.missing),
    ("Who decided, and why", dossier_sections.judged),
    ("Costs", dossier_sections.charged),
    ("Three fill models", dossier_sections.paths),
    ("Soulprint", dossier_sections.soulprint),
    ("Similar trades, and how they ended", dossier_sections.similar),
    ("Registry entry", dossier_proof.registered),
)
_PROOF: tuple[tuple[str, Section], ...] = (
    ("Every hash and its check", dossier_proof.hashes),
    ("Seals and the log", dossier_proof.sealed),
    ("Bars and stored inputs", dossier_proof.bars),
    ("The records in full", dossier_proof.bodies),
)


def dossier_html(dossier: Dossier) -> str:
    """Return the page. Everything that comes from a record is escaped."""
    listed = (_TRADE if dossier.single else ()) + _PROOF
    parts = [_header(dossier)]
    for title, section in listed:
        parts.append(joined([tag("h2", title), _readable(section, dossier)]))
    parts.append(tag("footer", "Written by Throughline from the records of one home. Times are UTC."))
    template = files("throughline.analytics").joinpath("dossier.html").read_text(encoding="utf-8")
    before, between, after = _split(template)
    return f"{before}{safe(_title(dossier))}{between}{joined(parts)}{after}"


def write_page(dossier: Dossier, target: Path) -> Path:
    """Write the page to `target`, whole or not at all; return its path. Raises StorageError where it cannot be."""
    content = dossier_html(dossier).encode("utf-8")
    try:
        write_whole(target, content)
    except OSError as error:
        raise StorageError(
            f"the dossier cannot be written to {target} ({error.strerror}): name a file in a folder that exists and "
            "may be written to"
        ) from error
    return target


def write_dossier(
    engine: Engine,
    artifacts: ArtifactStore,
    proof: Proof | None,
    id_: str,
    folder: Path,
    loaded: LoadedIndex | None = None,
) -> Path:
    """Write the dossier of any ID of a chain (as ``throughline trade`` takes it) into `folder`, made where it is not.

    The file is called after the id that was found; written again it is replaced. Returns its path. engine: may read
    everything; proof: None leaves signature and anchor of the seal log unchecked; loaded: the index of the trade's
    experiment (``registry.index_loading.load_index``), where many are written. Raises UnknownRecord, StorageError.
    """
    with ExitStack() as stack:
        if proof is None:
            connection = stack.enter_context(engine.connect().execution_options(isolation_level="REPEATABLE READ"))
        else:
            connection, anchor = stack.enter_context(anchored_snapshot(engine, proof.anchor))
            proof = replace(proof, anchor=anchor)
        dossier = compile_dossier(connection, artifacts, proof, id_, loaded)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"the folder {folder} cannot be made ({error.strerror}): choose another one") from error
    return write_page(dossier, folder / f"dossier-{dossier.story.asked}.html")


def _split(template: str) -> tuple[str, str, str]:
    """Return the template around its two places; by cutting it, so that no record can name one of them."""
    before, _, rest = template.partition("{{title}}")
    between, _, after = rest.partition("{{body}}")
    return before, between, after


def _readable(section: Section, dossier: Dossier) -> Html:
    """Return a section, or a sentence where a record that was changed cannot be shown; the checks name it."""
    garbled = tag("p", "This cannot be shown: one of its records lacks or garbles a field.", "warn")
    return readable(dossier.records_hold, lambda: section(dossier), garbled)


def _title(dossier: Dossier) -> str:
    name = dossier.prices.instrument or words(dossier.story.found_in)
    return f"Dossier: {name} {(dossier.chain.decided_at or '')[:10]}".strip()


def _header(dossier: Dossier) -> Html:
    story, chain = dossier.story, dossier.chain
    name = dossier.prices.instrument or words(story.found_in).capitalize()
    net = dossier.costs.net_percent
    about = [f"{story.mode} experiment {story.experiment[:12]}", f"asked for {story.found_in} {story.asked}"]
    parts = [
        tag("h1", joined([name, " ", _readable(lambda _: percent(net), dossier) if net else ""])),
        note_line(_readable(_said, dossier)) if dossier.single else Html(""),
        note_line(" \N{MIDDLE DOT} ".join(about)),
        _verdict(dossier),
    ]
    if mode_warning(story.mode):
        parts.append(tag("p", mode_warning(story.mode), "warn"))
    outcome = chain.outcome
    parts.append(_readable(_between, dossier))
    if outcome and outcome.body.get("flags"):
        parts.append(
            tag("p", f"Flags of the trade: {', '.join(words(item) for item in outcome.body['flags'])}.", "warn")
        )
    if dossier.single:
        parts.append(_readable(_tiles, dossier))
    return joined(parts)


def note_line(content: object) -> Html:
    """Return a quiet line under the title."""
    return tag("p", content, "sub")


def _between(dossier: Dossier) -> Html:
    """Return between which results a trade lies whose result is an interval, and why; nothing for others."""
    outcome = dossier.chain.outcome
    why = interval_reason(outcome.body) if outcome else None
    if outcome is None or why is None:
        return Html("")
    ends = joined([amount(outcome.body[name], sign=True) for name in ("pnl_low_usd", "pnl_high_usd")], " and ")
    return tag("p", joined(["Its result lies between ", ends, f" USD: {why}."]), "warn")


def _said(dossier: Dossier) -> Html:
    """Return in one line what became of it."""
    chain = dossier.chain
    entry, ended, trade = chain.execution, chain.outcome, chain.trade
    if entry and ended:
        held = ended.body["time_in_market_seconds"] / 3600
        return safe(
            f"Bought {when(entry.body['fill_time'])}, closed {when(ended.body['exit_time'])} UTC by "
            f"{words(ended.body['termination_reason'])} after {held:,.1f} h"
        )
    if trade:
        return safe(
            f"{trade.body['action']} {when(trade.body['opened_at'])}, closed {when(trade.body['closed_at'])} UTC by "
            f"{words(trade.body['termination_reason'])}"
        )
    if entry:
        return safe(f"Bought {when(entry.body['fill_time'])} UTC; no outcome is recorded")
    if chain.disposition:
        return safe(
            f"Decided {when(chain.decided_at)} UTC and not taken: {words(chain.disposition.body['disposition'])} "
            f"({chain.disposition.body['reason']})"
        )
    return safe(f"Decided {when(chain.decided_at)} UTC; nothing became of it yet")


def _verdict(dossier: Dossier) -> Html:
    steps = (*dossier.story.steps, *dossier.states)
    if dossier.ok:
        told = (
            f"{len(steps)} records, {len(dossier.prices.days)} days of bars and {len(dossier.artifacts)} stored inputs"
        )
        lines = joined([tag("b", "Nothing in it has been changed."), f" {told} were recomputed and hold."])
        return tag("div", lines, "verdict")
    broken = [
        f"{words(step.table)} {step.uuid}: {problem}" for step in dossier.story.steps for problem in step.problems
    ]
    broken += [
        f"bars of {day} have another seal than its records name"
        for day, (_, held) in dossier.story.data.items()
        if held is False
    ]
    items = tag("ul", joined(tag("li", item) for item in (*broken, *dossier.problems)))
    return tag("div", joined([tag("b", "BROKEN: this does not hold."), items]), "verdict bad")


def _tiles(dossier: Dossier) -> Html:
    chain, told = dossier.chain, dossier.costs
    tiles: list[tuple[object, str]] = []
    if told.why is None:
        tiles.append((amount(told.net, sign=True), "net result, USD"))
    entry, ended = chain.execution or chain.trade, chain.outcome or chain.trade
    if entry:
        tiles.append((number(entry.body["entry_price"], 6), "entry price"))
    if ended:
        tiles.append((number(ended.body["exit_price"], 6), "exit price"))
    known = [float(line.usd) for line in told.lines if line.usd is not None]
    if known:
        tiles.append((f"{sum(known):,.2f}", "costs, fees, attrition, USD"))
    if told.notional:
        tiles.append((f"{float(told.notional):,.2f}", "paid at entry, USD"))
    if chain.candidate and chain.candidate.body["confidence"]:
        tiles.append((number(chain.candidate.body["confidence"], 3), "confidence"))
    shown = joined(Html(f'<div class="tile">{tag("b", big)}{tag("span", small, "what")}</div>') for big, small in tiles)
    return tag("div", shown, "tiles") if tiles else Html("")
