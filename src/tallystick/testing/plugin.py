"""Fixtures for pytest, found through the entry point `pytest11`.

Every run of pytest on a machine with Tallystick loads this module, so it imports nothing but pytest: the node is loaded
when the first test asks for a ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

    from tallystick.testing.local import LocalLedger


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        'ledger(kind="work", seals=True): what the fixture `ledger` yields; kind "classic" is the network of the book, '
        "and without seals blocks are made by `ledger.seal()` alone",
    )


@pytest.fixture(scope="session")
def _ledgers() -> Iterator[ModuleType]:
    """The module that makes ledgers, which says nothing unless something is wrong."""
    from tallystick.testing import local  # noqa: PLC0415 - see the module's text

    with local.quiet():
        yield local


@pytest.fixture
def ledger(request: pytest.FixtureRequest, _ledgers: ModuleType) -> Iterator[LocalLedger]:
    """A node with an empty ledger, alone in a network of its own. See `LocalLedger`.

    The marker says what kind of network: `@pytest.mark.ledger(kind="classic")`. So does a parameter of the fixture:
    `@pytest.mark.parametrize("ledger", ["work", "classic"], indirect=True)`.
    """
    marker = request.node.get_closest_marker("ledger")
    options: dict[str, Any] = {} if marker is None else dict(marker.kwargs)
    if (kind := getattr(request, "param", None)) is not None:
        options["kind"] = kind
    with _ledgers.network(1, **options) as (made,):
        yield made


@pytest.fixture
def ledger_network(_ledgers: ModuleType) -> Iterator[Callable[..., list[LocalLedger]]]:
    """Makes networks of nodes that are connected with one another: `ledger_network(3)`, `ledger_network(2, "classic")`.

    In a work network the first one seals blocks, so that branches part only if a test makes them.
    """
    with ExitStack() as opened:

        def made(count: int, kind: str = "work", *, seals: bool = True) -> list[LocalLedger]:
            nodes: list[LocalLedger] = opened.enter_context(_ledgers.network(count, kind, seals=seals))
            return nodes

        yield made
