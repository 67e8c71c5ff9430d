"""A recording of a screen has a frame only where the picture changes: until the next one, the picture is held."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames, probe, read_frames
from framescribe.video.segment import SegmentRule, segment
from framescribe.video.workers import DecodeWorkers


def held(path: Path, pts_ms: list[int]) -> Clip:
    """A recording of a screen: a frame only where the picture changes, each brighter than the one before."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, pts in enumerate(pts_ms):
            level = 20 + number * 200 // len(pts_ms)
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), "rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Clip(str(path))


@pytest.fixture
def screen(tmp_path) -> Clip:
    """30 frames in the first second, then the last of them until 9 s, and one more."""
    return held(tmp_path / "screen.mkv", [*(33 * number for number in range(30)), 9000])


def levels(clip: Clip, strategy: str = "chat") -> list[int]:
    frames = decode_frames(clip, FrameSampling(strategy))
    return [round((float(picture.mean()) - 20) * 31 / 200) for picture in frames.pixels]


def test_the_whole_is_sampled_as_published(screen):
    frames = decode_frames(screen, FrameSampling("chat"))
    assert frames.indices == (0, 29, 29, 29, 29, 30, 30, 30, 30, 30)
    assert frames.facts.num_frames == 31


@pytest.mark.parametrize(
    ("start_s", "end_s", "numbers", "indices"),
    [
        (2, 5, [29, 29, 29], (0, 0, 0)),
        (2.25, 2.5, [29], (0,)),
        (4, 9.02, [29, 29, 29, 29, 29, 30], (0, 0, 0, 0, 0, 1)),
        (8, 10, [29, 30], (0, 1)),
        (9.01, 10, [30], (0,)),
    ],
)
def test_a_span_shows_the_picture_that_is_held(screen, start_s, end_s, numbers, indices):
    clip = Clip(screen.source_video, start_s, end_s)
    assert levels(clip) == numbers
    assert decode_frames(clip, FrameSampling()).indices == indices
    seen = probe(clip)
    assert seen.facts.num_frames == len(set(numbers))
    assert set(levels(clip, "uniform")) == set(levels(clip, "base")) == set(numbers)
    times_s, _ = zip(*read_frames(clip), strict=True)
    assert times_s[0] == pytest.approx(start_s)


def test_no_window_of_a_screen_recording_is_without_a_picture(screen):
    with DecodeWorkers([], 240) as workers:
        parts = list(segment(screen, SegmentRule("window", 1), workers))
    assert len(parts) == 10
    assert [levels(part)[0] for part in parts[1:]] == [29] * 8 + [30]
    assert all(decode_frames(part, FrameSampling()).facts.missing_s == 0 for part in parts)


def test_a_picture_held_for_long_is_no_jump_where_clocks_do_not_jump(tmp_path):
    path = tmp_path / "held.mkv"
    held(path, [0, 100, 200, 60_000])
    assert probe(Clip(str(path))).timestamps_s.tolist() == [0, 0.1, 0.2, 60]
