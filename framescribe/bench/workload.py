"""What a benchmark runs: how many clips of what size, and the prompt and frames that stand for them."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framescribe.errors import UsageError
from framescribe.prompt import position_ids
from framescribe.types import Prompt

if TYPE_CHECKING:
    import numpy as np

    from framescribe.model.config import ModelConfig

# More clips than these show the same frames again: random ones take time to draw, and memory.
_DISTINCT_CLIPS = 16


@dataclass(frozen=True, slots=True)
class Workload:
    """Clips of one size.

    Attributes:
        clips: of a run.
        frames: of a clip.
        prompt_tokens: of a clip, BOS and the frames' slots included.
        new_tokens: that every clip gets, exactly.
        batch: clips that decode together at most.
        width, height: of the uint8 frames, in pixels.
    """

    clips: int
    frames: int
    prompt_tokens: int
    new_tokens: int
    batch: int
    width: int
    height: int

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            # Prefill makes the first token; with one more there is a decode step to measure.
            least = 2 if name == "new_tokens" else 1
            if (value := getattr(self, name)) < least:
                raise UsageError(f"`{name}` must be at least {least}, not {value}")

    @property
    def decoding(self) -> int:
        """Clips that decode together."""
        return min(self.batch, self.clips)

    def prompt(self, config: ModelConfig) -> Prompt:
        """BOS, the frames' slots at their published positions, then random text.

        Raises:
            UsageError: the frames need more tokens than the prompt has.
        """
        slots = self.frames * config.vision_config.tokens_per_frame
        if self.prompt_tokens < 1 + slots:
            raise UsageError(
                f"{self.frames} frames of {config.vision_config.tokens_per_frame} tokens and BOS need a prompt of at "
                f"least {1 + slots} tokens, not {self.prompt_tokens}; use fewer `frames` or more `prompt_tokens`"
            )
        text = random.Random(0).choices(range(config.vocab_size), k=self.prompt_tokens - 1 - slots)
        is_vision = (False, *[True] * slots, *[False] * len(text))
        positions = position_ids(is_vision)
        ids = (config.bos_token_id, *[config.pad_token_id] * slots, *text)
        return Prompt(ids, tuple(positions), is_vision, positions[-1] + 1)

    def draw_frames(self) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
        """Random frames in host memory, uint8 [F, 3, height, width] a clip; clips take them in turn."""
        import numpy as np

        shape = (self.frames, 3, self.height, self.width)
        dice = np.random.default_rng(0)
        return [dice.integers(0, 256, shape, dtype=np.uint8) for _ in range(min(self.clips, _DISTINCT_CLIPS))]


@dataclass(frozen=True, slots=True)
class Preset:
    """A workload but for the model's tokens per frame.

    Attributes:
        clips, frames, new_tokens, batch: as in ``Workload``.
        text_tokens: of the prompt, BOS included.
    """

    clips: int
    frames: int
    text_tokens: int
    new_tokens: int
    batch: int

    def workload(self, config: ModelConfig, **given: int | None) -> Workload:
        """The preset's values but for those that are ``given`` and not None; the frame size is one of 16:9."""
        chosen = {name: value for name, value in given.items() if value is not None}
        frames = chosen.get("frames", self.frames)
        prompt_tokens = frames * config.vision_config.tokens_per_frame + self.text_tokens
        defaults = Workload(self.clips, frames, prompt_tokens, self.new_tokens, self.batch, 398, 224)
        return dataclasses.replace(defaults, **chosen)


# The published 24 frames and 200 tokens; the 6 s clip of CogVideoX's training sets with its caption of about 95 words;
# and one that a bundled model runs on a CPU in seconds.
LONG = Preset(clips=128, frames=24, text_tokens=38, new_tokens=200, batch=128)
SHORT = Preset(clips=512, frames=7, text_tokens=20, new_tokens=130, batch=256)
SMALL = Preset(clips=8, frames=4, text_tokens=20, new_tokens=32, batch=8)
