"""Text in the picture: how much of it is covered, and whether it stands, as subtitles, logos and captions burnt in do.

PP-OCR finds and reads it, through rapidocr, whose wheel holds the weights: nothing is fetched. Most published
thresholds are of the area that detection marks (EasyAnimate, Allegro, Goku, UltraVideo); Open-Sora counts only what is
read with confidence. All that rapidocr's detector marks has a score of its own, as others get it: animals, doors and
wheels are among it, so that the other scores are of boxes that may be lines of text. That a box stands is judged as in
NVIDIA's curation of Cosmos (cosmos-curate): by its overlap with the one before it, and by whether it lies in a corner.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.errors import UsageError
from framescribe.scores.pictures import ClipPictures, Pixels

READ_CONFIDENCE = 0.7
"""Open-Sora's: what is read with less is not sure to be text."""

SAME_BOX_IOU = 0.7
"""Two boxes that overlap so far are the same text. NVIDIA asks for 0.9 of neighbouring frames; here seconds may lie
between pictures, and the edges of a box vary with what is behind it."""

CORNER_SHARE = 0.1
HIGHEST_BOX, HIGHEST_LINE, LINE_ASPECT = 0.2, 1 / 3, 2.0
"""Of the picture's height; the second where a box is so many times as wide as it is high. What detection marks beyond
that are mostly things."""

SUBTITLE_TOP = 0.7
"""Below this share of the height, text around the middle is a subtitle."""

_LEAST_SIDE = 8  # no letter is lower
_MOST_ASPECT = 4.0
"""Strips are read between black bars: rapidocr enlarges a picture until its shorter side has 736 pixels."""


@dataclass(frozen=True, slots=True)
class Box:
    """What is marked as text.

    Attributes:
        edges: left, top, right and bottom, as shares of the picture.
        confidence: how surely it was read; 0 if it was not.
        aspect: width divided by height, in pixels.
    """

    edges: NDArray[np.float64]
    confidence: float = 0.0
    aspect: float = 1.0

    @property
    def may_be_line(self) -> bool:
        """Whether it has the shape of a line of text."""
        height = self.edges[3] - self.edges[1]
        return bool(height <= (HIGHEST_LINE if self.aspect >= LINE_ASPECT else HIGHEST_BOX))


def measure(pictures: ClipPictures) -> Mapping[str, float]:
    """Area, persistence and place of text, over the large pictures."""
    marked = [find_text(picture_HW3) for picture_HW3 in pictures.large_KHW3]
    found = [[box for box in boxes if box.may_be_line] for boxes in marked]
    read = [[box for box in boxes if box.confidence > READ_CONFIDENCE] for boxes in found]
    return {
        "text_area_share": _mean(covered(boxes) for boxes in found),
        "read_text_area_share": _mean(covered(boxes) for boxes in read),
        "detected_text_area_share": _mean(covered(boxes) for boxes in marked),
        "text_persistence": persistence(read),
        "subtitle_share": _mean(any(map(_is_subtitle, boxes)) for boxes in read),
        "corner_text_share": _mean(any(map(_is_in_corner, boxes)) for boxes in read),
    }


def find_text(picture_HW3: Pixels) -> list[Box]:
    """What detection marks in an RGB picture, with rapidocr's own settings; lines are read."""
    height, width = picture_HW3.shape[:2]
    if min(height, width) < _LEAST_SIDE:
        return []
    bars = [(0, max(0, math.ceil(max(height, width) / _MOST_ASPECT) - side)) for side in (height, width)]
    bgr = np.ascontiguousarray(np.pad(picture_HW3[..., ::-1], (*bars, (0, 0))))
    engine = _engine()
    found = engine(bgr, use_det=True, use_cls=False, use_rec=False)
    if found.boxes is None:
        return []
    corners = np.asarray(found.boxes, np.float64) / (width, height)
    boxes = []
    for edges in np.clip(np.concatenate([corners.min(1), corners.max(1)], axis=1), 0, 1):
        across, down = (edges[2:] - edges[:2]) * (width, height)
        boxes.append(Box(edges, aspect=across / max(down, 1e-9)))
    lines = [number for number, box in enumerate(boxes) if box.may_be_line]
    if not lines:
        return boxes
    read = engine.recognize_txt(engine.crop_text_regions(bgr, found.boxes[lines]))
    for number, text, confidence in zip(lines, read.txts, read.scores, strict=True):
        boxes[number] = replace(boxes[number], confidence=float(confidence) if text.strip() else 0.0)
    return boxes


def covered(boxes: Sequence[Box]) -> float:
    """The share of the picture that is in at least one of the boxes."""
    if not boxes:
        return 0.0
    edges = np.array([box.edges for box in boxes])
    x, y = np.unique(edges[:, 0::2]), np.unique(edges[:, 1::2])
    is_in = np.zeros((len(y) - 1, len(x) - 1), bool)
    for left, top, right, bottom in edges:
        is_in |= np.outer((y[:-1] >= top) & (y[1:] <= bottom), (x[:-1] >= left) & (x[1:] <= right))
    return float((is_in * np.outer(np.diff(y), np.diff(x))).sum())


def persistence(found: Sequence[Sequence[Box]]) -> float:
    """The largest share of the pictures, in a row or not, in which one text stands at the same place; 0 if none does.

    Args:
        found: the boxes of each picture.
    """
    tracks: list[tuple[NDArray[np.float64], int]] = []
    for boxes in found:
        going_on = []
        for box in boxes:
            before = [count for edges, count in tracks if overlap(edges, box.edges) >= SAME_BOX_IOU]
            going_on.append((box.edges, 1 + max(before, default=0)))
        tracks = [
            track for track in tracks if all(overlap(track[0], edges) < SAME_BOX_IOU for edges, _ in going_on)
        ] + going_on
    return max((count for _, count in tracks), default=0) / max(1, len(found))


def overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes, each by its left, top, right and bottom edge."""
    inner = np.maximum(0.0, np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])).prod()
    union = (one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - inner
    return float(inner / union) if union > 0 else 0.0


def _is_subtitle(box: Box) -> bool:
    left, top, right, _ = box.edges
    return bool(top >= SUBTITLE_TOP and left < 0.5 < right and abs((left + right) / 2 - 0.5) < CORNER_SHARE)


def _is_in_corner(box: Box) -> bool:
    centre = (box.edges[:2] + box.edges[2:]) / 2
    return bool((np.minimum(centre, 1 - centre) <= CORNER_SHARE).all())


def _mean(values: Any) -> float:
    return float(np.mean([float(value) for value in values]))


@functools.cache
def _engine() -> Any:
    """PP-OCR, loaded once a process. The models are named by their files, so that rapidocr looks for none itself."""
    from rapidocr import RapidOCR

    spec = find_spec("rapidocr")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "models"
    params: dict[str, Any] = {
        "Global.log_level": "critical",
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }
    for part in ("det", "rec"):
        models = sorted(folder.glob(f"*_{part}_*.onnx"))
        if not models:
            raise UsageError(
                f"rapidocr has no model in {folder}: the scorer text needs version 3.10 or newer"
            )
        params[f"{part.capitalize()}.model_path"] = str(models[-1])
    return RapidOCR(params=params)
