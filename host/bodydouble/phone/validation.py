"""Checks arguments against the JSON schema that was sent for them, so that the two cannot disagree.

Only the part of JSON schema that the tools use; an unknown keyword in a schema is a programming error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_SHOWN = 60  # characters of a wrong value that a message repeats
_KEYWORDS = {
    "type", "description", "enum", "minimum", "maximum", "minLength", "maxLength",
    "properties", "required", "additionalProperties",
}  # fmt: skip


class ArgumentError(ValueError):
    """One sentence that says what is wrong with the arguments."""


def check_arguments(schema: Schema, arguments: object) -> dict[str, Any]:
    """`arguments` as `schema` (an object's) describes them: unknown and missing ones, types, limits.

    Whole floats become integers where those are asked for: models write 50.0. Raises ArgumentError.
    """
    if not isinstance(arguments, Mapping):
        raise ArgumentError("the arguments must be an object")
    properties: Mapping[str, Schema] = schema["properties"]
    for name in schema.get("required", ()):
        if name not in arguments:
            raise ArgumentError(f"the argument {name!r} is missing")
    checked = {}
    for name, value in arguments.items():
        if name not in properties:
            raise ArgumentError(f"there is no argument {_shown(name)}; there are: {', '.join(properties) or 'none'}")
        checked[name] = _check(properties[name], str(name), value)
    return checked


def _check(schema: Schema, name: str, value: Any) -> Any:
    unknown = set(schema) - _KEYWORDS
    if unknown:
        raise TypeError(f"the schema of {name} uses {sorted(unknown)}, which nothing checks")
    kind = schema["type"]
    if kind == "string":
        return _check_string(schema, name, value)
    if kind == "boolean":
        if not isinstance(value, bool):
            raise ArgumentError(f"{name} must be true or false, not {_shown(value)}")
        return value
    if kind in ("integer", "number"):
        return _check_number(schema, name, value)
    raise TypeError(f"the schema of {name} has type {kind!r}, which nothing checks")


def _check_string(schema: Schema, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ArgumentError(f"{name} must be text, not {_shown(value)}")
    if "enum" in schema:
        if value not in schema["enum"]:
            raise ArgumentError(f"{name} is {_shown(value)}; it must be one of: {', '.join(schema['enum'])}")
        return value
    text = " ".join(value.split())
    if not text.isprintable():
        raise ArgumentError(f"{name} holds characters that cannot be shown")
    if len(text) < schema.get("minLength", 0):
        raise ArgumentError(f"{name} is empty")
    if len(text) > schema.get("maxLength", math.inf):
        raise ArgumentError(f"{name} is longer than {schema['maxLength']} characters")
    return text


def _check_number(schema: Schema, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentError(f"{name} must be a number, not {_shown(value)}")
    low, high = schema["minimum"], schema["maximum"]
    if not low <= value <= high:  # also true for NaN
        raise ArgumentError(f"{name} is {_shown(value)}; it must be from {low} to {high}")
    if schema["type"] == "integer":
        if value != int(value):
            raise ArgumentError(f"{name} must be a whole number, not {_shown(value)}")
        return int(value)
    return value


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a very long number"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
