"""The links between blocks, which are the same in every network (the book, `is_valid_new_block`)."""

from __future__ import annotations

from typing import Protocol

from tallystick.errors import Rule, RuleViolation, shown
from tallystick.model.block import Header


class Linked(Protocol):
    """Whatever says which block it follows."""

    @property
    def index(self) -> int: ...
    @property
    def previous_hash(self) -> str: ...


def check_linked(block: Linked, parent: Header) -> None:
    """A block counts one further than its parent and names it. Raises RuleViolation."""
    if block.index != parent.index + 1:
        raise RuleViolation(Rule.INDEX_FOLLOWS_PARENT, f"index {block.index} after {parent.index}")
    if block.previous_hash != parent.hash:
        raise RuleViolation(
            Rule.NAMES_ITS_PARENT,
            f"block {block.index} names {shown(block.previous_hash)} as its parent, which is {parent.hash}",
        )
