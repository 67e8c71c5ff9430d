"""Awkward and broken videos through HTTP: what ``caption`` captions is answered, the rest is refused, nothing dies."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from framescribe.captioner import Captioner
from framescribe.types import CaptionSettings, Clip, FrameSampling, GenerationSettings
from tests.awkward import AWKWARD, make
from tests.serving.served import Served, video

SHORT = CaptionSettings(sampling=FrameSampling("chat", 3), generation=GenerationSettings(2))
SOME = [
    "plain",
    "audio_only",
    "truncated_mp4",
    "zero_bytes",
    "huge_picture",
    "claims_a_year",
    "playlist",
    "encrypted",
]


def check(served: Served, tiny: Captioner, name: str, folder: Path) -> None:
    clip = make(name, folder)
    content = content_of(clip)
    if content is None:
        pytest.skip("has no bytes to send")
    (row,) = tiny.caption(replace(clip, data=content), SHORT)
    span = {"start_s": clip.start_s} | ({} if clip.end_s is None else {"end_s": clip.end_s})
    response = served.chat(
        video(content), max_tokens=2, mm_processor_kwargs={"num_frames": 3}, framescribe=span
    )
    if response.status_code == 200:
        assert row.caption_status != "error"
        assert response.json()["choices"][0]["message"]["content"] == (row.caption_raw or "").lstrip()
        assert tuple(response.json()["framescribe"]["frame_indices"]) == row.frame_indices
    else:
        assert response.status_code == 400
        code, message = response.json()["error"]["code"], response.json()["error"]["message"]
        assert (
            row.caption_status == "error"
            or code in ("video_too_large", "video_too_long")
            or NOT_TAKEN in message
        )
        assert code in ("invalid_video", "invalid_value", "video_too_large", "video_too_long")
    assert served.client.get("/health/ready").status_code == 200


def content_of(clip: Clip) -> bytes | None:
    """A file's bytes, or those in memory; None of a folder, a device, or what is not there."""
    if clip.data is not None:
        return clip.data if isinstance(clip.data, bytes) else None
    path = clip.source_video.removeprefix("file://")
    try:
        return Path(path).read_bytes() if os.path.isfile(path) else None
    except (OSError, ValueError):
        return None


NOT_TAKEN = "none that is taken here"


@pytest.mark.parametrize("name", SOME)
def test_some_awkward_videos(served: Served, tiny: Captioner, name: str, tmp_path: Path) -> None:
    check(served, tiny, name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", AWKWARD)
def test_all_awkward_videos(served: Served, tiny: Captioner, name: str, tmp_path: Path) -> None:
    check(served, tiny, name, tmp_path)
