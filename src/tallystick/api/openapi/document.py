"""The document, put together, and where it is to be had.

What is said to a problem is not written twice: status, title and headers of each come from the table that answers are
made of (`problems`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from sanic import Request

from tallystick.api.answers import JSON as JSON_KIND
from tallystick.api.answers import Answer, encode
from tallystick.api.desk import Desk
from tallystick.api.openapi.happenings import HAPPENINGS
from tallystick.api.openapi.ledger import LEDGER
from tallystick.api.openapi.node import NODE
from tallystick.api.openapi.operations import ANYWHERE, JSON, OPERATIONS, TAGS, Operation, Parameter, Says
from tallystick.api.openapi.shapes import Schema, ref, text
from tallystick.api.problems import HEADERS, TABLE, TYPE_PREFIX, Fault, problem_document
from tallystick.api.requests import READ
from tallystick.api.routes import Routes
from tallystick.errors import Rule

PROBLEM: Final = "application/problem+json"

_TOKEN: Final = "token"  # noqa: S105 - the name of a scheme
_ABOUT: Final = (
    "A node of a peer-to-peer ledger. Beside what is listed, a path that there is none of is answered 404 "
    "(`no-such-path`), a method that a path does not have 405 (`method-not-allowed`, with `Allow`). No answer may be "
    "cached but the explorer's files, which have an `ETag`. How a node treats tokens, hosts and origins, and what "
    "everything means, stands in its documentation."
)
_HEADERS_OF: Final[Mapping[Fault | Rule, Mapping[str, str]]] = {
    Fault.TOKEN_NEEDED: {"www-authenticate": "How to send the token."},
    Fault.METHOD_NOT_ALLOWED: {"allow": "The methods of the path."},
}
"""Headers that stand in no table, as they are made where the answer is."""

_SAYS: Final = {
    "retry-after": "Seconds after which it may be asked again.",
    "upgrade": "The protocol that is needed.",
    "sec-websocket-protocol": "The dialect of it.",
}


def described(desk: Desk) -> Routes:
    """The route of this document."""
    blueprint = Routes("openapi")
    body = _body(desk.version)

    async def show(_: Request) -> Answer:
        return Answer(body, kind=JSON_KIND)

    blueprint.add_route(show, "/openapi.json", methods=READ)
    return blueprint


@cache
def _body(version: str) -> bytes:
    """It is the same for all nodes of a process."""
    return encode(document(version))


def document(version: str) -> dict[str, Any]:
    """All of it. `version` is that of the node."""
    paths: dict[str, dict[str, Any]] = {}
    refusals: dict[str, Any] = {}
    for operation in OPERATIONS:
        methods = paths.setdefault(operation.path, {})
        methods[operation.method.lower()] = _operation(operation, refusals)
        if operation.method == "GET":
            methods["head"] = _head(operation, methods["get"])
    refusals[Fault.METHOD_NOT_ALLOWED.value] = _refusal([Fault.METHOD_NOT_ALLOWED])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tallystick",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The node that this document is from."}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {**LEDGER, **HAPPENINGS, **NODE},
            "responses": refusals,
            "examples": {what.value: _example(what) for what in _declared()},
            "securitySchemes": {
                _TOKEN: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The content of the node's token file, where there is one: for writing, or for all.",
                }
            },
        },
    }


def refusals_of(operation: Operation) -> list[Fault | Rule]:
    """Everything that may be wrong with such a request."""
    return [*dict.fromkeys((*ANYWHERE, *([Fault.TOKEN_NEEDED] if operation.needs_token else []), *operation.refusals))]


def _declared() -> Iterable[Fault | Rule]:
    return dict.fromkeys([Fault.METHOD_NOT_ALLOWED, *(what for each in OPERATIONS for what in refusals_of(each))])


def _operation(operation: Operation, refusals: dict[str, Any]) -> dict[str, Any]:
    """One entry. The refusals that it names are added to `refusals`."""
    answers = {str(status): _answer(says) for status, says in operation.answers.items()}
    of_status: dict[int, list[Fault | Rule]] = {}
    for what in refusals_of(operation):
        of_status.setdefault(TABLE[what].status, []).append(what)
    for status, reasons in sorted(of_status.items()):
        name = "-or-".join(sorted(what.value for what in reasons))
        refusals[name] = _refusal(reasons)
        answers[str(status)] = {"$ref": f"#/components/responses/{name}"}
    shown: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.about if ". " not in operation.about else operation.about.partition(". ")[0] + ".",
        "description": operation.about,
        "parameters": [_parameter(each) for each in operation.parameters],
        "responses": answers,
        "security": [{}, {_TOKEN: []}] if operation.needs_token else [],
    }
    if operation.body is not None:
        shown["requestBody"] = {"required": True, "content": {JSON: {"schema": operation.body}}}
    return shown


def _head(operation: Operation, shown: dict[str, Any]) -> dict[str, Any]:
    """The same without bodies."""
    answers: dict[str, dict[str, Any]] = {}
    for status in shown["responses"]:
        says = operation.answers.get(int(status))
        answers[status] = {"description": "The head of what GET answers."}
        if says is not None and says.headers:
            answers[status]["headers"] = _headers(says.headers)
    about = "The head of what GET answers."
    return {
        **shown,
        "operationId": f"head{operation.name[0].upper()}{operation.name[1:]}",
        "summary": about,
        "description": about,
        "responses": answers,
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.about,
        "required": parameter.required,
        "schema": parameter.schema,
        "example": parameter.example,
    }
    if parameter.schema.get("type") == "array":
        shown |= {"style": "form", "explode": False}  # one parameter, with commas
    return shown


def _answer(says: Says) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": says.about}
    if says.content:
        example = {} if says.example is None else {"example": says.example}
        shown["content"] = {kind: {"schema": schema, **example} for kind, schema in says.content.items()}
    if says.headers:
        shown["headers"] = _headers(says.headers)
    return shown


def _headers(headers: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"description": about, "schema": text()} for name, about in headers.items()}


def _refusal(reasons: list[Fault | Rule]) -> dict[str, Any]:
    """The answer to any of several problems that have one status."""
    kinds: Schema = {"properties": {"type": {"enum": [TYPE_PREFIX + what for what in reasons]}}}
    headers: dict[str, str] = {}
    for what in reasons:
        headers |= {name: _SAYS[name] for name in HEADERS.get(what, {})}
        headers |= _HEADERS_OF.get(what, {})
    shown: dict[str, Any] = {
        "description": " Or: ".join(dict.fromkeys(f"{TABLE[what].title}." for what in reasons)),
        "content": {
            PROBLEM: {
                "schema": {"allOf": [ref("Problem"), kinds]},
                "examples": {what.value: {"$ref": f"#/components/examples/{what.value}"} for what in reasons},
            }
        },
    }
    if headers:
        shown["headers"] = _headers(headers)
    return shown


def _example(what: Fault | Rule) -> dict[str, Any]:
    return {"summary": TABLE[what].title, "value": problem_document(what, "What was wrong, and what to do.")}
