"""Pictures as a GPU's decoder leaves them, before they are RGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Colour:
    """What a frame says of its values, in FFmpeg's names and numbers: all that the conversion to RGB may depend on."""

    format: str
    space: int
    range: int
    primaries: int
    transfer: int


@dataclass(frozen=True, slots=True, eq=False)
class Yuv:
    """Pictures as they are stored, neither converted nor turned.

    Attributes:
        planes: uint8 [P, 3/2 H, W] in memory of a GPU or of the host: each picture's luma, then its chroma in pairs; an
            array, or what ``torch.as_tensor`` takes. None while it crosses processes.
        size: W and H in pixels; both are even.
        colour: how they become RGB.
        quarter_turns: by which they are turned counterclockwise to be upright.
        slots: of each of the clip's frames, its picture; one may be several frames.
    """

    planes: Any
    size: tuple[int, int]
    colour: Colour
    quarter_turns: int
    slots: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of ``planes``."""
        width, height = self.size
        return max(self.slots) + 1, height * 3 // 2, width
