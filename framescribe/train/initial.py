"""Where training from scratch starts, beyond random weights."""

from __future__ import annotations

import torch
from torch import Tensor

from framescribe.model.model import CaptionModel


def place_patches(model: CaptionModel) -> None:
    """Gives the vision tower's position embedding the sines and cosines of each patch's row and column.

    All inner slots of a frame share one position in the decoder, so where something is must be in the features.
    Drawn from N(0, 0.02²) the embedding drowns under the layers' outputs, and training hardly digs it out: rows are
    then counted through the causal mask, columns never known.
    """
    embedding = model.vision.position_embedding
    embedding.data[1:] = grid_embedding(model.vision.grid_size, embedding.shape[1]).to(embedding)


def grid_embedding(side: int, width: int) -> Tensor:
    """Two-dimensional sine-cosine embedding of a square grid (as in arXiv 2111.06377), fp32 [side², width].

    The first half of each row is of the patch's row, the second of its column; what ``width`` leaves over is 0.
    """
    quarter = width // 4
    periods = torch.logspace(0, 1, quarter + 1)[:-1] * 2 * side / 10  # from a fifth of the side to twice it
    angles = 2 * torch.pi * torch.arange(side)[:, None] / periods
    line = torch.cat((angles.sin(), angles.cos()), dim=1)
    rows, columns = line.repeat_interleave(side, dim=0), line.repeat(side, 1)
    grid = torch.zeros(side * side, width)
    grid[:, : 4 * quarter] = torch.cat((rows, columns), dim=1)
    return grid
