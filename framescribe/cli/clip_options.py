"""Options of ``export`` for how clips are made, and how they become a ``Preparation``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framescribe.cli.options import above_zero
from framescribe.errors import UsageError

if TYPE_CHECKING:
    from framescribe.export.prepare import Preparation
    from framescribe.export.reads import Reads
    from framescribe.video.normalize import Fit

_CLIPS = "Clips made anew"

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
    float | None, typer.Option(help="Frames per second; otherwise the models' own.", rich_help_panel=_CLIPS)
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="WxH", help="Width and height, such as 832x480; otherwise the clip's.", rich_help_panel=_CLIPS
    ),
]
FitName = Annotated[
    str | None,
    typer.Option(
        "--fit",
        metavar="crop|pad",
        help="How another shape gets to --size: crop (the default) or pad with black.",
        rich_help_panel=_CLIPS,
    ),
]
Frames = Annotated[
    int | None,
    typer.Option(
        help="So many frames at most, from the start, such as 81; --min-frames leaves out shorter clips.",
        rich_help_panel=_CLIPS,
    ),
]
KeepAudio = Annotated[
    bool, typer.Option("--keep-audio", help="Keep the sound, as AAC.", rich_help_panel=_CLIPS)
]
Crf = Annotated[
    int | None,
    typer.Option(
        help="x264's quality, 0 to 51; 16 if not given, to the eye the source.", rich_help_panel=_CLIPS
    ),
]
FirstFrames = Annotated[
    bool,
    typer.Option(
        "--first-frames",
        help="Write each clip's first frame as a PNG too, for image-to-video training, where the trainer reads such.",
    ),
]
DecodeTimeout = Annotated[
    float,
    typer.Option(
        callback=above_zero,
        help="Seconds without progress after which a video is left out.",
        rich_help_panel=_CLIPS,
    ),
]
KeepClips = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Keep clips that were cut or made here: the next export, or this one after an interruption, uses them.",
    ),
]


def preparation(
    reads: Reads,
    *,
    normalize: bool,
    fps: float | None,
    size: str | None,
    fit: str | None,
    frames: int | None,
    keep_audio: bool,
    crf: int | None,
    first_frames: bool,
    keep_clips: Path | None,
    decode_timeout: float,
) -> Preparation:
    """What the options ask for, for a trainer that reads such clips.

    Raises:
        UsageError: they cannot be.
    """
    from framescribe.export.prepare import Preparation
    from framescribe.export.preset import form_for
    from framescribe.video.normalize import DEFAULT_CRF

    chosen: Fit = fit or "crop"  # type: ignore[assignment]  # checked there
    form = form_for(
        reads,
        fps=fps,
        size=None if size is None else _size(size),
        fit=chosen,
        frames=frames,
        keep_audio=keep_audio,
        crf=DEFAULT_CRF if crf is None else crf,
    )
    is_asked = normalize or keep_audio or any(each is not None for each in (fps, size, fit, frames, crf))
    if keep_clips is not None:
        keep_clips.mkdir(parents=True, exist_ok=True)
    return Preparation(
        normalize=form if is_asked else None,
        first_frames=first_frames,
        keep=keep_clips,
        decode_timeout_s=decode_timeout,
    )


def _size(text: str) -> tuple[int, int]:
    sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if sides is None:
        raise UsageError(f"`size` must be width x height, such as 832x480, not {text!r}")
    return int(sides[1]), int(sides[2])
