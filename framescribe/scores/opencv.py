"""OpenCV, which only this file imports: measurements take it from here."""

from __future__ import annotations

import cv2

cv2.setNumThreads(1)  # clips are measured side by side, each in a process of its own

__all__ = ["cv2"]
