"""What reaches a terminal: text as it is, and nothing that the terminal would obey."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.dev import _say
from throughline.cli.screen import echo, echo_line, note, out_json, visible
from throughline.errors import printable
from throughline.rendering.table import Table

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
    echo(Table(["instrument", "trades"], [[f"{HOSTILE}\n", 3]]).text())
    out = capsys.readouterr()
    assert obeyed(out.out + out.err) == set()
    assert "<U+001B>[31mRED" in out.out
    assert "\nBROKEN" not in out.out


@given(st.text())
def test_json_keeps_the_value_and_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as stream:
        out_json({"name": text})
    assert obeyed(stream.getvalue()) == set()
    assert json.loads(stream.getvalue()) == {"name": text}


@given(st.text() | st.text(alphabet=HOSTILE))
def test_messages_and_screen_write_hidden_characters_in_one_way_and_not_twice(text: str) -> None:
    assert visible(text, keep="").replace(" ", "") == printable(text, spaces=True).replace(" ", "")
    assert visible(printable(text)) == printable(text)


def test_exotic_spaces_are_written_out_in_messages_and_stay_in_texts() -> None:
    assert printable("A\u00a0B\u3000C D") == "A<U+00A0>B<U+3000>C D"
    assert visible("A\u00a0B\u3000C D") == "A\u00a0B\u3000C D"


def test_what_dev_says_holds_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    _say(f"DAGSTER_HOME is {HOSTILE}")
    said = capsys.readouterr().err
    assert obeyed(said) == set()
    assert "<U+001B>[31mRED" in said


def test_only_one_module_looks_at_the_category_of_a_character_to_escape_it(repo: Path) -> None:
    folders = ("throughline", "pipelines", "assets", "sensors", "resources")
    paths = [path for folder in folders for path in (repo / folder).rglob("*.py")]
    escaping = re.compile(r"<U\+\{|\\\\u\{|\\\\x\{|isprintable\(\) else")
    assert [path.name for path in paths if escaping.search(path.read_text())] == ["errors.py"]


def test_no_command_prints_past_the_screen(repo: Path) -> None:
    printing = re.compile(r"click\.s?echo\(|\bprint\(|sys\.std(out|err)\.write")
    for path in sorted([*(repo / "throughline" / "cli").glob("*.py"), *(repo / "assets").rglob("*.py")]):
        if path.name != "screen.py":
            assert not printing.search(re.sub(r"sys\.stdout\.flush", "", path.read_text())), path
