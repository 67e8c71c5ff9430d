"""framescribe: video in, dense captions out.

>>> from framescribe import Captioner
>>> captioner = Captioner.from_pretrained()  # the small bundled model
>>> for row in captioner.caption("clips/"):
...     print(row.caption)
A kite ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from framescribe.version import __version__

if TYPE_CHECKING:
    from framescribe.caption_row import CaptionRow
    from framescribe.captioner import Captioner
    from framescribe.dataset.dataset import Dataset
    from framescribe.decisions.decisions import Decisions
    from framescribe.endpoint.captioner import EndpointCaptioner
    from framescribe.endpoint.spec import Endpoint
    from framescribe.errors import ClipError, DeviceError, FramescribeError, UsageError
    from framescribe.heads.apply import apply_heads
    from framescribe.heads.similar import similar
    from framescribe.heads.teach import teach
    from framescribe.importing.run import ImportSummary, import_captions
    from framescribe.model_spec import ModelSpec
    from framescribe.pipeline.caption_run import Ray
    from framescribe.pipeline.near_duplicates import NearDuplicates, near_duplicates
    from framescribe.pipeline.observer import Observer, RunSummary
    from framescribe.pipeline.run import caption
    from framescribe.pipeline.score_run import score
    from framescribe.profiles.filter import FilterReport, filter
    from framescribe.reviewing.serve import review
    from framescribe.rewrite_row import RewriteRow
    from framescribe.rewriting.run import rewrite
    from framescribe.score_row import ScoreRow
    from framescribe.serving.batches import BatchSummary, run_batch
    from framescribe.serving.run import serve
    from framescribe.serving.settings import ServerSettings
    from framescribe.task import DecodeLimits
    from framescribe.types import CaptionSettings, Clip, FrameSampling, GenerationSettings
    from framescribe.video_frames import VideoFrames

_HOMES = {
    "BatchSummary": "serving.batches",
    "Captioner": "captioner",
    "CaptionRow": "caption_row",
    "CaptionSettings": "types",
    "Clip": "types",
    "ClipError": "errors",
    "Dataset": "dataset.dataset",
    "Decisions": "decisions.decisions",
    "DecodeLimits": "task",
    "DeviceError": "errors",
    "Endpoint": "endpoint.spec",
    "EndpointCaptioner": "endpoint.captioner",
    "FilterReport": "profiles.filter",
    "FrameSampling": "types",
    "FramescribeError": "errors",
    "GenerationSettings": "types",
    "UsageError": "errors",
    "ImportSummary": "importing.run",
    "ModelSpec": "model_spec",
    "NearDuplicates": "pipeline.near_duplicates",
    "Observer": "pipeline.observer",
    "RewriteRow": "rewrite_row",
    "Ray": "pipeline.caption_run",
    "RunSummary": "pipeline.observer",
    "ScoreRow": "score_row",
    "ServerSettings": "serving.settings",
    "VideoFrames": "video_frames",
    "apply_heads": "heads.apply",
    "caption": "pipeline.run",
    "import_captions": "importing.run",
    "filter": "profiles.filter",
    "near_duplicates": "pipeline.near_duplicates",
    "review": "reviewing.serve",
    "rewrite": "rewriting.run",
    "run_batch": "serving.batches",
    "score": "pipeline.score_run",
    "serve": "serving.run",
    "similar": "heads.similar",
    "teach": "heads.teach",
}

__all__ = [
    "BatchSummary",
    "CaptionRow",
    "CaptionSettings",
    "Captioner",
    "Clip",
    "ClipError",
    "Dataset",
    "Decisions",
    "DecodeLimits",
    "DeviceError",
    "Endpoint",
    "EndpointCaptioner",
    "FilterReport",
    "FrameSampling",
    "FramescribeError",
    "GenerationSettings",
    "ImportSummary",
    "ModelSpec",
    "NearDuplicates",
    "Observer",
    "Ray",
    "RewriteRow",
    "RunSummary",
    "ScoreRow",
    "ServerSettings",
    "UsageError",
    "VideoFrames",
    "__version__",
    "apply_heads",
    "caption",
    "filter",
    "import_captions",
    "near_duplicates",
    "review",
    "rewrite",
    "run_batch",
    "score",
    "serve",
    "similar",
    "teach",
]


def __getattr__(name: str) -> Any:
    # Lazy, so that `import framescribe` loads no torch and `framescribe --help` answers at once.
    if name not in _HOMES:
        raise AttributeError(f"module 'framescribe' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"framescribe.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
