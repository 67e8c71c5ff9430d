"""A clip as one vector: what the vision tower makes of its frames, pooled.

``feature_row.POOLING`` names this way.

Shape legend: F frames, P patches, V visual tokens of a frame, C vision width, D decoder width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pool(features_FVD: Tensor, edges_FC: Tensor) -> Tensor:
    """Pools a clip's features: over each frame's visual tokens or patches, then over frames.

    Args:
        features_FVD: [F, V + 2, D] of ``VisionTower``, of at least one frame.
        edges_FC: of the same frames, by ``edges``.

    Returns:
        float16 [4 max(C, D)], four parts, each filled up with zeros: the tokens' mean and their maximum, both averaged
        over frames; the standard deviation over frames of the mean, which is 0 where nothing changes; the edges,
        averaged over frames.
    """
    tokens_FVD = features_FVD[:, 1:-1].float()  # without boi and eoi, which are the same for all
    mean_FD = tokens_FVD.mean(1)
    parts = (
        mean_FD.mean(0),
        tokens_FVD.amax(1).mean(0),
        mean_FD.std(0, correction=0),
        edges_FC.float().mean(0),
    )
    width = max(map(len, parts))
    limit = torch.finfo(torch.float16).max
    return torch.cat([F.pad(part, (0, width - len(part))) for part in parts]).clamp(-limit, limit).half()


def edges(states_FPC: Tensor) -> Tensor:
    """How much neighbouring patches differ, which tells sharp pictures from blurred ones.

    Args:
        states_FPC: [F, P, C] of ``VisionTower.patch_states``, whose patches are a square.

    Returns:
        [F, C]: the mean difference to the patch on the right plus that to the patch below.
    """
    side = round(states_FPC.shape[1] ** 0.5)
    grid_FYXC = states_FPC.unflatten(1, (side, side))
    across_FYXC = (grid_FYXC[:, :, 1:] - grid_FYXC[:, :, :-1]).abs()
    down_FYXC = (grid_FYXC[:, 1:] - grid_FYXC[:, :-1]).abs()
    sums = (each.mean((1, 2), dtype=torch.float32) for each in (across_FYXC, down_FYXC))
    edges_FC: Tensor = torch.add(*sums)
    return edges_FC
