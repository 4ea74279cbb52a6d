"""Nodes for these tests, where those of `tallystick.testing` have to be set up otherwise."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tallystick.api.access import Access
from tallystick.model.limits import HOUR_MS, LIMITS, Limits
from tallystick.model.network import CLASSIC, Kind, Network, SealedRules, sealed_network
from tallystick.testing import local
from tallystick.testing.local import RULES, LocalLedger

ANYWHERE: Final = Access(local.HOST, 0)


@contextmanager
def nodes(
    count: int = 1,
    kind: str = "work",
    *,
    seals: bool = True,
    access: Access = ANYWHERE,
    limits: Limits = LIMITS,
    network: Network | None = None,
) -> Iterator[list[LocalLedger]]:
    """`tallystick.testing.local.network`, with access, limits and rules of one's own."""
    with ExitStack() as opened:
        opened.enter_context(local.quiet())
        with pytest.MonkeyPatch.context() as patch:  # they are looked at while nodes are made
            patch.setattr(local, "Access", lambda _host, _port: access)
            patch.setattr(local, "LIMITS", limits)
            if network is not None:
                patch.setattr(local, "_network", lambda _kind: network)
            made = opened.enter_context(local.network(count, kind, seals=seals))
        yield made


@contextmanager
def one_node(kind: str = "work", **options: Any) -> Iterator[LocalLedger]:  # noqa: ANN401 - those of `nodes`
    with nodes(1, kind, **options) as (ledger,):
        yield ledger


@contextmanager
def apart(kind: str) -> Iterator[list[LocalLedger]]:
    """Two nodes of one network that do not know of one another, each of which makes blocks."""
    network = CLASSIC if kind == "classic" else work_network("apart")
    with one_node(kind, network=network) as one, one_node(kind, network=network) as other:
        yield [one, other]


def join(one: LocalLedger, other: LocalLedger) -> None:
    """Have one dial the other."""
    assert said(f"{one.url}/addPeer", "POST", {"peer": other.address})[0] == HTTPStatus.OK


def work_network(name: str, rules: SealedRules = RULES) -> Network:
    return sealed_network(Kind.WORK, name, rules, int(time.time() * 1_000) - HOUR_MS)


def asked(ledger: LocalLedger, path: str) -> Any:  # noqa: ANN401 - any JSON value
    """What it answers."""
    return said(ledger.url + path)[1]


def erase(ledger: LocalLedger, id: str) -> None:
    assert said(f"{ledger.url}/records/{id}", "DELETE")[0] == HTTPStatus.OK


def said(url: str, method: str = "GET", body: object = None) -> tuple[int, Any]:
    """Status and JSON of an answer. Quicker than with httpx, which would read certificates each time."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=local.PATIENCE_S)
    try:
        head = {"content-type": "application/json"}
        connection.request(method, f"{parts.path}?{parts.query}", None if body is None else json.dumps(body), head)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def renewed(**changes: int) -> Limits:
    """Limits of which some are others."""
    return replace(LIMITS, **changes)
