"""The story of one trade, from data to its registry entries, each record recomputed: what ``throughline trade`` prints.

Belongs here: finding the chain behind any of its UUIDs, or behind a trade hash, and checking every part of it. Does not
belong here: what stands beside the records (read) and how it is shown (text, page).
"""

from __future__ import annotations

import uuid as uuid_module
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select, text

from throughline.catalogue import catalogue
from throughline.dossier.links import registry_problems
from throughline.errors import UnknownRecord
from throughline.identity import seal_of, time_text
from throughline.registries import registries
from throughline.registry.consistency.seals import waits_for_seal
from throughline.storage import tables
from throughline.storage.ids import TypedId, resolve_record
from throughline.storage.tables import LEDGER, ledger_table
from throughline.tracking.checking import check_row
from throughline.tracking.system import MODE
from throughline.tracking.versions import read_body
from throughline.verification.arithmetic import outcome_problems


@dataclass(frozen=True)
class SealCheck:
    """The seal of a record's day. root: as sealed, None where the day is not; recomputed: from the day's stored hashes,
    with this record's recomputed hash in place of the stored one; waiting: True where the day is not sealed because the
    run that wrote the record has not reached the asset that seals it (`verify` counts such rows as pending)."""

    asset: str
    partition: str
    root: str | None
    recomputed: str
    waiting: bool = False

    @property
    def ok(self) -> bool:
        """True if the day's rows give its seal, or the day waits for it."""
        return self.waiting or self.root == self.recomputed


@dataclass(frozen=True)
class Step:
    """One record of the story.

    recomputed: the hash that its body gives now; recorded_at: when its row was written (wall clock, UTC text); seal:
    None for records written by hand, whose days are not sealed; problems: what does not hold (hash, columns, UUID,
    links, sums, seal of its day).
    """

    table: str
    uuid: str
    experiment: str
    partition: str
    content_hash: str
    body: Mapping[str, Any]
    run_id: str | None
    supersedes: str | None
    problems: tuple[str, ...]
    recomputed: str
    recorded_at: str
    seal: SealCheck | None

    @property
    def ok(self) -> bool:
        """True if nothing is wrong with this record."""
        return not self.problems


@dataclass(frozen=True)
class Story:
    """A chain. asked: the UUID that was asked for and where it was found; candidate: None for a scan, a portfolio state
    and a trade that was registered by hand; data: the days of bars that were read, each with the seal the records name
    and whether the sealed day has it (None: the day lies before the epoch, so it was read and not sealed)."""

    asked: str
    found_in: str
    experiment: str
    mode: str
    candidate: str | None
    data: Mapping[str, tuple[str, bool | None]]
    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """True if every record and every day of data holds."""
        return all(step.ok for step in self.steps) and all(holds is not False for _, holds in self.data.values())

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``trade --json`` prints."""
        return {
            "asked": self.asked,
            "found_in": self.found_in,
            "experiment": self.experiment,
            "mode": self.mode,
            "candidate": self.candidate,
            "ok": self.ok,
            "data": {day: {"seal": root, "ok": holds} for day, (root, holds) in self.data.items()},
            "steps": [
                {
                    "table": step.table,
                    "uuid": step.uuid,
                    "partition": step.partition,
                    "content_hash": step.content_hash,
                    "recomputed_hash": step.recomputed,
                    "recorded_at": step.recorded_at,
                    "seal": None if step.seal is None else asdict(step.seal) | {"ok": step.seal.ok},
                    "ok": step.ok,
                    "problems": list(step.problems),
                    "run_id": step.run_id,
                    "supersedes": step.supersedes,
                    "body": dict(step.body),
                }
                for step in self.steps
            ],
        }


def find(connection: Connection, asked: TypedId | str) -> uuid_module.UUID:
    """Return the UUID of the record or trade that was asked for. Raises UnknownRecord where none or several fit."""
    return resolve_record(connection, asked, "record", "trade")


def tell(connection: Connection, asked: uuid_module.UUID) -> Story:
    """Return the story behind a UUID of any ledger table. Raises UnknownRecord where no record has it."""
    located = _locate(connection, asked)
    if located is None:
        raise UnknownRecord(f"no record of this home has the id {asked}: looked in {', '.join(t.name for t in LEDGER)}")
    table, row = located
    candidate, rows = _gather(connection, table, row)
    modes = _modes(connection, {item["experiment"] for _, item in rows})
    steps = tuple(step_of(connection, name, item, rows, modes[item["experiment"]] == MODE) for name, item in rows)
    return Story(
        asked=str(asked),
        found_in=table,
        experiment=row["experiment"],
        mode=modes[row["experiment"]],
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


def _modes(connection: Connection, experiments: set[str]) -> dict[str, str]:
    """Return the mode of each experiment: a correction made by hand lies in another one than the trade it corrects."""
    c = tables.experiments.c
    return {row.id: row.mode for row in connection.execute(select(c.id, c.mode).where(c.id.in_(experiments)))}


def _gather(connection: Connection, table: str, row: Row) -> tuple[uuid_module.UUID | None, list[tuple[str, Row]]]:
    """Return the candidate behind a record, None where there is none, and all records that belong to its story."""
    if table == "market_scans":
        admitted = _rows(connection, "candidates", "scan_uuid", row["uuid"])
        return None, [(table, row), *(("candidates", item) for item in admitted)]
    if table in catalogue().links[table].values():  # a state, which goes back through the whole history
        return None, [(table, row)]
    if table in registries():
        trades = _rows(connection, "canonical_trades", "uuid", row["canonical_uuid"])
        if not trades:  # an orphan: a problem of the record names the missing trade
            return None, [(table, row)]
        table, row = "canonical_trades", trades[0]
    elif table != "candidates" and "candidate_uuid" not in row:  # of a day, not of a trade
        return None, [(table, row)]
    candidate = row["uuid"] if table == "candidates" else row["candidate_uuid"]
    if candidate is None:  # a trade that was registered by hand has no chain
        trades = _versions(connection, row)
    else:
        trades = _rows(connection, "canonical_trades", "candidate_uuid", candidate)
    rows = [] if candidate is None else _chain(connection, candidate)
    rows += [("canonical_trades", item) for item in trades]
    for name in registries():
        for item in trades:
            rows += [(name, entry) for entry in _rows(connection, name, "canonical_uuid", item["uuid"])]
    return candidate, rows


def _versions(connection: Connection, row: Row) -> list[Row]:
    """Return a canonical trade with what it corrects and what corrects it, the first entry first."""
    versions = [row]
    while versions[0]["supersedes"] is not None:
        before = _rows(connection, "canonical_trades", "uuid", versions[0]["supersedes"])
        if not before or before[0]["uuid"] in {item["uuid"] for item in versions}:
            break
        versions.insert(0, before[0])
    while after := _rows(connection, "canonical_trades", "supersedes", versions[-1]["uuid"]):
        if after[0]["uuid"] in {item["uuid"] for item in versions}:
            break
        versions.append(after[0])
    return versions


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
    for table in tables.CHAIN:
        if "candidate_uuid" in table.columns:
            rows += [(table.name, item) for item in _rows(connection, table.name, "candidate_uuid", candidate)]
    return rows


def step_of(connection: Connection, table: str, row: Row, chain: list[tuple[str, Row]], by_hand: bool) -> Step:
    """Check one record. by_hand: it has no day that is sealed, and its body may leave sums untold."""
    checked, problems = check_row(table, row)
    body = checked.body or {}
    seal = None if by_hand else _seal(connection, table, row, checked.hash)
    problems = [*problems, *_link_problems(connection, table, body), *_seal_problems(seal)]
    try:
        if checked.body is None:
            pass  # its problems are in the list already
        elif table == "outcomes" and not by_hand:
            executions = [read_body("executions", bytes(item["body"])) for name, item in chain if name == "executions"]
            problems += outcome_problems(body, executions[0]) if executions else ["its execution does not exist"]
        if checked.body is not None:
            problems += registry_problems(table, row, body, chain)
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        problems.append(f"body lacks or garbles a field ({type(error).__name__}: {error})")
    return Step(
        table=table,
        uuid=str(row["uuid"]),
        experiment=row["experiment"],
        partition=row["partition"].isoformat(),
        content_hash=str(row["content_hash"]),
        body=body,
        run_id=row["run_id"],
        supersedes=str(row["supersedes"]) if row["supersedes"] else None,
        problems=tuple(problems),
        recomputed=checked.hash,
        recorded_at=time_text(row["recorded_at"]),
        seal=seal,
    )


def _link_problems(connection: Connection, table: str, body: Mapping[str, Any]) -> list[str]:
    problems = []
    for key, target in (*catalogue().links[table].items(), ("supersedes", table)):
        named = body.get(key)
        if not named:
            continue
        rows = _rows(connection, target, "uuid", uuid_module.UUID(named["uuid"]))
        if not rows:
            problems.append(f"{key} names {target} {named['uuid']}, which does not exist")
        elif rows[0]["content_hash"] != named["hash"]:
            problems.append(f"{key} names {target} {named['uuid']} with another hash than it has")
    return problems


def _seal(connection: Connection, table: str, row: Row, own_hash: str) -> SealCheck:
    """Return the day's seal, recomputed with `own_hash` in place of the hash that is stored with the row."""
    asset = catalogue().table_asset[table]
    c = tables.partition_seals.c
    statement = select(c.root).where(
        c.experiment == row["experiment"], c.asset == asset, c.partition == row["partition"]
    )
    hashes: list[str] = []
    for name in catalogue().asset_tables[asset]:
        rows = connection.execute(
            text(f"SELECT uuid, content_hash FROM {name} WHERE experiment = :e AND partition = :p"),
            {"e": row["experiment"], "p": row["partition"]},
        )
        hashes += [own_hash if uuid == row["uuid"] else content_hash for uuid, content_hash in rows]
    root = connection.execute(statement).scalar()
    waiting = root is None and waits_for_seal(connection, row["experiment"], asset, row["partition"])
    return SealCheck(asset, row["partition"].isoformat(), root, seal_of(hashes), waiting)


def _seal_problems(seal: SealCheck | None) -> list[str]:
    if seal is None or seal.ok:
        return []
    if seal.root is None:
        return [f"{seal.asset} of {seal.partition} is not sealed"]
    return [f"the seal of {seal.asset} of {seal.partition} does not follow from its rows"]


def _data(connection: Connection, experiment: str, steps: tuple[Step, ...]) -> dict[str, tuple[str, bool | None]]:
    c = tables.partition_seals.c
    rows = connection.execute(select(c.partition, c.root).where(c.experiment == experiment, c.asset == "market_bars"))
    sealed = {day.isoformat(): root for day, root in rows}
    seals: dict[str, str] = {}
    for step in steps:
        seals |= dict(step.body.get("data_seals", {}))
    return {day: (root, None if day not in sealed else sealed[day] == root) for day, root in sorted(seals.items())}
