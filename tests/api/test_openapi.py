"""The document is complete: every route, every parameter and every problem is in it, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest

import tallystick.api
from tallystick.api.app import build_app
from tallystick.api.feed import KINDS
from tallystick.api.latency import template_of
from tallystick.api.openapi.document import document, refusals_of
from tallystick.api.openapi.happenings import OF_EVENT
from tallystick.api.openapi.operations import OPERATIONS
from tallystick.api.problems import TABLE, TYPE_PREFIX, Fault
from tallystick.api.state import ENDPOINTS
from tallystick.errors import Rule
from tests.api.serving import run, serving

DOCUMENT: Final = document("1.2.3")
PAGE: Final = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
METHODS: Final = {"get", "head", "post", "delete"}


def nameless(path: str) -> str:
    """A path in which what varies has no name."""
    return re.sub(r"\{[^}]*\}", "{}", path)


DESCRIBED: Final = {
    (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods if method in METHODS
}


def asked(row: str) -> tuple[str, str, set[str]]:
    """Method, path and parameters of a row of a list of endpoints."""
    method, path = row.split()[:2]
    path, _, query = path.partition("?")
    return method, nameless(path), {name for name in query.replace("=", "").split("&") if name}


def test_it_has_every_route_and_no_other() -> None:
    async def story() -> None:
        async with serving() as node:
            routes = build_app(node.server._desk).router.routes
            assert {(method, template_of(route.path)) for route in routes for method in route.methods} == DESCRIBED

    run(story())


def test_it_has_every_row_of_the_list_with_its_parameters_and_no_other() -> None:
    listed: dict[tuple[str, str], set[str]] = {}
    for method, path, query in map(asked, ENDPOINTS):
        listed[method, path] = listed.get((method, path), set()) | query
    assert listed.keys() == {(method, nameless(path)) for method, path in DESCRIBED if method != "HEAD"}
    queries = {
        (each.method, nameless(each.path)): {one.name for one in each.parameters if one.where == "query"}
        for each in OPERATIONS
    }
    queries["POST", "/mineBlock"].discard("wait")  # stands in the words of its row
    assert queries == listed


def test_it_has_every_row_of_the_page() -> None:
    table = PAGE[: PAGE.index("## Blocks")]
    cells = [
        cell for line in table.splitlines() if line.startswith("|") for cell in re.findall(r"`([A-Z]+ /[^`]*)`", line)
    ]
    pages = {asked(cell.replace("{…}", "{}").replace("\\|", "|"))[:2] for cell in cells}
    assert pages == {(method, nameless(path)) for method, path in DESCRIBED if method != "HEAD"}


def test_it_has_every_problem_that_a_caller_can_meet() -> None:
    declared = {what for each in OPERATIONS for what in refusals_of(each)} | {Fault.METHOD_NOT_ALLOWED}
    assert set(Fault) - declared == set()
    raised = set()
    for module in Path(tallystick.api.__file__).parent.glob("*.py"):
        if module.stem != "problems":
            raised |= {Rule[name] for name in re.findall(r"\bRule\.([A-Z_]+)\b", module.read_text(encoding="utf-8"))}
    assert raised - declared == set()
    named = set(re.findall(r"`([a-z-]+)`", PAGE))
    assert {what.value for what in TABLE} & named == {what.value for what in declared}


def test_each_operation_says_what_every_status_of_its_problems_means() -> None:
    for each in OPERATIONS:
        answers = DOCUMENT["paths"][each.path][each.method.lower()]["responses"]
        for what in refusals_of(each):
            answer = resolved(answers[str(TABLE[what].status)])
            kinds = answer["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["type"]["enum"]
            assert TYPE_PREFIX + what in kinds
        assert set(map(int, answers)) == {*each.answers, *(TABLE[what].status for what in refusals_of(each))}


def test_names_are_given_once() -> None:
    names = [methods[method]["operationId"] for methods in DOCUMENT["paths"].values() for method in methods]
    assert len(set(names)) == len(names)


def test_every_type_of_event_has_a_schema() -> None:
    assert OF_EVENT.keys() == KINDS | {"peer"}
    assert set(OF_EVENT.values()) <= DOCUMENT["components"]["schemas"].keys()


def resolved(shown: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to."""
    if "$ref" not in shown:
        return shown
    found: Any = DOCUMENT
    for step in shown["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    assert isinstance(found, dict)
    return found


def everything(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from everything(each)
    elif isinstance(value, list):
        for each in value:
            yield from everything(each)


def test_references_lead_somewhere_and_everything_that_is_described_is_used() -> None:
    references = {each["$ref"] for each in everything(DOCUMENT) if isinstance(each.get("$ref"), str)}
    for reference in references:
        assert resolved({"$ref": reference})
    spoken_of = {f"#/components/schemas/{name}" for name in OF_EVENT.values()}
    alone = {"#/components/responses/method-not-allowed"}
    for kind in ("schemas", "responses", "examples"):
        every = {f"#/components/{kind}/{name}" for name in DOCUMENT["components"][kind]}
        assert every - references - spoken_of - alone == set()


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schemas_are_sound_and_examples_are_of_them(name: str) -> None:
    schema = {**DOCUMENT, "$ref": f"#/components/schemas/{name}"}
    validator = jsonschema_rs.Draft202012Validator(schema)
    for example in DOCUMENT["components"]["schemas"][name].get("examples", []):
        validator.validate(example)
    assert name == "Post" or not validator.is_valid(7)


def test_examples_of_parameters_and_problems_are_of_their_schemas() -> None:
    for each in OPERATIONS:
        for parameter in each.parameters:
            jsonschema_rs.validate({**DOCUMENT, **parameter.schema}, parameter.example)
    for example in DOCUMENT["components"]["examples"].values():
        jsonschema_rs.validate({**DOCUMENT, "$ref": "#/components/schemas/Problem"}, example["value"])


def test_it_is_served_before_the_store_is_open() -> None:
    async def story() -> None:
        async with serving(opened=False) as node:
            answer = await node.client.get("/openapi.json")
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/json"
            assert answer.json()["paths"] == DOCUMENT["paths"]

    run(story())
