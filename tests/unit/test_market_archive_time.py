"""An archive in time: bars that have not closed, days that are not over, corporate actions from a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.unit.archive_files import HOURLY, open_files
from throughline.clock import FixedClock
from throughline.errors import ArchiveError, SettingsError
from throughline.market.archive import ArchiveProvider
from throughline.market.blocks import day_blocks, diff_blocks, parse_blocks
from throughline.market.lines_so_far import lines_so_far

START = datetime(2024, 3, 1, tzinfo=UTC)
T0 = int(START.timestamp()) * 1000
HOUR = 3_600_000

ACTIONS = """
[corporate_actions]
file = "actions.csv"
instrument = "coin"
time = "at"
time_unit = "iso"
ratio = "ratio"
known = "stamp"
"""
SPLIT = "coin,at,ratio,seen\nB,2024-03-02T05:00:00Z,1000,2024-02-20T00:00:00Z\n"


def rows(hours: int, split_at: int | None = None) -> str:
    """Hours of A at 1 and of B at 100, B split 1:1000 at an hour; never flat."""
    text = "coin,t,o,h,l,c,v\n"
    for hour in range(hours):
        at = T0 + hour * HOUR
        scale = 1000 if split_at is not None and hour >= split_at else 1
        text += f"A,{at},1,1.01,0.99,1,9\nB,{at},{100 / scale},{101 / scale},{99 / scale},{100 / scale},9\n"
    return text


def make(
    folder: Path,
    bars: str,
    actions: str | None = None,
    clock: FixedClock | None = None,
    edit: tuple[str, str] = ("", ""),
) -> ArchiveProvider:
    files = {"bars.csv": bars} | ({} if actions is None else {"actions.csv": actions})
    return open_files(folder, files, (HOURLY + ("" if actions is None else ACTIONS)).replace(*edit), clock)


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def test_a_bar_that_closes_after_now_is_left_out_and_noted(tmp_path: Path) -> None:
    provider = make(tmp_path, rows(72), clock=FixedClock(at(57)))
    assert provider.bars == 2 * 57
    assert provider.description.last_day == date(2024, 3, 2)
    assert "2024-03-03 is not over" in provider.description.after_last_day
    notes = [note for note in provider.notes if note.kind == "not_closed_yet"]
    assert {(note.instrument, note.rows) for note in notes} == {("A", 15), ("B", 15)}
    assert provider.quarantine_counts == {}
    half_past = make(tmp_path, rows(72), clock=FixedClock(at(57) + timedelta(minutes=30)))
    assert half_past.bars == 2 * 57
    assert make(tmp_path, rows(72), clock=FixedClock(at(72))).description.last_day == date(2024, 3, 3)


def test_a_row_of_the_year_2099_moves_nothing_with_a_clock_or_without(tmp_path: Path) -> None:
    stray = rows(72) + "A,4070908800000,10,10.1,9.9,10,1\n"
    for clock in (None, FixedClock(datetime(2026, 1, 1, tzinfo=UTC))):
        provider = make(tmp_path, stray, clock=clock)
        assert (provider.description.first_day, provider.description.last_day) == (date(2024, 3, 1), date(2024, 3, 3))
    assert [note.kind for note in provider.notes] == ["not_closed_yet"]
    (early,) = provider.description.left_out
    assert early == (
        "1 row(s) of mine are left out (not_closed_yet), because their bars close after now; the first is A at "
        "2099-01-01T00:00:00.000000Z."
    )
    (far,) = make(tmp_path, stray).description.left_out
    assert "more than a week away from all others (2099-01-01)" in far


def test_files_from_the_future_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"bars\.csv: every bar closes after now"):
        make(tmp_path, rows(48), clock=FixedClock(at(0))).load(START, at(24))


def test_a_day_completed_by_the_next_download_leaves_the_days_before_it_as_they_were(tmp_path: Path) -> None:
    half, whole = make(tmp_path, rows(60)), None
    seals = [day_blocks(half.load(at(24 * k), at(24 * k + 24)), date(2024, 3, 1 + k)).root for k in range(2)]
    assert half.description.last_day == date(2024, 3, 2)
    whole = make(tmp_path, rows(72))
    assert whole.description.last_day == date(2024, 3, 3)
    again = [day_blocks(whole.load(at(24 * k), at(24 * k + 24)), date(2024, 3, 1 + k)).root for k in range(2)]
    assert seals == again


def test_files_without_a_whole_day_cannot_be_described(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"mine: no day of its files can be run: 2024-03-01 is not over"):
        _ = make(tmp_path, rows(12)).description


def test_bars_at_another_distance_than_described_are_refused(tmp_path: Path) -> None:
    sparse = "coin,t,o,h,l,c,v\n" + "".join(f"A,{T0 + 4 * k * HOUR},1,1.01,0.99,1,9\n" for k in range(30))
    with pytest.raises(ArchiveError, match=r"bars\.csv: bars stand 4 h apart where the description says 1 h"):
        make(tmp_path, sparse).load(START, at(24))
    flat = "".join(f"A,{T0 + k * HOUR},1,1,1,1,0\n" for k in range(120) if k % 4)
    with pytest.raises(ArchiveError, match="4 h apart"):
        make(tmp_path, sparse + flat).load(START, at(24))


def test_a_split_in_the_table_is_applied_from_its_bar_on_and_the_seal_says_so(tmp_path: Path) -> None:
    panel = make(tmp_path, rows(72, split_at=29), SPLIT).load(START, at(72))
    b = panel.instruments.index("B")
    np.testing.assert_allclose(panel.close[:, b], 100)
    assert len(np.unique(panel.segment_start[:, b])) == 1
    assert panel.price_factor is not None
    assert panel.price_factor[28:30, b].tolist() == [1, 1000]
    second = {line["instrument"]: line for line in parse_blocks(day_blocks(panel, date(2024, 3, 2)).lines)}
    assert second["B"]["price_factors"] == [[0, "1"], [5, "1000"]]
    assert "price_factors" not in second["A"]
    first = {line["instrument"]: line for line in parse_blocks(day_blocks(panel, date(2024, 3, 1)).lines)}
    assert "price_factors" not in first["B"]
    # What was known before the split does not know of it, and after it the line so far is the day's line cut off.
    assert b"price_factors" not in lines_so_far(panel, date(2024, 3, 2), [b], 28)[0]
    assert b'"price_factors":[[0,"1"],[5,"1000"]]' in lines_so_far(panel, date(2024, 3, 2), [b], 30)[0]
    kinds = [(note.kind, note.instrument, note.time) for note in panel.notes]
    assert kinds == [("corporate_action", "B", T0 + 29 * HOUR)]


def test_without_the_table_the_segment_ends_at_the_split_and_the_jump_is_noted(tmp_path: Path) -> None:
    plain = make(tmp_path, rows(72, split_at=29)).load(START, at(72))
    b = plain.instruments.index("B")
    assert np.unique(plain.segment_start[:, b]).tolist() == [T0, T0 + 29 * HOUR]
    assert [note.detail for note in plain.notes] == ["opens at 0.001 times the last close, which looks like 1:1000"]


def test_an_action_that_the_table_gains_later_revises_no_day_before_it(tmp_path: Path) -> None:
    before = make(tmp_path, rows(72, split_at=29)).load(START, at(72))
    after = make(tmp_path, rows(72, split_at=29), SPLIT).load(START, at(72))
    one, two = date(2024, 3, 1), date(2024, 3, 2)
    assert day_blocks(before, one) == day_blocks(after, one)
    assert diff_blocks(day_blocks(before, two).lines, day_blocks(after, two).lines).instruments == ("B",)


def test_an_action_that_was_known_too_late_is_noted_and_not_applied(tmp_path: Path) -> None:
    late = SPLIT.replace("2024-02-20T00:00:00Z", "2024-03-02T05:00:01Z")
    provider = make(tmp_path, rows(72, split_at=29), late, edit=('known = "stamp"', 'known_column = "seen"'))
    kinds = [note.kind for note in provider.load(START, at(72)).notes]
    assert kinds == ["corporate_action_not_applied", "doubtful_jump"]
    early = make(tmp_path, rows(72, split_at=29), SPLIT, edit=('known = "stamp"', 'known_column = "seen"'))
    assert [note.kind for note in early.load(START, at(72)).notes] == ["corporate_action"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("C,2024-03-02T05:00:00Z,10,", ["actions.csv: row 2", "'coin'", "'C'", "do not hold"]),
        ("B,2024-03-02T06:00:00Z,0,", ["row 2", "'ratio'", "new units per old unit"]),
        ("B,2024-03-02T06:00:00Z,-10,", ["row 2", "'ratio'"]),
        ("B,2024-03-02T06:00:00Z,,", ["row 2", "'ratio'"]),
        ("B,2024-03-02T06:00:00Z,inf,", ["row 2", "'ratio'"]),
        ("B,2024-03-02T05:00:00Z,10,", ["row 2", "second corporate action of 'B'"]),
        ("B,2024-03-02T05:30:00Z,10,", ["row 2", "'at'", "not the open of a bar"]),
    ],
)
def test_a_wrong_corporate_action_is_refused_by_row_and_column(tmp_path: Path, line: str, words: list[str]) -> None:
    with pytest.raises(ArchiveError) as caught:
        make(tmp_path, rows(72, split_at=29), SPLIT + line + "\n").load(START, at(24))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('ratio = "ratio"', "", "corporate_actions.ratio is missing"),
        ('known = "stamp"', "", "corporate_actions.known is missing"),
        ('known = "stamp"', 'known = "stamp"\nknown_column = "seen"', "exclude each other"),
        ('known = "stamp"', 'known = "stamp"\nfactor = 2', "not a known key"),
    ],
)
def test_a_wrong_table_of_actions_is_refused_by_key(tmp_path: Path, old: str, new: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        make(tmp_path, rows(2), SPLIT, edit=(old, new))


def test_actions_of_instruments_that_are_left_out_do_no_harm(tmp_path: Path) -> None:
    edit = ('volume = "v"', 'only = ["A"]\nvolume = "v"')
    panel = make(tmp_path, rows(48, split_at=29), SPLIT, edit=edit).load(START, at(48))
    assert panel.instruments == ("A",)
    assert panel.price_factor is None


def test_the_table_is_part_of_the_identity_and_its_rows_are_not(tmp_path: Path) -> None:
    plain = make(tmp_path, rows(48)).archive.source_hash
    one = make(tmp_path, rows(48), SPLIT).archive.source_hash
    two = make(tmp_path, rows(48), SPLIT.replace("1000", "10")).archive.source_hash
    assert plain != one == two


def test_gaps_written_in_three_ways_give_equal_panels_and_seals(tmp_path: Path) -> None:
    lines = rows(72).splitlines(keepends=True)
    gone = {f"B,{T0 + hour * HOUR}" for hour in (*range(10, 31), *range(40, 68))}
    missing = "".join(line for line in lines if ",".join(line.split(",")[:2]) not in gone)
    panels = []
    for filler in ("", ",,,,", "nan,nan,nan,nan,0", "100,100,100,100,0", "100,100,100,100,"):
        filled = missing + "".join(f"{key},{filler}\n" for key in sorted(gone) if filler)
        panels.append(make(tmp_path, filled).load(START, at(72)))
    for panel in panels[1:]:
        for name in ("open", "high", "low", "close", "volume", "segment_start"):
            np.testing.assert_array_equal(getattr(panel, name), getattr(panels[0], name))
        assert replace(panel, notes=()).quarantined == panels[0].quarantined
        for day in range(1, 4):
            assert day_blocks(panel, date(2024, 3, day)).root == day_blocks(panels[0], date(2024, 3, day)).root
    assert sum(note.rows for note in panels[3].notes if note.kind == "untraded") == len(gone)
