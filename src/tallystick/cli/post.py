"""`tallystick post`: put records into a node's pool, from where they come into blocks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tallystick.cli import folder, terminal
from tallystick.cli.exits import ExitCode, Failure
from tallystick.cli.options import DEFAULT_URL, Authority, Json, TokenFile, Url
from tallystick.model.text import printable

if TYPE_CHECKING:
    from tallystick.client.answers import Receipt


def post(
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...|-", help="What to record, each a record; - reads one from stdin.", show_default=False
        ),
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Record what FILE holds.", show_default=False)
    ] = None,
    id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="1 to 128 of letters, digits and . _ : -; the same ID with the same data is recorded once, however "
            "often it is posted.  [default: the node makes one]",
            show_default=False,
        ),
    ] = None,
    json_data: Annotated[
        bool, typer.Option("--as-json", help="DATA is a JSON value; else it is recorded as text.")
    ] = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
    ca: Authority = None,
    as_json: Json = False,
) -> None:
    """Post records to a node of a network whose blocks hold records.

    Returns when they are safe on the node's disk. They wait in its pool until somebody seals them into a block; see
    how far one is with: tallystick record ID
    """
    from tallystick.cli import remote  # noqa: PLC0415 - keeps --help quick
    from tallystick.client import answers  # noqa: PLC0415

    values = [_value(text, is_json=json_data) for text in _texts(data or [], file)]
    if id is not None and len(values) > 1:
        raise Failure(ExitCode.USAGE, f"--id names one record, and there are {len(values)}; post them one by one.")
    body = _body(values, id)
    with remote.Node(url, token_file, ca) as node:
        answer = node.post_text("/records", body)
        if as_json:
            terminal.say_json(node.read(answer, object))
            return
        for stored in node.read(answer, answers.Posted).records:
            terminal.say(_line(stored))


def _texts(data: list[str], file: Path | None) -> list[bytes]:
    """What is to be recorded, exactly. Raises Failure."""
    if bool(data) is (file is not None):
        raise Failure(ExitCode.USAGE, "say what to record: DATA, - for stdin, or --file FILE (one of them).")
    if file is not None:
        with file.open("rb") as source:
            return [folder.bounded(source, printable(str(file)))]
    return [folder.bounded(sys.stdin.buffer, "stdin") if text == "-" else _encoded(text) for text in data]


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Failure(ExitCode.USAGE, "DATA is not UTF-8 text; a record holds text or JSON.") from error


def _value(raw: bytes, *, is_json: bool) -> bytes:
    """The JSON value that is recorded. Raises Failure."""
    import msgspec  # noqa: PLC0415 - keeps --help quick

    try:
        if not is_json:
            return msgspec.json.encode(raw.decode())
        msgspec.json.decode(raw)
    except UnicodeDecodeError as error:
        raise Failure(
            ExitCode.USAGE, f"not UTF-8 text at byte {error.start}; encode it first, for instance with base64."
        ) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Failure(ExitCode.USAGE, f"not JSON: {printable(str(error))}. Without --as-json it is text.") from error
    return raw.strip()


def _body(values: list[bytes], id: str | None) -> bytes:
    """The request. Raises Failure."""
    import msgspec  # noqa: PLC0415 - keeps --help quick

    from tallystick.model.limits import LIMITS  # noqa: PLC0415

    if len(values) > LIMITS.records_per_post:
        raise Failure(ExitCode.USAGE, f"{len(values):,} records at once; at most {LIMITS.records_per_post:,} may be.")
    named = {} if id is None else {"id": printable(id)}  # of an id that can be one, this is the id itself
    records = [{**named, "data": msgspec.Raw(value)} for value in values]
    body = msgspec.json.encode(records if len(records) > 1 else records[0])
    if len(body) > LIMITS.request_body_bytes:
        raise Failure(ExitCode.USAGE, f"{len(body):,} bytes at once; a node takes {LIMITS.request_body_bytes:,}.")
    return body


def _line(stored: Receipt) -> str:
    where = "is in a block already" if stored.status == "included" else "waits to be sealed"
    return f"Record {printable(stored.id)} {where}."
