"""framescribe: video in, dense captions out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from framescribe.version import __version__

if TYPE_CHECKING:
    from framescribe.captioner import Captioner
    from framescribe.errors import ClipError, DeviceError, FramescribeError, UsageError
    from framescribe.types import CaptionRow, CaptionSettings, Clip, FrameSampling, GenerationSettings

__all__ = [
    "CaptionRow",
    "CaptionSettings",
    "Captioner",
    "Clip",
    "ClipError",
    "DeviceError",
    "FrameSampling",
    "FramescribeError",
    "GenerationSettings",
    "UsageError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # Lazy, so that `import framescribe` loads no torch and `framescribe --help` answers at once.
    if name == "Captioner":
        from framescribe.captioner import Captioner

        return Captioner
    if name in __all__:
        from framescribe import errors, types

        return getattr(errors if name.endswith("Error") else types, name)
    raise AttributeError(f"module 'framescribe' has no attribute {name!r}")
