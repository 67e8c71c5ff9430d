"""Frames exactly as published, for ``vllm serve``: the video loader ``framescribe``."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from vllm.multimodal.video import VideoLoader

from framescribe.errors import UsageError
from framescribe.types import Clip, Frames, FrameSampling, Strategy
from framescribe.video.decode import decode_frames

MADE_BY = "framescribe"


def with_metadata(frames: Frames, sampling: FrameSampling) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    """A clip's frames, uint8 [T, 3, H, W], as vLLM takes videos: with the second that the prompt names behind each."""
    metadata = {
        "video_backend": MADE_BY,
        "total_num_frames": frames.facts.num_frames,
        "fps": frames.facts.fps,
        "duration": frames.facts.duration_s,
        "frames_indices": list(frames.indices),
        "do_sample_frames": False,
        "seconds": frames.text_seconds(sampling),
    }
    return frames.pixels, metadata


class PublishedFrames(VideoLoader):
    """Decodes a video as ``framescribe caption`` does."""

    @classmethod
    def load_bytes(
        cls,
        data: bytes,
        num_frames: int = 0,
        *,
        strategy: Strategy = "chat",
        frames: int = 24,
        sample_fps: float = 1.0,
        **unknown: Any,
    ) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        """The chosen frames and what is known of them.

        Args:
            data: the video's file.
            num_frames: not read, as vLLM gives 32 where nobody asked for any number.
            strategy, frames, sample_fps: as ``FrameSampling``'s ``strategy``, ``num_frames`` and ``fps``.

        Raises:
            UsageError: another option.
            ClipError: the video cannot be decoded.
        """
        if unknown:
            raise UsageError(
                f"the video loader takes strategy, frames and sample_fps, not {', '.join(unknown)}"
            )
        sampling = FrameSampling(strategy, frames, sample_fps)
        clip = Clip(f"bytes:{hashlib.sha256(data).hexdigest()[:16]}", data=data)
        return with_metadata(decode_frames(clip, sampling), sampling)
