"""uint8 frames to what the vision tower takes, in the published order: normalise, resize, crop."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framescribe.errors import UsageError

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
# Frames are worked on in chunks of about this many values: in float a frame is four times its size.
_CHUNK_VALUES = 1 << 25


def transform(pixels_u8: Tensor | np.ndarray[Any, np.dtype[np.uint8]], image_size: int = 224) -> Tensor:
    """Normalise, bring the short side to ``image_size`` (bilinear, no antialias), crop the centre.

    Args:
        pixels_u8: uint8 [T, 3, H, W], RGB, on any device.
        image_size: side S of the result in pixels.

    Returns:
        float32 [T, 3, S, S] on the device of ``pixels_u8``.

    Raises:
        UsageError: the frames are not uint8 [T, 3, H, W].

    Source: the published CogVLM2-Caption preprocessing (pytorchvideo's short_side_scale and centre crop).
    """
    frames_T3HW = torch.as_tensor(pixels_u8)
    if frames_T3HW.dtype != torch.uint8 or frames_T3HW.ndim != 4 or frames_T3HW.shape[1] != 3:
        raise UsageError(
            f"frames must be uint8 [T, 3, H, W], not {frames_T3HW.dtype} {list(frames_T3HW.shape)}"
        )
    mean = torch.tensor(MEAN, device=frames_T3HW.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=frames_T3HW.device).view(1, 3, 1, 1)
    height, width = _short_side_to(image_size, *frames_T3HW.shape[2:])
    top, left = round((height - image_size) / 2), round((width - image_size) / 2)

    # A CPU's caches hold a frame at most, and fresh memory for each step costs more than the step.
    chunk = 1 if frames_T3HW.device.type == "cpu" else max(1, _CHUNK_VALUES // frames_T3HW[0].numel())
    out_T3SS = torch.empty(len(frames_T3HW), 3, image_size, image_size, device=frames_T3HW.device)
    buffer = torch.empty(chunk, *frames_T3HW.shape[1:], device=frames_T3HW.device)
    for out, frames in zip(out_T3SS.split(chunk), frames_T3HW.split(chunk), strict=True):
        normalised = buffer[: len(frames)].copy_(frames).div_(255).sub_(mean).div_(std)
        scaled = torch.nn.functional.interpolate(
            normalised, size=(height, width), mode="bilinear", align_corners=False
        )
        out.copy_(scaled[..., top : top + image_size, left : left + image_size])
    return out_T3SS


def _short_side_to(size: int, height: int, width: int) -> tuple[int, int]:
    # The order of operations of pytorchvideo's short_side_scale: another one rounds some sizes differently.
    if width < height:
        return math.floor((float(height) / width) * size), size
    return size, math.floor((float(width) / height) * size)
