"""``framescribe.Decisions``: what people decide about the captions of a dataset's folder."""

from __future__ import annotations

import getpass
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike, fspath
from typing import Any

from framescribe.dataset.decision_log import DecisionLog
from framescribe.dataset.decision_state import Decided, DecisionStates
from framescribe.dataset.store import RowFolder
from framescribe.decision_row import Action, DecisionRow, RowKey
from framescribe.decisions.decision_file import read_decisions
from framescribe.decisions.selection import Rows, Where, select
from framescribe.decisions.text_edits import MAX_TEXT_CHARS, Preview, TextEdit, preview_of
from framescribe.errors import UsageError
from framescribe.shown import shown, shown_value

_GROUP_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_MAX_NAME_CHARS = 200


@dataclass(frozen=True, slots=True)
class Group:
    """Entries that were made in one step, and can be undone as a whole.

    Attributes:
        id: the ``group_id`` of them all; empty where there was nothing to decide.
        entries: as they are on the disk.
        is_new: whether this call added them; False where a call with the same id had.
    """

    id: str
    entries: tuple[DecisionRow, ...]
    is_new: bool


class Decisions:
    """The decisions about the captions of a folder: each is an entry that is added to its history.

    >>> from framescribe import Decisions
    >>> decisions = Decisions("captions/", reviewer="ann")
    >>> group = decisions.reject(where="caption LIKE '%kite%'", reason="there is no kite")
    >>> decisions.current(group.entries[0].clip_id).verdict
    'reject'
    >>> decisions.undo(group.id).entries[0].action
    'undo'

    A call's entries are on the disk, all of them, when it returns. Several processes may decide at once, also while
    clips are captioned. In each of verdict, text and tags the last entry that was not undone counts.

    Methods that decide take the rows as ``rows``, one or many of: a clip id; a pair of clip id and prompt index; or a
    row as ``Dataset`` gives it. Such a row's ``caption`` is what is decided on, and the folder is not searched for it.
    ``where`` chooses rows by a condition in SQL instead. ``group_id`` (8 to 64 letters, digits, ``-`` and ``_``) makes
    it safe to call again after a failure: a group that is there is not added twice. ``reviewer`` is who decides here.

    Args:
        folder: of the dataset, a path or URL.
        reviewer: who decides; None is the user of this process.

    Raises:
        UsageError: there are no rows. Methods raise it for rows that are not there, and values that make no sense.
        OSError: (methods that decide) nothing can be written, such as on a full disk; nothing was decided.
    """

    def __init__(self, folder: str | PathLike[str], reviewer: str | None = None) -> None:
        self.name = fspath(folder)
        self._folder = RowFolder(self.name)
        if not self._folder.exists():
            raise UsageError(f"{shown(self.name)} is no folder of captions: there is nothing to decide on")
        self.reviewer = _name("reviewer", _this_user() if reviewer is None else reviewer)
        self._log = DecisionLog(self._folder)
        self._states = DecisionStates()

    def accept(self, rows: Rows = None, *, where: Where = None, **step: Any) -> Group:
        """Accepts captions, with their edited texts where there are any."""
        return self._decide("accept", rows, where, step)

    def reject(
        self, rows: Rows = None, *, reason: str | None = None, where: Where = None, **step: Any
    ) -> Group:
        """Rejects captions: they are not exported, and ``caption --redo rejected`` makes them anew."""
        reason = None if reason is None else _text("reason", reason)
        return self._decide("reject", rows, where, step, reason=reason)

    def edit(self, rows: Rows, text: str, **step: Any) -> Group:
        """Replaces captions by a text; the rows keep what the model wrote."""
        return self._decide("edit", rows, None, step, text=_text("text", text))

    def tag(
        self, rows: Rows = None, tags: str | Sequence[str] = (), *, where: Where = None, **step: Any
    ) -> Group:
        """Adds tags to clips; they may become labels that ``teach`` learns from."""
        return self._decide("tag", rows, where, step, tags=_tags(tags))

    def untag(
        self, rows: Rows = None, tags: str | Sequence[str] = (), *, where: Where = None, **step: Any
    ) -> Group:
        """Removes tags from clips."""
        return self._decide("untag", rows, where, step, tags=_tags(tags))

    def choose(self, better: Rows = (), worse: Rows = (), *, reason: str | None = None, **step: Any) -> Group:
        """Accepts some captions and rejects others, none of them both, in one step: all is written, or nothing."""
        reason = None if reason is None else _text("reason", reason)
        make = self._maker(**step)
        accepted, rejected = (list(select(self._folder, rows, None)) for rows in (better, worse))
        if both := {each.key for each in accepted} & {each.key for each in rejected}:
            raise UsageError(f"the caption of {shown_value(min(both)[0])} is among both `better` and `worse`")
        entries = [make(each.key, each.digest, "accept") for each in accepted]
        entries += [make(each.key, each.digest, "reject", reason=reason) for each in rejected]
        return self._append(entries)

    def take(self, file: str | PathLike[str], **step: Any) -> Group:
        """Takes the decisions of a CSV file, as one group; those that count already are left out.

        Args:
            file: with a line for each caption, and the columns that rows have: ``clip_id``, and any of
                ``prompt_index``, ``decision`` (``accept`` or ``reject``), ``decision_reason``, ``edited_caption`` and
                ``tags`` (apart by ``;``). What is empty decides nothing.

        Raises:
            UsageError: a line makes no sense, or names no row; nothing was decided.
        """
        lines = {line.key: line for line in read_decisions(file)}
        states, make = self._refresh(), self._maker(**step)
        entries = []
        for each in select(self._folder, list(lines), None) if lines else ():
            line, now = lines[each.key], states.of(each.key)
            reason = _text("decision_reason", line.reason) if line.reason else None
            if line.verdict and (line.verdict, reason) != (now.current_verdict(each.caption), now.reason):
                entries.append(make(each.key, each.digest, line.verdict, reason=reason))
            if line.text and line.text != now.current_text(each.caption):
                entries.append(make(each.key, each.digest, "edit", text=_text("edited_caption", line.text)))
            if new := [tag for tag in line.tags if tag not in now.tags]:
                entries.append(make(each.key, each.digest, "tag", tags=_tags(new)))
        return self._append(entries)

    def undo(self, name: str, **step: Any) -> Group:
        """Undoes an entry or a whole group, by its id: what was before counts again. An undo can be undone too."""
        self._refresh()
        entries = self._log.named(name)
        if not entries:
            raise UsageError(f"there is no decision with the id {shown_value(name)}")
        make = self._maker(**step)
        return self._append(
            [make(entry.key, entry.caption_digest, "undo", undoes=entry.entry_id) for entry in entries]
        )

    def preview(self, edit: TextEdit, rows: Rows = None, *, where: Where = None) -> Preview:
        """What a bulk edit would make of texts (edited ones where there are any), of which nothing is changed yet."""
        states = self._refresh()
        return preview_of(edit, select(self._folder, rows, where), states)

    def apply(self, preview: Preview, **step: Any) -> Group:
        """Carries out a bulk edit, as one group.

        Raises:
            UsageError: a text is another since the preview; nothing was changed.
        """

        def check() -> None:
            states = self._refresh()
            for change in preview.changes:
                if states.of((change.clip_id, change.prompt_index)).text != change.edited:
                    raise UsageError(
                        f"the caption of {shown(change.clip_id)} was edited since the preview; preview again"
                    )

        make = self._maker(**step)
        return self._append(
            [
                make((change.clip_id, change.prompt_index), change.caption_digest, "edit", text=change.after)
                for change in preview.changes
            ],
            check,
        )

    def current(self, clip_id: str, prompt_index: int = 0) -> Decided:
        """What counts of a caption; an empty state where nothing was decided."""
        return self._refresh().of((clip_id, prompt_index))

    def history(self, clip_id: str, prompt_index: int = 0) -> list[DecisionRow]:
        """All entries of a caption, oldest first, also those that were undone."""
        return self._refresh().history((clip_id, prompt_index))

    def state(self, keys: Iterable[RowKey] | None = None) -> dict[RowKey, Decided]:
        """What counts of some captions, by clip id and prompt index; None: of all that there are entries of."""
        states = self._refresh()
        return states.all() if keys is None else {key: states.of(key) for key in keys}

    def group(self, name: str) -> list[DecisionRow]:
        """The entries of a group, or the one entry of this id; none if there is no such."""
        self._refresh()
        return self._log.named(name)

    @property
    def position(self) -> int:
        """The number of all entries that anybody has made."""
        return len(self._log.refresh())

    def since(self, position: int) -> list[DecisionRow]:
        """The entries that anybody made after the first ``position`` ones; what is known is not read again."""
        return list(self._log.refresh()[position:])

    def labels(self) -> dict[str, tuple[str, ...]]:
        """The tags of each clip that was reviewed, by clip id: none for one that was decided on, but has no tag."""
        found: dict[str, dict[str, None]] = {}
        for (clip_id, _), decided in self.state().items():
            if decided.is_reviewed:
                found.setdefault(clip_id, {}).update(dict.fromkeys(decided.tags))
        return {clip_id: tuple(tags) for clip_id, tags in found.items()}

    def _refresh(self) -> DecisionStates:
        self._states.take(self._log.refresh())
        return self._states

    def _decide(self, action: Action, rows: Rows, where: Where, step: dict[str, Any], **what: Any) -> Group:
        make = self._maker(**step)
        return self._append(
            [make(each.key, each.digest, action, **what) for each in select(self._folder, rows, where)]
        )

    def _maker(self, group_id: str | None = None, reviewer: str | None = None) -> Callable[..., DecisionRow]:
        """Makes the entries of one group.

        Args:
            group_id: the caller's; None makes one.
            reviewer: who decides; None is the one of these decisions.
        """
        group = secrets.token_hex(8) if group_id is None else group_id
        if not isinstance(group, str) or not _GROUP_ID.fullmatch(group):
            raise UsageError(f"`group_id` must be 8 to 64 letters, digits, - and _, not {shown_value(group)}")
        who = self.reviewer if reviewer is None else _name("reviewer", reviewer)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        numbers = iter(range(1 << 62))

        def make(key: RowKey, digest: str, action: Action, **what: Any) -> DecisionRow:
            _check_unicode("clip_id", key[0])
            return DecisionRow(
                entry_id=f"{group}.{next(numbers)}", group_id=group, clip_id=key[0], prompt_index=key[1],
                action=action, caption_digest=digest, reviewer=who, decided_at=now, **what,
            )  # fmt: skip

        return make

    def _append(self, entries: list[DecisionRow], check: Callable[[], None] = lambda: None) -> Group:
        if not entries:
            return Group("", (), is_new=False)
        group, is_new = self._log.append(entries, check)
        return Group(group[0].group_id, tuple(group), is_new)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"`{name}` must be a text, not {shown_value(value)}")
    if len(value) > MAX_TEXT_CHARS:
        raise UsageError(f"`{name}` has {len(value):,} characters; at most {MAX_TEXT_CHARS:,} are kept")
    _check_unicode(name, value)
    return value


def _check_unicode(name: str, text: str) -> None:
    """Raises UsageError for half a surrogate pair, which no table of the folder could hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"`{name}` has half a character at {error.start + 1}: {shown_value(text)}"
        ) from error


def _this_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "reviewer"


def _name(what: str, value: object) -> str:
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > _MAX_NAME_CHARS
        or not value.isprintable()
    ):
        raise UsageError(f"`{what}` must be a name on one line, not {shown_value(value)}")
    return value.strip()


def _tags(tags: str | Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(_name("tags", tag) for tag in ((tags,) if isinstance(tags, str) else tags)))
    if not found:
        raise UsageError("`tags` is empty; name one or more")
    return found
