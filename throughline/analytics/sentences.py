"""The sentences and rows that stand beside a return: what a reader must know before the figures.

Shared by the terminal summary and the tear sheet, so that the two never differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from throughline.analytics.model import Report
from throughline.experiment.mode import mode_warning
from throughline.rendering.formats import minute, percent, usd
from throughline.trading.types import PATHS


def sign_sentence(report: Report) -> str | None:
    """Return the sentence about a result whose sign depends on the fill model, or None where it does not."""
    if not report.sign_flips:
        return None
    parts = ", ".join(f"{name} {percent(report.returns[name])}" for name in PATHS if name in report.returns)
    return (
        f"The sign of the return depends on how fills are assumed ({parts}): "
        "this backtest shows neither a profit nor a loss that would survive another fill model."
    )


def blocked_sentence(report: Report) -> str | None:
    """Return one sentence on blocked days, or None without any."""
    days = sorted({str(row["day"]) for row in report.blocked_days})
    if not days:
        return None
    shown = ", ".join(days[:5]) + (f" and {len(days) - 5} more" if len(days) > 5 else "")
    return f"{len(days)} day(s) failed a data gate and are blocked: {shown}. No entries were taken on them."


def note_lines(report: Report, shown: int) -> list[str]:
    """Return lines on what the data holds that is no fault of a row: gaps written as candles, doubtful jumps, actions.

    shown: how many notes of a kind are listed; the rest is counted.
    """
    notes = report.data_notes
    lines = []
    if notes.get("untraded"):
        lines.append(f"{notes['untraded']:,} candles in which nobody traded are read as missing bars.")
    for kind, sentence in (
        (
            "doubtful_jumps",
            "doubtful jump(s), likely a split, a re-denomination or a bad print: the history ends there.",
        ),
        ("corporate_actions", "corporate action(s) of the archive."),
    ):
        items = notes.get(kind, ())
        if items:
            lines.append(f"{len(items):,} {sentence}")
            lines += [f"  {item['instrument']} {minute(item['time'])}: {item['detail']}" for item in items[:shown]]
        if len(items) > shown:
            lines.append(f"  and {len(items) - shown:,} more (`--json` lists all)")
    return lines


_LISTED = 5
"""So many trades over doubtful jumps are listed in a warning."""


def doubtful_sentence(report: Report) -> str | None:
    """Return which trades crossed a doubtful price jump and what to do about it; None without any.

    The first line says how many; the first trades follow, each on a line of its own, and the command that lists all.
    Labels of untaken candidates are counted too, since training then has fewer labels than there are outcomes.
    """
    trades, left_out = report.doubtful["trades"], report.doubtful["labels_left_out"]
    if not trades and not left_out:
        return None
    labels = f"Training leaves {left_out:,} label(s) out for such jumps, those of untaken candidates included."
    if not trades:
        return f"No trade crosses a doubtful price jump, but shadow outcomes do. {labels}"
    head = "1 trade crosses" if len(trades) == 1 else f"{len(trades):,} trades cross"
    advice = "If a jump is a split or a re-denomination, name it in the archive's corporate_actions."
    lines = [f"{head} a doubtful price jump. {advice} {labels}"]
    lines += [
        f"  {row['instrument']} on {minute(row['exit_time'])}, between {usd(row['pnl_low_usd'])} "
        f"and {usd(row['pnl_high_usd'])}: {row['candidate']}"
        for row in trades[:_LISTED]
    ]
    if len(trades) > _LISTED:
        command = f"throughline trades --experiment {report.experiment[:12]} --flag doubtful_jump"
        lines.append(f"  and {len(trades) - _LISTED:,} more: `{command}` lists them all")
    return "\n".join(lines)


def stopped_sentence(report: Report) -> str | None:
    """Return which paths' funds could not pay the smallest position any more, and since when; None if all could."""
    if not report.stopped:
        return None
    since = ", ".join(f"{name} from the end of {day} on" for name, day in report.stopped.items())
    return (
        f"The fund is too small for the smallest position of {usd(report.minimum_position_usd)} in each slot, so "
        f"nothing is entered any more: {since}."
    )


def cash_sentence(report: Report) -> str | None:
    """Return when the rule was closed or would have been, and what that meant; None where it never was."""
    cash = report.cash
    if cash is None or not any(item.verdict == "close" for item in cash.changes):
        return None
    words = {"close": "closed", "open": "opened again"}
    steps = ", ".join(f"{words[item.verdict]} from {item.at:%Y-%m-%d}" for item in cash.changes)
    first = next(item.reason for item in cash.changes if item.verdict == "close")
    mean = "" if cash.mean_return is None else f", which returned {percent(cash.mean_return)} on average"
    if cash.acts:
        return (
            f"The rule was {steps}: {first}. While it was closed nothing that it would have decided was entered: "
            f"{cash.candidates:,} candidates with a known shadow outcome{mean}."
        )
    word = "saved" if cash.pnl_usd < 0 else "cost"
    return (
        f"The rule would have been {steps} under model_policy 'gated' with cash_policy 'close', but nothing closes it "
        f"here: {first}. In the time it would have been closed it decided {cash.trades:,} closed trades of "
        f"{usd(cash.pnl_usd)} net on the base path, so cash would have {word} {usd(abs(cash.pnl_usd))} (that later "
        "trades would have had other sizes is left out)."
    )


def revision_sentence(revision: Mapping[str, Any], experiment: str) -> str:
    """Return what changed in data that was sealed before, and that the experiment was forked for it.

    revision: parent, days (ISO dates), added, changed, removed, instruments.
    """
    names = ", ".join(revision["instruments"][:5])
    if len(revision["instruments"]) > 5:
        names += f" and {len(revision['instruments']) - 5} more"
    days, parent = revision["days"], revision["parent"][:12]
    return (
        f"{len(days)} day(s) that {parent} has sealed read differently now: {revision['added']} fact(s) added, "
        f"{revision['changed']} changed, {revision['removed']} removed ({names}), first on {days[0]}. "
        f"The experiment is forked as {experiment[:12]}; nothing of {parent} was touched."
    )


def warning_sentences(report: Report) -> list[str]:
    """Return what a reader must know before any figure of the report. An item may have further lines, indented."""
    sentences = (
        mode_warning(report.mode),
        *report.warnings,
        sign_sentence(report),
        cash_sentence(report),
        blocked_sentence(report),
        doubtful_sentence(report),
        stopped_sentence(report),
    )
    return [item for item in sentences if item]


def baseline_sentences(report: Report) -> list[str]:
    """Return what must stand beside the table of baselines: what chance gave, and where the universe was thin."""
    sentences = []
    drawn = report.baselines.get("random_entries")
    if drawn and drawn["draws"]:
        sentences.append(
            f"The strategy's return is higher than that of {drawn['beaten']} of {drawn['draws']} portfolios of random "
            f"entries (percentile {drawn['percentile']:.1f}): as many entries as the strategy had candidates, on "
            "random eligible coins at random times, with the strategy's own sizing, scaling, slots, costs and exits."
        )
        if drawn["trade_percentile"] is not None:
            sentences.append(
                f"They had {percent(drawn['exposure'], signed=False)} of their money invested, the strategy "
                f"{percent(report.paths['base'].exposure, signed=False)}, which moves that percentile in a market that "
                f"rises or falls. By mean net return a closed trade (the strategy {percent(drawn['trade_return'])}, "
                f"random entries {percent(drawn['trade_return_median'])}) the percentile is "
                f"{drawn['trade_percentile']:.1f}: how much was invested plays no part in that."
            )
        if report.cash is not None and report.cash.acts and report.cash.candidates:
            sentences.append(
                "Random entries are drawn as the strategy could enter: while the rule is closed, none but as many as a "
                "model on trial had candidates."
            )
    equal = report.baselines.get("equal_weight")
    if equal and equal["days_with_one_or_none"]:
        sentences.append(
            f"On {equal['days_with_one_or_none']} of {equal['days']} days the equal-weight universe had one coin or "
            "none: such days are the luck of one coin, not a market."
        )
    return sentences


def interval_reason(outcome: Mapping[str, Any]) -> str | None:
    """Return why the result of an outcome (its body) is an interval; None where it is not.

    The order matters: at a doubtful jump the unit of the price is open, which outweighs a gap, and a gap the bar.
    """
    if float(outcome["pnl_low_usd"]) == float(outcome["pnl_high_usd"]):
        return None
    if "doubtful_jump" in outcome["flags"]:
        return "it ended at a doubtful price jump, where either nothing changed or the price is right"
    if "gap" in outcome["flags"]:
        return "it was sold at the first price after a gap, over which it gained something or nothing"
    return "its bar touched both barriers, in an order that is not known" if outcome["ambiguous"] else None
