"""Progress of long commands: a bar on a terminal, a line now and then elsewhere; and what an interrupt says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.cli.interrupt import Interrupted, nothing_stays, sentence, shell_word
from throughline.cli.screen import QUIET_SECONDS, Bar, span
from throughline.cli.walk_forward import TRAINING_PARTS, training_progress
from throughline.errors import printable
from throughline.walk_forward.runner import training_days


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


def test_a_walk_is_not_at_its_end_while_its_last_training_runs(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Bar(100 + 2 * TRAINING_PARTS, "walk-forward", False, clock=clock) as bar:
        training = training_progress(bar)

        def run(*steps: tuple[str, float]) -> None:
            for name, share in steps:
                clock.now += QUIET_SECONDS
                training(name, share)

        bar.step(100, "outcomes")
        run(("reading the labels", 0.0), ("trial 1 of 2", 0.1), ("done", 1.0))
        run(("reading the labels", 0.0), ("trial 2 of 2", 0.5), ("done", 1.0))
    shares = [line.split(",")[0] for line in capsys.readouterr().err.splitlines()]
    total = 100 + 2 * TRAINING_PARTS
    done = [0.0, 0.1, 1.0, 1.0, 1.5, 2.0]
    assert shares == [f"walk-forward: {100 * (100 + part * TRAINING_PARTS) / total:.0f} %" for part in done]


def test_the_trainings_that_are_left_are_those_that_a_walk_comes_to() -> None:
    start, end = date(2021, 1, 1), date(2021, 3, 31)
    months = [date(2021, month, 1) for month in (2, 3, 4)]
    assert list(training_days(start, end, "monthly", start)) == months, "nothing is known at the epoch's own midnight"
    assert list(training_days(start, end, "monthly", date(2021, 2, 1))) == months, "the last sealed day is closed again"
    assert list(training_days(start, end, "monthly", date(2021, 2, 2))) == months[1:]
    assert list(training_days(start, end, "monthly", date(2021, 4, 1))) == months[2:], "all days are sealed"
    assert list(training_days(start, end, "never", start)) == []


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


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_word_of_the_command_that_goes_on_is_typed_as_it_was_given(word: str) -> None:
    typed = shell_word(word)
    assert printable(typed, spaces=True) == typed
    if not typed.startswith("$'"):
        assert shlex.split(typed) == [word]
        return
    inside = typed[2:-1]
    read = re.sub(rb"\\(?:x([0-9a-f]{2})|(.))", _unescaped, inside.encode("utf-8"), flags=re.DOTALL)
    assert read.decode("utf-8") == word


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode()) if found[1] is not None else found[2]


@pytest.mark.skipif(shutil.which("bash") is None, reason="this machine has no bash")
def test_a_shell_reads_a_path_with_a_line_feed_and_two_spaces_as_it_was() -> None:
    path = "my  files\n'x'\\\x1b[31m"
    told = sentence("stored", ["verify", "--home", path])
    assert "\n" not in told
    command = told.split("continue with: ")[1].replace("throughline verify --home", "printf %s")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == path


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///db?user=me&password=secret&sslmode=require",
        "postgresql://h/db?sslpassword=secret",
        "PostgreSQL://h/d?PASSWORD=secret",
    ],
)
def test_a_password_among_the_options_of_a_url_is_not_repeated(url: str) -> None:
    told = sentence("stored", ["verify", f"--database={url}"])
    assert "secret" not in told
    assert "assword=..." in told.replace("PASSWORD", "assword")


def test_a_password_on_the_command_line_is_not_repeated() -> None:
    told = sentence("stored", ["verify", "--database", "postgresql://me:secret@host:5432/db"])
    assert "secret" not in told
    assert "postgresql://me:...@host:5432/db" in told
