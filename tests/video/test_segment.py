"""Videos to spans: windows and scenes, minimum and maximum length; spans written as files."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from framescribe.errors import ClipError
from framescribe.types import Clip, FrameSampling
from framescribe.video.cutting import cut_path, writing_clips
from framescribe.video.decode import decode_frames, read_frames
from framescribe.video.encode import write_mp4
from framescribe.video.scenes import scene_steps
from framescribe.video.segment import SegmentRule, finding_spans, segment
from framescribe.video.workers import DecodeWorkers
from tests.reference import CLIPS
from tests.video.steps import finished

LONG = Clip(str(CLIPS / "long-70s.mp4"))  # 70 s
FPS = 10


@pytest.fixture(scope="module")
def workers() -> Iterator[DecodeWorkers]:
    with DecodeWorkers([], 240) as workers:
        yield workers


@pytest.fixture(scope="module")
def three_scenes(tmp_path_factory) -> Clip:
    """Noise of three brightnesses for 2, 1.5 and 3 s at 10 frames a second, drifting within each."""
    chance = np.random.default_rng(0)
    frames = []
    for level, count in ((40, 20), (200, 15), (110, 30)):
        texture = chance.integers(-5, 6, (3, 96, 128))
        frames += [
            np.clip(np.roll(texture, i, axis=2) + level, 0, 255).astype(np.uint8) for i in range(count)
        ]
    path = tmp_path_factory.mktemp("scenes") / "three.mp4"
    write_mp4(path, np.stack(frames), FPS)
    return Clip(str(path))


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (SegmentRule(), [(0, 70)]),
        (SegmentRule("window", 30), [(0, 30), (30, 60), (60, 70)]),
        (SegmentRule("window", 30, min_length_s=10.5), [(0, 30), (30, 60)]),
        (SegmentRule("window", 35), [(0, 35), (35, 70)]),
        (SegmentRule("window", 100), [(0, 70)]),
        (SegmentRule("window", 100, min_length_s=80), []),
        (SegmentRule("window", 40, max_length_s=20), [(0, 20), (20, 40), (40, 55), (55, 70)]),
        (SegmentRule(max_length_s=35), [(0, 35), (35, 70)]),
    ],
)
def test_windows(rule, wanted):
    assert spans(LONG, rule) == wanted


def test_spans_of_a_span_stay_within_it():
    assert spans(Clip(LONG.source_video, 10, 35), SegmentRule("window", 10)) == [(10, 20), (20, 30), (30, 35)]


def test_windows_share_out_every_frame(workers):
    clip = Clip(str(CLIPS / "vfr-6s.mp4"))
    parts = [
        decode_frames(part, FrameSampling("uniform", 10_000))
        for part in segment(clip, SegmentRule("window", 0.7), workers)
    ]
    whole = decode_frames(clip, FrameSampling("uniform", 10_000))
    assert np.array_equal(np.concatenate([part.pixels for part in parts]), whole.pixels)


def test_scenes(three_scenes, workers):
    assert np.allclose(spans(three_scenes, SegmentRule("scenes")), [(0, 2), (2, 3.5), (3.5, 6.5)])
    assert np.allclose(spans(three_scenes, SegmentRule("scenes", min_length_s=1.6)), [(0, 2), (3.5, 6.5)])
    span = Clip(three_scenes.source_video, 1.0, 3.0)
    assert np.allclose(spans(span, SegmentRule("scenes")), [(1, 2), (2, 3)])
    for part, level in zip(
        segment(three_scenes, SegmentRule("scenes"), workers), (40, 200, 110), strict=True
    ):
        pixels = decode_frames(part, FrameSampling("uniform", 100)).pixels
        assert np.abs(pixels.mean(axis=(1, 2, 3)) - level).max() < 6


def spans(clip: Clip, rule: SegmentRule) -> list[tuple[float, float]]:
    return finished(finding_spans(clip, rule))


def scene_starts(frames) -> list[float]:
    return [time_s for time_s in scene_steps(frames) if time_s is not None]


def film(seed: int, count: int = 80) -> Iterator[tuple[float, np.ndarray]]:
    """Frames of 64 x 36, numbered as their times: textured scenes of 1 to 14 frames that move and are noisy."""
    chance = np.random.default_rng(seed)
    number = 0
    while number < count:
        colour, depth = chance.integers(0, 256, (3, 1, 1)), chance.integers(1, 120)
        texture = colour + chance.integers(-depth, depth + 1, (3, 36, 64))
        step, noise = chance.integers(0, 5), chance.integers(1, 30)
        for frame in range(chance.integers(1, 15)):
            picture = np.roll(texture, frame * step, axis=2) + chance.integers(-noise, noise + 1, (3, 36, 64))
            yield float(number), np.clip(picture, 0, 255).astype(np.uint8)
            number += 1


@pytest.mark.parametrize(
    ("seed", "cuts"),
    [
        (0, [6, 16, 25, 36, 75]),
        (1, []),
        (2, [12, 18, 29, 41, 52, 75]),
        (3, [20, 29, 39]),
        (4, [8, 20, 34, 40, 43, 50, 57]),
        (5, [15, 62]),
    ],
)
def test_cuts_are_those_of_pyscenedetect(seed, cuts):
    """Its ``AdaptiveDetector(min_scene_len=1)``, 0.7.2, gave these frames for the same films."""
    assert scene_starts(film(seed)) == cuts


def test_short_or_still_films_have_no_cuts():
    black, white = np.zeros((3, 36, 64), np.uint8), np.full((3, 36, 64), 255, np.uint8)
    for pictures in ([], [black], [black, white], [black] * 50, [black, black, white, white]):
        assert scene_starts((float(i), picture) for i, picture in enumerate(pictures)) == []
    assert scene_starts((i / 10, white if i > 2 else black) for i in range(6)) == [0.3]


def test_segments_keep_what_the_clip_carries(workers):
    content = Path(LONG.source_video).read_bytes()
    parts = list(
        segment(Clip("x", data=content, prompt="What?", given_id="k"), SegmentRule("window", 40), workers)
    )
    assert [part.id for part in parts] == ["k-0", "k-1"]
    assert all((part.data, part.prompt, part.source_video) == (content, "What?", "x") for part in parts)
    (same,) = segment(LONG, SegmentRule(), workers)
    assert same is LONG


def test_a_clip_that_cannot_be_read_is_given_back(tmp_path, workers):
    missing = Clip(str(tmp_path / "missing.mp4"))
    assert list(segment(missing, SegmentRule("window", 5), workers)) == [missing]
    with pytest.raises(ClipError, match=r"missing\.mp4"):
        spans(missing, SegmentRule("window", 5))


@pytest.mark.parametrize("text", ["whole", "window:2.5", "scenes"])
def test_rules_are_read(text):
    rule = SegmentRule.parse(text, 1.0, 2.0)
    assert (rule.cutting, rule.min_length_s, rule.max_length_s) == (text.split(":")[0], 1.0, 2.0)
    assert rule.window_s == (2.5 if ":" in text else None)


@pytest.mark.parametrize(
    ("text", "lengths", "reason"),
    [
        ("minutes", (), "minutes"),
        ("window", (), "window:10"),
        ("window:x", (), "'x'"),
        ("window:0", (), "above 0"),
        ("window:nan", (), "nan"),
        ("scenes:3", (), "window:10"),
        ("scenes", (-1,), "-1"),
        ("scenes", (3, 2), "3 s at least and 2 s at most"),
        ("window:2", (3,), "3 s at least and 2 s at most"),
    ],
)
def test_wrong_rules_are_named(text, lengths, reason):
    with pytest.raises(ValueError, match=reason):
        SegmentRule.parse(text, *lengths)


def test_every_frame_is_read_at_its_time():
    clip = Clip(str(CLIPS / "vfr-6s.mp4"), 1.0, 3.0)
    wanted = decode_frames(clip, FrameSampling("uniform", 10_000))
    times_s, pictures = zip(*read_frames(clip), strict=True)
    assert np.allclose(np.array(times_s) - 1.0, wanted.timestamps_s)
    assert np.array_equal(np.stack(pictures), wanted.pixels)


def test_cut_files_hold_the_frames_of_their_spans(tmp_path):
    clip = Clip(str(CLIPS / "vfr-6s.mp4"))
    cuts = {cut_path(tmp_path, clip, span): span for span in [(0.5, 2.0), (3.0, 4.5)]}
    finished(writing_clips(clip, cuts))
    assert sorted(tmp_path.iterdir()) == sorted(cuts)
    for path, (start_s, end_s) in cuts.items():
        wanted = decode_frames(Clip(clip.source_video, start_s, end_s), FrameSampling("uniform", 10_000))
        found = decode_frames(Clip(str(path)), FrameSampling("uniform", 10_000))
        assert found.pixels.shape == wanted.pixels.shape
        assert np.abs(found.pixels.astype(int) - wanted.pixels).mean() < 4
        steps = np.diff(wanted.timestamps_s)
        assert np.allclose(np.diff(found.timestamps_s), steps, atol=1e-4)
        with av.open(str(path)) as container:
            assert not container.streams.audio


def test_encoding_is_repeatable(tmp_path, three_scenes):
    digests = set()
    for number in range(3):
        path = tmp_path / f"{number}.mp4"
        finished(writing_clips(three_scenes, {path: (0.0, 6.5)}))
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1
    assert (
        b" mbtree=0 " in path.read_bytes()
    )  # as x264 writes of its settings; with the tree, bytes differ at times


def test_odd_sizes_lose_a_row_or_column(tmp_path, three_scenes):
    odd = tmp_path / "odd.gif"
    with av.open(str(odd), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 33, 21, "rgb8"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((21, 33, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    finished(writing_clips(Clip(str(odd)), {tmp_path / "even.mp4": (0.0, 1.0)}))
    assert decode_frames(Clip(str(tmp_path / "even.mp4")), FrameSampling("chat")).pixels.shape[2:] == (20, 32)
