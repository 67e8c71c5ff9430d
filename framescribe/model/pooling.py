"""A clip as one vector: what the vision tower makes of its frames, pooled.

``feature_row.POOLING`` names this way.

Shape legend: F frames, V + 2 slots of a frame, D decoder width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pool(features_FVD: Tensor) -> Tensor:
    """Pools a clip's features: over each frame's visual tokens, then over frames.

    Args:
        features_FVD: [F, V + 2, D] of ``VisionTower``, of at least one frame.

    Returns:
        float16 [3 D]: the tokens' mean and their maximum, both averaged over frames, then the standard deviation
        over frames of the mean, which is 0 where nothing changes.
    """
    tokens_FVD = features_FVD[:, 1:-1].float()  # without boi and eoi, which are the same for all
    mean_FD = tokens_FVD.mean(1)
    pooled = torch.cat((mean_FD.mean(0), tokens_FVD.amax(1).mean(0), mean_FD.std(0, correction=0)))
    limit = torch.finfo(torch.float16).max
    return pooled.clamp(-limit, limit).half()
