"""The summary of a backtest as text for the terminal."""

from __future__ import annotations

from throughline.analytics.model import Report
from throughline.analytics.words import (
    BASELINE_HEADER,
    baseline_rows,
    baseline_sentences,
    counts_text,
    note_lines,
    path_rows,
    usd,
    warning_sentences,
)
from throughline.cli.screen import table
from throughline.experiment.mode import mode_warning

_OPEN_SHOWN = 10
_NOTES_SHOWN = 5


def summary(report: Report) -> str:
    """Return the whole text, one section after the other."""
    days = (report.end - report.start).days + 1
    head = (
        f"{report.mode} {report.start} to {report.end} ({days:,} day{'s' if days > 1 else ''}), experiment "
        f"{report.experiment[:12]}\n{report.instruments:,} instruments, {report.bars:,} bars, "
        f"{report.candidates:,} candidates, {report.trades:,} closed trades"
    )
    parts = [head]
    if mode_warning(report.mode):
        parts.append(mode_warning(report.mode))
    parts += warning_sentences(report)
    parts.append("Three fill models side by side\n" + table(path_rows(report)))
    beside = [table([BASELINE_HEADER, *baseline_rows(report)]), *baseline_sentences(report)]
    parts.append("Baselines\n" + "\n".join(beside))
    parts.append("Funnel, over all scans\n" + _funnel(report))
    parts.append(
        f"Why trades ended:  {counts_text(report.termination_reasons)}\n"
        f"Candidates became: {counts_text(report.dispositions)}\n"
        f"Quarantined rows:  {counts_text(report.quarantined['rules'])}"
    )
    if report.trade_list:
        parts.append(_extremes(report))
    notes = note_lines(report, _NOTES_SHOWN)
    if notes:
        parts.append("Notes on the data\n" + "\n".join(f"  {line}" for line in notes))
    parts.append(_open(report))
    parts.append("Assumptions\n" + "\n".join(f"  - {item}" for item in report.assumptions))
    chain = f"{report.chain['checked']:,} records recomputed, {report.chain['broken']:,} broken."
    seconds = sum(report.seconds.values())
    parts.append(f"Chain: {chain}  Stages took {seconds:.1f} s.\nTear sheet: {report.tear_sheet}")
    return "\n\n".join(parts)


def _extremes(report: Report) -> str:
    """Return the best and the worst trade with what leads to their dossiers."""
    lines = []
    for word, names in (("Best", report.best_trades(1)), ("Worst", report.worst_trades(1))):
        row = report.trade(names[0])
        lines.append(
            f"{word} trade: {row['instrument']} {usd(float(row['pnl_usd']))} ({float(row['return_percent']):+.2f} %), "
            f"{str(row['exit_time'])[:16].replace('T', ' ')} by {str(row['reason']).replace('_', ' ')}"
        )
        lines.append(f"  throughline trade {row['id']}" + (f"\n  {row['dossier']}" if row["dossier"] else ""))
    lines.append(f"All trades: throughline trades --experiment {report.experiment[:12]} --sort pnl_usd")
    return "\n".join(lines)


def _funnel(report: Report) -> str:
    rows: list[tuple[object, ...]] = [("filter", "seen", "removed", "left", "without a value")]
    rows += [
        (
            str(row["filter"]).replace("_", " "),
            f"{row['seen']:,}",
            f"{row['removed']:,}",
            f"{row['seen'] - row['removed']:,}",
            f"{row['missing']:,}",
        )
        for row in report.funnel
    ]
    return table(rows)


def _open(report: Report) -> str:
    held = report.open_positions
    if not held:
        return "No position is open at the end."
    rows: list[tuple[object, ...]] = [("instrument", "entry (UTC)", "value", "unrealised")]
    rows += [
        (
            item["instrument"],
            str(item["entry_time"])[:16].replace("T", " "),
            usd(float(item["value_usd"])),
            usd(float(item["unrealized_pnl_usd"])),
        )
        for item in held[:_OPEN_SHOWN]
    ]
    more = f"\n  and {len(held) - _OPEN_SHOWN} more" if len(held) > _OPEN_SHOWN else ""
    return "Open at the end, marked to market and not closed\n" + table(rows) + more
