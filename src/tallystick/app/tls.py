"""TLS: contexts made of an operator's files, and what is wrong with them in one line.

OpenSSL reports a bad file as a number and a missing one without its name. So the files are read and looked
at first: is each there, is it PEM, does the key belong to the certificate? What is merely unwise (a key that
others can read, a certificate that has expired) is a line in the log, for it is the operator's to decide.
"""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tallystick.errors import ConfigError
from tallystick.model.text import printable
from tallystick.storage.folder import OTHERS

FILE_BYTES_MAX: Final = 1_048_576
"""The certificates of all authorities of a system have half a megabyte. More is another file."""

log = structlog.get_logger("tallystick")


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """To serve TLS 1.2 and later with this chain of certificates, the node's own first, and its private key.

    Raises ConfigError.
    """
    own = _certificates(certificate, "TLS certificate")[0]
    try:
        public = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"The TLS certificate {_shown(certificate)} has a key of a kind that is not known here; make a new pair."
        ) from error
    if _public_of_key(key) != public:
        raise ConfigError(
            f"The TLS key {_shown(key)} does not belong to the certificate {_shown(certificate)}; "
            "give the pair that was issued together, the node's own certificate first in its file."
        )
    _warn_of(key)
    _warn_if_expired(certificate, own)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:  # such as a key too short for this system's policy
        raise ConfigError(
            f"TLS cannot be served with {_shown(certificate)} and {_shown(key)}: {_reason(error)}; make a new pair."
        ) from error
    return context


def client_context(authorities: Path) -> ssl.SSLContext:
    """To dial `wss://` nodes whose certificates the system trusts, or one of these `authorities` vouches for.

    Raises ConfigError.
    """
    context = ssl.create_default_context()
    found = _certificates(authorities, "TLS authorities file")
    try:
        context.load_verify_locations(cadata="".join(one.public_bytes(Encoding.PEM).decode() for one in found))
    except ssl.SSLError as error:
        raise ConfigError(f"The TLS authorities file {_shown(authorities)} is of no use: {_reason(error)}.") from error
    return context


def _certificates(file: Path, what: str) -> list[x509.Certificate]:
    """The certificates in a file, at least one."""
    content = _content(file, what)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise ConfigError(
            f"The {what} {_shown(file)} holds no certificate in PEM (-----BEGIN CERTIFICATE-----); "
            "convert it, or name another file."
        ) from error


def _public_of_key(file: Path) -> bytes:
    content = _content(file, "TLS key")
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:
        raise ConfigError(
            f"The TLS key {_shown(file)} is encrypted, and a node asks nobody for a passphrase; "
            f"decrypt it with: openssl pkey -in {_shown(file)} -out plain.pem"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"The TLS key {_shown(file)} holds no private key in PEM (-----BEGIN PRIVATE KEY-----); name another file."
        ) from error
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _content(file: Path, what: str) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"Cannot read the {what} {_shown(file)}: {error.strerror or error}.") from error
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(f"The {what} {_shown(file)} has more than {FILE_BYTES_MAX:,} bytes; name another file.")
    return content


def _warn_of(key: Path) -> None:
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & OTHERS:
        log.warning("others can read the TLS key; chmod 600 keeps it private", file=_shown(key), mode=f"{mode:04o}")


def _warn_if_expired(file: Path, own: x509.Certificate) -> None:
    if own.not_valid_after_utc < datetime.now(UTC):
        log.warning(
            "the TLS certificate has expired; whoever dials this node will refuse it",
            file=_shown(file),
            expired=own.not_valid_after_utc.isoformat(),
        )


def _reason(error: OSError) -> str:
    """`key too small` of `[SSL: EE_KEY_TOO_SMALL] ee key too small (_ssl.c:3900)`."""
    reason = getattr(error, "reason", None)
    return printable(str(reason or error.strerror or error), 120).lower().replace("_", " ")


def _shown(path: Path) -> str:
    return printable(str(path))
