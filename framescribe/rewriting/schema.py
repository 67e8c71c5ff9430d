"""JSON Schemas that answers have to fit: anybody's files, so that what one costs is bounded.

The only file that knows jsonschema-rs.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from framescribe.errors import UsageError
from framescribe.extras import require
from framescribe.shown import shorten, shown

if TYPE_CHECKING:
    import jsonschema_rs

_MAX_CHARS = 20_000  # it stands in each request
_MAX_VALUES = 50_000  # once each reference is what it refers to
_MAX_PATTERN_BYTES = 1 << 18  # compiled
_MAX_SHOWN = 200


@lru_cache(maxsize=4)
def validator_of(schema: str) -> jsonschema_rs.Validator:
    """The validator of a schema, which opens nothing, and whose patterns take time in proportion to what they look at.

    Args:
        schema: JSON text of it.

    Raises:
        UsageError: it is no JSON Schema, refers to itself or to what is not in it, or is too large.
    """
    require("jsonschema-rs", "a JSON schema")
    import jsonschema_rs

    try:
        if len(schema) > _MAX_CHARS:
            raise ValueError(f"it has {len(schema):,} characters; at most {_MAX_CHARS:,} are taken")
        loaded = json.loads(schema)
        if not isinstance(loaded, dict):
            raise ValueError("it is no object")
        linear = jsonschema_rs.RegexOptions(size_limit=_MAX_PATTERN_BYTES)
        validator = jsonschema_rs.validator_for(loaded, retriever=_not_opened, pattern_options=linear)
        _check_size(loaded)
        return validator
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        first = shorten(shown((str(error) or type(error).__name__).splitlines()[0]), _MAX_SHOWN)
        raise UsageError(f"`schema` is no JSON Schema that can be used: {first}") from error


def problem_of(value: Any, schema: str) -> str | None:
    """Where and how a JSON value does not fit a schema; None if it does.

    Raises:
        RecursionError: it is nested too deeply; newer Pythons read what the library does not check.
    """
    validator = validator_of(schema)
    import jsonschema_rs

    try:
        validator.validate(value)  # stops at the first problem; to find them all may take minutes
    except jsonschema_rs.ValidationError as problem:
        path = problem.instance_path
        place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path)
        return f"${shorten(place, _MAX_SHOWN)}: {shorten(problem.message, _MAX_SHOWN)}"
    except ValueError as error:
        raise RecursionError(str(error)) from None
    return None


def _not_opened(uri: str) -> Any:
    raise ValueError(f"{uri} is another document, which is not opened")


def _check_size(schema: dict[str, Any]) -> None:
    """
    Raises:
        ValueError: a reference leads back to itself, or a few of them stand for very much.
    """
    sizes: dict[str, int | None] = {}

    def size(value: Any) -> int:
        if isinstance(value, list):
            return 1 + sum(map(size, value))
        if not isinstance(value, dict):
            return 1
        if {"$dynamicRef", "$recursiveRef"} & value.keys():
            raise ValueError("it refers to itself")
        name = value.get("$ref")
        return 1 + sum(map(size, value.values())) + (referred(name) if isinstance(name, str) else 0)

    def referred(name: str) -> int:
        if name not in sizes:
            sizes[name] = None
            sizes[name] = size(_part(schema, name))
        found = sizes[name]
        if found is None:
            raise ValueError(f"{name} refers to itself")
        return found

    if (values := size(schema)) > _MAX_VALUES:
        raise ValueError(f"with its references it has {values:,} values; at most {_MAX_VALUES:,} are taken")


def _part(schema: Any, name: str) -> Any:
    """What a reference such as ``#/$defs/colour`` names.

    Raises:
        ValueError: it is of another form.
    """
    if not name.startswith("#/") or "%" in name:
        raise ValueError(f"{name} is no reference of the form #/$defs/NAME")
    for escaped in name[2:].split("/"):
        step = escaped.replace("~1", "/").replace("~0", "~")
        schema = schema[int(step)] if isinstance(schema, list) else schema[step]
    return schema
