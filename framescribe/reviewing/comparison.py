"""Two captions of one clip, of two prompts or two runs, compared without saying whose they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from framescribe.errors import UsageError
from framescribe.reviewing.folder import ReviewedFolder
from framescribe.reviewing.given import text_of

Row = dict[str, Any]
_CHOICES = ("left", "right", "neither")
_REASON = "compared blind"
_OPEN = "caption IS NOT NULL AND (decision IS NULL OR decision_is_stale)"
_MOST_ROWS = 100_000


class Comparison:
    """Chooses between two captions of a clip: those of two prompts, or those that two folders have for one prompt.

    A choice accepts one row and rejects the other; neither rejects both.

    Args:
        folder: under review.
        other: captions of the same clips; None compares the captions of two prompts in ``folder``.
    """

    def __init__(self, folder: ReviewedFolder, other: ReviewedFolder | None = None) -> None:
        self._folders = folder, other or folder
        self._has_other = other is not None

    def next(self, after: int) -> Row:
        """The first pair behind a place that nobody has decided on, its captions left and right at random."""
        keys = self._between_folders(after) if self._has_other else self._between_prompts(after)
        if keys is None:
            return {"pair": None}
        clip_id, prompts = keys
        pair = self._pair(clip_id, prompts)
        left = _left_of(clip_id)
        return {
            "pair": {
                "clip_id": clip_id,
                "place": pair[0]["place"],
                "prompts": prompts,
                "source_video": pair[0]["source_video"],
                "left": pair[left]["caption"],
                "right": pair[1 - left]["caption"],
            }
        }

    def choose(self, given: Mapping[str, Any]) -> Row:
        """Writes a choice, and says what the two captions were.

        Raises:
            UsageError: the pair or the choice is none.
            OSError: it cannot be written; send it again with the same ``group_id``, as after a kill.
        """
        clip_id, choice = text_of(given, "clip_id", 1000), given.get("choice")
        pair = self._pair(clip_id, given.get("prompts"))
        if choice not in _CHOICES:
            raise UsageError(f"a choice is one of {', '.join(_CHOICES)}")
        left = _left_of(clip_id)
        sides = {"left": left, "right": 1 - left}
        step = {
            "group_id": text_of(given, "group_id", 64),
            "reviewer": text_of(given, "reviewer", 100) or None,
        }
        for folder in dict.fromkeys(
            self._folders
        ):  # two logs cannot be written at once: what is sent again fills up
            mine = [number for number in sides.values() if self._folders[number] is folder]
            better = [pair[number] for number in mine if number == sides.get(choice)]
            worse = [pair[number] for number in mine if number != sides.get(choice)]
            folder.decisions.choose(better, worse, reason=_REASON, **step)
            folder.take_decisions()
        return {side: self._who(number, pair[number]) for side, number in sides.items()}

    def _who(self, number: int, row: Row) -> Row:
        """Whose a caption is, said once it was chosen."""
        by = self._folders[number].name if self._has_other else row["prompt"]
        return {"by": by, "model": row["model"], "prompt_index": row["prompt_index"]}

    def _pair(self, clip_id: str, prompts: object) -> list[Row]:
        if not isinstance(prompts, list) or [type(each) for each in prompts] != [int, int]:
            raise UsageError("`prompts` are two numbers")
        if (prompts[0] == prompts[1]) != self._has_other:
            raise UsageError("`prompts` are those of two captions of a clip")
        pair = []
        for folder, prompt in zip(self._folders, prompts, strict=True):
            rows = folder.index.of_clip(clip_id)
            pair += [row for row in rows if row["prompt_index"] == prompt]
        if len(pair) != 2:
            raise UsageError("there are no two such captions of this clip")
        return pair

    def _between_prompts(self, after: int) -> tuple[str, list[int]] | None:
        sql = (
            f"WITH open AS (SELECT * FROM rows WHERE place > ? AND {_OPEN}) "
            "SELECT clip_id, a.prompt_index, b.prompt_index FROM open a JOIN open b USING (clip_id) "
            "WHERE a.prompt_index < b.prompt_index AND a.caption <> b.caption ORDER BY a.place LIMIT 1"
        )
        with self._folders[0].table.cursor() as cursor:
            found = cursor.execute(sql, [after]).fetchone()
        return None if found is None else (found[0], [found[1], found[2]])

    def _between_folders(self, after: int) -> tuple[str, list[int]] | None:
        """As the two are databases of their own, rows of one are looked for in the other, more and more at a time."""
        ours, theirs = (folder.table for folder in self._folders)
        most = _MOST_ROWS // 100
        while True:
            sql = (
                f"SELECT place, clip_id, prompt_index, caption FROM rows WHERE place > {after:d} AND {_OPEN} "
                f"ORDER BY place LIMIT {most}"
            )
            with ours.cursor() as cursor:
                given = cursor.sql(sql).to_arrow_table()
            if not given.num_rows:
                return None
            with theirs.cursor() as cursor:
                cursor.register("given", given)
                found = cursor.execute(
                    "SELECT clip_id, prompt_index FROM given JOIN (SELECT clip_id, prompt_index, caption AS other FROM "
                    f"rows WHERE {_OPEN}) USING (clip_id, prompt_index) WHERE caption <> other ORDER BY place LIMIT 1"
                ).fetchone()
            if found is not None:
                return found[0], [found[1], found[1]]
            after, most = given["place"][-1].as_py(), _MOST_ROWS


def _left_of(clip_id: str) -> int:
    """Which of a clip's two captions stands on the left: by chance, but the same each time."""
    return hashlib.sha256(f"blind\0{clip_id}".encode("utf-8", "surrogatepass")).digest()[0] & 1
