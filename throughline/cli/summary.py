"""The summary of a backtest as text for the terminal."""

from __future__ import annotations

from throughline.analytics.model import Report
from throughline.analytics.report_tables import baseline_table, funnel_table, path_table, position_table
from throughline.analytics.sentences import baseline_sentences, note_lines, warning_sentences
from throughline.rendering.formats import counts, minute, percent_points, usd, words

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
    parts += warning_sentences(report)
    parts.append("Three fill models side by side\n" + path_table(report).text())
    beside = [baseline_table(report).text(), *baseline_sentences(report)]
    parts.append("Baselines\n" + "\n".join(beside))
    parts.append("Funnel, over all scans\n" + funnel_table(report).text())
    parts.append(
        f"Why trades ended:  {counts(report.termination_reasons)}\n"
        f"Candidates became: {counts(report.dispositions)}\n"
        f"Quarantined rows:  {counts(report.quarantined['rules'])}"
    )
    if report.trade_list:
        parts.append(_extremes(report))
    notes = note_lines(report, _NOTES_SHOWN)
    if notes:
        parts.append("Notes on the data\n" + "\n".join(f"  {line}" for line in notes))
    parts.append(_open(report))
    parts.append("Assumptions\n" + "\n".join(f"  - {item}" for item in report.assumptions))
    chain = f"{report.chain['checked']:,} records recomputed, {report.chain['broken']:,} broken."
    parts.append(f"Chain: {chain}\nTear sheet: {report.tear_sheet}")
    return "\n\n".join(parts)


def _extremes(report: Report) -> str:
    """Return the best and the worst trade with what leads to their dossiers."""
    lines = []
    for word, names in (("Best", report.best_trades(1)), ("Worst", report.worst_trades(1))):
        row = report.trade(names[0])
        lines.append(
            f"{word} trade: {row['instrument']} {usd(row['pnl_usd'])} ({percent_points(row['return_percent'])}), "
            f"{minute(row['exit_time'])} by {words(row['reason'])}"
        )
        lines.append(f"  throughline trade {row['id']}" + (f"\n  {row['dossier']}" if row["dossier"] else ""))
    lines.append(f"All trades: throughline trades --experiment {report.experiment[:12]} --sort pnl_usd")
    return "\n".join(lines)


def _open(report: Report) -> str:
    if not report.open_positions:
        return "No position is open at the end."
    left = len(report.open_positions) - _OPEN_SHOWN
    more = f"\n  and {left} more" if left > 0 else ""
    return f"Open at the end, marked to market and not closed\n{position_table(report, _OPEN_SHOWN).text()}{more}"
