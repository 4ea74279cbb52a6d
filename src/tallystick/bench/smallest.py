"""The yardstick of every request: a Sanic application whose handlers do the least there is to do, and keep nothing.

A process of its own: `python -m tallystick.bench.smallest --port PORT`.
"""

from __future__ import annotations

import sys

from sanic import HTTPResponse, Request, Sanic, json

BLOCK = {
    "index": 1,
    "previous_hash": "0" * 64,
    "timestamp": 1_700_000_000,
    "data": "x" * 100,
    "hash": "f" * 64,
}

app = Sanic("smallest")
app.config.ACCESS_LOG = False
app.config.MOTD = False


@app.post("/mineBlock")
async def take(request: Request) -> HTTPResponse:
    """Answer with what came."""
    return json({"data": request.json["data"]})


@app.post("/records")
async def take_many(request: Request) -> HTTPResponse:
    """Likewise, of many."""
    return json({"records": [len(record["data"]) for record in request.json]}, status=202)


@app.get("/blocks/<_ref>")
async def block(_: Request, _ref: str) -> HTTPResponse:
    """Answer with a block, the same every time."""
    return json(BLOCK)


@app.get("/ready")
async def ready(_: Request) -> HTTPResponse:
    """Requests are taken."""
    return json({})


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[-1]), single_process=True, access_log=False)
