"""What ``layouts.toml`` says of the files that trainers read, filled in."""

from __future__ import annotations

import contextlib
import functools
import json
import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

Trail = tuple[str | int, ...]
"""Keys and indices that lead to a value within an entry."""


def filled(template: Any, values: Mapping[str, object]) -> Any:
    """A template of tables, lists and texts with values in it.

    A text that is ``"{name}"`` becomes the value itself; of other texts the values are parts. Anything else stays.
    """
    if isinstance(template, dict):
        return {key: filled(part, values) for key, part in template.items()}
    if isinstance(template, list | tuple):
        return [filled(part, values) for part in template]
    if not isinstance(template, str):
        return template
    if template.startswith("{") and (name := template[1:-1]) in values:
        return values[name]
    return template.format_map(values)


def trail_of(name: str, template: Any) -> Trail:
    """Where the value ``name`` stands in a template.

    Raises:
        KeyError: nowhere by itself.
    """
    if template == f"{{{name}}}":
        return ()
    if isinstance(template, dict | list):
        for key, part in template.items() if isinstance(template, dict) else enumerate(template):
            with contextlib.suppress(KeyError):
                return key, *trail_of(name, part)
    raise KeyError(name)


def value_at(trail: Trail, entry: Any) -> Any:
    """What stands in an entry where ``trail_of`` found it in the template."""
    return functools.reduce(lambda part, key: part[key], trail, entry)


def pattern_of(name: str) -> str:
    """The glob pattern of the files that a name with values in it names."""
    return "".join(
        text + ("" if value is None else "*") for text, value, *_ in string.Formatter().parse(name)
    )


def as_json(value: object, indent: int | None = None) -> str:
    """JSON in which letters of all scripts stay as they are; a text is one of TOML too."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def rendered(template: str, values: Mapping[str, object]) -> str:
    """A Jinja template with values in it; the filter ``json`` writes one as JSON."""
    return _environment().from_string(template).render(values)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    environment.filters["json"] = as_json
    return environment
