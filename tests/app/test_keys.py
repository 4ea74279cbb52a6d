"""The node key: made once, kept whole and to oneself."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from structlog.testing import capture_logs

from tallystick.app.keys import KEY_FILE, node_identity
from tallystick.errors import ConfigError, StoreError, StoreFullError
from tallystick.wire.identity import KEY_BYTES, SIGNATURE_BYTES

NOT_ROOT = pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
POSIX = pytest.mark.skipif(os.name != "posix", reason="modes are a thing of POSIX")


def pem(key: Ed25519PrivateKey | None = None, encryption: KeySerializationEncryption | None = None) -> bytes:
    made = key or Ed25519PrivateKey.generate()
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def put(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    file = folder / KEY_FILE
    file.write_bytes(content)
    file.chmod(mode)
    return file


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        node_identity(folder)
    message = str(caught.value)
    assert str(folder / KEY_FILE) in message
    assert message.endswith(".")
    return message


def test_the_key_is_made_at_the_first_start_and_kept(tmp_path: Path) -> None:
    with capture_logs() as logs:
        first = node_identity(tmp_path)
        second = node_identity(tmp_path)
    assert first.public == second.public
    assert len(first.public) == KEY_BYTES
    signature = first.sign(b"hello")
    assert len(signature) == SIGNATURE_BYTES
    assert second.verify(first.public, b"hello", signature)
    assert [entry["key"] for entry in logs] == [first.public.hex()]
    assert [file.name for file in tmp_path.iterdir()] == [KEY_FILE]


def test_two_nodes_have_two_keys(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert node_identity(tmp_path / "a").public != node_identity(tmp_path / "b").public


@POSIX
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nobody_else_can_read_it_whatever_the_mask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        node_identity(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_a_key_of_openssl_is_taken(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    put(tmp_path, b"# words around it\n" + pem(key) + b"and after\n")
    assert node_identity(tmp_path).public == key.public_key().public_bytes_raw()


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o660, 0o644, 0o777])
def test_a_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    file = put(tmp_path, pem(), mode)
    message = refusal(tmp_path)
    assert f"mode {mode:04o}" in message
    assert f"chmod 600 {file}" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no private key in PEM"),
        (b"\x00" * 100, "no private key in PEM"),
        (pem()[:60], "no private key in PEM"),
        (pem().replace(b"PRIVATE", b"PUBLIC"), "no private key in PEM"),
        (
            Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "no private key in PEM",
        ),
        (
            generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "another kind than Ed25519",
        ),
        (pem(encryption=BestAvailableEncryption(b"secret")), "encrypted"),
        (pem() + b" " * 4_096, "larger than 4096 bytes"),
    ],
    ids=["empty", "zeros", "cut short", "renamed", "public", "another kind", "encrypted", "too large"],
)
def test_a_damaged_key_is_refused_and_never_replaced(tmp_path: Path, content: bytes, words: str) -> None:
    file = put(tmp_path, content)
    assert words in refusal(tmp_path)
    assert file.read_bytes() == content


def test_what_a_bad_file_holds_is_not_told(tmp_path: Path) -> None:
    """Catalogue row 122: no secrets in messages."""
    put(tmp_path, pem()[:100] + b"geheim")
    message = refusal(tmp_path)
    assert "geheim" not in message
    assert "MC4C" not in message


@POSIX
@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    file = tmp_path / KEY_FILE
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file, 0o600)
    else:
        file.symlink_to(tmp_path / "nowhere")
    assert ("is a link to nowhere" if kind == "dangling" else "is no regular file") in refusal(tmp_path)


@NOT_ROOT
def test_a_key_we_cannot_read_is_refused(tmp_path: Path) -> None:
    put(tmp_path, pem(), 0o000)
    assert "cannot be read (Permission denied)" in refusal(tmp_path)


def test_a_start_that_was_cut_off_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """In a container every start may have the same process id, and so the same name for what it writes."""
    left = tmp_path / f".{KEY_FILE}.{os.getpid()}.partial"
    left.write_bytes(pem()[:50])
    node_identity(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(5, "Input/output error")])
def test_a_disk_that_fails_leaves_no_half_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def fails(_path: Path, _content: bytes) -> int:
        raise error

    monkeypatch.setattr(Path, "write_bytes", fails)
    with pytest.raises(StoreFullError, match=KEY_FILE):
        node_identity(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_key_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, link = os.fsync, os.link

    def watched_sync(handle: int) -> None:
        done.append("sync")
        sync(handle)

    def watched_link(old: Path, new: Path) -> None:
        done.append("name")
        link(old, new)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "link", watched_link)
    node_identity(tmp_path)
    assert done == ["sync", "name", "sync"]


def test_a_folder_that_is_not_there_is_an_error_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        node_identity(tmp_path / "none")


def test_the_seed_is_in_no_repr(tmp_path: Path) -> None:
    """Catalogue row 122."""
    identity = node_identity(tmp_path)
    key = load_pem_private_key((tmp_path / KEY_FILE).read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    assert key.private_bytes_raw().hex() not in repr(identity)
