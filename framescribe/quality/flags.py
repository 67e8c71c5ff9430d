"""What a caption can be flagged with."""

from __future__ import annotations

from typing import Literal, get_args

Flag = Literal["empty", "cut_off", "looping", "exclamation", "non_text", "over_budget", "opener", "duplicate"]
FLAGS: tuple[Flag, ...] = get_args(Flag)

DEFECTS: frozenset[str] = frozenset(("empty", "cut_off", "looping", "exclamation", "non_text"))
"""What another decoding may mend. The other flags are mended at export, by clean-up rules or by leaving out."""
