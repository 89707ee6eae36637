"""Progress of long commands: a bar on a terminal, a line now and then elsewhere; and what an interrupt says."""

from __future__ import annotations

import pytest

from throughline.cli.interrupt import Interrupted, nothing_stays, sentence
from throughline.cli.screen import QUIET_SECONDS, Bar, span


class Clock:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_a_line_comes_now_and_then_with_share_time_left_and_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with Bar(200, "walk-forward", False, clock=clock) as bar:
        bar.at("reading the bars")
        for _ in range(50):
            clock.now += 1.0
            bar.step(1, "outcomes to 2021-01-31")
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == int(50 / QUIET_SECONDS), "no line a step"
    assert lines[0] == "walk-forward: 10 %, 20 s so far, about 3 min 00 s left, outcomes to 2021-01-31"


def test_json_output_is_not_disturbed_by_progress(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Bar(2, "verify", True, clock=clock) as bar:
        clock.now += 1000.0
        bar.step(1, "outcomes")
        bar.note("a line")
    assert capsys.readouterr() == ("", "")


def test_a_total_that_is_known_late_or_was_too_small_never_gives_more_than_all_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with Bar(None, "verify", False, clock=clock) as bar:
        clock.now += QUIET_SECONDS
        bar.step(10, "candidates")
        bar.expect(20)
        clock.now += QUIET_SECONDS
        bar.step(30, "seal log")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["verify: 20 s so far, candidates", "verify: 100 %, 40 s so far, about 0 s left, seal log"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (190, "3 min 10 s"), (7_500, "2 h 05 min")]
)
def test_times_are_told_in_their_two_largest_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_an_interrupt_says_what_is_stored_and_the_exact_command_that_goes_on() -> None:
    with pytest.raises(Interrupted, match="nothing of this training was stored"), nothing_stays("this training"):
        raise KeyboardInterrupt
    told = sentence("no day is sealed", ["backtest", "--data", "my files", "--end", "2021-01-02"])
    assert (
        told == "interrupted: no day is sealed; continue with: throughline backtest --data 'my files' --end 2021-01-02"
    )


def test_a_password_on_the_command_line_is_not_repeated() -> None:
    told = sentence("stored", ["verify", "--database", "postgresql://me:secret@host:5432/db"])
    assert "secret" not in told
    assert "postgresql://me:...@host:5432/db" in told
