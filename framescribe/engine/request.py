"""What goes into the engine and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from framescribe.types import FinishReason, GenerationSettings, Prompt

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One caption to generate.

    Attributes:
        id: names the completion.
        prompt: without labels.
        pixels_P3SS: normalised pictures [P, 3, S, S] of any float dtype and device; None for text only.
        settings: how to decode.
        picture_of_frame: the number of the picture that each of the prompt's frames shows; None where each has its own.
        pools: whether the completion is to hold the frames' pooled features.
    """

    id: str
    prompt: Prompt
    pixels_P3SS: Tensor | None
    settings: GenerationSettings
    picture_of_frame: tuple[int, ...] | None = None
    pools: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """One finished request.

    Attributes:
        id: of its request.
        token_ids: what was generated, without the end-of-text token.
        finish_reason: ``stop`` at end of text, ``length`` at the token limit, ``loop`` where it certainly loops
            (``loops.py``), ``error`` where it cannot be computed.
        error: why, for ``error``.
        pooled: of its frames, where the request asked for that: float16 [size] on the host (``model/pooling.py``).
    """

    id: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    error: str | None = None
    pooled: Tensor | None = None
