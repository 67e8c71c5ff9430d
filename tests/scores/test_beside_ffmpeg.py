"""Scores beside what FFmpeg's own filters say of the same files."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from framescribe.scores.registry import scorers_named
from framescribe.types import Clip
from framescribe.video.encode import write_mp4
from framescribe.video.scoring import score_clip
from tests.scores.real import FPS, NAMES, real_clip


def scores(path: Path, scorer: str) -> dict[str, float]:
    scorers = scorers_named([scorer])
    (measured,) = score_clip(Clip(str(path)), scorers)
    return dict(zip([score.name for score in scorers[0].scores], measured.values, strict=True))


pytestmark = pytest.mark.skipif(
    not hasattr(av.VideoFrame, "metadata"), reason="PyAV 18.0 shows no filter's words"
)


def told(path: Path, name: str, settings: str, key: str) -> list[float]:
    """What a filter writes under a key, frame by frame."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        source, filtered, sink = (
            graph.add_buffer(template=stream),
            graph.add(name, settings),
            graph.add("buffersink"),
        )
        source.link_to(filtered)
        filtered.link_to(sink)
        graph.configure()
        values = []
        for frame in container.decode(stream):
            graph.push(frame)
            metadata = graph.pull().metadata
            values += [float(metadata[key])] if key in metadata else []
    return values


def write(folder: Path, frames: np.ndarray, fps: float = FPS) -> Path:
    path = folder / "clip.mp4"
    write_mp4(path, frames.transpose(0, 3, 1, 2), fps)
    return path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("light", [1.0, 0.5])
def test_brightness_is_that_of_signalstats(tmp_path, name, light):
    path = write(tmp_path, (real_clip(name)[::8, ::2, ::2] * light).astype(np.uint8), 1.0)
    luma = np.mean(told(path, "signalstats", "", "lavfi.signalstats.YAVG"))
    assert scores(path, "exposure")["brightness"] == pytest.approx((luma - 16) * 255 / 219, abs=2)


def test_frame_change_orders_clips_as_vmaf_does(tmp_path):
    pairs = []
    for name in NAMES:
        for stride, top in ((1, 0), (1, 200), (2, 100), (4, 0)):
            path = write(tmp_path, real_clip(name)[: 8 * stride : stride, top : top + 280])
            motion = told(path, "vmafmotion", "", "lavfi.vmafmotion.score")
            pairs.append((scores(path, "stillness")["frame_change"], np.mean(motion[1:])))
    ranks = np.argsort(np.argsort(np.array(pairs), axis=0), axis=0)
    assert np.corrcoef(ranks.T)[0, 1] >= 0.9, pairs


@pytest.mark.parametrize("name", NAMES)
def test_sharpness_falls_as_blurdetect_rises(tmp_path, name):
    sharp, blurred = [], []
    for sigma in (0.5, 1.0, 2.0, 4.0):
        frames = np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in real_clip(name)[::16]])
        path = write(tmp_path, frames, 1.0)
        sharp.append(scores(path, "sharpness")["edge_sharpness"])
        blurred.append(np.mean(told(path, "blurdetect", "", "lavfi.blur")))
    assert sharp == sorted(sharp, reverse=True)
    assert blurred == sorted(blurred)


def test_a_freeze_is_as_long_as_freezedetect_says(tmp_path):
    moving = real_clip("kitten")[:40, ::2, ::2]
    path = write(tmp_path, np.concatenate([moving[:10], np.repeat(moving[10:11], 20, 0), moving[11:30]]))
    (frozen_s,) = told(path, "freezedetect", "noise=0.01:duration=1", "lavfi.freezedetect.freeze_duration")
    assert scores(path, "stillness")["longest_still_s"] == pytest.approx(frozen_s, abs=1 / FPS + 1e-6)
