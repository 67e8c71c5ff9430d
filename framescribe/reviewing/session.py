"""A review in progress: what the page asks for and says, as calls with plain values."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framescribe.errors import UsageError
from framescribe.quality.checks import check
from framescribe.quality.words import count_words
from framescribe.reviewing.comparison import Comparison
from framescribe.reviewing.folder import ReviewedFolder
from framescribe.reviewing.given import bulk_edit_of, decision_of, keys_of, text_of
from framescribe.reviewing.presence import Presence
from framescribe.reviewing.previews import Previews
from framescribe.reviewing.report import FolderReport
from framescribe.reviewing.token_budgets import LIMITS, TokenBudgets

if TYPE_CHECKING:
    import numpy as np

Row = dict[str, Any]
Query = tuple[str, tuple[str, ...], str]
_MAX_PLACES = 10_000_000
"""That are kept of all views together."""
_MAX_DECISIONS, _MAX_BULK = 500, 200_000
_MAX_TEXT_CHARS = 100_000
_LISTED = (
    "clip_id", "prompt_index", "source_video", "start_s", "end_s", "duration_s", "caption", "caption_status", "flags",
    "error_message", "decision", "decision_reason", "edited_caption", "tags", "reviewer", "decision_is_stale",
)  # fmt: skip
"""What the grid and the list show of a row."""


class NotReadYet(UsageError):
    """What is asked for may come."""


class ReviewSession:
    """All that the server knows.

    Args:
        folders: what is reviewed, and perhaps another with captions of the same clips, to compare with.
        reviewer: whose decisions they are where a page does not say.
        previews: makes what browsers show.
        report: of the first folder.
        tokenizer_files: as ``TokenBudgets`` takes them.
    """

    def __init__(
        self,
        folders: Sequence[ReviewedFolder],
        reviewer: str,
        previews: Previews,
        report: FolderReport,
        tokenizer_files: Mapping[str, Path],
    ) -> None:
        self.folder, self.reviewer, self.previews, self.report = folders[0], reviewer, previews, report
        self.index, self.decisions = self.folder.index, self.folder.decisions
        self.presence = Presence()
        self._folders = folders
        self._budgets = TokenBudgets(tokenizer_files)
        self._comparison = Comparison(*folders)
        self._views: OrderedDict[int, tuple[Query, np.ndarray[Any, np.dtype[np.int32]]]] = OrderedDict()
        self._guard = threading.Lock()

    def start(self) -> None:
        """Reads the rows, and watches for new ones."""
        for folder in self._folders:
            folder.start()

    def close(self) -> None:
        """Ends what is under way."""
        self.report.close()
        self.previews.close()
        for folder in self._folders:
            folder.close()

    def about(self) -> Row:
        """What is reviewed, and how many rows have each status, flag, decision and tag."""
        return {
            "name": self.folder.name,
            "other": self._folders[1].name if len(self._folders) > 1 else None,
            "reviewer": self.reviewer,
            "columns": self.folder.table.columns,
            "counts": self.index.counts(),
            "limits": dict(LIMITS),
            **self.folder.progress(),
        }

    def rows(
        self, search: str, where: Sequence[str], order: str, *, view: int, offset: int, limit: int
    ) -> Row:
        """Some rows of those that are looked for.

        A view keeps its rows and their order while decisions are made; it is found anew where it is not known.

        Raises:
            UsageError: a condition, or the order, cannot be answered.
        """
        query, progress = (search[:1000], tuple(where), order), self.folder.progress()
        with self._guard:
            known = self._views.get(view)
            if known is not None:
                self._views.move_to_end(view)
        if known is None or known[0] != query:
            places = self.index.find(*query)
            view = secrets.randbelow(1 << 40)
            with self._guard:
                self._views[view] = query, places
                while len(self._views) > 1 and self._num_places() > _MAX_PLACES:
                    self._views.popitem(last=False)
        else:
            places = known[1]
        wanted = places[offset : offset + limit].tolist()
        rows = self.index.rows(wanted, _LISTED)
        return {"view": view, "count": len(places), "offset": offset, "rows": rows, **progress}

    def _num_places(self) -> int:
        return sum(len(places) for _, places in self._views.values())

    def media(self, clip_id: str, prompt_index: int) -> Row:
        """A row, as far as ``Previews`` needs it.

        Raises:
            UsageError: there is none of this id.
        """
        rows = self.index.of_clip(clip_id, ("prompt_index", "source_video", "start_s", "end_s"))
        found = [row for row in rows if row["prompt_index"] == prompt_index]
        if not found:
            raise self._unknown()
        return found[0]

    def _unknown(self) -> UsageError:
        if not self.folder.is_complete:
            return NotReadYet("the rows are still being read")
        return UsageError("there is no such clip in this folder")

    def clip(self, clip_id: str, prompt_index: int) -> Row:
        """A row with its history, and the clip's captions of other prompts."""
        rows = self.index.of_clip(clip_id)
        row = next((row for row in rows if row["prompt_index"] == prompt_index), None)
        if row is None:
            raise self._unknown()
        row.pop("place")
        history = [_entry(entry) for entry in self.decisions.history(clip_id, prompt_index)]
        others = [
            {name: other[name] for name in ("prompt_index", "prompt", "caption", "model")}
            for other in rows
            if other["prompt_index"] != prompt_index
        ]
        return {"row": row, "history": history, "others": others, "generation": self.folder.table.generation}

    def check(self, given: Mapping[str, Any]) -> Row:
        """Length and flags of a text that is being written."""
        text = text_of(given, "text", _MAX_TEXT_CHARS)
        return {
            "words": count_words(text),
            "chars": len(text),
            "flags": check(text),
            **self._budgets.counts(text),
        }

    def decide(self, given: Mapping[str, Any]) -> Row:
        """Writes decisions; each answer says whether it is on the disk, is refused, or may be tried again."""
        decisions = given.get("decisions")
        if not isinstance(decisions, list) or len(decisions) > _MAX_DECISIONS:
            raise UsageError(f"`decisions` is a list of at most {_MAX_DECISIONS}")
        answers = [self._decide(each) for each in decisions]
        self.folder.take_decisions()
        return {"answers": answers, "generation": self.folder.table.generation}

    def _decide(self, given: Any) -> Row:
        group_id, action = (
            (given.get("group_id"), given.get("action")) if isinstance(given, dict) else (None, None)
        )
        if not isinstance(group_id, str):
            group_id = None  # it may be nested too deep to be written into an answer
        try:
            if action == "choose":
                return {"group_id": group_id, "is_saved": True, "sides": self._comparison.choose(given)}
            group = decision_of(given)(self.decisions)
        except UsageError as error:
            is_early = action == "choose" and not self._are_complete  # the pair may not have been read yet
            return {"group_id": group_id, "is_saved": False, "may_retry": is_early, "error": str(error)}
        except OSError as error:
            reason = f"not written: {error.strerror or error}"
            return {"group_id": group_id, "is_saved": False, "may_retry": True, "error": reason}
        return {"group_id": group_id, "is_saved": True, "is_new": group.is_new, "entries": len(group.entries)}

    def bulk(self, given: Mapping[str, Any]) -> Row:
        """Previews an edit of all rows of a view, or applies one that was previewed."""
        edit, where, group_id = bulk_edit_of(given)
        preview = self.decisions.preview(edit, rows=self._selected(given, where))
        answer: Row = {"count": len(preview.changes), "unchanged": preview.unchanged}
        if group_id is not None:
            if given.get("count") != len(preview.changes):
                raise UsageError("the captions have changed since the preview; look at it again")
            group = self.decisions.apply(
                preview, group_id=group_id, reviewer=text_of(given, "reviewer", 100) or None
            )
            self.folder.take_decisions()
            return {**answer, "group_id": group.id}
        changes = preview.changes[:200]
        return {
            **answer,
            "changes": [{"clip_id": c.clip_id, "before": c.before, "after": c.after} for c in changes],
        }

    def _selected(self, given: Mapping[str, Any], where: Sequence[str]) -> list[Row]:
        """The rows of a bulk edit: those that are named, otherwise all that are found."""
        columns = ("clip_id", "prompt_index", "caption")
        if keys := keys_of(given):
            wanted, clips = set(keys), [clip_id for clip_id, _ in keys]
            rows = self.index.rows(self.index.places_of(clips), columns)
            return [row for row in rows if (row["clip_id"], row["prompt_index"]) in wanted]
        places = self.index.find(text_of(given, "search", 1000), where, "")
        if len(places) > _MAX_BULK:
            raise UsageError(
                f"a bulk edit changes at most {_MAX_BULK:,} captions, and {len(places):,} are found"
            )
        return self.index.rows(places.tolist(), columns)

    def changes(self, given: Mapping[str, Any]) -> Row:
        """What has happened since the page asked last, and who looks at what. Tells the others what this page shows."""
        page = text_of(given, "page", 64)
        if given.get("is_leaving") is True:
            self.presence.left(page)
            return {}
        others = self.presence.seen(page, text_of(given, "reviewer", 100), text_of(given, "clip_id", 1000))
        since, entries = given.get("since"), self.decisions.since(0)
        new = entries[since:] if isinstance(since, int) and since >= 0 else []
        return {
            "position": len(entries),
            "decisions": [_entry(entry) for entry in new[-_MAX_DECISIONS:]],
            "others": others,
            "now": time.time(),
            **self.folder.progress(),
        }

    def comparison(self, after: int) -> Row:
        """The next clip with two captions, without saying whose they are."""
        found = self._comparison.next(after)
        if found["pair"] is None and not self._are_complete:
            raise NotReadYet("the rows are still being read")
        return found

    @property
    def _are_complete(self) -> bool:
        return all(folder.is_complete for folder in self._folders)


def _entry(entry: Any) -> Row:
    names = (
        "entry_id", "group_id", "clip_id", "prompt_index", "action", "reason", "text", "tags", "undoes", "reviewer",
        "decided_at",
    )  # fmt: skip
    return {name: getattr(entry, name) for name in names}
