"""TLS from files: what works, and what each mistake is called."""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs

from tallystick.app.tls import FILE_BYTES_MAX, client_context, server_context
from tallystick.errors import ConfigError
from tests.cli.certificate import certificate


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    certificate(tmp_path)
    (tmp_path / "node.pem").chmod(0o600)
    return tmp_path / "node.crt", tmp_path / "node.pem"


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "127.0.0.1") -> ssl.SSLObject:
    """In memory. Raises what the client raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=name)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (here, there):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return here


def test_the_two_contexts_understand_each_other(pair: tuple[Path, Path]) -> None:
    with capture_logs() as logs:
        server, client = server_context(*pair), client_context(pair[0])
    assert shake_hands(server, client).version() == "TLSv1.3"
    assert logs == []


@pytest.mark.parametrize(("name", "why"), [("127.0.0.2", "IP address mismatch"), ("localhost", "Hostname mismatch")])
def test_a_certificate_of_somebody_else_is_not_accepted(pair: tuple[Path, Path], name: str, why: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=why):
        shake_hands(server_context(*pair), client_context(pair[0]), name)


def test_without_authorities_the_system_decides(pair: tuple[Path, Path]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
        shake_hands(server_context(*pair), ssl.create_default_context())


def test_old_versions_are_not_served(pair: tuple[Path, Path]) -> None:
    assert server_context(*pair).minimum_version is ssl.TLSVersion.TLSv1_2


def test_what_is_no_file_or_no_pem_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    cert, key = pair
    missing, other, huge = tmp_path / "missing", tmp_path / "other\x1b", tmp_path / "huge"
    other.write_bytes(b"\x30\x82")
    huge.write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    for certificate_file, key_file, message in (
        (missing, key, "Cannot read the TLS certificate .*missing: No such file or directory"),
        (cert, missing, "Cannot read the TLS key .*missing: No such file or directory"),
        (tmp_path, key, "Cannot read the TLS certificate .*: Is a directory"),
        (other, key, r"The TLS certificate .*other\\x1b holds no certificate in PEM"),
        (key, key, "The TLS certificate .*node.pem holds no certificate in PEM"),
        (cert, other, r"The TLS key .*other\\x1b holds no private key in PEM"),
        (cert, cert, "The TLS key .*node.crt holds no private key in PEM"),
        (cert, huge, "more than 1,048,576 bytes"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            server_context(certificate_file, key_file)
        assert str(caught.value).isprintable()
    for authorities in (missing, key, other, huge):
        with pytest.raises(ConfigError, match="TLS authorities file"):
            client_context(authorities)


def test_a_key_of_another_certificate_is_noticed(pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ConfigError, match=r"other.pem does not belong to the certificate .*node.crt; give the pair"):
        server_context(pair[0], other)


def test_an_encrypted_key_is_not_asked_about(pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    secret = BestAvailableEncryption(b"secret")
    other.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    with pytest.raises(ConfigError, match=r"other.pem is encrypted.*openssl pkey"):
        server_context(pair[0], other)


def test_a_key_that_others_can_read_is_a_warning(pair: tuple[Path, Path]) -> None:
    pair[1].chmod(0o640)
    with capture_logs() as logs:
        server_context(*pair)
    assert [(entry["log_level"], entry["mode"]) for entry in logs] == [("warning", "0640")]


def written(folder: Path, bits: int, until: datetime) -> tuple[Path, Path]:
    """A pair with an RSA key of so many bits, valid so long."""
    key = generate_private_key(65_537, bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a node")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = made.not_valid_before(until - timedelta(days=9)).not_valid_after(until).sign(key, SHA256())
    cert, private = folder / "rsa.crt", folder / "rsa.pem"
    cert.write_bytes(signed.public_bytes(Encoding.PEM))
    private.touch(0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return cert, private


def test_an_expired_certificate_is_a_warning(tmp_path: Path) -> None:
    with capture_logs() as logs:
        server_context(*written(tmp_path, 2_048, datetime(2020, 1, 2, tzinfo=UTC)))
    assert [(entry["log_level"], entry["expired"]) for entry in logs] == [("warning", "2020-01-02T00:00:00+00:00")]


def test_a_key_too_weak_for_this_system_is_a_reason_in_one_line(tmp_path: Path) -> None:
    pair = written(tmp_path, 1_024, datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(ConfigError, match=r"TLS cannot be served with .*key too small; make a new pair"):
        server_context(*pair)


def test_a_certificate_with_an_unheard_of_kind_of_key_is_a_configuration_error(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd:
        def public_key(self) -> object:
            raise UnsupportedAlgorithm("key type 1.2.3.4")

    monkeypatch.setattr("tallystick.app.tls._certificates", lambda *_: [Odd()])
    with pytest.raises(ConfigError, match="key of a kind that is not known"):
        server_context(*pair)
