"""What a page sends, checked and turned into calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from framescribe.errors import UsageError

if TYPE_CHECKING:
    from framescribe.decisions.decisions import Decisions

_MAX_ROWS, _MAX_TEXT, _MAX_TAGS = 10_000, 100_000, 100
_MAX_PROMPTS = 1 << 31
_ACTIONS = ("accept", "reject", "edit", "tag", "untag", "undo")


def text_of(given: Mapping[str, Any], name: str, longest: int) -> str:
    """A text of a request; empty where it has none."""
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise UsageError(f"`{name}` is a text of at most {longest:,} characters")
    if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
        raise UsageError(f"`{name}` has half a character")  # of a surrogate pair, which no database takes
    return value


def decision_of(given: Any) -> Callable[[Decisions], Any]:
    """The call that writes a decision.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(given, dict) or given.get("action") not in _ACTIONS:
        raise UsageError(f"a decision's `action` is one of {', '.join(_ACTIONS)}")
    action = given["action"]
    group_id = text_of(given, "group_id", 64)
    common = {"group_id": group_id or None, "reviewer": text_of(given, "reviewer", 100) or None}
    if action == "undo":
        return lambda decisions: decisions.undo(text_of(given, "undoes", 64), **common)
    rows = list(map(_row, _list(given, "rows", _MAX_ROWS)))
    if not rows:
        raise UsageError("a decision's `rows` name at least one caption")
    if action == "reject":
        reason = text_of(given, "reason", 1000) or None
        return lambda decisions: decisions.reject(rows, reason=reason, **common)
    if action == "edit":
        text = text_of(given, "text", _MAX_TEXT)
        return lambda decisions: decisions.edit(rows, text, **common)
    if action == "accept":
        return lambda decisions: decisions.accept(rows, **common)
    tags = _list(given, "tags", _MAX_TAGS)
    if not all(isinstance(tag, str) for tag in tags):
        raise UsageError("`tags` are texts")
    return lambda decisions: getattr(decisions, action)(rows, tags, **common)


def bulk_edit_of(given: Mapping[str, Any]) -> tuple[Any, tuple[str, ...], str | None]:
    """The edit of a bulk request, the conditions on its rows, and its group's id if it is to be applied."""
    from framescribe.decisions.text_edits import Prefix, Replace, Suffix, Trigger

    kind, text = given.get("kind"), text_of(given, "text", _MAX_TEXT)
    edit: Any
    if kind == "replace":
        edit = Replace(
            text_of(given, "find", 1000),
            text,
            is_regex=given.get("regex") is True,
            ignores_case=given.get("ignore_case") is True,
        )
    elif kind in ("prefix", "suffix", "trigger"):
        edit = {"prefix": Prefix, "suffix": Suffix, "trigger": Trigger}[kind](text)
    else:
        raise UsageError("`kind` is one of replace, prefix, suffix, trigger")
    where = [text_of({"where": each}, "where", 10_000) for each in _list(given, "where", 50)]
    return edit, tuple(where), text_of(given, "group_id", 64) or None


def keys_of(given: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The rows that a request names."""
    return [(row["clip_id"], row["prompt_index"]) for row in map(_row, _list(given, "rows", _MAX_ROWS))]


def _list(given: Mapping[str, Any], name: str, longest: int) -> list[Any]:
    value = given.get(name, [])
    if not isinstance(value, list) or len(value) > longest:
        raise UsageError(f"`{name}` is a list of at most {longest:,}")
    return value


def _row(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise UsageError("each of `rows` has clip_id, prompt_index and caption")
    index = given.get("prompt_index", 0)
    if type(index) is not int or not 0 <= index < _MAX_PROMPTS:
        raise UsageError(f"`prompt_index` is a number below {_MAX_PROMPTS:,}")
    caption = given.get("caption")
    return {
        "clip_id": text_of(given, "clip_id", 1000),
        "prompt_index": index,
        "caption": None if caption is None else text_of(given, "caption", 1_000_000),
    }
