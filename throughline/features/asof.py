"""Point-in-time joins: what was the latest that was known, for many instants at once. Frames only, no database.

The rule is bitemporal: of the rows with event_time <= t and known_time <= t, the one of the latest event time, and of
equal ones the one that was known last. A row is usable from max(event_time, known_time) on, but joining on that alone
is not the rule: an old row that was backfilled late would hide a newer one. So rows that are already outdated when
they become known are left out first; of the others the last usable one is the latest (`pandas.merge_asof`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

EVENT, KNOWN = "event_time", "known_time"


def asof_join(
    left: pd.DataFrame,
    right: pd.DataFrame,
    *,
    by: str = "instrument",
    on: str = "time",
    exact: bool = False,
) -> pd.DataFrame:
    """Return `left`, row by row and in its order, with the columns of the latest row of `right` known before it.

    left: columns `by` and `on` (instants, integers or datetimes). right: `by`, `event_time`, `known_time` (of the same
    kind as `on`) and whatever else. exact: whether a row that becomes usable at the very instant counts: not by
    default, since a label that ends at t must not meet what was known at t. No row of `left` is dropped or repeated;
    one without a match, or without an instant, gets missing values. Raises ValueError where a column stands in both or
    lacks, or where `right` has a row without its times.
    """
    _require_columns(left, right, by, on)
    when, event, known = (_numbers(column) for column in (left[on], right[EVENT], right[KNOWN]))
    names, code = _codes(right[by], left[by])
    usable = np.maximum(event, known)
    order = _last_known(names, usable, event, known)
    known_rows = pd.DataFrame({"by": names[order], "at": usable[order], "row": order})
    asked = np.flatnonzero((code >= 0) & left[on].notna().to_numpy())
    asked = asked[np.argsort(when[asked], kind="stable")]
    joined = pd.merge_asof(
        pd.DataFrame({"by": code[asked], "at": when[asked]}),
        known_rows.sort_values("at", kind="stable"),
        on="at",
        by="by",
        allow_exact_matches=exact,
    )
    match = np.full(len(left), -1, np.int64)
    match[asked] = joined["row"].fillna(-1).to_numpy(np.int64)
    matched = right.drop(columns=by).reset_index(drop=True).reindex(match)
    matched.index = left.index
    return pd.concat([left, matched], axis=1)


def _require_columns(left: pd.DataFrame, right: pd.DataFrame, by: str, on: str) -> None:
    for frame, name, needed in ((left, "left", (by, on)), (right, "right", (by, EVENT, KNOWN))):
        for column in needed:
            if column not in frame.columns:
                raise ValueError(f"the {name} frame of the join has no column {column!r}")
    both = sorted((set(left.columns) & set(right.columns)) - {by})
    if both:
        raise ValueError(f"column {both[0]!r} stands in both frames of the join: rename one")
    for column in (EVENT, KNOWN):
        if right[column].isna().any():
            raise ValueError(f"the right frame of the join has a row without {column}: it can be placed at no instant")
    kinds = {_kind(left[on]), _kind(right[EVENT]), _kind(right[KNOWN])}
    if len(kinds) > 1:
        raise ValueError(f"the times of the join are of different kinds ({', '.join(sorted(kinds))}): convert one side")


def _kind(column: pd.Series) -> str:
    if pd.api.types.is_datetime64_any_dtype(column):
        return "aware instants" if getattr(column.dtype, "tz", None) else "naive instants"
    if pd.api.types.is_integer_dtype(column):
        return "integers"
    raise ValueError(f"column {column.name!r} of the join holds {column.dtype}: give instants or integers")


def _numbers(column: pd.Series) -> NDArray[np.int64]:
    """Return instants as nanoseconds, integers as they are; what is missing becomes the least number."""
    if pd.api.types.is_datetime64_any_dtype(column):
        plain = column.dt.tz_convert("UTC").dt.tz_localize(None) if column.dt.tz is not None else column
        return np.asarray(plain.to_numpy("datetime64[ns]").view(np.int64))
    return np.asarray(column.fillna(np.iinfo(np.int64).min).to_numpy(np.int64))


def _codes(right: pd.Series, left: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return one number per name for both sides; -1 on the left where the right does not know the name."""
    codes, names = pd.factorize(right)
    return np.asarray(codes, np.int64), np.asarray(pd.Index(names).get_indexer(pd.Index(left)), np.int64)


def _last_known(
    names: NDArray[np.int64], usable: NDArray[np.int64], event: NDArray[np.int64], known: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the rows that are not outdated when they become usable, in the order in which they do, per name."""
    order = np.lexsort((known, event, usable, names))
    latest = pd.Series(event[order]).groupby(names[order], sort=False).cummax().to_numpy()
    return np.asarray(order[(event[order] >= latest) & (names[order] >= 0)], np.int64)
