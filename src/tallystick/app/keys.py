"""The node key: who this node is to its peers, in one file of the data folder.

`node.key` holds an Ed25519 private key (RFC 8032) as PEM of PKCS#8 (RFC 8410), the form that OpenSSL reads. It is
made at the first start and never changed: whoever has it can pass for this node, and a members-only network
knows the node by nothing else. So it is for its owner's eyes only, and a node refuses a key that others can read
instead of using what may be stolen already. It appears under its name only when all of it is on disk.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tallystick.errors import ConfigError
from tallystick.model.text import printable
from tallystick.storage.folder import OTHERS, new_file, told
from tallystick.wire.identity import Ed25519Identity

KEY_FILE: Final = "node.key"

FILE_BYTES_MAX: Final = 4_096
"""The PEM of an Ed25519 key has 119 bytes, and may have words around it. More is another file."""

_RESTORE: Final = "Restore it from a backup, or remove it: the node then makes another, and is a stranger to its peers"

log = structlog.get_logger("tallystick")


def node_identity(folder: Path) -> Ed25519Identity:
    """The identity whose key lies in a data folder; the first call makes it. The folder must be claimed.

    Raises ConfigError when the key is damaged, cannot be read or could be read by others, and StoreError when
    a new one cannot be written.
    """
    file = folder / KEY_FILE
    key = _read(file)
    if key is None:
        key = Ed25519PrivateKey.generate()
        _write(file, key)
        public = key.public_key().public_bytes_raw().hex()
        log.info("made the key of this node", key=public, file=str(file))
    return Ed25519Identity(key.private_bytes_raw())


def _read(file: Path) -> Ed25519PrivateKey | None:
    """The key in a file, or None when there is no file. Raises ConfigError."""
    try:
        pem = _private_bytes(file)
    except FileNotFoundError:
        if file.is_symlink():
            raise _unusable(file, "is a link to nowhere", "Mend or remove the link") from None
        return None
    except OSError as error:
        raise _unusable(file, f"cannot be read ({error.strerror or error})", "Check its owner and its mode") from error
    if len(pem) > FILE_BYTES_MAX:
        raise _unusable(file, f"is larger than {FILE_BYTES_MAX} bytes", _RESTORE)
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise _unusable(file, "is encrypted", "Decrypt it: openssl pkey -in FILE -out NEW-FILE") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable(file, "holds no private key in PEM", _RESTORE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(file, "holds a key of another kind than Ed25519", _RESTORE)
    return key


def _private_bytes(file: Path) -> bytes:
    """What the file holds, or a little more than a key may have. Raises OSError, and ConfigError if others can read it.

    The mode is that of the very file that is read, and a pipe in its place keeps nobody waiting.
    """
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise _unusable(file, "is no regular file", "Put the key there, or nothing: the node then makes one")
        if os.name == "posix" and mode & OTHERS:
            raise _unusable(
                file,
                f"can be used by others than its owner (mode {stat.S_IMODE(mode):04o})",
                f"Close it with: chmod 600 {printable(str(file))}    or, if others may have read it, remove it: "
                "the node then makes another",
            )
        with open(handle, "rb", closefd=False) as opened:
            return opened.read(FILE_BYTES_MAX + 1)
    finally:
        os.close(handle)


def _write(file: Path, key: Ed25519PrivateKey) -> None:
    """Put a new key on disk, whole or not at all. Raises StoreError."""
    with told(file):
        for left in file.parent.glob(f".{file.name}.*.partial"):  # by a start that was cut off
            left.unlink()
    with new_file(file) as partial:
        partial.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _unusable(file: Path, why: str, advice: str) -> ConfigError:
    return ConfigError(f"The node key {printable(str(file))} {why}. {advice}.")
