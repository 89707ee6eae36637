"""The story of one trade, from data to outcome, each record recomputed: what ``throughline trade`` prints.

Belongs here: finding the chain behind any of its UUIDs and checking every part of it. Does not belong here: how it is
printed (cli).
"""

from __future__ import annotations

import json
import uuid as uuid_module
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, text

from throughline.errors import UnknownRecord
from throughline.identity import seal_of
from throughline.storage import tables
from throughline.storage.tables import LEDGER, ledger_table
from throughline.tracking.checking import check_row
from throughline.tracking.layout import ASSET_TABLES, LINKS, TABLE_ASSET
from throughline.tracking.system import MODE
from throughline.verification.arithmetic import outcome_problems

ORDER = ("market_scans", "candidates", "research_docs", "dispositions", "executions", "outcomes", "shadow_outcomes")
"""The chain from data to outcome."""


@dataclass(frozen=True)
class Step:
    """One record of the story. problems: what does not hold (hash, columns, UUID, links, sums, seal of its day)."""

    table: str
    uuid: str
    partition: str
    content_hash: str
    body: Mapping[str, Any]
    run_id: str | None
    supersedes: str | None
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True if nothing is wrong with this record."""
        return not self.problems


@dataclass(frozen=True)
class Story:
    """A chain. asked: the UUID that was asked for and where it was found; candidate: None for a scan that admitted
    nothing or a portfolio state; data: the days of bars that were read, each with the seal the records name and whether
    the sealed day has it (None: the day lies before the epoch, so it was read and not sealed)."""

    asked: str
    found_in: str
    experiment: str
    candidate: str | None
    data: Mapping[str, tuple[str, bool | None]]
    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """True if every record and every day of data holds."""
        return all(step.ok for step in self.steps) and all(held is not False for _, held in self.data.values())

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``trade --json`` prints."""
        return {
            "asked": self.asked,
            "found_in": self.found_in,
            "experiment": self.experiment,
            "candidate": self.candidate,
            "ok": self.ok,
            "data": {day: {"seal": root, "ok": held} for day, (root, held) in self.data.items()},
            "steps": [
                {
                    "table": step.table,
                    "uuid": step.uuid,
                    "partition": step.partition,
                    "content_hash": step.content_hash,
                    "ok": step.ok,
                    "problems": list(step.problems),
                    "run_id": step.run_id,
                    "supersedes": step.supersedes,
                    "body": dict(step.body),
                }
                for step in self.steps
            ],
        }


def parse_id(value: str) -> uuid_module.UUID:
    """Return the UUID that a person typed. Raises UnknownRecord where it is none."""
    try:
        return uuid_module.UUID(value.strip())
    except ValueError:
        raise UnknownRecord(
            f"'{value}' is not a UUID: give the id of a scan, candidate, research snapshot, disposition, execution, "
            "outcome or shadow outcome"
        ) from None


def tell(connection: Connection, asked: uuid_module.UUID) -> Story:
    """Return the story behind a UUID of any ledger table. Raises UnknownRecord where no record has it."""
    found = _locate(connection, asked)
    if found is None:
        raise UnknownRecord(f"no record of this home has the id {asked}: looked in {', '.join(t.name for t in LEDGER)}")
    table, row = found
    if table in ("market_scans", "portfolio_states"):
        rows = [(table, row)]
        candidate = None
        if table == "market_scans":
            rows += [("candidates", item) for item in _rows(connection, "candidates", "scan_uuid", row["uuid"])]
    else:
        candidate = row["uuid"] if table == "candidates" else row["candidate_uuid"]
        rows = _chain(connection, candidate)
    mode = connection.execute(
        select(tables.experiments.c.mode).where(tables.experiments.c.id == row["experiment"])
    ).scalar()
    steps = tuple(_step(connection, name, item, rows, mode == MODE) for name, item in rows)
    return Story(
        asked=str(asked),
        found_in=table,
        experiment=row["experiment"],
        candidate=str(candidate) if candidate else None,
        data=_data(connection, row["experiment"], steps),
        steps=steps,
    )


Row = Mapping[str, Any]


def _locate(connection: Connection, asked: uuid_module.UUID) -> tuple[str, Row] | None:
    for table in LEDGER:
        rows = _rows(connection, table.name, "uuid", asked)
        if rows:
            return table.name, rows[0]
    return None


def _rows(connection: Connection, table: str, column: str, value: uuid_module.UUID) -> list[Row]:
    source = ledger_table(table)
    statement = select(source).where(source.c[column] == value).order_by(source.c.recorded_at, source.c.uuid)
    return [dict(item) for item in connection.execute(statement).mappings()]


def _chain(connection: Connection, candidate: uuid_module.UUID) -> list[tuple[str, Row]]:
    heads = _rows(connection, "candidates", "uuid", candidate)
    rows: list[tuple[str, Row]] = []
    for head in heads:
        if head["scan_uuid"] is not None:
            rows += [("market_scans", item) for item in _rows(connection, "market_scans", "uuid", head["scan_uuid"])]
        rows.append(("candidates", head))
    for table in ORDER[2:]:
        rows += [(table, item) for item in _rows(connection, table, "candidate_uuid", candidate)]
    return rows


def _step(connection: Connection, table: str, row: Row, chain: list[tuple[str, Row]], by_hand: bool) -> Step:
    """Check one record. by_hand: it has no day that is sealed, and its body may leave sums untold."""
    checked, problems = check_row(table, row)
    body = checked.body or {}
    problems = [
        *problems,
        *_link_problems(connection, table, body),
        *([] if by_hand else _seal_problems(connection, table, row, checked.hash)),
    ]
    if table == "outcomes" and not by_hand:
        executions = [json.loads(bytes(item["body"])) for name, item in chain if name == "executions"]
        try:
            problems += outcome_problems(body, executions[0]) if executions else ["its execution does not exist"]
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            problems.append(f"body lacks or garbles a field ({type(error).__name__}: {error})")
    return Step(
        table=table,
        uuid=str(row["uuid"]),
        partition=row["partition"].isoformat(),
        content_hash=str(row["content_hash"]),
        body=body,
        run_id=row["run_id"],
        supersedes=str(row["supersedes"]) if row["supersedes"] else None,
        problems=tuple(problems),
    )


def _link_problems(connection: Connection, table: str, body: Mapping[str, Any]) -> list[str]:
    problems = []
    for key, target in (*LINKS[table], ("supersedes", table)):
        told = body.get(key)
        if not told:
            continue
        rows = _rows(connection, target, "uuid", uuid_module.UUID(told["uuid"]))
        if not rows:
            problems.append(f"{key} names {target} {told['uuid']}, which does not exist")
        elif rows[0]["content_hash"] != told["hash"]:
            problems.append(f"{key} names {target} {told['uuid']} with another hash than it has")
    return problems


def _seal_problems(connection: Connection, table: str, row: Row, found: str) -> list[str]:
    """The day's seal, recomputed with this record's recomputed hash in place of the stored one, is the sealed one."""
    asset = TABLE_ASSET[table]
    c = tables.partition_seals.c
    statement = select(c.root).where(
        c.experiment == row["experiment"], c.asset == asset, c.partition == row["partition"]
    )
    sealed = connection.execute(statement).scalar()
    if sealed is None:
        return [f"{asset} of {row['partition']} is not sealed"]
    hashes: list[str] = []
    for name in ASSET_TABLES[asset]:
        rows = connection.execute(
            text(f"SELECT uuid, content_hash FROM {name} WHERE experiment = :e AND partition = :p"),
            {"e": row["experiment"], "p": row["partition"]},
        )
        hashes += [found if uuid == row["uuid"] else content_hash for uuid, content_hash in rows]
    return (
        []
        if seal_of(hashes) == sealed
        else [f"the seal of {asset} of {row['partition']} does not follow from its rows"]
    )


def _data(connection: Connection, experiment: str, steps: tuple[Step, ...]) -> dict[str, tuple[str, bool | None]]:
    c = tables.partition_seals.c
    rows = connection.execute(select(c.partition, c.root).where(c.experiment == experiment, c.asset == "market_bars"))
    sealed = {day.isoformat(): root for day, root in rows}
    told: dict[str, str] = {}
    for step in steps:
        told |= dict(step.body.get("data_seals", {}))
    return {day: (root, None if day not in sealed else sealed[day] == root) for day, root in sorted(told.items())}
