"""The verdict of a day is the same whether the day is judged alone, in a range, or in chunks."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from throughline.configuration import GateSettings
from throughline.quality.runner import GreatExpectationsRunner

RUNNER = GreatExpectationsRunner(GateSettings())
FIRST = date(2021, 1, 1)

prices = st.sampled_from([1.0, 2.0, 3.0, 0.0, -1.0, float("nan"), float("inf")])
bars = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["A@0", "A@1", "B@0", "C@0"]),
        "instrument": st.sampled_from(["A", "B", None]),
        "open": prices,
        "high": prices,
        "low": prices,
        "close": prices,
        "volume": prices,
    }
)
counts = st.fixed_dictionaries(
    {
        "bars": st.integers(0, 3),
        "instruments": st.integers(0, 3),
        "quarantined": st.integers(0, 3),
        "quarantined_share": st.sampled_from([0.0, 0.1, 0.9, float("nan")]),
        "universe_ratio": st.sampled_from([0.1, 1.0, float("nan")]),
        "hours": st.integers(0, 24),
        "day_share": st.sampled_from([0.0, 0.5, 0.875, 1.0]),
        "hours_missing": st.integers(0, 24),
    }
)
COLUMNS = ["partition", "key", "instrument", "open", "high", "low", "close", "volume"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chunk=st.lists(st.tuples(counts, st.lists(bars, max_size=4)), min_size=1, max_size=4), cut=st.integers(0, 4))
def test_a_day_judged_alone_is_judged_as_in_its_range(chunk: list[tuple[dict, list[dict]]], cut: int) -> None:
    days = [FIRST + timedelta(days=i) for i in range(len(chunk))]
    day_frame = pd.DataFrame([{"partition": day, **count} for day, (count, _) in zip(days, chunk, strict=True)])
    lines = [{"partition": day, **bar} for day, (_, items) in zip(days, chunk, strict=True) for bar in items]
    row_frame = pd.DataFrame(lines, columns=COLUMNS)

    def judge(wanted: list[date]) -> dict:
        return dict(
            RUNNER.evaluate(
                "market_bars",
                row_frame[row_frame["partition"].isin(wanted)],
                day_frame[day_frame["partition"].isin(wanted)],
                wanted,
            )
        )

    whole = judge(days)
    alone = {day: verdict for item in days for day, verdict in judge([item]).items()}
    chunks = {day: verdict for part in (days[:cut], days[cut:]) if part for day, verdict in judge(part).items()}
    assert whole == alone == chunks


def test_neighbouring_days_share_keys_without_harm() -> None:
    rows = pd.DataFrame(
        [
            {
                "partition": FIRST + timedelta(days=i),
                "key": "A@0",
                "instrument": "A",
                "open": 1,
                "high": 1,
                "low": 1,
                "close": 1,
                "volume": 1,
            }
            for i in range(2)
        ]
    )
    days = pd.DataFrame(
        [
            {
                "partition": FIRST + timedelta(days=i),
                "bars": 1,
                "instruments": 1,
                "quarantined": 0,
                "quarantined_share": 0,
                "universe_ratio": 1,
                "hours": 1,
                "day_share": 1.0,
                "hours_missing": 0,
            }
            for i in range(2)
        ]
    )
    wanted = list(days["partition"])
    assert RUNNER.evaluate("market_bars", rows, days, wanted) == dict.fromkeys(wanted, ())
