"""`tallystick network`: make a network, look at one, and carry a chain of the book's kind into one."""

from __future__ import annotations

import typer

from tallystick.cli import network_adopt, network_new, network_show

app = typer.Typer(
    name="network",
    help="Make a network with rules of its own, look at one, or carry a classic chain into one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

app.command("new")(network_new.new)
app.command("show")(network_show.show)
app.command("adopt")(network_adopt.adopt)
