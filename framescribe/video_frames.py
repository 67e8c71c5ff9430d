"""A video that is in memory as pictures, not as a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framescribe.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class VideoFrames:
    """Pictures with the times at which they are shown: a source for ``Captioner``, or a ``Clip``'s ``data``.

    They take the way of decoded frames, so a file's frames give the caption that the file gives.

    Args:
        pictures: uint8, RGB, upright: one NumPy array or torch tensor of shape [T, H, W, 3] or [T, 3, H, W]; or a
            sequence of T pictures of one size, each a PIL image (of any mode), or an array or tensor of shape
            [H, W, 3] or [3, H, W]. T >= 1. An array is not copied: leave it as it is until its row is there.
        fps: pictures per second. Give either this or ``timestamps_s``.
        timestamps_s: T ascending seconds; they are counted from the first one. The last picture is taken to be shown
            for as long as the one before it.
        name: the row's ``source_video``; ``frames:`` and a hash of the pictures if not given.

    Attributes:
        pixels: uint8 [T, 3, H, W].
        timestamps_s: float64 [T], seconds from the first picture.
        duration_s: until the last picture is over.
        fps: the average rate.
        name: as given, or made.

    Raises:
        UsageError: another shape or dtype, or times that do not fit; the message says what was given.

    Examples:
        >>> import numpy as np
        >>> frames = VideoFrames(np.zeros((48, 180, 320, 3), np.uint8), fps=24)
        >>> frames.pixels.shape, frames.duration_s
        ((48, 3, 180, 320), 2.0)
    """

    __slots__ = ("duration_s", "fps", "name", "pixels", "timestamps_s")

    def __init__(
        self,
        pictures: Any,
        *,
        fps: float | None = None,
        timestamps_s: Sequence[float] | None = None,
        name: str | None = None,
    ) -> None:
        import numpy as np

        self.pixels = _pixels(pictures)
        count = len(self.pixels)
        if (fps is None) == (timestamps_s is None):
            raise UsageError("give either `fps` or `timestamps_s`: when each picture is shown")
        if fps is not None:
            if not (np.isfinite(fps) and fps > 0):
                raise UsageError(f"`fps` must be above 0, not {fps!r}")
            self.timestamps_s = np.arange(count) / fps
            self.duration_s = count / fps
            self.fps = float(fps)
        else:
            times = np.asarray(timestamps_s, np.float64)
            if times.shape != (count,):
                raise UsageError(f"`timestamps_s` must be {count} numbers, one a picture, not {times.shape}")
            if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
                raise UsageError("`timestamps_s` must be finite and ascending")
            self.timestamps_s = times - times[0]
            last_s = float(times[-1] - times[-2]) if count > 1 else 0.0
            self.duration_s = float(self.timestamps_s[-1]) + last_s
            self.fps = count / self.duration_s if self.duration_s else 1.0
        self.name = f"frames:{self._digest()}" if name is None else name

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        count, _, height, width = self.pixels.shape
        return f"VideoFrames({self.name!r}: {count} pictures of {width}×{height}, {self.duration_s:.3g} s)"

    def _digest(self) -> str:
        import numpy as np

        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        digest.update(self.timestamps_s.tobytes())
        for picture in self.pixels:
            digest.update(np.ascontiguousarray(picture).data)
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedFrames:
    """The chosen frames of a video as picture files: all of them are seen, in this order. Decoded like a video file.

    Attributes:
        pictures: T files, JPEG, PNG or WebP.
        indices: of the frames within the video, T of them.
        timestamps_s: T seconds from the video's start.
        covered_s: seconds of the video that the frames stand for.
        duration_s, fps, num_frames: of the whole video.
    """

    pictures: tuple[bytes, ...]
    indices: tuple[int, ...]
    timestamps_s: tuple[float, ...]
    covered_s: float
    duration_s: float
    fps: float
    num_frames: int


def _pixels(pictures: Any) -> Pixels:
    """uint8 [T, 3, H, W] of whatever ``VideoFrames`` takes."""
    import numpy as np

    if not hasattr(pictures, "shape"):
        try:
            each = [_channels_first(_array(picture), 3) for picture in pictures]
        except TypeError as error:
            raise UsageError(
                f"pictures must be an array or a sequence, not {type(pictures).__name__}"
            ) from error
        if not each:
            raise UsageError("there are no pictures")
        if sizes := {picture.shape for picture in each} - {each[0].shape}:
            raise UsageError(f"all pictures must have one size; there are {each[0].shape} and {sizes.pop()}")
        return np.stack(each)
    pixels = _channels_first(_array(pictures), 4)
    if len(pixels) == 0:
        raise UsageError("there are no pictures")
    return pixels


def _array(pictures: Any) -> np.ndarray[Any, Any]:
    """A NumPy array of a PIL image, a tensor on any device, or what NumPy takes for one."""
    import numpy as np

    if hasattr(pictures, "convert") and hasattr(pictures, "mode"):
        pictures = pictures.convert("RGB")
    elif hasattr(pictures, "detach"):
        pictures = pictures.detach().cpu()
    array = np.asarray(pictures)
    if array.dtype != np.uint8:
        raise UsageError(
            f"pictures must be uint8, 0 to 255, not {array.dtype}; floats from 0 to 1 become so by "
            "(x * 255).round().astype('uint8')"
        )
    return array


def _channels_first(array: np.ndarray[Any, Any], dimensions: int) -> np.ndarray[Any, Any]:
    """[…, H, W, 3] as [..., 3, H, W]; that shape as it is."""
    import numpy as np

    shape = array.shape
    is_first, is_last = (len(shape) == dimensions and shape[axis] == 3 for axis in (dimensions - 3, -1))
    if is_first and is_last:
        raise UsageError(f"shape {shape} can be read in two ways; pictures must be wider than 3 pixels")
    if not (is_first or is_last) or 0 in shape[-3:]:
        wanted = "[T, H, W, 3] or [T, 3, H, W]" if dimensions == 4 else "[H, W, 3] or [3, H, W]"
        raise UsageError(f"pictures must have the shape {wanted}, RGB, not {list(shape)}")
    return array if is_first else np.moveaxis(array, -1, -3)
