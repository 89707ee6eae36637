"""The sections of a dossier's page that prove it: registry entry, every hash, seals and log, bars, the records in full.

Belongs here: from a dossier's checks to headed markup. Does not belong here: checking (verification).
"""

from __future__ import annotations

import json

from throughline.analytics.dossier_markup import Html, code, joined, mark, note, safe, stamp, table, tag, when, words
from throughline.catalogue import BARS
from throughline.verification.dossier import Dossier
from throughline.verification.dossier_log import LogPlace, claim_of
from throughline.verification.story import Step


def registered(dossier: Dossier) -> Html:
    """Return the trade's entry in the registries, or why it has none."""
    told = dossier.registration
    if told.why:
        return note(f"Not registered: {told.why}.")
    rows = [
        ("canonical trade", code(told.trade_hash), code(told.uuid)),
        ("soulprint", code(told.soulprint), code(dossier.chain.soulprint.uuid) if dossier.chain.soulprint else None),
        (
            "profit bucket pattern",
            code(told.pattern),
            code(dossier.chain.bucket.uuid) if dossier.chain.bucket else None,
        ),
    ]
    parts: list[object] = [
        table("Entries in the registries", ("entry", "hash", "UUID"), rows, (1, 2)),
        note("The trade hash covers the hashes of soulprint and pattern, and their entries cover the trade's."),
    ]
    if told.corrects:
        parts.append(tag("p", joined(["This entry corrects ", code(told.corrects), "."]), "warn"))
    for name, reason in told.quarantine.items():
        parts.append(tag("p", f"Out of use: its entry in {name} is in quarantine ({reason}).", "warn"))
    return joined(parts)


def hashes(dossier: Dossier) -> Html:
    """Return every record's hash beside the one that its body gives now."""
    rows = [_hash_row(step) for step in (*dossier.story.steps, *dossier.states)]
    head = ("record", "check", "hash, stored and recomputed", "UUID", "day", "written (UTC)")
    return joined(
        [
            table("Every record's hash and its check", head, rows, (1, 2, 3, 4, 5)),
            note(
                "A record holds if its body has the stored hash, its columns and UUID follow from the body, its links "
                "lead to records with the named hashes, its sums come out, and its day's seal follows from its rows."
            ),
        ]
    )


def _hash_row(step: Step) -> tuple[object, ...]:
    same = step.recomputed == step.content_hash
    shown: object = code(step.content_hash)
    if not same:
        shown = joined(
            [code(step.content_hash), tag("div", joined(["its body gives ", code(step.recomputed)]), "loss")]
        )
    problems = [tag("div", problem, "loss") for problem in step.problems]
    name: object = words(step.table)
    if step.supersedes:
        name = joined([name, tag("div", joined(["corrects ", code(step.supersedes)]), "sub")])
    return (
        name,
        joined([mark(step.ok), *problems]),
        shown,
        code(step.uuid),
        tag("time", step.partition),
        stamp(step.recorded_at),
    )


def sealed(dossier: Dossier) -> Html:
    """Return the seals behind the records and where they stand in the log."""
    places = {place.what: place for place in dossier.log.places}
    rows: dict[str, tuple[object, ...]] = {}

    def add(what: str, ok: bool | None, root: object) -> None:
        place = places.get(what)
        named = words(what.replace("/", " "))
        rows.setdefault(what, (named, mark(ok, unknown="\N{EN DASH}"), root, _place(place), _anchored(place)))

    for day in dossier.prices.days:
        if not day.before_epoch:
            add(f"{BARS}/{day.day}", day.ok, code(day.root))
    for step in (*dossier.story.steps, *dossier.states):
        what = claim_of(step).what
        if step.seal is None:
            add(what, None, tag("span", "written by hand: no day is sealed", "sub"))
        else:
            unsealed = tag("span", "not sealed yet", "sub") if step.seal.waiting else tag("span", "not sealed", "loss")
            ok = None if step.seal.waiting else step.seal.ok
            add(what, ok, code(step.seal.root) if step.seal.root else unsealed)
    head = ("sealed", "check", "root", "in the log", "anchored")
    listed = table("Seals and their places in the seal log", head, list(rows.values()), (1, 2, 3, 4))
    return joined([listed, *_log_words(dossier)])


def _place(place: LogPlace | None) -> object:
    if place is None or place.seq is None:
        return tag("span", "not logged yet", "sub")
    if place.problem:
        return tag("span", place.problem, "loss")
    covered = f"head {place.head}" if place.head else "no head covers it yet"
    return f"event {place.seq}, {covered}"


def _anchored(place: LogPlace | None) -> object:
    if place is None or place.seq is None or place.anchored is None:
        return safe(None)
    return mark(place.anchored, "yes", "not yet") if place.anchored else tag("span", "not yet", "mark unknown")


def _log_words(dossier: Dossier) -> list[Html]:
    log = dossier.log
    if log.tree_size == 0:
        return [note(f"The seal log: {log.signature}.")]
    told = (
        f"The newest head covers {log.tree_size} events and was signed on {when(log.signed_at)} UTC: {log.signature}."
    )
    lines = [note(told)]
    if log.anchor is None:
        lines.append(note("The anchor outside the database was not checked."))
    else:
        covers = f"covers {log.anchored_size} events" if log.anchored_size else "holds no head yet"
        lines.append(note(f"The anchor {covers}; its strength: {log.strength}."))
    return lines


def bars(dossier: Dossier) -> Html:
    """Return the days of bars and the stored inputs that were read for this page, each with its check."""
    rows: list[tuple[object, ...]] = []
    for day in dossier.prices.days:
        why = day.expired or day.problem
        check = joined([mark(day.ok, unknown="expired"), tag("div", why, "sub") if why else ""])
        rows.append((f"market bars {day.day}", check, code(day.root), code(day.artifact) if day.artifact else None))
    for item in dossier.artifacts:
        check = joined([mark(item.ok, unknown="expired"), tag("div", item.problem, "sub") if item.problem else ""])
        rows.append((f"inputs: {', '.join(words(name) for name in item.names)}", check, None, code(item.hash)))
    if not rows:
        return note("No stored bytes belong to it.")
    head = ("bytes", "check", "seal", "hash of the bytes")
    return table("Stored bytes and their checks", head, rows, (1, 2, 3))


def bodies(dossier: Dossier) -> Html:
    """Return every record in full, folded."""
    parts = []
    for step in (*dossier.story.steps, *dossier.states):
        text = json.dumps(step.body, ensure_ascii=False, indent=2, sort_keys=True)
        named = joined([words(step.table), " ", code(step.uuid)])
        parts.append(Html(f'<details class="bodies">{tag("summary", named)}{tag("pre", text)}</details>'))
    return joined(parts)
