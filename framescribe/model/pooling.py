"""A clip as one vector: what the vision tower makes of its frames, pooled.

``feature_row.POOLING`` names this way.

Shape legend: F frames, P patches, V visual tokens of a frame, C vision width, D decoder width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from framescribe.feature_row import PIXEL_NUMBERS

_LEAST = 1e-3  # what differences are counted from, in normalised levels: below is rounding


def pool(features_FVD: Tensor, detail_FK: Tensor) -> Tensor:
    """Pools a clip's features: over each frame's visual tokens or patches, then over frames.

    Args:
        features_FVD: [F, V + 2, D] of ``VisionTower``, of at least one frame.
        detail_FK: of the same frames, by ``detail``.

    Returns:
        float16 [4 max(K, D)], four parts, each filled up with zeros: the tokens' mean and their maximum, both averaged
        over frames; the standard deviation over frames of the mean, which is 0 where nothing changes; the detail,
        averaged over frames, filled up from the front, so that it ends where the vector does.
    """
    tokens_FVD = features_FVD[:, 1:-1].float()  # without boi and eoi, which are the same for all
    mean_FD = tokens_FVD.mean(1)
    parts = (mean_FD.mean(0), tokens_FVD.amax(1).mean(0), mean_FD.std(0, correction=0))
    detail_K = detail_FK.float().mean(0)
    width = max(len(detail_K), mean_FD.shape[1])
    filled = [F.pad(part, (0, width - len(part))) for part in parts]
    limit = torch.finfo(torch.float16).max
    return torch.cat((*filled, F.pad(detail_K, (width - len(detail_K), 0)))).clamp(-limit, limit).half()


def detail(states_FPC: Tensor, pixels_F3SS: Tensor) -> Tensor:
    """How much neighbouring patches and pixels differ, which tells sharp pictures from blurred ones.

    Args:
        states_FPC: [F, P, C] of ``VisionTower.patch_states``, whose patches are a square.
        pixels_F3SS: the normalised frames that they are of.

    Returns:
        float32 [F, C + PIXEL_NUMBERS]: the mean difference to the patch on the right plus that to the patch below; and
        the logarithms of the pixels' mean first and second differences, at four scales, each half of the one before.
    """
    side = round(states_FPC.shape[1] ** 0.5)
    grid_FYXC = states_FPC.unflatten(1, (side, side))
    sums = (each.abs().mean((1, 2), dtype=torch.float32) for each in _differences(grid_FYXC, 1))
    columns = [torch.add(*sums)]
    picture_F3YX = pixels_F3SS.float()
    for scale in range(PIXEL_NUMBERS // 2):
        if scale:
            picture_F3YX = F.avg_pool2d(picture_F3YX, 2)
        for order in (1, 2):
            sums = (each.abs().mean((1, 2, 3)) for each in _differences(picture_F3YX, 2, order))
            columns.append((torch.add(*sums) + _LEAST).log()[:, None])
    return torch.cat(columns, dim=1)


def _differences(grid: Tensor, down: int, order: int = 1) -> tuple[Tensor, Tensor]:
    """To the right and down; ``down`` is the dimension of rows, and the next one that of columns."""
    return grid.diff(order, down + 1), grid.diff(order, down)
