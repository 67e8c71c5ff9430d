"""What scorers are given of a clip, beside what a plain reading of its frames gives."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from framescribe.errors import ClipError
from framescribe.scores.pictures import ClipPictures
from framescribe.scores.registry import scorers_named
from framescribe.scores.scorer import Score, Scorer
from framescribe.types import Clip, FrameSampling
from framescribe.video import decode, in_memory
from framescribe.video.decode import decode_frames
from framescribe.video.scoring import score_clip
from framescribe.video.workers import DecodeWorkers
from framescribe.video_frames import VideoFrames

ONE_FRAME = FrameSampling("uniform", 1)
CLIPS = Path(__file__).parents[1] / "data" / "clips"
EVERYTHING = Scorer(
    "video", 1, (Score("width", "px", "wider", "width"),), ("small", "tiny", "large", "large_grey", "vectors")
)


@pytest.fixture
def looked(monkeypatch):
    """Gives the pictures that scorers of a clip are given."""
    seen: list[ClipPictures] = []

    def kept(pictures, scorers, source):
        seen.append(pictures)
        return ()

    def look(clip: Clip, sampling: FrameSampling = ONE_FRAME) -> ClipPictures:
        for module in (decode, in_memory):
            monkeypatch.setattr(module, "measure_all", kept)
        decode_frames(clip, sampling, scorers=(EVERYTHING,))
        return seen[-1]

    return look


def plain_frames(path: Path) -> tuple[list[float], list[np.ndarray]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.time - frames[0].time for frame in frames], [
        frame.to_ndarray(format="rgb24") for frame in frames
    ]


@pytest.mark.parametrize("name", ["horse.mp4", "vfr-6s.mp4", "portrait-25s.mp4", "short-half-second.mp4"])
def test_pictures_are_those_of_the_frames_nearest_to_each_half_second(looked, name):
    pictures = looked(Clip(str(CLIPS / name)))
    times, frames = plain_frames(CLIPS / name)
    tiny = [int(np.argmin(np.abs(np.array(times) - time_s))) for time_s in pictures.tiny_s]
    assert pictures.tiny_s == pytest.approx([times[i] for i in tiny])
    assert (tiny[0], tiny[-1]) == (0, len(times) - 1)
    assert all(times[b] - times[a] <= 0.251 or b == a + 1 for a, b in itertools.pairwise(tiny))
    halves = np.arange(0, times[-1] + 1e-9, 0.5)
    assert set(pictures.small_s) <= set(pictures.tiny_s)
    if len(halves) > 1:
        assert len(pictures.small_s) <= len(halves)
        assert [np.abs(pictures.small_s - half).min() for half in halves] == pytest.approx(
            [np.abs(pictures.tiny_s - half).min() for half in halves]
        )
    else:
        assert pictures.small_s == pytest.approx([0, times[-1]])
    for time_s, small in zip(pictures.small_s, pictures.small_THW3, strict=True):
        frame = frames[int(np.argmin(np.abs(np.array(times) - time_s)))]
        assert small.mean((0, 1)) == pytest.approx(frame.mean((0, 1)), abs=1.5)
        assert max(small.shape) == min(192, max(frame.shape))
    grey = np.array([frame.mean((0, 1)) @ (0.299, 0.587, 0.114) for frame in frames])
    assert pictures.tiny_NHW.mean((1, 2)) == pytest.approx(grey[tiny], abs=3)
    assert set(pictures.large_s) <= set(pictures.small_s)
    assert pictures.large_KHW3.shape[1:] == frames[0].shape
    grey_of_large = pictures.large_KHW3.mean((1, 2)) @ (0.299, 0.587, 0.114)
    assert pictures.large_grey_KHW.shape[1:] == frames[0].shape[:2]
    assert pictures.large_grey_KHW.mean((1, 2)) == pytest.approx(grey_of_large, abs=2)


def test_scores_do_not_depend_on_what_the_model_sees(looked):
    clip = Clip(str(CLIPS / "horse.mp4"))
    alone, beside = looked(clip), looked(clip, FrameSampling("chat", 24))
    for name in ("small_THW3", "small_s", "tiny_NHW", "tiny_s", "large_KHW3", "large_grey_KHW", "large_s"):
        assert np.array_equal(getattr(alone, name), getattr(beside, name))
    frames = decode_frames(clip, FrameSampling("chat", 24), scorers=scorers_named(["video"]))
    plain = decode_frames(clip, FrameSampling("chat", 24))
    assert np.array_equal(frames.pixels, plain.pixels)
    assert frames.indices == plain.indices


def test_frames_in_memory_are_looked_at_as_those_of_a_file(looked):
    times, frames = plain_frames(CLIPS / "short-half-second.mp4")
    video = VideoFrames(np.stack(frames), timestamps_s=times, name="frames")
    from_memory = looked(Clip("frames", data=video))
    from_file = looked(Clip(str(CLIPS / "short-half-second.mp4")))
    assert np.array_equal(from_memory.large_KHW3, from_file.large_KHW3)
    # Not pixel by pixel: colours of the file that RGB has not are cut off.
    assert from_memory.small_THW3.mean((1, 2)) == pytest.approx(from_file.small_THW3.mean((1, 2)), abs=2)


@pytest.mark.parametrize(("fps", "stride"), [(8, 1), (15, 1), (24, 2), (30, 3), (59.94, 6)])
def test_tiny_pictures_are_as_few_as_come_within_a_tenth_of_a_second(looked, fps, stride):
    video = VideoFrames(np.zeros((61, 32, 48, 3), np.uint8), fps=fps, name="black")
    assert looked(Clip("black", data=video)).tiny_s == pytest.approx(np.arange(0, 61, stride) / fps)


def test_frames_that_no_other_refers_to_are_looked_at_only_where_others_are_far_apart(looked, tmp_path):
    for fps, between, expected, count in [
        (24, 1, {"I", "P"}, 25),
        (24, 3, {"I", "P"}, 13),
        (24, 7, {"I", "P", "B"}, 13),
        (8, 1, {"I", "P"}, 25),
        (8, 3, {"I", "P", "B"}, 37),
    ]:
        path = tmp_path / f"{fps} {between}.mp4"
        with av.open(str(path), "w") as container:
            options = {"bf": str(between), "x264-params": "b-adapt=0:b-pyramid=none:scenecut=0"}
            stream = container.add_stream("libx264", rate=fps, options=options)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            for number in range(49):
                picture = np.full((64, 64, 3), 4 * number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            container.mux(stream.encode())
        with av.open(str(path)) as container:
            kinds = [PictureType(frame.pict_type).name for frame in container.decode(video=0)]
        seen = np.rint(looked(Clip(str(path))).tiny_s * fps).astype(int)
        assert {kinds[number] for number in seen[:-1]} == expected
        assert kinds.count("B") == 48 - 48 // (between + 1)
        assert len(seen) == count


def test_a_span_is_looked_at_alone_and_its_bytes_are_counted(looked):
    path = str(CLIPS / "long-70s.mp4")
    whole = looked(Clip(path))
    parts = [looked(Clip(path, start_s=start_s, end_s=start_s + 35)) for start_s in (0, 35)]
    assert sum(part.facts.video_bytes for part in parts) == whole.facts.video_bytes
    with av.open(path) as container:
        assert whole.facts.video_bytes == sum(packet.size for packet in container.demux(video=0))
    assert parts[1].facts.num_frames == 525
    frames = [np.rint(15 * part.tiny_s).astype(int) for part in (whole, parts[1])]
    both, of_whole, of_part = np.intersect1d(frames[0] - 525, frames[1], return_indices=True)
    assert len(both) > 0.9 * len(frames[1])
    assert np.array_equal(parts[1].tiny_NHW[of_part], whole.tiny_NHW[of_whole])
    assert parts[1].small_s[0] == 0


def test_motion_vectors_say_how_a_picture_moved_to_the_right(looked, tmp_path):
    canvas = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    path = tmp_path / "moving.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=2, options={"crf": "12", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 160, 160, "yuv420p"
        for step in range(9):
            picture = np.ascontiguousarray(canvas[16:176, 100 - 6 * step : 260 - 6 * step])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    vectors = looked(Clip(str(path))).vectors
    assert len(vectors) == 9
    inner = np.concatenate([v[(v[:, 0] > 40) & (v[:, 0] < 120)] for v in vectors[1:]])
    per_frame = np.median(inner[:, 4] / 4)
    assert per_frame in (6, 12, 18)  # by how many frames the one referred to is apart
    assert abs(np.median(inner[:, 5])) <= 1


def test_only_the_first_two_minutes_are_looked_at(looked, tmp_path):
    count = 150 * 4
    video = VideoFrames(np.zeros((count, 32, 48, 3), np.uint8), fps=4, name="long")
    pictures = looked(Clip("long", data=video))
    assert (len(pictures.small_s), pictures.small_s[-1], pictures.looked_at_s) == (240, 119.5, 120)
    assert pictures.facts.num_frames == count


def test_scorers_run_in_a_worker_and_a_broken_file_fails_as_in_captioning():
    scorers = scorers_named(["video"])
    with DecodeWorkers() as workers:
        (video,) = workers.call(score_clip, Clip(str(CLIPS / "horse.mp4")), scorers)
        assert video.values[:2] == (720, 480)
        with pytest.raises(ClipError, match="No such file"):
            workers.call(score_clip, Clip("missing.mp4"), scorers)


def test_a_scorer_that_raises_fails_alone():
    wrong = replace(EVERYTHING, scores=(Score("no_such", "", "", ""),))
    video, failed = decode_frames(
        Clip(str(CLIPS / "horse.mp4")), FrameSampling(), scorers=(*scorers_named(["video"]), wrong)
    ).measured
    assert video.error_stage is None
    assert failed.error_stage == "score"
    assert "no_such" in failed.error_message
