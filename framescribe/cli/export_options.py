"""Options of ``export``, and the values that they spell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from framescribe.cli import options
from framescribe.cli.groups import Spelled
from framescribe.errors import UsageError
from framescribe.quality.budget import Budget
from framescribe.quality.cleanup import CleanupRules, Replacement

if TYPE_CHECKING:
    from framescribe.video.normalize import Normalize

_CLEANUP, _CLIPS = "Clean-up", "Clips made anew"


def _layouts(incomplete: str) -> list[str]:
    """For the shell's completion."""
    from framescribe.export.layout import LAYOUTS

    return [name for name in LAYOUTS if name.startswith(incomplete)]


To = Annotated[str, typer.Option("--to", autocompletion=_layouts, help="Layout: one of those above.")]
Target = Annotated[Path | None, typer.Option("--target", "-t", help="Folder to make; by default OUT-LAYOUT.")]
LinkName = Annotated[
    Literal["copy", "symlink", "hardlink", "reference"],
    typer.Option("--link", help="Copy or link the clips, or reference them where they are."),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="FLAG|reviewed|accepted",
        autocompletion=options.flags,
        help="Export captions with this flag too; repeatable. With accepted: only captions that people accepted; with "
        "reviewed: also those that they edited.",
    ),
]
Variant = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Export this variant, which `rewrite` made, in place of the captions; clips without it are left out. "
        "Repeatable for trainers that read several captions a clip; `caption` is the caption itself.",
    ),
]
PromptIndex = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="The prompt whose captions are exported, by its place in the run's list; by default the first.",
    ),
]
MinFrames = Annotated[int, typer.Option(min=1, help="Leave out clips of fewer frames.")]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="FOLDER|URL/",
        help="Read clips from here only; repeatable. Otherwise from any file, and any URL but private servers.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an earlier export; what others put there stays.")
]
FirstFrames = Annotated[
    bool,
    typer.Option(
        "--first-frames",
        help="Write each clip's first frame as a PNG too, for image-to-video training, where the trainer reads such.",
    ),
]
KeepClips = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Keep clips that were cut or made here: the next export, or this one after an interruption, uses them.",
    ),
]

StripOpeners = Annotated[
    bool,
    typer.Option("--strip-openers", help="Drop “The video shows” and its like.", rich_help_panel=_CLEANUP),
]
Replace = Annotated[
    list[str] | None,
    typer.Option(metavar="A=B", help="Replace A by B; repeatable.", rich_help_panel=_CLEANUP),
]
Prefix = Annotated[str, typer.Option(help="Text before each caption.", rich_help_panel=_CLEANUP)]
Suffix = Annotated[str, typer.Option(help="Text after each caption.", rich_help_panel=_CLEANUP)]
Trigger = Annotated[
    str, typer.Option(help="Word in front of captions that lack it.", rich_help_panel=_CLEANUP)
]
MaxWords = Annotated[
    int | None,
    typer.Option(help="Cut longer captions at the end of a sentence.", rich_help_panel=_CLEANUP),
]

NormalizeFlag = Annotated[
    bool,
    typer.Option(
        "--normalize",
        help="Make every clip anew as the trainer's models take it: H.264 in MP4 at a constant rate, upright, with "
        "square pixels, in sides and a number of frames that suit. Any option below implies it.",
        rich_help_panel=_CLIPS,
    ),
]
Fps = Annotated[
    float | None, typer.Option(help="Frames per second; by default the models' own.", rich_help_panel=_CLIPS)
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="WxH",
        help="Width and height, such as 832x480; by default the clip's.",
        rich_help_panel=_CLIPS,
    ),
]
FitName = Annotated[
    Literal["crop", "pad"] | None,
    typer.Option(
        "--fit",
        help="How another shape gets to --size: crop (the default) or pad with black.",
        rich_help_panel=_CLIPS,
    ),
]
Frames = Annotated[
    int | None,
    typer.Option(
        help="Maximum number of frames from the start, such as 81; --min-frames leaves out shorter clips.",
        rich_help_panel=_CLIPS,
    ),
]
KeepAudio = Annotated[
    bool, typer.Option("--keep-audio", help="Keep the sound, as AAC.", rich_help_panel=_CLIPS)
]
Crf = Annotated[
    int | None,
    typer.Option(
        min=0, max=51, help="x264's quality; by default 16, visually lossless.", rich_help_panel=_CLIPS
    ),
]
DecodeTimeout = Annotated[
    float,
    typer.Option(
        callback=options.above_zero,
        help="Seconds without progress after which a video is left out.",
        rich_help_panel=_CLIPS,
    ),
]


def cleanup_rules(
    strip_openers: StripOpeners = False,
    replace: Replace = None,
    prefix: Prefix = "",
    suffix: Suffix = "",
    trigger: Trigger = "",
    max_words: MaxWords = None,
) -> CleanupRules:
    """How captions are tidied.

    Raises:
        UsageError: a replacement is not written as ``A=B``, or the limit is below 1.
    """
    replacements = []
    for option in replace or ():
        find, equals, text = option.partition("=")
        if not equals:
            raise UsageError(f"--replace {option!r}: write it as A=B")
        replacements.append(Replacement(find, text))
    budget = None if max_words is None else Budget(max_words)
    return CleanupRules(strip_openers, tuple(replacements), prefix, suffix, trigger, budget)


def accepted(given: list[str] | None) -> dict[str, Any]:
    """What ``--accept`` spells: flags that keep no caption out, and what people have to have decided.

    Raises:
        UsageError: ``reviewed`` and ``accepted`` are both given.
    """
    decided = [name for name in ("reviewed", "accepted") if name in (given or ())]
    if len(decided) > 1:
        raise UsageError("--accept reviewed and --accept accepted: give one of them")
    flags = [name for name in given or () if name not in decided]
    return {"accepted_flags": flags, "accept": decided[0] if decided else None}


Rules = Annotated[CleanupRules, Spelled(cleanup_rules)]


def normalized(
    to: str,
    is_asked: bool,
    fps: float | None,
    size: str | None,
    fit: Literal["crop", "pad"] | None,
    frames: int | None,
    keep_audio: bool,
    crf: int | None,
) -> Normalize | None:
    """The form of clips that is asked for; None if none is.

    Raises:
        UsageError: it cannot be, or not for the models of this layout's trainer.
    """
    from framescribe.export.layout import find_layout
    from framescribe.video.normalize import DEFAULT_CRF, Normalize

    is_asked |= keep_audio or any(each is not None for each in (fps, size, fit, frames, crf))
    if not is_asked:
        return None
    reads = find_layout(to).reads
    return Normalize(
        fps=fps,
        size=None if size is None else _size(size),
        fit=fit or "crop",
        frames=frames,
        frame_step=reads.frame_step,
        side_step=reads.side_step,
        keep_audio=keep_audio,
        crf=DEFAULT_CRF if crf is None else crf,
    )


def _size(text: str) -> tuple[int, int]:
    sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if sides is None:
        raise UsageError(f"`size` must be width x height, such as 832x480, not {text!r}")
    return int(sides[1]), int(sides[2])
