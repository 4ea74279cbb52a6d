"""The routes of a noun."""

from __future__ import annotations

from sanic import Blueprint


class Routes(Blueprint):
    """What a noun serves."""

    def _determine_error_format(self, _handler: object) -> str:
        """Sanic reads the source of each handler to guess in which form it wants its errors, a millisecond for each.
        All of ours are problem documents, whatever this says."""
        return "json"
