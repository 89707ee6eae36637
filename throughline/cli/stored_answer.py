"""The answer of a run of days, kept with its report: a command with nothing to do prints it again.

Belongs here: when an answer still holds, and keeping it. Does not belong here: making it (summary), printing it
(answer).

An answer holds while everything that it follows from is the same: the experiment with its range, the seals of all its
days, the outcome of recomputing all its records, which is done each time, and the code. It is an artifact, so its bytes
are bound by a row of the database; a file beside the reports leads to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from throughline.errors import StorageError
from throughline.identity import hash_body, sha256_hex

if TYPE_CHECKING:
    from throughline.analytics.published import PublishedReport
    from throughline.experiment.identity import Experiment
    from throughline.run_opening import OpenHome

KIND = "report_answer"
FOLDER = "answers"


@dataclass(frozen=True)
class Answer:
    """What a command prints of a report.

    Args:
        report: the object that --json prints.
        text: the summary for the terminal.
    """

    report: Mapping[str, Any]
    text: str


def answer_key(
    opened: OpenHome, experiment: Experiment, start: date, end: date, dossiers: int, chain: Mapping[str, int]
) -> str:
    """Return the hash of everything that an answer follows from.

    Args:
        opened: the home.
        experiment: of the report.
        start: first day.
        end: last day.
        dossiers: how many trades got a page at either end.
        chain: how many records were recomputed just now, and how many are broken.
    """
    from sqlalchemy import select

    from throughline.storage.tables import partition_seals

    seals = partition_seals.c
    with opened.database.engine("reader").connect() as connection:
        rows = connection.execute(
            select(seals.asset, seals.partition, seals.root, seals.status)
            .where(seals.experiment == experiment.id)
            .order_by(seals.asset, seals.partition)
        ).all()
    return hash_body(
        KIND,
        {
            "chain": dict(chain),
            "code": _package_hash(),
            "dossiers": dossiers,
            "end": end.isoformat(),
            "experiment": experiment.id,
            "home": str(opened.home.path),
            "seals": [[asset, day.isoformat(), root.strip(), status] for asset, day, root, status in rows],
            "start": start.isoformat(),
        },
    )


def read_answer(opened: OpenHome, key: str) -> Answer | None:
    """Return the answer that was kept under a key; None where there is none, or one of its pages has changed."""
    from sqlalchemy import select

    from throughline.storage.tables import artifacts

    try:
        digest = _place(opened, key).read_text(encoding="ascii").strip()
        with opened.database.engine("reader").connect() as connection:
            kind = connection.execute(select(artifacts.c.kind).where(artifacts.c.hash == digest)).scalar()
        body = json.loads(opened.artifacts.get(digest)) if kind == KIND else {}
        if body.get("key") != key or any(sha256_hex(Path(page).read_bytes()) != hash_ for page, hash_ in body["pages"]):
            return None
    except (OSError, StorageError, ValueError):  # ValueError: bytes that are no ASCII, or no JSON
        return None
    return Answer(body["report"], body["text"])


def keep_answer(opened: OpenHome, key: str, answer: Answer, published: PublishedReport) -> None:
    """Keep an answer under its key, with the hashes of its pages. Raises OSError where the home cannot be written."""
    from throughline.storage.queries import record_artifact

    pages = [published.page, *published.dossiers.values()]
    body = {
        "key": key,
        "pages": [[str(page), sha256_hex(page.read_bytes())] for page in pages],
        "report": answer.report,
        "text": answer.text,
    }
    ref = opened.artifacts.put(json.dumps(body).encode(), KIND, "application/json")
    with opened.database.engine("writer").begin() as connection:
        record_artifact(connection, ref.hash, ref.kind, ref.media_type, ref.bytes, ref.location)
    place = _place(opened, key)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_suffix(".part")
    part.write_text(ref.hash, encoding="ascii")
    part.replace(place)


def _place(opened: OpenHome, key: str) -> Path:
    return opened.home.reports / FOLDER / key


def _package_hash() -> str:
    """Return a hash of all files of the package: of what is printed, not only of what decides."""
    root = Path(__file__).parents[1]
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".json", ".j2", ".html", ".css") and path.is_file():
            total.update(f"{path.relative_to(root)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
