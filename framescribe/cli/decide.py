"""``framescribe decide``: accept, reject, edit and tag captions from the shell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from framescribe.errors import UsageError

if TYPE_CHECKING:
    from framescribe.decisions.decisions import Decisions, Group

_TAKES = {
    "accept": (), "reject": ("reason",), "edit": ("text",), "tag": ("tags",), "untag": ("tags",),
    "undo": (), "take": (),
}  # fmt: skip
"""The options of each action."""


def decide(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Dataset folder with captions.")],
    action: Annotated[
        Literal["accept", "reject", "edit", "tag", "untag", "undo", "take"],
        typer.Argument(help="What to do; take reads decisions from a CSV file."),
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CLIP|ID|FILE]...", help="Ids of clips; of undo: of a decision; of take: CSV files."
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="SQL", help="Instead of clips: all captions for which a condition holds."),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why they are rejected.")] = None,
    text: Annotated[str | None, typer.Option(help="What the caption is edited to.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="NAME", help="Repeatable.")] = None,
    prompt: Annotated[int, typer.Option(min=0, help="Which of the clips' prompts, from 0.")] = 0,
    reviewer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who decides; by default this user.")
    ] = None,
) -> None:
    """Decide on captions, as on the page of `review`: what is accepted, rejected, edited or tagged counts in exports.

    Prints how many captions that were, and the id by which the whole step is undone. The CSV of `take` has a line for
    each caption, with the columns `clip_id` and any of `prompt_index`, `decision` (accept or reject),
    `decision_reason`, `edited_caption` and `tags` (apart by `;`).

    Examples:
        framescribe decide captions/ reject --where "caption LIKE '%subtitle%'" --reason "describes subtitles"
        framescribe decide captions/ tag 5f1c0a9be2d34a77 --tag lecture
        framescribe decide captions/ take decisions.csv
        framescribe decide captions/ undo 6f2d1c0b9a8e7f65
    """
    given = {"reason": reason, "text": text, "tags": tags}
    for option, value in given.items():
        if value is not None and option not in _TAKES[action]:
            raise UsageError(f"`{option}` is not for {action}")
    if _TAKES[action] in (("text",), ("tags",)) and given[_TAKES[action][0]] is None:
        raise UsageError(f"{action} needs `{_TAKES[action][0]}`")
    from framescribe.cli.console import out, path_errors
    from framescribe.decisions.decisions import Decisions

    with path_errors():
        groups = _decided(Decisions(folder, reviewer), action, names or [], where, prompt, given)
    for group in groups:
        count = len({entry.key for entry in group.entries})
        undo = f"; undo: framescribe decide {folder} undo {group.id}" if group.id else ""
        out.print(f"{action}: {count:,} captions{undo}", markup=False)


def _decided(
    decisions: Decisions,
    action: str,
    names: list[str],
    where: str | None,
    prompt: int,
    given: Mapping[str, object],
) -> list[Group]:
    if action in ("undo", "take"):
        if where is not None or prompt or not names:
            raise UsageError(
                f"{action} takes {'ids of decisions' if action == 'undo' else 'CSV files'}, nothing else"
            )
        return [getattr(decisions, action)(name) for name in names]
    if (where is None) == (not names) or (where is not None and (prompt or action == "edit")):
        raise UsageError(f"{action} takes ids of clips{'' if action == 'edit' else ', or `where`'}")
    chosen = {"rows": [(name, prompt) for name in names]} if where is None else {"where": where}
    kept = {name: value for name, value in given.items() if value is not None}
    return [getattr(decisions, action)(**chosen, **kept)]
