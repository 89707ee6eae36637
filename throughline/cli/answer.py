"""What a command that ran days prints at its end, and its exit code.

Belongs here: summary or JSON, the active experiment, blocked days. Does not belong here: the figures (analytics), the
sections of the summary (summary).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from throughline.cli.options import Options
from throughline.cli.screen import echo, note, out_json
from throughline.experiment.mode import find_mode

if TYPE_CHECKING:
    from throughline.cli.stored_answer import Answer

BLOCKED = 3
"""Exit code where days are blocked and --allow-blocked was not given."""
_CAUSES = 10
"""So many causes of blocked days are printed, each on a line."""


def print_answer(
    options: Options,
    mode: str,
    answer: Answer,
    seconds: Mapping[str, float],
    allow_blocked: bool,
    walked: Mapping[str, Any] | None,
    current: str,
) -> int:
    """Print the report of a run of days; return the exit code.

    Args:
        options: the common options (text or JSON).
        mode: of the experiment.
        answer: what is printed.
        seconds: of each stage and of all else that the command did, by name.
        allow_blocked: blocked days do not change the exit code.
        walked: what became of the models in a walk-forward (JSON); None for other commands.
        current: ID of the active experiment of the mode.

    Returns:
        0; 1 where records of the chain do not verify; BLOCKED where days are blocked and that is not allowed.
    """
    from throughline.quality.suite import count_words

    report = answer.report
    if options.json:
        result = dict(report) | {"seconds": dict(seconds), "active_experiment": current}
        out_json(result if walked is None else result | {"walk_forward": walked})
    else:
        echo(answer.text)
        echo(_time(seconds))
        if walked is not None:
            from throughline.cli.walk_forward import walk_text

            echo(walk_text(walked))
        echo(_active_words(mode, report["experiment"], current))
        if find_mode(mode).opens_with_ui:
            home = "" if options.home_path is None else f" --home {shlex.quote(options.home_path)}"
            echo(f"\nSee it in the Dagster UI: throughline dev{home} (or `make dev`), then open http://127.0.0.1:3000")
    if report["chain"]["broken"]:
        note(f"throughline: {report['chain']['broken']} record(s) of the chain do not verify: see `throughline verify`")
        return 1
    days = sorted({str(row["day"]) for row in report["blocked_days"]})
    if days and not allow_blocked:
        causes = [
            f"{row['day']} {row['asset']}: {row['rule']} ({count_words(row['asset'], row['rule'], row['rows'])})"
            for row in report["blocked_days"]
        ]
        note(
            f"throughline: {len(days)} day(s) are blocked by a data gate: correct the data, or accept them with "
            "--allow-blocked"
        )
        for cause in causes[:_CAUSES]:
            note(f"  {cause}")
        if len(causes) > _CAUSES:
            note(f"  and {len(causes) - _CAUSES:,} more (`--json` lists all)")
        return BLOCKED
    return 0


def _time(seconds: Mapping[str, float]) -> str:
    """Return where the time went."""
    from throughline.flow import STAGES

    parts = {"stages": sum(seconds.get(name, 0.0) for name in STAGES)}
    parts |= {name.replace("_", " "): value for name, value in seconds.items() if name not in STAGES}
    largest = sorted(parts.items(), key=lambda item: -item[1])
    return f"Took {sum(parts.values()):.1f} s: {', '.join(f'{name} {value:.1f}' for name, value in largest)}."


def _active_words(mode: str, experiment: str, current: str) -> str:
    if experiment == current:
        return f"\nThis is the active experiment of mode '{mode}': the UI and commands use it unless another is named."
    return (
        f"\nThe active experiment of mode '{mode}' is still {current[:12]}: the UI and commands use it unless another "
        f"is named. `throughline use {experiment[:12]}` (or --use) makes this one active."
    )
