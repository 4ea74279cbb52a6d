"""How a schema is written here: JSON Schema 2020-12, of which OpenAPI 3.1 is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tallystick.model.block import INDEX_MAX

Schema = dict[str, Any]
"""A JSON Schema, as it will be encoded."""

SCHEMAS: Final = "#/components/schemas/"

HASH_EXAMPLE: Final = "8165fa1b1fcba5e8b5a9e4e3e9a1b2fbb8e5b5b4f0b5a6e3e1d2c3b4a5968778"
OTHER_HASH: Final = "c30bb5a6e3e1d2c3b4a59687788165fa1b1fcba5e8b5a9e4e3e9a1b2fbb8ff2b"

ANY: Final[Schema] = {"description": "Any JSON value that RFC 8785 can carry."}


def ref(name: str) -> Schema:
    """The schema of that name."""
    return {"$ref": f"{SCHEMAS}{name}"}


def record_of(
    required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, *, about: str, **more: object
) -> Schema:
    """An object with these members. A later version may have more of them."""
    return {
        "type": "object",
        "description": about,
        "required": list(required),
        "properties": {**required, **(optional or {})},
        **more,
    }


def array(items: Schema, about: str = "", **more: object) -> Schema:
    """An array of these."""
    return {"type": "array", "items": items, **({"description": about} if about else {}), **more}


def text(about: str = "", **more: object) -> Schema:
    """A string."""
    return {"type": "string", **({"description": about} if about else {}), **more}


def one_of(values: Sequence[str], about: str = "") -> Schema:
    """One of these strings."""
    return text(about, enum=list(values))


def count(about: str = "", most: int = INDEX_MAX, least: int = 0) -> Schema:
    """A whole number."""
    return {"type": "integer", "minimum": least, "maximum": most, **({"description": about} if about else {})}


def number(about: str = "") -> Schema:
    """A number that is not negative."""
    return {"type": "number", "minimum": 0, **({"description": about} if about else {})}


def flag(about: str = "") -> Schema:
    """True or false."""
    return {"type": "boolean", **({"description": about} if about else {})}


def always(value: object, about: str = "") -> Schema:
    """Just this value."""
    return {"const": value, **({"description": about} if about else {})}


def or_null(schema: Schema) -> Schema:
    """That, or null where there is none."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    about = {"description": schema["description"]} if "description" in schema else {}
    return {"anyOf": [schema, {"type": "null"}], **about}


def hash_of(about: str) -> Schema:
    """A SHA-256 in lower-case hex."""
    return text(about, pattern="^[0-9a-f]{64}$")


def parent(about: str) -> Schema:
    """The hash of a block before: that of the book's first block is no hash, but a zero."""
    return text(f"{about} Before the first block 0 in a classic network, else 64 zeros.", pattern="^([0-9a-f]{64}|0)$")


def hex_of(about: str) -> Schema:
    """Bytes in lower-case hex."""
    return text(about, pattern="^([0-9a-f]{2})*$")
