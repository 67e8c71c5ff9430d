"""Awkward and broken videos through HTTP: what ``caption`` captions is answered, the rest is refused, nothing dies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from framescribe.captioner import Captioner
from framescribe.types import CaptionSettings, FrameSampling, GenerationSettings
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
    if clip.data is not None or not os.path.isfile(clip.source_video.removeprefix("file://")):
        pytest.skip("is no file")
    content = Path(clip.source_video.removeprefix("file://")).read_bytes()
    (row,) = tiny.caption(content, SHORT)
    response = served.chat(video(content), max_tokens=2, mm_processor_kwargs={"num_frames": 3})
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


NOT_TAKEN = "none that is taken here"


@pytest.mark.parametrize("name", SOME)
def test_some_awkward_videos(served: Served, tiny: Captioner, name: str, tmp_path: Path) -> None:
    check(served, tiny, name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", AWKWARD)
def test_all_awkward_videos(served: Served, tiny: Captioner, name: str, tmp_path: Path) -> None:
    check(served, tiny, name, tmp_path)
