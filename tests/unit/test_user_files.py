"""Paths that a person typed, and files that a person asked for."""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from throughline.errors import SettingsError
from throughline.storage.home import Home
from throughline.user_files import resolved_path, user_path, write_file


@pytest.mark.parametrize("read", [user_path, resolved_path])
@pytest.mark.parametrize(
    ("typed", "said"),
    [("", "is empty"), (" \n", "is empty"), ("~nobody-here/x", "'~nobody-here'"), ("a\udcff", "not UTF-8")],
)
def test_a_path_that_names_nothing_is_refused_with_its_option(read: object, typed: str, said: str) -> None:
    with pytest.raises(SettingsError, match="--data") as caught:
        read(typed, "--data")  # type: ignore[operator]
    assert said in str(caught.value)


def test_a_circle_of_links_is_refused_in_a_sentence_or_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    if sys.version_info >= (3, 13):  # which follows no such link, and leaves the path alone
        assert resolved_path(tmp_path / "a", "--home").name in ("a", "b")
        return
    with pytest.raises(SettingsError, match=r"--home .* cannot be followed"):
        resolved_path(tmp_path / "a", "--home")


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "trades.csv"
    target.write_text("before")
    target.chmod(0o640)
    assert write_file(target, b"after", "--csv") == target
    assert target.read_text() == "after"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["trades.csv"]


def test_a_file_that_cannot_be_finished_is_as_it_was_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "trades.csv"
    target.write_text("before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingsError, match=r"trades\.csv cannot be written \(No space left on device\)"):
        write_file(target, b"after", "--csv")
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["trades.csv"]


def test_a_link_stays_a_link_and_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", b"after", "--html")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "after"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, b"x" * 200_000, "--html")
    reader.join(10)
    assert read == [b"x" * 200_000]
    assert pipe.is_fifo()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="choose another file with --out"):
        write_file(tmp_path, b"", "--out")
    assert tmp_path.is_dir()


def test_a_home_whose_path_holds_a_line_feed_is_refused_before_a_server_waits_for_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"<U\+000A>.* control character") as caught:
        Home(tmp_path / "new\nline")
    assert "\n" not in str(caught.value)
    assert Home(tmp_path / "a 'b' \"c\" $d ü").path.name == "a 'b' \"c\" $d ü"


def test_a_path_in_a_locale_that_cannot_read_it_is_told_from_a_name_that_is_no_text() -> None:
    named = "/data/\udcc3\udcbc"  # what Python makes of 'ü' where the locale is ASCII
    with pytest.raises(SettingsError, match="is not UTF-8: set LC_ALL="):
        user_path(named, "--data")
