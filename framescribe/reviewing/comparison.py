"""Two captions of one clip, of two prompts, compared without saying whose they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from framescribe.errors import UsageError
from framescribe.reviewing.given import text_of

if TYPE_CHECKING:
    from framescribe.decisions.decisions import Decisions
    from framescribe.reviewing.index import RowIndex

Row = dict[str, Any]
_CHOICES = ("left", "right", "neither")


class Comparison:
    """Chooses between the captions that clips have for two prompts.

    A choice accepts one row and rejects the other; neither rejects both.
    """

    def __init__(self, index: RowIndex, decisions: Decisions) -> None:
        self._index, self._decisions = index, decisions

    def next(self, after: int) -> Row:
        """The first pair behind a place that nobody has decided on, its captions left and right at random."""
        pair, left = self._index.undecided_pair(after), 0
        if pair is None:
            return {"pair": None}
        left = _left_of(pair[0]["clip_id"])
        return {
            "pair": {
                "clip_id": pair[0]["clip_id"],
                "place": pair[0]["place"],
                "prompts": [row["prompt_index"] for row in pair],
                "source_video": pair[0]["source_video"],
                "left": pair[left]["caption"],
                "right": pair[1 - left]["caption"],
            }
        }

    def choose(self, given: Mapping[str, Any]) -> Row:
        """Writes a choice, and says what the two captions were.

        Raises:
            UsageError: the pair or the choice is none.
            OSError: it cannot be written.
        """
        clip_id, choice = text_of(given, "clip_id", 1000), given.get("choice")
        rows = [row for row in self._index.of_clip(clip_id) if row["prompt_index"] in _prompts(given)]
        if len(rows) != 2 or choice not in _CHOICES:
            raise UsageError(f"a choice is one of {', '.join(_CHOICES)} between two captions of a clip")
        left = _left_of(clip_id)
        sides = {"left": rows[left], "right": rows[1 - left]}
        group_id = text_of(given, "group_id", 50)
        reviewer = text_of(given, "reviewer", 100) or None
        if chosen := sides.get(choice):
            self._decisions.accept([chosen], group_id=f"{group_id}-accept", reviewer=reviewer)
        rejected = [row for side, row in sides.items() if side != choice]
        self._decisions.reject(
            rejected, reason="compared blind", group_id=f"{group_id}-reject", reviewer=reviewer
        )
        return {
            side: {
                name: row[name] for name in ("prompt_index", "prompt", "model", "model_revision", "precision")
            }
            for side, row in sides.items()
        }


def _prompts(given: Mapping[str, Any]) -> list[int]:
    prompts = given.get("prompts")
    return prompts if isinstance(prompts, list) and len(prompts) == 2 else []


def _left_of(clip_id: str) -> int:
    """Which of a clip's two captions stands on the left: by chance, but the same each time."""
    return hashlib.sha256(f"blind\0{clip_id}".encode("utf-8", "surrogatepass")).digest()[0] & 1
