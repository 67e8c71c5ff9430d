"""What a request says about media that it does not send is refused, with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.serving.served import Served, data_url, video

IO = "media_io_kwargs"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c4944415408d763f8ffff3f0005fe02fea7356acb0000000049454e44ae426082"
)


def io(**fields: Any) -> dict[str, Any]:
    return {IO: {"video": fields}}


def own(**fields: Any) -> dict[str, Any]:
    return {"framescribe": fields}


ABOUT_FRAMES = [
    io(frames_indices=[0]), io(total_num_frames=9), io(duration=2.0), io(do_sample_frames=False),
    own(timestamps_s=[1.0]),
]  # fmt: skip
ABOUT_FILES = [
    io(num_frames=3), io(do_sample_frames=True), own(start_s=0.0), own(end_s=2.0),
    {"mm_processor_kwargs": {"num_frames": 3}}, {"mm_processor_kwargs": {"fps": 2.0}},
]  # fmt: skip


def check(served: Served, content: Any, fields: dict[str, Any], words: str) -> None:
    response = served.chat(content, max_tokens=1, **fields)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    name = str(error["param"]).rpartition(".")[2]
    assert error["code"] == "invalid_value"
    assert error["message"].startswith(f"`{name}` is about ")
    assert words in error["message"]
    assert name in str(fields)


@pytest.mark.parametrize("fields", ABOUT_FRAMES, ids=str)
def test_of_a_file_nobody_says_which_frames_were_sent(
    served: Served, clip: Path, fields: dict[str, Any]
) -> None:
    check(served, video(clip), fields, "of a file the server chooses them")


@pytest.mark.parametrize("fields", ABOUT_FILES, ids=str)
def test_of_frames_nobody_says_which_to_take(served: Served, fields: dict[str, Any]) -> None:
    part = {"type": "image_url", "image_url": {"url": data_url(PNG, "image/png")}}
    check(served, [part], fields, "frames that are sent are all seen")


@pytest.mark.parametrize("fields", [*ABOUT_FRAMES, *ABOUT_FILES, io(fps=2.0), own(num_frames=3)], ids=str)
def test_of_no_video_nothing_is_said(served: Served, fields: dict[str, Any]) -> None:
    check(served, "hello", fields, "the messages have none")


def test_what_fits_is_taken(served: Served, clip: Path) -> None:
    for fields in (
        io(num_frames=2, do_sample_frames=True),
        own(start_s=0.5),
        {"mm_processor_kwargs": {"fps": 1.0}},
    ):
        assert served.chat(video(clip), max_tokens=1, **fields).status_code == 200
    assert (
        served.chat("hello", max_tokens=1, media_io_kwargs={}, framescribe={"strategy": "base"}).status_code
        == 200
    )
    parts = [{"type": "image_url", "image_url": {"url": data_url(PNG, "image/png")}}]
    for fields in (
        io(frames_indices=[7], do_sample_frames=False, duration=3.0),
        own(timestamps_s=[0.5], num_frames=24),
    ):
        response = served.chat(parts, max_tokens=1, **fields)
        assert response.status_code == 200, response.text
