"""What reaches a terminal: text as it is, and nothing that the terminal would obey."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.cli.screen import echo, echo_line, note, out_json, table, visible

HOSTILE = "\x1b[31mRED\x1b]0;title\x07\x00\x9b2J\u202eevil\u200b\u2066\ufeff\u2028\x7f\r"
OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def obeyed(text: str) -> set[str]:
    return {character for character in text if unicodedata.category(character) in OBEYED} - {"\n"}


@given(st.text() | st.text(alphabet=HOSTILE))
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert obeyed(visible(text)) <= {"\t"}
    assert "\n" not in visible(text, keep="")


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs", "M"])))
def test_text_of_any_script_is_shown_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_every_way_of_printing_shows_a_hostile_name(capsys: pytest.CaptureFixture[str]) -> None:
    echo(HOSTILE)
    echo_line(f"{HOSTILE}\nBROKEN  outcomes")
    note(HOSTILE)
    echo(table([["instrument", "trades"], [f"{HOSTILE}\n", 3]]))
    out = capsys.readouterr()
    assert obeyed(out.out + out.err) == set()
    assert "\\x1b[31mRED" in out.out
    assert "\nBROKEN" not in out.out


@given(st.text())
def test_json_keeps_the_value_and_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as stream:
        out_json({"name": text})
    assert obeyed(stream.getvalue()) == set()
    assert json.loads(stream.getvalue()) == {"name": text}


def test_no_command_prints_past_the_screen(repo: Path) -> None:
    printing = re.compile(r"click\.s?echo\(|\bprint\(|sys\.std(out|err)\.write")
    for path in sorted((repo / "throughline" / "cli").glob("*.py")):
        if path.name != "screen.py":
            assert not printing.search(re.sub(r"sys\.stdout\.flush", "", path.read_text())), path
