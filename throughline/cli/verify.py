"""`throughline verify`: has anything been changed?"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from throughline.cli.options import Options, common
from throughline.cli.screen import Bar, echo, echo_line, out_json
from throughline.errors import SettingsError

if TYPE_CHECKING:
    from throughline.proof.audit import AuditResult
    from throughline.proof.settings import Proof
    from throughline.verification.whole import Whole

_SHOWN = 50


@click.command(short_help="Check every record, link, seal and signature.")
@click.option("--experiment", metavar="ID", help="Check one experiment only (8 or more digits of its ID).")
@click.option("--proof", "file", metavar="FILE", help="Check a file of `throughline proof` instead; needs no home.")
@click.option("--key", metavar="FILE", help="The public key to trust (default: that of this machine's signing key).")
@common
def verify(options: Options, experiment: str | None, file: str | None, key: str | None) -> int:
    """Recompute every hash, link, sum, seal and artifact of the home, and compare it with the signed and anchored log.

    Exit code 1: something does not hold. The output states what this check can find and what it cannot.
    """
    if file is not None:
        if experiment is not None:
            raise SettingsError("--proof checks one file and --experiment an experiment of a home: leave one out")
        return _verify_file(options, file, key)
    from throughline.integrity.database import check_server
    from throughline.proof.keys import load_public_key
    from throughline.proof.settings import open_proof
    from throughline.proof.snapshot import anchored_snapshot
    from throughline.storage.ids import resolve_id
    from throughline.verification.whole import verify_whole

    with options.open() as (database, artifacts), Bar(None, "verify", options.json) as bar:
        engine = database.engine("auditor")
        proof = open_proof(options.home, database.embedded)
        trusted = load_public_key(key) if key is not None else proof.signer.known_public_key()
        chosen = None
        if experiment is not None:
            with engine.connect() as connection:
                chosen = [resolve_id(connection, experiment, "experiment").id]
        with anchored_snapshot(engine, proof.anchor) as (snapshot, pinned):
            whole = verify_whole(
                snapshot,
                artifacts,
                pinned,
                trusted,
                enforces_roles=database.enforces_roles,
                progress=lambda what, rows: bar.step(rows, what.replace("_", " ")),
                expected=bar.expect,
                experiments=chosen,
                server=check_server(database),
            )
    findings, ok, result, log = whole.findings, whole.ok, whole.records, whole.log
    if options.json:
        verdict: dict[str, Any] = {"findings": [item.as_json() for item in findings], "ok": ok}
        log_json = None if log is None else log.as_json() | {"anchor": proof.anchor.location}
        out_json(
            result.as_json()
            | verdict
            | {"complete": whole.complete, "unreadable": list(whole.unreadable), "proof": log_json}
        )
        return 0 if ok else 1
    for finding in findings[:_SHOWN]:
        echo_line(f"BROKEN  {finding.table}  {finding.row}: {finding.problem}")
    if len(findings) > _SHOWN:
        echo(f"... and {len(findings) - _SHOWN:,} more (all of them with --json)")
    if not whole.complete:
        return _print_rest(whole, proof)
    assert log is not None
    days = sum(len(days_of_asset) for assets in result.seals.values() for days_of_asset in assets.values())
    summary = f"{result.rows:,} rows and {days:,} seals of {len(result.seals)} experiment(s) recomputed"
    if result.pending:
        summary += f"; {result.pending:,} of the rows wait for their seal (a run was stopped in between)"
    _print_log(log, proof)
    if ok:
        echo(f"{summary}: nothing has been changed.")
        return 0
    broken = len({(item.table, item.row) for item in findings})
    echo(f"{summary}: {len(findings):,} finding(s) on {broken:,} row(s).", err=True)
    return 1


def _print_rest(whole: Whole, proof: Proof) -> int:
    """Say what was checked of a home whose tables cannot all be read; return the exit code."""
    if whole.log is not None:
        _print_log(whole.log, proof)
    else:
        echo("Seal log: not checked")
    lost = ", ".join(whole.unreadable) or "what is damaged"
    echo(
        f"{whole.records.rows:,} rows of the other tables recomputed, each by itself; links, sums and seals were not "
        f"checked, nor anything that reads {lost}: {len(whole.findings):,} finding(s).",
        err=True,
    )
    return 1


def _print_log(log: AuditResult, proof: Proof) -> None:
    from throughline.proof.threat import CANNOT_FIND, FINDS

    if log.tree_size:
        echo(f"Seal log: {log.tree_size:,} events, {log.anchored_size:,} of them anchored at {proof.anchor.location}")
    else:
        echo("Seal log: empty; nothing is anchored")
    if log.anchored_at is not None:
        echo(f"  anchor: {log.strength}; its newest head is {_age(proof.clock.now() - log.anchored_at)} old")
    else:
        echo(f"  anchor: {log.strength}; it holds no head yet")
    if log.unanchored_rows is not None:
        echo(f"  not anchored yet: {log.unanchored_rows:,} row(s) and seal(s)")
    if log.key_id is not None:
        echo(f"  signatures: checked with key {log.key_id}")
    else:
        echo("  signatures: NOT checked, there is no signing key on this machine; give the public key with --key")
    echo(f"  this finds: {FINDS}")
    echo(f"  this cannot find: {CANNOT_FIND}")


def _age(time: timedelta) -> str:
    """Return a span of time in its largest whole unit."""
    seconds = max(0, int(time.total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count:,} {unit}{'s' if count > 1 else ''}"
    return f"{seconds} second{'s' if seconds != 1 else ''}"


def _verify_file(options: Options, file: str, key: str | None) -> int:
    """Check a proof file with a public key and nothing else."""
    from throughline.proof.check import ProofCheck, check_proof
    from throughline.proof.errors import ProofError
    from throughline.proof.files import read_proof_file
    from throughline.proof.keys import load_public_key

    if key is None:
        raise SettingsError(
            "--proof needs the public key that you trust: give its file with --key; a key inside a proof proves nothing"
        )
    trusted = load_public_key(key)
    try:
        check = check_proof(read_proof_file(Path(file)), trusted)
    except ProofError as error:
        check = ProofCheck(False, (str(error),), ())
    if options.json:
        out_json(check.as_json())
        return 0 if check.ok else 1
    for line in check.lines:
        echo_line(line)
    for problem in check.problems:
        echo_line(f"BROKEN  {file}: {problem}")
    if check.ok:
        echo("The proof holds. It does not say that nothing else was recorded, or that no correction followed.")
        return 0
    echo("The proof does not hold.", err=True)
    return 1
