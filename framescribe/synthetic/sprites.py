"""The subjects' pictures, from the atlas beside this file.

Shapes: S subjects, P pixels of a cell's side.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from framescribe.synthetic.subjects import SUBJECTS

if TYPE_CHECKING:
    import torch

ATLAS_PATH = Path(__file__).parent / "assets" / "atlas.png"
ATLAS_COLUMNS = 12
CELL_PX = 96


@lru_cache(maxsize=2)
def sprites(device: str = "cpu") -> torch.Tensor:
    """The sprites, float32 [S, 4, P, P] in 0..1: red, green, blue (already multiplied by alpha) and alpha."""
    import av  # decodes PNG as well as video, so no image library is needed
    import torch

    with av.open(str(ATLAS_PATH)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgba")
    rows = picture.shape[0] // CELL_PX
    cells = torch.from_numpy(picture).reshape(rows, CELL_PX, ATLAS_COLUMNS, CELL_PX, 4)
    cells_S4PP = cells.permute(0, 2, 4, 1, 3).flatten(0, 1)[: len(SUBJECTS)].float() / 255
    alpha_S1PP = cells_S4PP[:, 3:]
    return torch.cat([cells_S4PP[:, :3] * alpha_S1PP, alpha_S1PP], dim=1).contiguous().to(device)
