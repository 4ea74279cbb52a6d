"""`GET /metrics`: the state of a node for Prometheus, which asks for it every few seconds.

Nothing is kept up to date for it. What `GET /status` shows is asked for when somebody collects; only what cannot be
asked for later is counted as it happens, by whoever sees it. Each part of a node that has something to say is a
`Collector` in the registry of its server: here those of the API, and with the store the composition root brings in that
of the node. So a node that is still opening its store answers with what there is. No registry is shared: several nodes
may live in a process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sanic import Request

from tallystick.api.answers import Answer
from tallystick.api.blocks import affordable
from tallystick.api.desk import Desk
from tallystick.api.requests import READ
from tallystick.api.routes import Routes

_VERSIONS: Final = re.compile(r"version=([^;,]*)")
_VERSION: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}")


def metrics(desk: Desk) -> Routes:
    """The route of this noun."""
    blueprint = Routes("metrics")
    desk.registry.register(ServerCollector(desk))
    desk.registry.register(desk.latency)
    ProcessCollector(registry=desk.registry)

    async def expose(request: Request) -> Answer:
        encoder, kind = choose_encoder(understood(request.headers.getone("accept", "")))
        return affordable(desk, Answer(encoder(desk.registry), kind=kind.encode()))

    blueprint.add_route(expose, "/metrics", methods=READ)
    return blueprint


def understood(accept: str) -> str:
    """The formats a client accepts, if all versions in there are numbers. The library compares any text with numbers,
    and puts it into the head of its answer."""
    return accept if all(_VERSION.fullmatch(version.strip()) for version in _VERSIONS.findall(accept)) else ""


class ServerCollector(Collector):
    """What a server knows by itself, with or without a store."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[Metric]:
        """As Prometheus has it."""
        desk = self._desk
        yield InfoMetricFamily("tallystick_build", "This program.", value={"version": desk.version})
        yield GaugeMetricFamily(
            "tallystick_ready", "1 while the store is open and the node is not about to stop, else 0.", value=desk.ready
        )
        yield GaugeMetricFamily(
            "tallystick_connections", "Open connections to the port, clients and peers.", value=desk.connections()
        )
        if (size_bytes := desk.data_size()) is not None:
            yield GaugeMetricFamily("tallystick_data_bytes", "Size of the data on disk.", value=size_bytes)
