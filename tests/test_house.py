"""The rules of the house, counted: sizes, docstrings, names, and documents that keep up with the code."""

from __future__ import annotations

import ast
import dataclasses
import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tallystick.app.config import BOOK_VARIABLES, OTHER_VARIABLES, Config, default_data_dir
from tallystick.app.settings import SETTINGS
from tallystick.cli import start

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tallystick"
MODULES = sorted(SOURCE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

FILE_LINES = 500
FUNCTION_LINES = 70


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_small_named_well_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= FILE_LINES
    assert (ast.get_docstring(tree) or "").strip(" ."), "no docstring"
    assert not re.search(r"util|helper|manager|misc", path.stem)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{node.name} has {length} lines"


def test_the_architecture_names_every_package_and_module() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    missing = [
        name_of(path)
        for path in MODULES
        if path.stem not in {"__init__", "__main__"} and not re.search(rf"\b{re.escape(path.stem)}\b", text)
    ]
    missing += [
        name_of(path.parent)
        for path in MODULES
        if path.stem == "__init__" and not re.search(rf"\b{re.escape(path.parent.name)}\b", text)
    ]
    assert missing == []


# --- documents --------------------------------------------------------------------------------------


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), f"{target} is not there"
        if anchor:
            assert anchor in anchors(found), f"{target} has no such heading"


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as code hosts make them."""
    headings = re.findall(r"^#+ +(.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_index_of_the_documentation_is_complete() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"]({path.name})" in index, f"{path.name} is not in docs/README.md"


# --- settings ---------------------------------------------------------------------------------------


def test_every_field_of_the_configuration_is_a_setting_with_the_same_default() -> None:
    fields = {field.name for field in dataclasses.fields(Config)} - {"token", "read_token"}
    assert [setting.name for setting in SETTINGS if setting.name not in fields] == []
    assert fields == {setting.name for setting in SETTINGS}
    config = Config(data_dir=default_data_dir())
    for setting in SETTINGS:
        if setting.default[:1].isdigit():
            assert setting.read(setting.default, Path()) == getattr(config, setting.name)


def test_every_setting_is_an_option_of_start_and_documented() -> None:
    document = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    options = Path(start.__file__).read_text(encoding="utf-8")
    for setting in SETTINGS:
        row = f"| `{setting.flag}` | `{setting.variable}` | `{setting.name}` | {setting.default} | {setting.help} "
        assert row in document, setting.name
        assert f"Expected: {setting.allowed}." in document
        assert f'"{setting.flag}' in options
    for variable in [*OTHER_VARIABLES, *BOOK_VARIABLES]:
        assert f"`{variable}`" in document


# --- the catalogue of faults ------------------------------------------------------------------------

FAULTS = {
    *range(1, 55),
    *range(56, 64),
    *range(65, 84),
    *range(99, 125),
}
"""Rows of the catalogue of faults and attacks that concern this version."""

DEFECTS = (
    "appended whatever named our tip as its parent",
    "sorting of hostile input, which raised",
    "what it could not read escaped as an exception",
    "after one peer died, every later broadcast raised",
    "its broadcast waits for every socket in turn",
    "only the first configured peer was ever dialled",
    "what it mined it forgets when a longer chain comes",
    "it compares the genesis block's hash only",
    "a wrong hash made it raise a TypeError",
    "it listened on 0.0.0.0 for anybody",
    "it ran with debug pages on",
    "any web page could open its WebSocket",
    "it read bodies of any content type",
)
"""What the book's node does wrong, in the words of the test that shows that we do not."""


def docstrings_of_tests() -> list[str]:
    return [
        " ".join((ast.get_docstring(node) or "").split())
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def rows_named(text: str) -> set[int]:
    """`Catalogue row 7`, `Catalogue rows 1, 2 and 8-10`."""
    rows: set[int] = set()
    for listed in re.findall(r"[Cc]atalogue rows? ((?:\d+(?:-\d+)?(?:, | and )?)+)", text):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", listed):
            rows.update(range(int(first), int(last or first) + 1))
    return rows


def test_every_fault_of_the_catalogue_is_shown_by_a_test() -> None:
    named = set().union(*(rows_named(text) for text in docstrings_of_tests()))
    assert sorted(FAULTS - named) == []


def test_every_defect_of_the_books_node_is_shown_not_to_be_ours() -> None:
    texts = docstrings_of_tests()
    assert [defect for defect in DEFECTS if not any(defect in text for text in texts)] == []


# --- dependencies -----------------------------------------------------------------------------------


def locked(name: str) -> dict[str, str]:
    pins = re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / name).read_text(), flags=re.MULTILINE)
    return dict(pins)


@pytest.mark.parametrize("name", ["run.txt", "dev.txt", "fuzz.txt"])
def test_a_lock_has_names_and_versions_only(name: str) -> None:
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        pin, _, marker = line.partition(" ; ")
        assert re.fullmatch(r"#.*|-r run\.txt|[a-z0-9-]+==[0-9][0-9a-z.]*", pin), line
        assert not marker or pin.partition("==")[0] in {"uvloop", "atheris"}, line


def test_the_locks_hold_all_that_is_needed() -> None:
    """`python requirements/freeze.py` writes them."""
    needed = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    pins = {**locked("run.txt"), **locked("dev.txt"), **locked("fuzz.txt")}
    for text in needed:
        requirement = Requirement(text)
        assert pins.get(canonicalize_name(requirement.name), "") in requirement.specifier, text
    for text in PROJECT["dependencies"]:
        assert canonicalize_name(Requirement(text).name) in locked("run.txt")
