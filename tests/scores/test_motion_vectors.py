"""Motion vectors against a count pixel by pixel, and on films whose movement is known."""

import io
import math
from dataclasses import replace

import av
import numpy as np
import pytest

from framescribe import Clip
from framescribe.scores.motion_vectors import measure
from framescribe.scores.registry import scorers_named
from framescribe.video.scoring import score_clip

from .synthetic import pictures_of


def pictures_with(vectors, width, height):
    blank = pictures_of(np.zeros((2, height, width, 3), np.uint8))
    return replace(blank, vectors=tuple(np.array(each, np.int32).reshape(-1, 6) for each in vectors))


def test_vectors_fill_their_blocks_as_in_a_count_of_single_pixels():
    width, height = 300, 270
    rng = np.random.default_rng(5)
    frames = []
    for _ in range(3):
        blocks = []
        for macroblock in rng.permutation((width // 16) * (height // 16))[:60]:
            w, h = rng.choice([8, 16], 2)
            left, top = 16 * (macroblock % (width // 16)), 16 * (macroblock // (width // 16))
            for _ in range(rng.integers(1, 3)):  # of two references the last one counts
                blocks.append([left + w // 2, top + h // 2, w, h, *rng.integers(-40, 41, 2)])
        frames.append(blocks)
    painted = np.zeros((3, height, width))
    for picture, blocks in zip(painted, frames, strict=True):
        for x, y, w, h, across, down in blocks:
            picture[y - h // 2 : y + h // 2, x - w // 2 : x + w // 2] = math.hypot(across, down) / 4
    painted /= width + height
    values = measure(pictures_with([*frames, []], width, height))
    assert values["motion_vector_mean"] == pytest.approx(painted.mean())
    assert values["motion_vector_patch_min"] == pytest.approx(painted.mean(0)[127:129, 127:129].mean())
    lengths = [math.hypot(*block[4:]) / 4 for blocks in frames for block in blocks]
    assert values["motion_vector_px"] == pytest.approx(np.mean(lengths))


def test_a_clip_without_vectors_has_no_such_value():
    assert all(math.isnan(value) for value in measure(pictures_with([[], []], 64, 64)).values())


def film(codec, step_px, count=36):
    """A textured film whose picture moves to the right by so many pixels a frame."""
    texture = np.random.default_rng(3).integers(0, 256, (17, 60), np.uint8).repeat(16, 0).repeat(16, 1)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"g": "300", "bf": "0"} if codec == "mpeg4" else {"g": "300", "bf": "0", "preset": "medium"}
        stream = container.add_stream(codec, rate=12, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 256, "yuv420p"
        for number in range(count):
            start = 600 - step_px * number
            picture = np.ascontiguousarray(texture[:256, start : start + 320])
            frame = av.VideoFrame.from_ndarray(picture, "gray8").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Clip("film.mp4", data=file.getvalue())


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_pan_of_known_speed_is_measured(codec):
    ((measured,), (still,)) = (
        score_clip(film(codec, step), scorers_named(["motion_vectors"])) for step in (4, 0)
    )
    mean, patch_min, length_px = measured.values
    assert length_px == pytest.approx(4, rel=0.2)
    assert mean == pytest.approx(4 / (320 + 256), rel=0.2)
    assert 0 < patch_min <= 2 * mean
    assert still.values[0] == 0
