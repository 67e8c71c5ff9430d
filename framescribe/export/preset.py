"""The form that a trainer's models take clips in, with what the user wants otherwise."""

from __future__ import annotations

from framescribe.export.reads import Reads
from framescribe.video.normalize import DEFAULT_CRF, Fit, Normalize


def form_for(
    reads: Reads,
    *,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    frames: int | None = None,
    keep_audio: bool = False,
    crf: int = DEFAULT_CRF,
) -> Normalize:
    """The form to make clips anew in for a trainer.

    Args:
        reads: of its layout: ``FORMATS["ltx"].reads``.
        fps: frames per second; None takes the rate that its models are trained at, or the clip's own.
        size, fit, frames, keep_audio, crf: as in ``Normalize``.

    Raises:
        UsageError: its models take no such size or number of frames.
    """
    return Normalize(
        fps=fps if fps is not None else reads.fps,
        size=size,
        fit=fit,
        frames=frames,
        frame_step=reads.frame_step,
        side_step=reads.side_step,
        keep_audio=keep_audio,
        crf=crf,
    )
