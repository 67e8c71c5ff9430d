import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from framescribe.types import Clip, FrameSampling, Strategy
from framescribe.video.decode import decode_frames
from framescribe.video.transform import MEAN, STD, transform

CASES = Path(__file__).parents[1] / "data" / "reference" / "cases"
EXAMPLES = Path(__file__).parents[2] / "examples" / "real"
CASES_WITH_FRAMES = ["base-24f", "chat-24f-portrait", "chat-5f", "chat-history", "train-answer", "vqa-1f"]


def summaries(pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "pixel_values": pixels,
        "pixel_mean": pixels.mean((2, 3)),
        "pixel_std": pixels.std((2, 3)),
        "pixel_row_112": pixels[:, :, 112],
    }


def assert_as_recorded(pixels: torch.Tensor, case: dict[str, torch.Tensor], tolerance: float) -> None:
    compared = [name for name in summaries(pixels) if name in case]
    assert len(compared) >= 3
    for name in compared:
        torch.testing.assert_close(summaries(pixels)[name], case[name], atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", CASES_WITH_FRAMES)
def test_as_published(name):
    case = load_file(CASES / f"{name}.safetensors")
    assert_as_recorded(transform(case["video_u8_cthw"].transpose(0, 1)), case, 1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CASES_WITH_FRAMES)
def test_as_published_on_the_gpu(name, cuda):
    case = load_file(CASES / f"{name}.safetensors")
    pixels = transform(case["video_u8_cthw"].transpose(0, 1).to(cuda))
    assert_as_recorded(pixels.cpu(), case, 1e-3)


@pytest.mark.parametrize(("clip", "strategy"), [("horse", "chat"), ("kitten", "base")])
def test_from_file_to_pixels_as_published(clip, strategy: Strategy):
    case = load_file(CASES / f"clip-{clip}-{strategy}.safetensors")
    frames = decode_frames(Clip(str(EXAMPLES / f"{clip}.mp4")), FrameSampling(strategy))
    assert_as_recorded(transform(frames.pixels), case, 0.02)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (67, 101), (225, 224), (1000, 999)])
def test_any_size_becomes_a_square(size):
    pixels = transform(np.zeros((2, 3, *size), np.uint8), 56)
    assert pixels.shape == (2, 3, 56, 56)
    assert pixels.dtype == torch.float32


@pytest.mark.parametrize("size", [(301, 225), (225, 301), (405, 719), (719, 405), (1080, 607), (113, 500)])
def test_sizes_that_no_recording_has_are_as_published(size):
    """pytorchvideo's short_side_scale, which rounds the long side down, and the script's centre crop."""
    height, width = size
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, *size), np.uint8))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    if width < height:
        scaled = (math.floor((float(height) / width) * 224), 224)
    else:
        scaled = (224, math.floor((float(width) / height) * 224))
    normalised = (frames / 255 - mean) / std
    pixels = torch.nn.functional.interpolate(normalised, size=scaled, mode="bilinear", align_corners=False)
    top, left = (round((side - 224) / 2.0) for side in scaled)
    torch.testing.assert_close(
        transform(frames), pixels[:, :, top : top + 224, left : left + 224], atol=1e-5, rtol=0
    )


def test_the_crop_is_central():
    frames = torch.zeros(1, 3, 224, 424, dtype=torch.uint8)
    frames[..., 100:324] = 255
    assert transform(frames)[:, 0].unique().numel() == 1


@pytest.mark.parametrize("size", [(224, 227), (227, 224), (224, 229), (224, 231), (224, 225)])
def test_the_crop_rounds_odd_margins_as_published(size):
    """As pytorchvideo: half to even, so that a margin of 3 leaves 2 before the crop and of 5 leaves 2."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    frames = np.broadcast_to((rows + columns) % 251, (1, 3, height, width)).astype(np.uint8)
    top, left = round((height - 224) / 2), round((width - 224) / 2)
    wanted = frames[0, 0, top : top + 224, left : left + 224].astype(np.float32)
    red = transform(frames)[0, 0].numpy() * STD[0] + MEAN[0]
    np.testing.assert_allclose(red * 255, wanted, atol=0.01)


def test_other_layouts_are_refused():
    with pytest.raises(ValueError, match=r"\[T, 3, H, W\].*float32"):
        transform(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"not torch.uint8 \[1, 8, 8, 3\]"):
        transform(np.zeros((1, 8, 8, 3), np.uint8))


@pytest.mark.gpu
def test_on_cuda_as_on_cpu():
    frames = torch.randint(0, 256, (2, 3, 300, 500), dtype=torch.uint8)
    pixels = transform(frames.cuda())
    assert pixels.is_cuda
    torch.testing.assert_close(pixels.cpu(), transform(frames), atol=1e-4, rtol=0)
