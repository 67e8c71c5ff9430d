"""Clips with captions, without end: the training data of the bundled model.

Every batch follows from (seed, step) alone, so training resumes from any step.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from framescribe.synthetic.captions import describe
from framescribe.synthetic.facts import Facts
from framescribe.synthetic.sampling import sample_facts
from framescribe.synthetic.staging import Staging, stage, tilted

if TYPE_CHECKING:
    import torch

SEEN_TIMES_S = tuple(float(second) for second in range(8))  # what the `chat` strategy takes of a clip of 7 s


@dataclass(frozen=True, slots=True)
class SyntheticClip:
    """What a clip shows, how, and what its caption says."""

    facts: Facts
    staging: Staging
    caption: str


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticBatch:
    """Frames and captions of B clips.

    Attributes:
        pixels: uint8 [B, 8, 3, 224, 224], RGB, the frames at 0, 1, …, 7 s.
        clips: what they show, with their captions.
    """

    pixels: torch.Tensor
    clips: Sequence[SyntheticClip]

    @property
    def captions(self) -> list[str]:
        return [clip.caption for clip in self.clips]

    @property
    def facts(self) -> list[Facts]:
        return [clip.facts for clip in self.clips]


def make_clip(seed: str, *, held_out: bool = False) -> SyntheticClip:
    """Draws one clip; equal arguments give equal clips.

    Args:
        seed: any text.
        held_out: whether the main subject does something that training never shows it do.
    """
    rng = random.Random(f"{'held out' if held_out else 'seen'}/{seed}")
    facts = sample_facts(rng, held_out=held_out)
    return SyntheticClip(facts, stage(facts, rng), describe(facts, rng))


def make_clips(
    seed: int, step: int, batch_size: int, *, held_out: bool = False, askew: float = 0.0
) -> list[SyntheticClip]:
    """Draws the clips of one batch, a share of their subjects askew; no torch: worker processes do it ahead."""
    clips = []
    for row in range(batch_size):
        name = f"{seed}/{step}/{row}"
        clip = make_clip(name, held_out=held_out)
        clips.append(replace(clip, staging=tilted(clip.staging, askew, random.Random(f"tilt/{name}"))))
    return clips


def make_batch(
    seed: int, step: int, batch_size: int, device: str = "cpu", *, held_out: bool = False
) -> SyntheticBatch:
    """Draws and renders one batch, with mild blur and noise; on one device, equal for equal arguments."""
    return render_batch(make_clips(seed, step, batch_size, held_out=held_out), seed, step, device)


def render_batch(
    clips: Sequence[SyntheticClip], seed: int, step: int, device: str = "cpu", *, compiled: bool = False
) -> SyntheticBatch:
    """Renders clips of ``make_clips``; ``seed`` and ``step`` decide the noise, ``compiled`` as for ``render``."""
    import torch

    from framescribe.synthetic.render import render

    noise_seed = random.Random(f"grain/{seed}/{step}").getrandbits(63)
    grain = torch.Generator(device).manual_seed(noise_seed)
    pixels = render(clips, SEEN_TIMES_S, device=device, grain=grain, compiled=compiled)
    return SyntheticBatch(pixels, clips)
