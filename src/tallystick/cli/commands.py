"""The commands by their names, each loaded when it is asked for.

A command is a module of this package with a function of the same name. To make one, Typer looks at every parameter and
at every word about it; to use one, it loads a validation library and builds a validator for each of its options, given
or not. A node would start a sixth of a second later for all of that, and `tallystick status` answer so much later.
So commands are made one by one, and options that need no conversion get none.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

NAMES: Final = (
    "start",
    "mine",
    "post",
    "record",
    "records",
    "search",
    "prove",
    "check",
    "erase",
    "blocks",
    "block",
    "peers",
    "add-peer",
    "remove-peer",
    "ban",
    "unban",
    "forks",
    "status",
    "network",
    "verify",
    "export",
    "backup",
    "import",
    "simulate",
    "bench",
)
"""In the order in which help lists them."""


def command(name: str) -> Any:  # noqa: ANN401 - Typer's types for it are private
    """This command, or the group of this name."""
    module = import_module(f"tallystick.cli.{_identifier(name)}")
    if isinstance(group := getattr(module, "app", None), typer.Typer):
        return typer.main.get_command(group)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=Command)(getattr(module, _identifier(name)))
    return typer.main.get_command(alone)


class _Quick:
    """What has parameters, and converts of these what is given and has to be, and nothing else."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - Typer's own signature
        """All of them, the one for help too."""
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the class this one is mixed into
        for parameter in parameters:
            if getattr(parameter, "_runtime_param", ...) is None:
                parameter._runtime_param = AsGiven()  # noqa: SLF001 - where Typer keeps how a value is converted
        return parameters


class Command(_Quick, TyperCommand):
    """A command."""


class Group(_Quick, TyperGroup):
    """Commands under a name of their own."""


class AsGiven:
    """How the value of a parameter is converted: not at all, if it was not given, or is a text and shall be one."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401 - Typer's own signature
        """The value that the command gets."""
        is_many = param.multiple or param.nargs == -1
        if value is None:
            return () if is_many else None
        described = param.type_descriptor
        if described.annotation is str and described.parameter_info.parser is None and isinstance(value, str):
            return value
        param._runtime_param = None  # noqa: SLF001 - then Typer makes its own
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


class Loaded(Mapping[str, Any]):
    """The commands of the program, as a group of Typer's wants them."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - see `command`
        if name not in NAMES:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = command(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


def _identifier(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")
