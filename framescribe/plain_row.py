"""What all rows have in common: they are flat, and become plain JSON values."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


class PlainRow:
    """A row of a table; its dataclass fields are the columns."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The row as plain values, columns in order; tuples become lists."""
        row = {column.name: getattr(self, column.name) for column in fields(self)}  # type: ignore[arg-type]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in row.items()}
