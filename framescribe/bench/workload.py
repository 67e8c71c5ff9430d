"""What a benchmark runs: how many clips of what size, and the prompt and frames that stand for them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
        clips: in each run.
        frames: of each clip.
        text_tokens: of each prompt, BOS included; the frames' slots come on top.
        new_tokens: that are generated for each clip, exactly; at least 2, so that there is a decode step.
        batch: clips that decode together at most.
        width, height: of the uint8 frames, in pixels.
        frames_per_picture: frames in a row that are equal; divides ``frames``.
    """

    clips: int
    frames: int
    text_tokens: int
    new_tokens: int
    batch: int
    width: int = 398
    height: int = 224
    frames_per_picture: int = 1

    @property
    def decoding(self) -> int:
        """Clips that decode together."""
        return min(self.batch, self.clips)

    def prompt_tokens(self, config: ModelConfig) -> int:
        """Length of each prompt."""
        return self.frames * config.vision_config.tokens_per_frame + self.text_tokens

    def prompt(self, config: ModelConfig) -> Prompt:
        """BOS, the frames' slots at their published positions, then random text."""
        slots = self.frames * config.vision_config.tokens_per_frame
        text = random.Random(0).choices(range(config.vocab_size), k=self.text_tokens - 1)
        is_vision = (False, *[True] * slots, *[False] * len(text))
        positions = position_ids(is_vision)
        ids = (config.bos_token_id, *[config.pad_token_id] * slots, *text)
        return Prompt(ids, tuple(positions), is_vision, positions[-1] + 1)

    def draw_frames(self) -> list[np.ndarray[Any, np.dtype[np.uint8]]]:
        """Random frames in host memory, uint8 [F, 3, height, width] a clip; clips take them in turn."""
        import numpy as np

        shape = (self.frames // self.frames_per_picture, 3, self.height, self.width)
        generator = np.random.default_rng(0)
        return [
            generator.integers(0, 256, shape, dtype=np.uint8).repeat(self.frames_per_picture, axis=0)
            for _ in range(min(self.clips, _DISTINCT_CLIPS))
        ]


# The published 24 frames and 200 tokens; the 6 s clip of CogVideoX's training sets with its caption of about 95 words;
# and one that a bundled model runs on a CPU in seconds.
LONG = Workload(clips=128, frames=24, text_tokens=38, new_tokens=200, batch=128)
SHORT = Workload(clips=512, frames=7, text_tokens=20, new_tokens=130, batch=256)
SMALL = Workload(clips=8, frames=4, text_tokens=20, new_tokens=32, batch=8)
