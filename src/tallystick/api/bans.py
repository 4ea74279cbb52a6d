"""Bans: who is kept out, by the operator for ever or by a broken rule for a while; keep out, forgive.

A ban names its subject: a node key, which stays the same wherever the node goes, or a numeric address, which is
all that nodes of the book have.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from sanic import Request

from tallystick.api.answers import Answer, json_answer
from tallystick.api.blocks import affordable
from tallystick.api.bodies import SUBJECT, text_of
from tallystick.api.desk import Desk
from tallystick.api.requests import READ, require_json
from tallystick.api.routes import Routes
from tallystick.errors import Rule, RuleViolation, shown
from tallystick.node.ports import Banned
from tallystick.wire.addresses import plain

_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
_DONE: Final = {"status": True}


def bans(desk: Desk) -> Routes:
    """The routes of this noun."""
    blueprint = Routes("bans")

    async def listed(_: Request) -> Answer:
        return affordable(desk, json_answer([_as_shown(ban) for ban in desk.ledger.banned()]))

    async def ban(request: Request) -> Answer:
        ledger = desk.ledger
        require_json(request)
        await ledger.ban(canonical(text_of(request.body, SUBJECT, desk.limits)))
        return json_answer(_DONE)

    async def unban(_: Request, subject: str) -> Answer:
        await desk.ledger.unban(canonical(unquote(subject)))
        return json_answer(_DONE)

    blueprint.add_route(listed, "/bans", methods=READ)
    blueprint.add_route(ban, "/bans", methods=["POST"])
    blueprint.add_route(unban, "/bans/<subject:path>", methods=["DELETE"])
    return blueprint


def canonical(text: str) -> str:
    """A node key in lower case, or a numeric address as the node writes it.

    Raises RuleViolation(BAN_IS_WELL_FORMED).
    """
    if _KEY.fullmatch(text):
        return text.lower()
    try:
        return str(plain(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise RuleViolation(
            Rule.BAN_IS_WELL_FORMED,
            f"{shown(text)} is neither a node key of 64 hex digits nor a numeric address without a port; "
            "GET /status shows those of each peer",
        ) from None


def _as_shown(ban: Banned) -> dict[str, object]:
    return {"subject": ban.subject, "manual": ban.manual, "remaining_ms": ban.remaining_ms}
