"""Keys: made once and for their owner only, refused where others can read them, or behind a command."""

from __future__ import annotations

import base64
import stat
import sys
import threading
from pathlib import Path

import pytest

from throughline.cli import DirectWiring, run
from throughline.proof.errors import ProofError
from throughline.proof.keys import (
    CommandSigner,
    FileSigner,
    default_key_path,
    key_id,
    load_public_key,
    public_pem,
    signature_holds,
    signer_from,
)
from throughline.proof.settings import open_proof
from throughline.storage.home import Home

# RFC 8032 section 7.1, tests 1 and 2: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f"
            "1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b"
            "5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_signatures_are_ed25519_as_rfc_8032_has_it(public: str, message: str, signature: str) -> None:
    key, text, signed = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert signature_holds(key, text, signed)
    assert not signature_holds(key, text + b"x", signed)
    assert not signature_holds(key, text, signed[:63])
    assert not signature_holds(key[:31], text, signed)
    assert not signature_holds(key, text, b"")


def test_a_key_is_made_on_first_use_for_its_owner_only_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "signing.pem"
    signer = FileSigner(path)
    assert signer.known_public_key() is None
    assert not path.parent.exists()
    signature = signer.sign(b"message")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [item.name for item in path.parent.iterdir()] == ["signing.pem"]
    again = FileSigner(path)
    assert again.known_public_key() == signer.public_key
    assert signature_holds(again.public_key, b"message", signature)
    assert signer.key_id == key_id(signer.public_key)
    assert len(signer.key_id) == 16


def test_many_that_make_the_key_at_once_get_the_same_one(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    found: list[bytes] = []
    barrier = threading.Barrier(6)

    def use() -> None:
        barrier.wait()
        found.append(FileSigner(path).public_key)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "signing.pem"
    assert FileSigner(path).public_key
    path.chmod(mode)
    with pytest.raises(ProofError, match=r"may be read by others.*chmod 600"):
        FileSigner(path).sign(b"message")
    with pytest.raises(ProofError, match="may be read by others"):
        FileSigner(path).known_public_key()


def test_a_file_that_holds_no_key_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(ProofError, match=str(path)):
        FileSigner(path).sign(b"message")
    with pytest.raises(ProofError, match="holds no public key"):
        load_public_key(path)
    with pytest.raises(ProofError, match="cannot be read"):
        load_public_key(tmp_path / "nowhere")


def test_a_public_key_is_read_as_pem_or_hex_and_a_private_key_is_none(tmp_path: Path) -> None:
    signer = FileSigner(tmp_path / "signing.pem")
    public = tmp_path / "public.pem"
    public.write_text(public_pem(signer.public_key))
    assert load_public_key(public) == signer.public_key
    public.write_text(signer.public_key.hex() + "\n")
    assert load_public_key(public) == signer.public_key
    with pytest.raises(ProofError, match="holds no public key"):
        load_public_key(signer.path)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (tmp_path / "public.pem").write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    with pytest.raises(ProofError, match="Ed25519"):
        load_public_key(tmp_path / "public.pem")
    path = tmp_path / "private.pem"
    pkcs8 = serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(ProofError, match="Ed25519"):
        FileSigner(path).sign(b"message")


def command(tmp_path: Path, body: str) -> str:
    script = tmp_path / "sign.py"
    script.write_text(body)
    return f"'{sys.executable}' '{script}'"


def signing(key: Path, written: str) -> str:
    return (
        "import base64, sys\n"
        "from throughline.proof.keys import FileSigner\n"
        f"signature = FileSigner({str(key)!r}).sign(sys.stdin.buffer.read())\n"
        f"sys.stdout.buffer.write({written})\n"
    )


@pytest.mark.parametrize("written", ["signature", "base64.b64encode(signature) + b'\\n'"])
def test_a_command_signs_what_it_gets_on_stdin_raw_or_in_base64(
    tmp_path: Path, written: str, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repo))
    key = FileSigner(tmp_path / "signing.pem")
    public = tmp_path / "public.pem"
    public.write_text(public_pem(key.public_key))
    signer = CommandSigner(command(tmp_path, signing(key.path, written)), public)
    message = bytes(range(256))
    assert signature_holds(key.public_key, message, signer.sign(message))
    assert signer.key_id == key.key_id
    assert signer.known_public_key() == key.public_key


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import sys; sys.exit('the token is not plugged in')", "the token is not plugged in"),
        ("print('no signature')", "is no signature"),
        (f"print('{base64.b64encode(bytes(64)).decode()}')", "is no signature"),
    ],
)
def test_a_command_that_does_not_sign_is_an_error_that_says_so(tmp_path: Path, body: str, words: str) -> None:
    public = tmp_path / "public.pem"
    public.write_text(public_pem(FileSigner(tmp_path / "signing.pem").public_key))
    with pytest.raises(ProofError, match=words):
        CommandSigner(command(tmp_path, body), public).sign(b"message")


def test_a_command_that_does_not_exist_is_an_error_that_names_it(tmp_path: Path) -> None:
    public = tmp_path / "public.pem"
    public.write_text(public_pem(FileSigner(tmp_path / "signing.pem").public_key))
    with pytest.raises(ProofError, match="no-such-command"):
        CommandSigner("no-such-command --now", public).sign(b"message")


def test_the_environment_says_where_the_key_is_and_by_default_it_is_outside_the_home(tmp_path: Path) -> None:
    assert default_key_path({"THROUGHLINE_SIGNING_KEY": "/x/y.pem"}) == Path("/x/y.pem")
    assert default_key_path({"XDG_CONFIG_HOME": "/settings"}) == Path("/settings/throughline/signing.pem")
    assert default_key_path({}) == Path.home() / ".config" / "throughline" / "signing.pem"
    assert isinstance(signer_from({}), FileSigner)
    with pytest.raises(ProofError, match="THROUGHLINE_PUBLIC_KEY"):
        signer_from({"THROUGHLINE_SIGNER": "sign"})
    public = tmp_path / "public.pem"
    public.write_text(public_pem(FileSigner(tmp_path / "signing.pem").public_key))
    told = {"THROUGHLINE_SIGNER": "sign", "THROUGHLINE_PUBLIC_KEY": str(public)}
    assert isinstance(signer_from(told), CommandSigner)


@pytest.mark.parametrize(
    ("embedded", "place", "strength"),
    [
        (True, None, "self-anchored: weak"),
        (True, "s3-like", "self-anchored: weak"),
        (False, None, "self-anchored: weak"),
        (False, "home/inside", "self-anchored: weak"),
        (False, "outside", "external"),
        (False, "home-beside", "external"),
        (False, "memory://bucket/anchor", "external"),
    ],
)
def test_an_anchor_beside_the_database_is_weak(
    tmp_path: Path, embedded: bool, place: str | None, strength: str
) -> None:
    environment = {} if place is None else {"THROUGHLINE_ANCHOR": place if "://" in place else str(tmp_path / place)}
    proof = open_proof(Home(tmp_path / "home"), embedded, environment)
    assert proof.strength == strength
    assert list(tmp_path.iterdir()) == []  # nothing is made by asking


def test_a_key_is_replaced_by_its_successor_and_kept_under_its_id(tmp_path: Path) -> None:
    signer = FileSigner(tmp_path / "signing.pem")
    old, new = signer.public_key, signer.successor().public_key
    signer.replace_by_successor()
    assert signer.public_key == new != old
    assert signer.kept(key_id(old)).known_public_key() == old
    assert signer.successor().known_public_key() is None


@pytest.mark.parametrize(("command", "said"), [("", "is empty"), ("''", "is empty"), ("sign 'it", "does not end")])
def test_a_signer_command_that_is_none_is_refused_in_a_sentence(tmp_path: Path, command: str, said: str) -> None:
    FileSigner(tmp_path / "key.pem").sign(b"x")
    public = tmp_path / "public.pem"
    public.write_text(public_pem(FileSigner(tmp_path / "key.pem").public_key))
    with pytest.raises(ProofError, match=said):
        CommandSigner(command, public)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_a_key_file_that_never_ends_is_not_read_to_its_end() -> None:
    with pytest.raises(ProofError, match="holds no public key"):
        load_public_key("/dev/zero")


@pytest.mark.parametrize("name", ["signing.pem", "signing.pem.next", "../keys/signing.pem"])
def test_the_public_half_is_not_written_over_a_signing_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    own = tmp_path / "keys" / "signing.pem"
    monkeypatch.setenv("THROUGHLINE_SIGNING_KEY", str(own))
    before = FileSigner(own).public_key
    assert run(["key", "show", "--out", str(own.parent / name)], DirectWiring()) == 1
    assert "choose a file elsewhere" in capsys.readouterr().err
    assert FileSigner(own).public_key == before
    assert run(["key", "show", "--out", str(tmp_path / "key.pem")], DirectWiring()) == 0
    assert load_public_key(tmp_path / "key.pem") == before
