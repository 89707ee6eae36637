"""Signing keys: Ed25519 (RFC 8032) in a file that only its owner may read, or behind a command of the owner's choice.

Belongs here: making, finding and using keys. Does not belong here: what is signed (log), and which key is trusted
(trust). A private key is never written to the home, the database or the anchor by anything here.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shlex
import stat
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from throughline.errors import printable
from throughline.proof.errors import ProofError
from throughline.user_files import user_path

KEY_VARIABLE = "THROUGHLINE_SIGNING_KEY"
SIGNER_VARIABLE = "THROUGHLINE_SIGNER"
PUBLIC_KEY_VARIABLE = "THROUGHLINE_PUBLIC_KEY"
_MOST_BYTES = 64 * 1024
"""No key file is larger; a device that never ends is not read to its end."""
SIGNER_SECONDS = 60
"""How long a signer command may take."""


class Signer(Protocol):
    """Something that signs."""

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key; a key that is made on first use is made now."""
        ...

    @property
    def key_id(self) -> str:
        """The key's name in heads."""
        ...

    def known_public_key(self) -> bytes | None:
        """Return the public key without making one: None where there is none yet."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        ...


def key_id(public_key: bytes) -> str:
    """Return the name of a key: the first 16 hex digits of SHA-256 over its 32 raw bytes."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def signature_holds(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` over `message` was made with the key whose public half this is."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_pem(public_key: bytes) -> str:
    """Return a public key in the PEM form that `load_public_key` and OpenSSL read."""
    made = Ed25519PublicKey.from_public_bytes(public_key)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return made.public_bytes(serialization.Encoding.PEM, form).decode("ascii")


def load_public_key(file: str | os.PathLike[str]) -> bytes:
    """Return the 32 raw bytes of the public key in `file` (PEM, or 64 hex digits). Raises ProofError."""
    path = user_path(file, "the key file")
    try:
        with path.open("rb") as stream:
            data = stream.read(_MOST_BYTES).strip()
    except OSError as error:
        raise ProofError(
            f"The key file {path} cannot be read ({error.strerror}): give the public key's file."
        ) from None
    try:
        if len(data) == 64:
            raw = bytes.fromhex(data.decode("ascii"))
            Ed25519PublicKey.from_public_bytes(raw)
            return raw
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnicodeDecodeError) as error:
        raise ProofError(
            f"The file {path} holds no public key: `throughline key show --out FILE` writes one."
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ProofError(f"The key in {path} is no Ed25519 key: the seal log is signed with Ed25519 only.")
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class FileSigner:
    """An unencrypted Ed25519 key in a PEM file of mode 0600, made on first use.

    A file that anyone else may read is refused: whoever read it can sign a history of their own.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = user_path(path, f"the signing key ({KEY_VARIABLE})")
        self._key: Ed25519PrivateKey | None = None

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key; the key is made where there is none."""
        return _raw(self._load(make=True))

    @property
    def key_id(self) -> str:
        """The key's name in heads."""
        return key_id(self.public_key)

    def known_public_key(self) -> bytes | None:
        """Return the public key, None where the file does not exist. Raises ProofError where it cannot be used."""
        if self._key is None and not self.path.exists():
            return None
        return _raw(self._load(make=False))

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`."""
        return self._load(make=True).sign(message)

    def successor(self) -> FileSigner:
        """Return the signer of the key that is to follow this one, in a file beside it."""
        return FileSigner(self.path.with_name(self.path.name + ".next"))

    def kept(self, key: str) -> FileSigner:
        """Return the signer of a key that this file held before, by its key id."""
        return FileSigner(self.path.with_name(f"{self.path.name}.{key}"))

    def replace_by_successor(self) -> None:
        """Keep the present key under its key id and put the successor's file in its place."""
        if self.path.exists():
            kept = self.kept(self.key_id).path
            if not kept.exists():
                os.link(self.path, kept)
        self.successor().path.replace(self.path)
        _sync(self.path.parent)
        self._key = None

    def _load(self, make: bool) -> Ed25519PrivateKey:
        if self._key is None:
            if make and not self.path.exists():
                self._make()
            self._key = _read_private(self.path)
        return self._key

    def _make(self) -> None:
        """Write a new key whole or not at all; where another process was faster, its key stays."""
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(pem)
                stream.flush()
                os.fsync(stream.fileno())
            try:
                os.link(part, self.path)
            except FileExistsError:
                pass
            finally:
                part.unlink()
            _sync(self.path.parent)
        except OSError as error:
            raise ProofError(
                f"The signing key cannot be made at {self.path} ({error.strerror}): set {KEY_VARIABLE} to a place "
                "that only you can read."
            ) from error


class CommandSigner:
    """A command of the owner's that signs (a hardware token, a vault): the message on stdin, the signature on stdout.

    The signature is 64 raw bytes, or their base64. public_key_file: the public half, as `load_public_key` reads it.
    """

    def __init__(self, command: str, public_key_file: str | os.PathLike[str]) -> None:
        self._command = _words(command)
        self._public_key = load_public_key(public_key_file)

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""
        return self._public_key

    @property
    def key_id(self) -> str:
        """The key's name in heads."""
        return key_id(self._public_key)

    def known_public_key(self) -> bytes | None:
        """Return the public key."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`. Raises ProofError where the command fails or signs with another key."""
        name = self._command[0]
        try:
            done = subprocess.run(self._command, input=message, capture_output=True, timeout=SIGNER_SECONDS, check=True)
        except OSError as error:
            raise ProofError(
                f"The signer command {name} cannot be run ({error.strerror}): see {SIGNER_VARIABLE}."
            ) from None
        except subprocess.SubprocessError as error:
            said = getattr(error, "stderr", None) or b""
            words = printable(" ".join(said.decode("utf-8", "replace").split())[:200]) or _end_of(error)
            raise ProofError(f"The signer command {name} did not sign ({words}): see {SIGNER_VARIABLE}.") from None
        for signature in _readings(done.stdout):
            if signature_holds(self._public_key, message, signature):
                return signature
        raise ProofError(
            f"What the signer command {name} gave is no signature with the key in {PUBLIC_KEY_VARIABLE} "
            f"({self.key_id}): give the public key that belongs to the signer."
        )


def _end_of(error: subprocess.SubprocessError) -> str:
    """Return how a command ended that said nothing."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"it took longer than {SIGNER_SECONDS} s"
    code = getattr(error, "returncode", 1)
    return f"it ended with code {code}" if code >= 0 else f"signal {-code} ended it"


def _words(command: str) -> list[str]:
    """Return the words of a signer command as a shell reads them. Raises ProofError where there is none."""
    try:
        words = shlex.split(command)
    except ValueError:
        raise ProofError(f"The signer command ({SIGNER_VARIABLE} or --signer) has a quote that does not end.") from None
    if not words or not words[0]:
        raise ProofError(f"The signer command ({SIGNER_VARIABLE} or --signer) is empty: give a program and its words.")
    return words


def _readings(output: bytes) -> list[bytes]:
    found = [output]
    with contextlib.suppress(ValueError):
        found.append(base64.b64decode(output.strip(), validate=True))
    return [item for item in found if len(item) == 64]


def default_key_path(environment: Mapping[str, str]) -> Path:
    """Return where the signing key lies: the variable's file, else ``throughline/signing.pem`` in ~/.config."""
    configured = environment.get(KEY_VARIABLE, "").strip()
    if configured:
        return user_path(configured, KEY_VARIABLE)
    settings = environment.get("XDG_CONFIG_HOME", "").strip()
    return user_path(settings or "~/.config", "XDG_CONFIG_HOME") / "throughline" / "signing.pem"


def signer_from(environment: Mapping[str, str]) -> Signer:
    """Return the signer that the environment names: a command, else a key file. Raises ProofError."""
    command = environment.get(SIGNER_VARIABLE, "").strip()
    if not command:
        return FileSigner(default_key_path(environment))
    public = environment.get(PUBLIC_KEY_VARIABLE, "").strip()
    if not public:
        raise ProofError(
            f"{SIGNER_VARIABLE} names a signer command: name its public key's file in {PUBLIC_KEY_VARIABLE}."
        )
    return CommandSigner(command, public)


def _read_private(path: Path) -> Ed25519PrivateKey:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            data = stream.read(_MOST_BYTES)
    except OSError as error:
        raise ProofError(f"The signing key {path} cannot be read ({error.strerror}): see {KEY_VARIABLE}.") from None
    if mode & 0o077:
        raise ProofError(
            f"The signing key {path} may be read by others (mode {mode:04o}): `chmod 600` it, and rotate it if "
            "anybody may have done so."
        )
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise ProofError(
            f"The file {path} holds no unencrypted private key in PEM form: see {KEY_VARIABLE}."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ProofError(f"The key in {path} is no Ed25519 key: let `throughline key show` make one elsewhere.")
    return key


def _raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
