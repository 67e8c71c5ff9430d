"""NV12 pictures to RGB by tables, where they lie: on a GPU in one pass, elsewhere in plain torch.

Shape legend: T pictures, H x W pixels, R = 3/2 H rows (luma, then chroma pairs), K functions of Y.
"""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor

from framescribe.video.colour import rgb_tables
from framescribe.yuv import Colour, Yuv

_KEPT = 16
"""Tables of so many colours stay: strangers' files choose which there are."""


class ToRgb:
    """Decoded pictures to RGB on one device, where the tables stay.

    Args:
        device: where the pictures are.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._tables: dict[Colour, tuple[Tensor, Tensor]] = {}

    def __call__(self, pictures: Yuv) -> Tensor:
        """The frames upright: uint8 [T, 3, H, W]."""
        if (tables := self._tables.get(pictures.colour)) is None:
            if len(self._tables) == _KEPT:
                self._tables.clear()
            found = rgb_tables(pictures.colour)
            tables = (
                torch.from_numpy(found.kinds).to(self._device),
                torch.from_numpy(found.values).to(self._device),
            )
            self._tables[pictures.colour] = tables
        rgb = nv12_to_rgb(torch.as_tensor(pictures.planes, device=self._device), *tables)
        upright = rgb.rot90(pictures.quarter_turns, (2, 3))
        if pictures.slots == tuple(range(len(rgb))):
            return upright
        return upright[torch.tensor(pictures.slots, device=self._device)]


def nv12_to_rgb(planes_TRW: Tensor, kinds_3C: Tensor, values_3KY: Tensor) -> Tensor:
    """Converts pictures exactly as the tables say.

    Args:
        planes_TRW: uint8 [T, 3/2 H, W]; H and W are even.
        kinds_3C: int32 [3, 65536], on the same device; see ``RgbTables``.
        values_3KY: uint8 [3, K, 256], likewise.

    Returns:
        uint8 [T, 3, H, W].
    """
    pictures, rows, width = planes_TRW.shape
    height = rows // 3 * 2
    out_T3HW = torch.empty(pictures, 3, height, width, dtype=torch.uint8, device=planes_TRW.device)
    if planes_TRW.is_cuda and importlib.util.find_spec("triton") is not None:
        from framescribe.video.nvdec.kernel import convert

        convert(planes_TRW, kinds_3C, values_3KY, out_T3HW)
        return out_T3HW
    for planes_RW, out_3HW in zip(planes_TRW, out_T3HW, strict=True):
        y_HW = planes_RW[:height].long()
        u, v = planes_RW[height:].view(height // 2, width // 2, 2).long().unbind(-1)
        for kinds_C, values_KY, out_HW in zip(kinds_3C, values_3KY, out_3HW, strict=True):
            kinds = kinds_C[u * 256 + v].repeat_interleave(2, 0).repeat_interleave(2, 1)
            out_HW.copy_(values_KY[kinds.long(), y_HW])
    return out_T3HW
