"""The columns of a row: names and types as they are stored, and what ``CaptionRow`` says of each."""

from __future__ import annotations

import inspect
import re

from framescribe.caption_row import CaptionRow
from framescribe.dataset.schema import CAPTIONS

_HEAD = f"""# Columns of a row

`caption -o` writes these columns, in this order, in every format: Parquet has the types below, JSON lines the same
values. `null` stands where a value does not exist, such as the caption of a clip that could not be read. The schema
version is {CAPTIONS.version}.

| column | type | meaning |
| --- | --- | --- |"""
_ATTRIBUTE = re.compile(r"^    (\w+): (.*?)(?=^    \w|\Z)", re.MULTILINE | re.DOTALL)


def page() -> str:
    """The page ``docs/columns.md``."""
    meanings = column_meanings()
    lines = [
        f"| `{field.name}` | {_type(str(field.type))} | {meanings[field.name]} |" for field in CAPTIONS.arrow
    ]
    return "\n".join([_HEAD, *lines, ""])


def column_meanings() -> dict[str, str]:
    """Each column's sentence in the docstring of ``CaptionRow``."""
    attributes = inspect.cleandoc(CaptionRow.__doc__ or "").partition("Attributes:\n")[2]
    found = {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(attributes)}
    return {name: f"{text[:1].upper()}{text[1:]}".replace("``", "`") for name, text in found.items()}


def _type(arrow: str) -> str:
    inner = re.fullmatch(r"list<\w+: (\w+)>", arrow)
    return f"list of {inner[1]}" if inner else arrow
