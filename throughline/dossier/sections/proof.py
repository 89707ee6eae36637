"""Sections of a dossier's page that prove the trade: registry entry, hashes, seals and log, stored bytes, records.

Belongs here: from a dossier's checks to blocks. Does not belong here: checking (story, log, prices, stored).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from markupsafe import Markup

from throughline.catalogue import BARS
from throughline.dossier.log import LogPlace, claim_of
from throughline.dossier.read import Dossier
from throughline.dossier.story import Step
from throughline.rendering.blocks import Block, Paragraph, Section
from throughline.rendering.formats import clock_time, words
from throughline.rendering.markup import DASH, NOTHING, code, element, joined, mark, quiet, stamp
from throughline.rendering.table import Table


def _registered(dossier: Dossier) -> Iterator[Block]:
    if not dossier.single:
        return
    entry, chain = dossier.registration, dossier.chain
    if entry.why:
        yield f"Not registered: {entry.why}."
        return
    rows = [
        ("canonical trade", code(entry.trade_hash), code(entry.uuid)),
        ("soulprint", code(entry.soulprint), code(chain.soulprint.uuid) if chain.soulprint else None),
        ("profit bucket pattern", code(entry.pattern), code(chain.bucket.uuid) if chain.bucket else None),
    ]
    yield Table(("entry", "hash", "UUID"), rows, (0, 1, 2), caption="Entries in the registries")
    yield "The trade hash covers the hashes of soulprint and pattern, and their entries cover the trade's."
    if entry.corrects:
        yield Paragraph(joined(["This entry corrects ", code(entry.corrects), "."]), "warn")
    for name, reason in entry.quarantine.items():
        yield Paragraph(f"Out of use: its entry in {name} is in quarantine ({reason}).", "warn")


def _steps(dossier: Dossier) -> tuple[Step, ...]:
    return (*dossier.story.steps, *dossier.states)


def _hashes(dossier: Dossier) -> Iterator[Block]:
    header = ("record", "check", "hash, stored and recomputed", "UUID", "day", "written (UTC)")
    rows = [_hash_row(step) for step in _steps(dossier)]
    yield Table(header, rows, (0, 1, 2, 3, 4, 5), caption="Every record's hash and its check")
    yield (
        "A record holds if its body has the stored hash, its columns and UUID follow from the body, its links lead to "
        "records with the named hashes, its sums come out, and its day's seal follows from its rows."
    )


def _hash_row(step: Step) -> tuple[object, ...]:
    name, hashes = words(step.table), code(step.content_hash)
    if step.recomputed != step.content_hash:
        hashes = joined([hashes, element("div", joined(["its body gives ", code(step.recomputed)]), "loss")])
    if step.supersedes:
        name = joined([name, element("div", joined(["corrects ", code(step.supersedes)]), "sub")])
    problems = [element("div", problem, "loss") for problem in step.problems]
    return (
        name,
        joined([mark(step.ok), *problems]),
        hashes,
        code(step.uuid),
        element("time", step.partition),
        stamp(step.recorded_at),
    )


def _sealed(dossier: Dossier) -> Iterator[Block]:
    places = {place.what: place for place in dossier.log.places}
    rows: dict[str, tuple[object, ...]] = {}

    def add(what: str, ok: bool | None, root: object) -> None:
        place = places.get(what)
        name = words(what.replace("/", " "))
        rows.setdefault(what, (name, mark(ok, unknown="\N{EN DASH}"), root, _place(place), _anchored(place)))

    for day in dossier.prices.days:
        if not day.before_epoch:
            add(f"{BARS}/{day.day}", day.ok, code(day.root))
    for step in _steps(dossier):
        what = claim_of(step).what
        if step.seal is None:
            add(what, None, quiet("written by hand: no day is sealed"))
        else:
            unsealed = quiet("not sealed yet") if step.seal.waiting else element("span", "not sealed", "loss")
            ok = None if step.seal.waiting else step.seal.ok
            add(what, ok, code(step.seal.root) if step.seal.root else unsealed)
    header = ("sealed", "check", "root", "in the log", "anchored")
    yield Table(header, list(rows.values()), (0, 1, 2, 3, 4), caption="Seals and their places in the seal log")
    yield from _log_sentences(dossier)


def _place(place: LogPlace | None) -> object:
    if place is None or place.seq is None:
        return quiet("not logged yet")
    if place.problem:
        return element("span", place.problem, "loss")
    return f"event {place.seq}, {f'head {place.head}' if place.head else 'no head covers it yet'}"


def _anchored(place: LogPlace | None) -> Markup:
    if place is None or place.seq is None or place.anchored is None:
        return DASH
    return mark(place.anchored or None, "yes", unknown="not yet")


def _log_sentences(dossier: Dossier) -> Iterator[str]:
    log = dossier.log
    if log.tree_size == 0:
        yield f"The seal log: {log.signature}."
        return
    signed = clock_time(log.signed_at or "")
    yield f"The newest head covers {log.tree_size} events and was signed on {signed} UTC: {log.signature}."
    if log.anchor is None:
        yield "The anchor outside the database was not checked."
    else:
        covers = f"covers {log.anchored_size} events" if log.anchored_size else "holds no head yet"
        yield f"The anchor {covers}; its strength: {log.strength}."


def _bytes(dossier: Dossier) -> Iterator[Block]:
    rows: list[tuple[object, ...]] = []
    for day in dossier.prices.days:
        check = _check(day.ok, day.expired or day.problem)
        rows.append((f"market bars {day.day}", check, code(day.root), code(day.artifact)))
    for item in dossier.artifacts:
        name = f"inputs: {', '.join(map(words, item.names))}"
        rows.append((name, _check(item.ok, item.problem), None, code(item.hash)))
    if rows:
        header = ("bytes", "check", "seal", "hash of the bytes")
        yield Table(header, rows, (0, 1, 2, 3), caption="Stored bytes and their checks")
    else:
        yield "No stored bytes belong to it."


def _check(ok: bool | None, why: str | None) -> Markup:
    return joined([mark(ok, unknown="expired"), element("div", why, "sub") if why else NOTHING])


def _records(dossier: Dossier) -> Iterator[Block]:
    for step in _steps(dossier):
        text = json.dumps(step.body, ensure_ascii=False, indent=2, sort_keys=True)
        summary = joined([words(step.table), " ", code(step.uuid)])
        yield Markup('<details class="bodies"><summary>{}</summary><pre>{}</pre></details>').format(summary, text)


SECTIONS = (
    Section("Registry entry", 100, _registered),
    Section("Every hash and its check", 110, _hashes),
    Section("Seals and the log", 120, _sealed),
    Section("Bars and stored inputs", 130, _bytes),
    Section("The records in full", 140, _records),
)
