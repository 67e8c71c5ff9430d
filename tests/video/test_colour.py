"""YUV to RGB by tables is what swscale gives, bit for bit."""

import dataclasses

import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from framescribe.video.colour import colour_of, rgb_tables
from framescribe.video.nvdec.rgb import ToRgb
from framescribe.yuv import Colour, Yuv

BT601, BT709_FULL = Colour("yuv420p", 2, 0, 2, 2), Colour("yuvj420p", 1, 2, 1, 1)


def random_frame(colour: Colour, width: int, height: int) -> tuple[VideoFrame, np.ndarray]:
    """A frame, and the same as NV12."""
    generator = np.random.default_rng(width * height)
    y = generator.integers(0, 256, (height, width), np.uint8)
    u, v = generator.integers(0, 256, (2, height // 2, width // 2), np.uint8)
    frame = VideoFrame(width, height, colour.format)
    frame.colorspace, frame.color_range = colour.space, colour.range
    frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
    for plane, values in zip(frame.planes, (y, u, v), strict=True):
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width] = values
    return frame, np.concatenate([y, np.stack([u, v], axis=-1).reshape(height // 2, width)])


def swscale(frame: VideoFrame) -> np.ndarray:
    rgb = VideoReformatter().reformat(frame, frame.width, frame.height, "rgb24").to_ndarray()
    return rgb.transpose(2, 0, 1)


@pytest.mark.parametrize("colour", [BT601, BT709_FULL, Colour("yuv420p", 9, 1, 9, 16)])
def test_pictures_of_any_even_size(colour):
    to_rgb = ToRgb(torch.device("cpu"))
    for width, height in ((2, 2), (6, 10), (14, 8), (34, 18), (122, 68), (322, 242), (854, 480)):
        frame, planes = random_frame(colour, width, height)
        assert colour_of(frame) == colour
        rgb = to_rgb(Yuv(planes[None], (width, height), colour, 0, (0,)))
        assert np.array_equal(rgb[0].numpy(), swscale(frame)), (width, height)


def test_tables_are_of_the_frames_own_colour():
    found = [rgb_tables(colour).values for colour in (BT601, BT709_FULL)]
    assert not np.array_equal(found[0][:, :9], found[1][:, :9])


@pytest.mark.parametrize("turns", [-1, 0, 1, 2])
def test_pictures_are_turned_and_repeated_as_frames_are(turns):
    pairs = [random_frame(BT601, 16, 8), random_frame(BT601, 16, 10)]
    frames = [frame for frame, _ in (pairs[0], pairs[0])]
    planes = np.stack([pairs[0][1], pairs[0][1][::-1]])
    yuv = Yuv(planes, (16, 8), BT601, turns, (0, 1, 0))
    rgb = ToRgb(torch.device("cpu"))(yuv).numpy()
    assert yuv.shape == planes.shape
    assert np.array_equal(rgb[0], np.rot90(swscale(frames[0]), turns, (1, 2)))
    assert np.array_equal(rgb[2], rgb[0])
    assert not np.array_equal(rgb[1], rgb[0])
    first = dataclasses.replace(yuv, slots=(0, 1))
    assert np.array_equal(ToRgb(torch.device("cpu"))(first).numpy(), rgb[:2])


@pytest.mark.gpu
def test_on_a_gpu_the_same(cuda):
    frame, planes = random_frame(BT709_FULL, 854, 480)
    yuv = Yuv(torch.from_numpy(planes[None]).to(cuda), (854, 480), BT709_FULL, 0, (0,))
    assert np.array_equal(ToRgb(cuda)(yuv)[0].cpu().numpy(), swscale(frame))
