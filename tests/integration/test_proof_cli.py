"""The commands about proof: what an answer is worth, a proof file that needs no home, keys shown and changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from tests.integration.small_home import seal_experiment
from throughline.cli.key import key
from throughline.cli.proof import proof
from throughline.cli.verify import verify
from throughline.cli.wiring import DirectWiring
from throughline.errors import SettingsError, ThroughlineError, UnknownRecord
from throughline.proof.errors import ProofError
from throughline.proof.keys import FileSigner, public_pem
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home


@dataclass(frozen=True)
class Shell:
    """Runs commands on one home."""

    home: Path

    def __call__(self, command: click.Command, *arguments: str, code: int = 0, home: bool = True) -> str:
        where = ["--home", str(self.home)] if home else []
        group = isinstance(command, click.Group)
        line = [arguments[0], *where, *arguments[1:]] if group else [*arguments, *where]
        told = CliRunner().invoke(command, line, obj=DirectWiring(), standalone_mode=False)
        if isinstance(told.exception, ThroughlineError):
            raise told.exception
        assert told.exception is None, told.exception
        assert told.return_value == code, told.output
        return told.output

    def json(self, command: click.Command, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(command, *arguments, "--json", code=code))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="module")
def opened(folder: Path) -> Iterator[Database]:
    with pytest.MonkeyPatch.context() as patch, open_database(Home(folder / "home")) as database:
        patch.setenv("THROUGHLINE_SIGNING_KEY", str(folder / "keys" / "signing.pem"))
        seal_experiment(database, ArtifactStore(database.home.artifacts))
        yield database


@pytest.fixture
def shell(folder: Path, opened: Database) -> Shell:
    return Shell(folder / "home")


@pytest.fixture
def asked(opened: Database) -> str:
    with opened.engine("reader").connect() as connection:
        return str(connection.execute(text("SELECT uuid FROM canonical_trades ORDER BY uuid LIMIT 1")).scalar_one())


def test_verify_says_what_the_answer_is_worth(shell: Shell, folder: Path) -> None:
    out = shell(verify)
    assert "nothing has been changed" in out
    assert re.search(r"Seal log: (\d+) events, \1 of them anchored at .*anchor", out)
    assert re.search(r"self-anchored: weak; its newest head is [\d,]+ days old", out)  # the home's clock stands in 2024
    assert "not anchored yet: 0 row(s) and seal(s)" in out
    assert "neither key nor anchor" in out
    assert "a stolen key" in out
    told = shell.json(verify)
    assert told["ok"]
    assert told["findings"] == []
    assert told["proof"]["findings"] == []
    assert told["proof"]["strength"] == "self-anchored: weak"
    assert told["proof"]["key_id"] == FileSigner(folder / "keys" / "signing.pem").key_id
    assert told["proof"]["anchored_size"] == told["proof"]["tree_size"] > 80


def test_verify_without_a_key_says_that_signatures_were_not_checked(
    shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = folder / "public.pem"
    public.write_text(public_pem(FileSigner(folder / "keys" / "signing.pem").public_key))
    monkeypatch.setenv("THROUGHLINE_SIGNING_KEY", str(folder / "nowhere.pem"))
    out = shell(verify)
    assert "signatures: NOT checked" in out
    assert not (folder / "nowhere.pem").exists()
    assert shell.json(verify)["proof"]["signatures_checked"] is False
    assert "signatures: checked with key" in shell(verify, "--key", str(public))


def test_verify_with_another_key_trusts_nothing(shell: Shell, folder: Path) -> None:
    public = folder / "stranger-public.pem"
    public.write_text(public_pem(FileSigner(folder / "stranger.pem").public_key))
    assert "not to be trusted" in shell(verify, "--key", str(public), code=1)
    told = shell.json(verify, "--key", str(public), code=1)
    assert not told["ok"]
    assert [item["kind"] for item in told["proof"]["findings"]] == ["foreign_signature"]


def test_what_only_the_log_can_tell_is_broken_in_verify(shell: Shell, opened: Database, asked: str) -> None:
    change = "UPDATE canonical_trades SET run_id = {} WHERE uuid = '{}'"
    with opened.engine("owner").begin() as connection:
        connection.execute(text(change.format("'another'", asked)))
    try:
        out = shell(verify, code=1)
        assert f"BROKEN  canonical_trades  {asked}: run_id or recorded_at was edited" in out
        assert not shell.json(verify, code=1)["proof"]["ok"]
    finally:
        with opened.engine("owner").begin() as connection:
            connection.execute(text(change.format("NULL", asked)))
    shell(verify)


def test_a_proof_file_is_small_and_convinces_without_a_home(shell: Shell, folder: Path, asked: str) -> None:
    file, public = folder / "proof.json", folder / "given.pem"
    out = shell(proof, asked, "--out", str(file))
    assert f"{file}: 10 records" in out
    assert file.stat().st_size < 60_000
    shell(key, "show", "--out", str(public))
    out = shell(verify, "--proof", str(file), "--key", str(public), home=False)
    assert asked in out
    assert "The proof holds" in out
    data = json.loads(file.read_text())
    trade = next(item for item in data["records"] if item["table"] == "canonical_trades")
    trade["body"]["profit_usd"] = "1000000"
    file.write_text(json.dumps(data))
    assert "BROKEN" in shell(verify, "--proof", str(file), "--key", str(public), code=1, home=False)
    file.write_text("no proof")
    told = json.loads(shell(verify, "--proof", str(file), "--key", str(public), "--json", code=1, home=False))
    assert not told["ok"]
    assert "not a proof" in told["problems"][0]


def test_a_proof_can_be_asked_for_by_the_trade_hash(shell: Shell, opened: Database, folder: Path, asked: str) -> None:
    with opened.engine("reader").connect() as connection:
        query = text("SELECT content_hash FROM canonical_trades WHERE uuid = :u")
        digest = connection.execute(query, {"u": asked}).scalar_one()
    told = shell.json(proof, digest[:12].upper(), "--out", str(folder / "by-hash.json"))
    assert (told["asked"], told["left_out"], told["checked"]) == (asked, [], True)
    assert told["bytes"] == (folder / "by-hash.json").stat().st_size


def test_what_is_wrongly_asked_is_one_sentence(shell: Shell, folder: Path) -> None:
    with pytest.raises(SettingsError, match="a key inside a proof proves nothing"):
        shell(verify, "--proof", str(folder / "proof.json"), home=False)
    with pytest.raises(SettingsError, match="cannot be read"):
        shell(verify, "--proof", str(folder / "none.json"), "--key", str(folder / "given.pem"), home=False)
    with pytest.raises(ProofError, match="cannot be read"):
        shell(verify, "--key", str(folder / "none.pem"))
    with pytest.raises(UnknownRecord, match="is not an ID"):
        shell(proof, "oops")
    with pytest.raises(UnknownRecord, match="no record or trade of this home"):
        shell(proof, "0177b7cc-fa80-8f22-a377-54fb3f72a7a4")
    with pytest.raises(UnknownRecord, match="no record or trade of this home"):
        shell(proof, "0" * 64)
    with pytest.raises(SettingsError, match="belong together"):
        shell(key, "rotate", "--signer", "sign")


def test_the_key_is_shown_and_never_its_private_half(shell: Shell, folder: Path) -> None:
    out = shell(key, "show")
    assert "BEGIN PUBLIC KEY" in out
    assert "PRIVATE" not in out
    told = shell.json(key, "show")
    assert (told["made"], told["place"]) == (False, str(folder / "keys" / "signing.pem"))


def test_the_key_is_changed_and_the_anchor_begun_anew(
    shell: Shell, folder: Path, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Last in this file: it changes the key and the anchor."""
    old = folder / "old.pem"
    before = shell.json(key, "show", "--out", str(old))["key_id"]
    told = shell.json(key, "rotate")
    assert (told["old_key_id"], told["key_id"]) == (before, shell.json(key, "show")["key_id"])
    shell(verify)
    shell(verify, "--key", str(old))
    shell(proof, asked, "--out", str(folder / "after.json"))
    out = shell(verify, "--proof", str(folder / "after.json"), "--key", str(old), home=False)
    assert f"to which your key {before} has handed the log over" in out
    monkeypatch.setenv("THROUGHLINE_ANCHOR", str(folder / "new anchor"))
    assert "holds nothing, though" in shell(verify, code=1)
    assert "events of the seal log are anchored at" in shell(key, "anchor")
    shell(verify)
