from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.app.config import Config, default_data_dir, load, load_place, read_bounded
from tallystick.errors import ConfigError
from tallystick.model.network import CLASSIC, CLASSIC_GENESIS

TOKEN = "0123456789" + "abcdef"


def configured(
    flags: Mapping[str, object] | None = None,
    env: Mapping[str, str] | None = None,
    files: Mapping[str, str | bytes] | None = None,
) -> Config:
    def read_file(path: Path) -> bytes:
        content = (files or {}).get(str(path))
        if content is None:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return content.encode() if isinstance(content, str) else content

    return load(flags or {}, env or {}, read_file)


def refusal(**sources: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        configured(**sources)
    message = str(caught.value)
    assert message.isprintable()
    return message


def test_without_any_source_it_is_the_book_s_node_on_loopback() -> None:
    config = configured()
    assert config == Config(data_dir=default_data_dir())
    assert (config.host, config.port, config.network) == ("127.0.0.1", 3001, CLASSIC)
    assert config.data_dir.is_absolute()


def test_the_strongest_source_wins() -> None:
    files = {"/etc/t.toml": "port = 1"}
    env = {"TALLYSTICK_CONFIG": "/etc/t.toml"}
    assert configured(env=env, files=files).port == 1
    env["PORT"] = "2"
    assert configured(env=env, files=files).port == 2
    env["TALLYSTICK_PORT"] = "3"
    assert configured(env=env, files=files).port == 3
    assert configured({"port": "4"}, env, files).port == 4
    assert configured({"port": None}, env, files).port == 3


def test_the_option_names_another_file_than_the_variable() -> None:
    files = {"a": "port = 1", "b": "port = 2"}
    assert configured({"config": "b"}, {"TALLYSTICK_CONFIG": "a"}, files).port == 2


def test_the_variables_of_the_book_work() -> None:
    config = configured(env={"PORT": "3002", "PEERS": "ws://localhost:3001,ws://127.0.0.1:3003"})
    assert config.port == 3002
    assert config.peers == ("ws://localhost:3001", "ws://127.0.0.1:3003")


def test_an_empty_variable_is_not_set() -> None:
    assert configured(env={"PORT": "", "PEERS": "", "TALLYSTICK_HOST": "", "TALLYSTICK_CONFIG": ""}).port == 3001


def test_every_setting_can_be_given_in_a_file() -> None:
    text = """
        host = "0.0.0.0"
        port = 3002
        data_dir = "chain"
        peers = ["WS://Example.org:80", "ws://[::1]:3001", "ws://example.org"]
        discover = false
        network = "classic"
        token_file = "token"
        read_token_file = "/read"
        open = false
        tls_cert = "node.crt"
        tls_key = "/tls.key"
        tls_ca = "ca.crt"
        allowed_hosts = ["Ledger.Example.Org", "10.0.0.1"]
        allowed_origins = ["https://Explorer.example.org/"]
        mine = false
        mine_workers = 3
        max_reorg = 100
        log_level = "DEBUG"
        log_format = "json"
    """
    files = {"/etc/tally/stick.toml": text, "/etc/tally/token": TOKEN + "\n", "/read": "\ufeff" + TOKEN * 2}
    assert configured({"config": "/etc/tally/stick.toml"}, files=files) == Config(
        host="0.0.0.0",  # noqa: S104 - a token guards it
        port=3002,
        data_dir=Path("/etc/tally/chain"),
        peers=("ws://example.org:80", "ws://[::1]:3001"),
        discover=False,
        token_file=Path("/etc/tally/token"),
        read_token_file=Path("/read"),
        token=TOKEN,
        read_token=TOKEN * 2,
        tls_cert=Path("/etc/tally/node.crt"),
        tls_key=Path("/tls.key"),
        tls_ca=Path("/etc/tally/ca.crt"),
        allowed_hosts=("ledger.example.org", "10.0.0.1"),
        allowed_origins=("https://explorer.example.org",),
        mine=False,
        mine_workers=3,
        max_reorg=100,
        log_level="debug",
        log_format="json",
    )


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"TALLYSTICK_PORT": "http"}, ["Environment variable TALLYSTICK_PORT is 'http'", "0 to 65535"]),
        ({"TALLYSTICK_PORT": "65536"}, ["not within 0 to 65535"]),
        ({"PORT": "-1"}, ["Environment variable PORT is '-1'"]),
        ({"TALLYSTICK_HOST": "300.1.1.1"}, ["TALLYSTICK_HOST", "an IP address or a host name"]),
        ({"TALLYSTICK_HOST": "a b"}, ["TALLYSTICK_HOST"]),
        ({"TALLYSTICK_PEERS": "http://localhost:1"}, ["TALLYSTICK_PEERS", "ws://"]),
        ({"PEERS": "ws://a," * 300}, ["PEERS"]),
        ({"PEERS": ",".join(f"ws://a:{n}" for n in range(1, 300))}, ["299 of them, at most 256"]),
        ({"TALLYSTICK_OPEN": "maybe"}, ["true or false"]),
        ({"TALLYSTICK_DISCOVER": "sometimes"}, ["true or false"]),
        ({"TALLYSTICK_TLS_CERT": " "}, ["a file with certificates in PEM"]),
        ({"TALLYSTICK_LOG_LEVEL": "loud"}, ["debug, info, warning, error"]),
        ({"TALLYSTICK_LOG_FORMAT": "xml"}, ["auto, plain, json"]),
        ({"TALLYSTICK_MAX_REORG": "deep"}, ["a number of blocks"]),
        ({"TALLYSTICK_ALLOWED_ORIGINS": "null"}, ["SCHEME://HOST"]),
        ({"TALLYSTICK_ALLOWED_HOSTS": "http://x"}, ["host names"]),
        ({"TALLYSTICK_DATA_DIR": "a\x00b"}, ["a folder"]),
        ({"TALLYSTICK_PROT": "1"}, ["Unknown environment variable TALLYSTICK_PROT", "Did you mean TALLYSTICK_PORT?"]),
        ({"TALLYSTICK_PEER": "1"}, ["Did you mean TALLYSTICK_PEERS?"]),
        ({"TALLYSTICK_X\x1b[2J": "1"}, ["Unknown", "TALLYSTICK_HOST"]),
        ({"TALLYSTICK_TOKEN_FILE": "/none"}, ["Cannot read /none", "TALLYSTICK_TOKEN_FILE", "No such file"]),
        ({"TALLYSTICK_CONFIG": "/none"}, ["Cannot read /none", "TALLYSTICK_CONFIG", "No such file"]),
        ({"TALLYSTICK_NETWORK": "/none"}, ["Cannot read /none", "a network is classic or a file"]),
    ],
)
def test_a_bad_value_is_refused_with_its_source_and_what_is_allowed(env: dict[str, str], words: list[str]) -> None:
    message = refusal(env=env)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", ["Unknown key prot in c.toml", "Did you mean port?"]),
        ("data-dir = '.'", ["Did you mean data_dir?"]),
        ("token = 'secret'", ["Unknown key token"]),
        ("[node]\nport = 1", ["Unknown key node"]),
        ("port = true", ["Key port in c.toml is True", "not a whole number"]),
        ("port = 1.5", ["not a whole number"]),
        ("host = 1", ["a number is not text"]),
        ("peers = [1]", ["a number is not text"]),
        ("peers = {}", ["a table is not text"]),
        ("port = x", ["c.toml (option --config) is not TOML", "line 1"]),
        ("port = 1\nport = 2", ["not TOML"]),
        ("x = " + "[" * 5_000, ["not TOML"]),
        ('"a\\nb" = 1', ["Unknown key a\\nb"]),
    ],
)
def test_a_bad_file_is_refused(text: str, words: list[str]) -> None:
    message = refusal(flags={"config": "c.toml"}, files={"c.toml": text})
    for word in words:
        assert word in message


def test_a_file_that_is_not_text_is_refused() -> None:
    with pytest.raises(ConfigError, match="not UTF-8"):
        configured({"config": "c"}, files={"c": b"\xff"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "ledger.example.org"])  # noqa: S104
def test_on_a_public_address_it_wants_a_token_or_the_word_open(host: str) -> None:
    """Catalogue row 116, a defect of the book's node: it listened on 0.0.0.0 for anybody.

    Refused unless the operator decides, and the refusal says how.
    """
    message = refusal(flags={"host": host})
    assert "--token-file" in message
    assert "--open" in message
    assert configured({"host": host, "open": "true"}).open
    assert configured({"host": host, "token_file": "t"}, files={"t": TOKEN}).token == TOKEN


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_on_loopback_it_wants_none(host: str) -> None:
    assert configured({"host": host}).token is None


def test_settings_that_contradict_each_other_are_refused() -> None:
    assert "--open" in refusal(flags={"open": "true", "token_file": "t"}, files={"t": TOKEN})
    assert "--token-file" in refusal(flags={"read_token_file": "t"}, files={"t": TOKEN})
    assert "--tls-cert is given without --tls-key" in refusal(flags={"tls_cert": "c"})
    assert "--tls-key is given without --tls-cert" in refusal(flags={"tls_key": "k"})
    assert configured({"tls_ca": "ca"}).tls_ca == Path("ca")


def test_secrets_are_in_no_error_and_no_repr() -> None:
    """Catalogue row 122: no secrets in logs."""
    for bad in ("short-secret", "a secret with spaces", "geheimnis-mit-ü-darin", "s" * 2_000):
        message = refusal(flags={"token_file": "t"}, files={"t": bad})
        assert bad not in message
        assert "secret" not in message
    config = configured({"token_file": "t", "read_token_file": "t"}, files={"t": TOKEN})
    assert TOKEN not in repr(config)


def test_a_network_file_may_name_a_classic_network() -> None:
    files = {"/n/network.toml": 'kind = "classic"\nname = "our-lan"'}
    network = configured({"network": "/n/network.toml"}, files=files).network
    assert (network.name, network.genesis) == ("our-lan", CLASSIC_GENESIS)
    assert configured({"network": "n"}, files={"n": 'kind = "classic"'}).network == CLASSIC


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["Key kind", "missing"]),
        ('kind = "bank"', ["'bank'", 'kind = "classic" and kind = "work"']),
        ("kind = 1", ["classic"]),
        ('kind = "classic"\nname = ""', ["Key name"]),
        ('kind = "classic"\nname = 5', ["Key name"]),
        ('kind = "classic"\nspacing = 5', ["Unknown key spacing", "fixed"]),
        ('kind = "classic"\nmember = []', ["Unknown key member", "Did you mean members?"]),
        ('kind = "classic"\nmembers = []', ["Key members", "a list of 0", "Leave it out to let everybody in"]),
        ('kind = "classic"\nmembers = "x"', ["Key members", "'x'", "a list of 1 to 256 node keys"]),
        (f'kind = "classic"\nmembers = {[f"{n:064x}" for n in range(257)]}', ["a list of 257", "1 to 256"]),
        (f'kind = "classic"\nmembers = ["{"ab" * 32}", 5]', ["Member 2 ", " is 5;", "64 hex digits"]),
        (f'kind = "classic"\nmembers = ["{"ab" * 31}"]', ["Member 1 ", "ab" * 31, "64 hex digits"]),
        (f'kind = "classic"\nmembers = ["{"gg" * 32}"]', ["Member 1 ", "gg" * 32]),
        (f'kind = "classic"\nmembers = ["{"ab" * 32}", "{"AB" * 32}"]', ["Member 2 ", "AB" * 32, "listed already"]),
    ],
)
def test_another_network_is_refused_never_half_obeyed(text: str, words: list[str]) -> None:
    message = refusal(flags={"network": "n"}, files={"n": text})
    for word in words:
        assert word in message


def test_a_network_file_may_list_members() -> None:
    keys = [f"{number:064x}" for number in range(256)]
    for text in (f"members = {keys}", f"members = {[key.upper() for key in keys]}"):
        network = configured({"network": "n"}, files={"n": f'kind = "classic"\n{text}'}).network
        assert network.members == frozenset(keys)
    assert configured().network.members == frozenset()


def test_the_place_of_a_chain_asks_for_no_token() -> None:
    env = {"TALLYSTICK_DATA_DIR": "/d", "TALLYSTICK_TOKEN_FILE": "/unreadable", "TALLYSTICK_HOST": "0.0.0.0"}  # noqa: S104

    def read_nothing(path: Path) -> bytes:
        raise AssertionError(path)

    assert load_place({}, env, read_nothing) == (Path("/d"), CLASSIC)
    assert load_place({}, {}, read_nothing).data_dir == default_data_dir()


def test_real_files_are_read_up_to_a_size(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"x" * 1_048_576)
    assert len(read_bounded(file)) == 1_048_576
    file.write_bytes(b"x" * 1_048_577)
    with pytest.raises(OSError, match="larger than"):
        read_bounded(file)
    with pytest.raises(ConfigError, match="larger than"):
        load({"config": str(file)}, {}, read_bounded)
    file.chmod(stat.S_IRUSR)


@given(
    env=st.dictionaries(
        st.sampled_from(
            ["PORT", "PEERS", "TALLYSTICK_HOST", "TALLYSTICK_PEERS", "TALLYSTICK_NETWORK", "TALLYSTICK_OPEN"]
        ),
        st.text(max_size=30),
    ),
    file=st.binary(max_size=60),
)
def test_whatever_comes_it_is_a_config_or_a_config_error(env: dict[str, str], file: bytes) -> None:
    try:
        config = load({}, env | {"TALLYSTICK_CONFIG": "c"}, lambda _path: file)
    except ConfigError as error:
        message = str(error)
    else:
        message = f"port {config.port} on {config.host}"
        assert 0 <= config.port <= 65_535
    assert message.isprintable()
