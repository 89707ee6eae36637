"""Reading an archive's table of corporate actions.

Belongs here: from rows to `Action`s, and every refusal, which names file, row and column. Does not belong here: what an
action does (`corporate_actions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from throughline.errors import ArchiveError
from throughline.identity import time_text_ms
from throughline.market.columns import find_files, read_rows
from throughline.market.corporate_actions import Action
from throughline.market.description import ActionsDescription

SMALLEST_RATIO, LARGEST_RATIO = 1e-9, 1e9


def read_actions(
    item: ActionsDescription | None, data_dir: Path, codes: Mapping[str, int], interval_ms: int
) -> list[Action]:
    """Return the actions of an archive. codes: instrument -> number.

    Raises ArchiveError naming file and row for an instrument that the bars do not hold, a ratio that is missing or not
    in [1e-9, 1e9], a time at which no bar opens, and a second action of one instrument and time.
    """
    if item is None:
        return []
    layout = item.table
    actions: list[Action] = []
    seen: set[tuple[str, int]] = set()
    for path in find_files(data_dir, layout.file):
        wanted = [str(layout.instrument), layout.time, item.ratio, *([item.known_column] if item.known_column else [])]
        rows = read_rows(path, layout.format, wanted, layout.delimiter, layout.nulls)
        names = rows.names(str(layout.instrument))
        times = rows.times(layout.time, layout.time_unit, layout.time_zone)
        known = rows.times(item.known_column, layout.time_unit, layout.time_zone) if item.known_column else times
        ratios = rows.numbers(item.ratio)
        table = zip(names.codes.tolist(), times.tolist(), ratios.tolist(), known.tolist(), strict=True)
        for number, (code, time, ratio, public) in enumerate(table, start=1):
            name = names.names[code]
            where = f"{path}: row {number}"
            if name not in codes:
                raise ArchiveError(
                    f"{where}, column {layout.instrument!r} names the instrument {name!r}, which the bars do not hold; "
                    "write it as the bars do, or remove the row"
                )
            if not SMALLEST_RATIO <= ratio <= LARGEST_RATIO or not np.isfinite(ratio):
                raise ArchiveError(
                    f"{where}, column {item.ratio!r} must be the number of new units per old unit, between 1e-9 and "
                    "1e9 (1000 where one unit became a thousand, 0.1 where ten became one)"
                )
            if time % interval_ms:
                raise ArchiveError(
                    f"{where}, column {layout.time!r} ({time_text_ms(time)}) is not the open of a bar; give the open "
                    "of the first bar in new units"
                )
            if (name, time) in seen:
                raise ArchiveError(
                    f"{where} is a second corporate action of {name!r} at {time_text_ms(time)}; keep one row"
                )
            seen.add((name, time))
            if codes[name] >= 0:
                actions.append(Action(codes[name], time, float(ratio), public))
    return actions
