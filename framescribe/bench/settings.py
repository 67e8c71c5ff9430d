"""What a benchmark measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from framescribe.bench.official import RANDOM_MODEL
from framescribe.bench.workload import LONG, SHORT, SMALL, Preset
from framescribe.errors import UsageError
from framescribe.model.precision import Precision

Source = Literal["frames", "mp4"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings:
    """What to measure.

    Attributes:
        model: as ``fetch_checkpoint`` takes it, or ``random``: the official sizes with random weights; None takes
            that on a GPU, and the bundled ``tiny`` on a CPU.
        precision: of the model.
        source: ``frames`` in memory, or those and ``mp4`` files.
        is_short: the 6 s clip instead of the 24 s one.
        clips, frames, prompt_tokens, new_tokens, batch, width, height: of the workload; None takes the preset's.
        repeat: runs, of which the median counts.
        baseline_tokens: of the baseline's clip that are timed; 0 for no baseline.
    """

    precision: Precision
    model: str | None = None
    source: Source = "frames"
    is_short: bool = False
    clips: int | None = None
    frames: int | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    batch: int | None = None
    width: int | None = None
    height: int | None = None
    repeat: int = 3
    baseline_tokens: int = 32

    def __post_init__(self) -> None:
        if self.precision.device.type not in ("cpu", "cuda"):
            raise UsageError(f"bench measures cpu and cuda, not {self.precision.device.type}")
        if self.source not in ("frames", "mp4"):
            raise UsageError(f"`source` takes frames or mp4, not {self.source!r}")
        if self.source == "mp4" and (self.frames or self.prompt_tokens):
            raise UsageError(
                "`source=mp4`: the files decide frames and prompt; leave out `frames` and `prompt_tokens`"
            )
        if self.repeat < 1:
            raise UsageError(f"`repeat` must be at least 1, not {self.repeat}")
        if self.baseline_tokens == 1 or self.baseline_tokens < 0:
            raise UsageError(f"`baseline_tokens` must be at least 2, not {self.baseline_tokens}")

    @property
    def model_name(self) -> str:
        return self.model or (RANDOM_MODEL if self.is_gpu else "tiny")

    @property
    def is_gpu(self) -> bool:
        return self.precision.device.type == "cuda"

    @property
    def preset(self) -> Preset:
        if self.is_short or (self.is_gpu and self.source == "mp4"):
            return SHORT
        return LONG if self.is_gpu else SMALL
