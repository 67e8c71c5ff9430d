"""What HDR10 says of the display that a video was mastered on, and of its light, as x264 takes it."""

from __future__ import annotations

import struct
from typing import Any

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame


def x264_light(frame: VideoFrame) -> list[str]:
    """Parameters of x264 for what a frame says; none if it says nothing.

    Source: AVMasteringDisplayMetadata and AVContentLightMetadata of FFmpeg's libavutil; units of SMPTE ST 2086
    (1/50,000 in chromaticity, 1/10,000 cd/m²).
    """
    found: list[str] = []
    side_data: Any = frame.side_data  # typed as if its keys were text
    mastering = side_data.get(Type.MASTERING_DISPLAY_METADATA)
    if mastering is not None and len(content := bytes(mastering)) == struct.calcsize("=22i"):
        *numbers, has_primaries, has_luminance = struct.unpack("=22i", content)
        if has_primaries and has_luminance and 0 not in numbers[1::2]:
            values = [a / b for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
            rx, ry, gx, gy, bx, by, wx, wy = (round(value * 50_000) for value in values[:8])
            darkest, brightest = (round(value * 10_000) for value in values[8:])
            found.append(
                f"mastering-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({brightest},{darkest})"
            )
    light = side_data.get(Type.CONTENT_LIGHT_LEVEL)
    if light is not None and len(content := bytes(light)) == struct.calcsize("=2I"):
        brightest, average = struct.unpack("=2I", content)
        found.append(f"cll={brightest},{average}")
    return found
