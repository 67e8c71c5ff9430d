"""What a request says about its media must be about what it sends: nothing is left out silently."""

from __future__ import annotations

from typing import Literal

from framescribe.serving.errors import ApiError
from framescribe.serving.schema import Extra, Processor, VideoIo

Sent = Literal["text", "file", "frames"]
"""What the messages have."""

_ABOUT_FRAMES = {
    "media_io_kwargs.video": ("frames_indices", "total_num_frames", "duration"),
    "framescribe": ("timestamps_s",),
}
_ABOUT_FILES = {
    "media_io_kwargs.video": ("num_frames",),
    "mm_processor_kwargs": ("num_frames", "fps"),
    "framescribe": ("start_s", "end_s"),
}
_ABOUT_BOTH = {
    "media_io_kwargs.video": ("fps", "do_sample_frames"),
    "mm_processor_kwargs": ("do_sample_frames",),
    "framescribe": ("num_frames",),  # of frames that are sent: a part of the rule by which they were chosen
}
_REASONS = {
    "text": "is about a video, and the messages have none",
    "file": "is about frames that are sent; of a file the server chooses them",
    "frames": "is about a video file; frames that are sent are all seen",
}


def check_hints(sent: Sent, io: VideoIo, processor: Processor, extra: Extra) -> None:
    """
    Args:
        sent: what the messages have.
        io, processor, extra: what is said about it.

    Raises:
        ApiError: a value is about what was not sent.
    """
    tables = {
        "text": (_ABOUT_FRAMES, _ABOUT_FILES, _ABOUT_BOTH), "file": (_ABOUT_FRAMES,), "frames": (_ABOUT_FILES,)
    }  # fmt: skip
    said = {"media_io_kwargs.video": io, "mm_processor_kwargs": processor, "framescribe": extra}
    for table in tables[sent]:
        for place, names in table.items():
            for name in names:
                if getattr(said[place], name) is not None:
                    raise _refusal(place, name, sent)
    for place, each in (("media_io_kwargs.video", io), ("mm_processor_kwargs", processor)):
        if each.do_sample_frames is (sent == "frames"):
            raise _refusal(place, "do_sample_frames", sent)


def _refusal(place: str, name: str, sent: str) -> ApiError:
    return ApiError(400, "invalid_value", f"`{name}` {_REASONS[sent]}", f"{place}.{name}")
