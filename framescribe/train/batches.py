"""Batches of training examples, each decided by its number alone, so that training resumes exactly."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from framescribe.errors import ClipError, UsageError
from framescribe.prompt import PromptBuilder
from framescribe.train.examples import Example, Examples
from framescribe.train.settings import TrainSettings
from framescribe.types import IGNORED_LABEL, Prompt
from framescribe.video.decode import decode_frames
from framescribe.video.transform import transform

if TYPE_CHECKING:
    from framescribe.synthetic.batches import SyntheticClip

# Sequences are padded to a multiple of this: few lengths, so that compiled code is reused.
_LENGTH_STEP = 32

log = logging.getLogger("framescribe")


@dataclass(frozen=True, slots=True, eq=False)
class TrainBatch:
    """B examples, padded at the end to L tokens.

    Attributes:
        clip_ids: of the examples.
        input_ids_BL, positions_BL, labels_BL: int64.
        is_vision_BL: bool.
        pixels_F3SS: normalised frames of all clips, clip after clip, float32.
        labelled_tokens: how many have a label.
    """

    clip_ids: Sequence[str]
    input_ids_BL: Tensor
    positions_BL: Tensor
    is_vision_BL: Tensor
    labels_BL: Tensor
    pixels_F3SS: Tensor
    labelled_tokens: int

    def to(self, device: torch.device) -> TrainBatch:
        """The batch on ``device``."""
        return TrainBatch(
            self.clip_ids,
            self.input_ids_BL.to(device, non_blocking=True),
            self.positions_BL.to(device, non_blocking=True),
            self.is_vision_BL.to(device, non_blocking=True),
            self.labels_BL.to(device, non_blocking=True),
            self.pixels_F3SS.to(device, non_blocking=True),
            self.labelled_tokens,
        )


def without_caption(batch: TrainBatch) -> tuple[Prompt, list[int]]:
    """Parts a batch of one clip into the prompt that asks for its caption, and the caption's tokens with EOS."""
    labels = batch.labels_BL[0].tolist()
    start = next(place for place, label in enumerate(labels) if label != IGNORED_LABEL)
    prompt = Prompt(
        tuple(batch.input_ids_BL[0, :start].tolist()),
        tuple(batch.positions_BL[0, :start].tolist()),
        tuple(batch.is_vision_BL[0, :start].tolist()),
        int(batch.positions_BL[0, start]),
    )
    return prompt, [label for label in labels if label != IGNORED_LABEL]


class BatchSource(Protocol):
    """Where batches come from."""

    def batches(self, numbers: Iterable[int]) -> Iterator[TrainBatch]:
        """The batches of these numbers, in order."""
        ...


def collate(clip_ids: Sequence[str], prompts: Sequence[Prompt], pixels_F3SS: Tensor) -> TrainBatch:
    """Pads prompts with labels to one length. Padding carries no label and, at the end, is seen by no token."""
    length = -(-max(map(len, prompts)) // _LENGTH_STEP) * _LENGTH_STEP

    def padded(rows: Iterable[Sequence[int]], filler: int) -> Tensor:
        table = np.full((len(prompts), length), filler)
        for place, row in enumerate(rows):
            table[place, : len(row)] = row
        return torch.from_numpy(table)

    return TrainBatch(
        clip_ids,
        padded((prompt.input_ids for prompt in prompts), 0),
        padded((prompt.position_ids for prompt in prompts), 0),
        padded((prompt.is_vision for prompt in prompts), 0).bool(),
        padded((prompt.labels or () for prompt in prompts), IGNORED_LABEL),
        pixels_F3SS,
        sum(label != IGNORED_LABEL for prompt in prompts for label in prompt.labels or ()),
    )


class ClipBatches:
    """Batches of clips from files: every epoch in another order, decoded by worker processes.

    A clip that cannot be read is reported and counted once; the next one in the epoch's order takes its place, so
    that batches stay whole and each follows from its number alone.

    Args:
        examples: usable ones; ``skipped`` grows by the unreadable.
        prompts: the model's.
        settings: prompt, frames, batch size, seed.
        image_size: side of the model's frames in pixels.
    """

    def __init__(
        self, examples: Examples, prompts: PromptBuilder, settings: TrainSettings, image_size: int
    ) -> None:
        self._examples = examples
        self._prompts = prompts
        self._settings = settings
        self._image_size = image_size
        self._unreadable: set[str] = set()

    def batches(self, numbers: Iterable[int]) -> Iterator[TrainBatch]:
        for batch, problems in _loader(self, numbers, self._settings):
            self._note(problems)
            if batch is None:
                raise UsageError("none of the clips can be read: nothing is left to train on")
            yield batch

    def one_by_one(self) -> Iterator[TrainBatch]:
        """The readable examples in their own order, each once, each a batch."""
        for example in self._examples.usable:
            try:
                clip_id, prompt, pixels = self._read(example)
            except ClipError as error:
                self._note([(example.clip.source_video, str(error))])
            else:
                yield collate([clip_id], [prompt], pixels)

    def _note(self, problems: Iterable[tuple[str, str]]) -> None:
        for source, reason in problems:
            if source not in self._unreadable:
                self._unreadable.add(source)
                self._examples.skipped.append((source, reason))
                log.warning("skipped %s (%d so far)", reason, len(self._examples.skipped))

    def __getitem__(self, number: int) -> tuple[TrainBatch | None, list[tuple[str, str]]]:
        """Batch ``number``, None if no clip at all can be read, and the (source, reason) of those that cannot."""
        read: list[tuple[str, Prompt, Tensor]] = []
        problems: list[tuple[str, str]] = []
        size = self._settings.batch_size
        for place in range(number * size, (number + 1) * size):
            for example in self._from(place):
                try:
                    read.append(self._read(example))
                    break
                except ClipError as error:
                    problems.append((example.clip.source_video, str(error)))
            else:
                return None, problems
        clip_ids, prompts, pixels = zip(*read, strict=True)
        return collate(clip_ids, prompts, torch.cat(pixels)), problems

    def _from(self, place: int) -> Iterator[Example]:
        """As many examples as there are, from a place of the endlessly repeated, reshuffled epochs on."""
        usable = self._examples.usable
        for candidate in range(place, place + len(usable)):
            yield usable[self._order(candidate // len(usable))[candidate % len(usable)]]

    def _order(self, epoch: int) -> list[int]:
        return _epoch_order(self._settings.seed, epoch, len(self._examples.usable))

    def _read(self, example: Example) -> tuple[str, Prompt, Tensor]:
        settings = self._settings
        frames = decode_frames(example.clip, settings.sampling)
        seconds = frames.text_seconds(settings.sampling)
        prompt = self._prompts.build(settings.prompt, settings.template, seconds, answer=example.caption)
        return example.clip.id, prompt, transform(frames.pixels, self._image_size)


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, length: int) -> list[int]:
    order = list(range(length))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return order


class SyntheticBatches:
    """Batches of the synthetic world: worker processes draw the clips, ``device`` renders them.

    Args:
        prompts: the model's.
        settings: prompt, batch size, the world's seed, the share askew, and whether rendering is compiled.
        device: renders and keeps the frames.
        image_size: side of the model's frames in pixels.
    """

    def __init__(
        self, prompts: PromptBuilder, settings: TrainSettings, device: torch.device, image_size: int
    ) -> None:
        from framescribe.synthetic.batches import SEEN_TIMES_S

        self._settings = settings
        self._prompts = prompts
        self._device = device
        self._image_size = image_size
        self._prompt = prompts.build(settings.prompt, settings.template, range(len(SEEN_TIMES_S)))

    def batches(self, numbers: Iterable[int]) -> Iterator[TrainBatch]:
        from framescribe.synthetic.batches import render_batch

        settings, device = self._settings, str(self._device)
        for number, (clips, tokens) in zip(numbers, _loader(self, numbers, settings), strict=True):
            frames = render_batch(clips, settings.seed, number, device, compiled=settings.compile).pixels
            yield replace(tokens, pixels_F3SS=transform(frames.flatten(0, 1), self._image_size))

    def __getitem__(self, number: int) -> tuple[list[SyntheticClip], TrainBatch]:
        """The clips of batch ``number`` and their tokens, without frames."""
        from framescribe.synthetic.batches import make_clips

        settings = self._settings
        clips = make_clips(settings.seed, number, settings.batch_size, askew=settings.askew)
        clip_ids = [f"synthetic/{settings.seed}/{number}/{row}" for row in range(len(clips))]
        prompts = [self._prompts.with_answer(self._prompt, clip.caption) for clip in clips]
        return clips, collate(clip_ids, prompts, torch.empty(0))


def _loader(batches: object, numbers: Iterable[int], settings: TrainSettings) -> Iterable[Any]:
    """The items of ``batches`` for ``numbers``, in order, made ahead by worker processes."""
    from torch.utils.data import DataLoader

    return DataLoader(
        batches,  # type: ignore[arg-type]  # any object with __getitem__ serves
        batch_size=None,
        sampler=numbers,
        num_workers=settings.workers,
    )
