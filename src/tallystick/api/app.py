"""The routes of a node, put together as one Sanic application."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Final

from sanic import Sanic
from sanic.config import Config

from tallystick.api.bans import bans
from tallystick.api.blocks import blocks
from tallystick.api.desk import Desk
from tallystick.api.events import events
from tallystick.api.explorer import explorer
from tallystick.api.metrics import metrics
from tallystick.api.mine import mine
from tallystick.api.openapi.document import described
from tallystick.api.peers import peers
from tallystick.api.problems import Problems
from tallystick.api.proofs import proofs
from tallystick.api.records import records
from tallystick.api.search import search
from tallystick.api.state import state

App = Sanic[Config, SimpleNamespace]

_numbers: Final = itertools.count(1)
"""Sanic keeps a register of applications by name, and several nodes may live in one process."""


def build_app(desk: Desk) -> App:
    """The application of one node. Nothing of it is configured by Sanic's own environment variables."""
    config = Config(
        {
            "ACCESS_LOG": False,
            "AUTO_EXTEND": False,
            "FALLBACK_ERROR_FORMAT": "json",
            "GRACEFUL_TCP_CLOSE_TIMEOUT": desk.limits.outbox_stall_ms / 1000,
            "MOTD": False,
            "REQUEST_MAX_SIZE": desk.limits.request_body_bytes,
        },
        env_prefix=None,
    )
    app = Sanic(f"tallystick-{next(_numbers)}", config=config, configure_logging=False, error_handler=Problems())
    for noun in (blocks, mine, records, proofs, search, events, peers, bans, state, metrics, described, explorer):
        app.blueprint(noun(desk))
    return app
