"""Reading an archive's table of corporate actions.

Belongs here: from rows to `Action`s, and every refusal, which names file, row and column. Does not belong here: what an
action does (`corporate_actions`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from throughline.errors import ArchiveError, shown
from throughline.identity import time_text_ms
from throughline.market.corporate_actions import Action
from throughline.market.description import ActionsDescription
from throughline.market.header import column_text
from throughline.market.names import did_you_mean
from throughline.market.paths import DataFolders
from throughline.market.tables import read_table, require_different

SMALLEST_RATIO, LARGEST_RATIO = 1e-9, 1e9


def read_actions(
    item: ActionsDescription | None, folders: DataFolders, codes: Mapping[str, int], interval_ms: int
) -> list[Action]:
    """Return the actions of an archive. codes: instrument -> number.

    Raises ArchiveError naming file and row for an instrument that the bars do not hold, a ratio that is missing or not
    in [1e-9, 1e9], a time at which no bar opens, and a second action of one instrument and time.
    """
    if item is None:
        return []
    layout = item.table
    table = read_table(layout, folders, [item.ratio], [] if item.known_column is None else [item.known_column])
    require_different(table)
    known = table.stamp if item.known_column is None else table.times[item.known_column]
    names = column_text(layout.instrument) if layout.instrument is not None else "its path"
    actions: list[Action] = []
    seen: set[tuple[str, int]] = set()
    rows = zip(
        table.code.tolist(), table.stamp.tolist(), table.values[item.ratio].tolist(), known.tolist(), strict=True
    )
    for row, (code, time, ratio, public) in enumerate(rows):
        name = table.names[code]
        where = table.place(row)
        if name not in codes:
            raise ArchiveError(
                f"{where}, {names} names the instrument {shown(name)}, which the bars do not hold; write "
                f"it as the bars do, or remove the row{did_you_mean(name, tuple(codes))}"
            )
        if not SMALLEST_RATIO <= ratio <= LARGEST_RATIO or not np.isfinite(ratio):
            raise ArchiveError(
                f"{where}, {column_text(item.ratio)} must be the number of new units per old unit, between 1e-9 and "
                "1e9 (1000 where one unit became a thousand, 0.1 where ten became one)"
            )
        if time % interval_ms:
            raise ArchiveError(
                f"{where}, {column_text(layout.time)} ({time_text_ms(time)}) is not the open of a bar; give the open "
                "of the first bar in new units"
            )
        if (name, time) in seen:
            raise ArchiveError(
                f"{where} is a second corporate action of {shown(name)} at {time_text_ms(time)}; keep one row"
            )
        seen.add((name, time))
        if codes[name] >= 0:
            actions.append(Action(codes[name], time, float(ratio), public))
    return actions
