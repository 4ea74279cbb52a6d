"""`tallystick network`: make a network, look at one, and carry a chain of the book's kind into one."""

from __future__ import annotations

import typer

from tallystick.cli import network_adopt, network_new, network_show
from tallystick.cli.commands import Command, Group

app = typer.Typer(
    name="network",
    help="Make a network with rules of its own, look at one, or carry a classic chain into one.",
    cls=Group,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command("new", cls=Command)(network_new.new)
app.command("show", cls=Command)(network_show.show)
app.command("adopt", cls=Command)(network_adopt.adopt)
