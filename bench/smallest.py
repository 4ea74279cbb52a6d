"""The yardstick of the write path: the smallest Sanic handler that takes JSON and answers JSON."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from sanic import HTTPResponse, Request, Sanic, json
from sanic.config import Config

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


@app.after_server_start
async def say(started: Sanic[Config, SimpleNamespace]) -> None:
    """Tell whoever waits that requests are taken."""
    print(f"listening on {started.name}", flush=True)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]), single_process=True, access_log=False)
