"""What a model sees of clips without captioning them: their features, and what heads say of these.

To a score run these are scorers like the others, which the vision tower measures rather than a decoding process.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from framescribe.errors import ClipError, DeviceError
from framescribe.feature_row import features_of
from framescribe.heads.head import HEAD_VERSION, Head
from framescribe.measured import Measured
from framescribe.model_spec import ModelSpec
from framescribe.pipeline.beside import check_heads
from framescribe.pipeline.scoring import Scored, ScoreTask, decoders, score_one, side_by_side
from framescribe.scores.measure import all_failed
from framescribe.scores.scorer import Score, Scorer
from framescribe.task import DecodeLimits
from framescribe.types import Clip, Frames, FrameSampling
from framescribe.video.decode import decode_frames
from framescribe.video.workers import DecodeWorkers

if TYPE_CHECKING:
    from framescribe.captioner import Captioner

log = logging.getLogger("framescribe")

_VERSION = 1


class _Decoded(NamedTuple):
    """A clip on its way: what scorers found, and for which others which pictures go to the model."""

    clip: Clip
    measured: tuple[Measured, ...]
    sights: tuple[Scorer, ...] = ()
    pictures: tuple[Any, tuple[int, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Seeing:
    """What is asked of a model.

    Attributes:
        model: whose vision tower runs.
        sampling: which frames it sees.
        heads: score what it sees.
        keeps_features: whether features are kept.
    """

    model: ModelSpec
    sampling: FrameSampling
    heads: tuple[Head, ...]
    keeps_features: bool

    def scorers(self) -> tuple[Scorer, ...]:
        """What it gives, as scorers; the features' one has their name, so that those of another model are others.

        Raises:
            UsageError: there is no such model, or a head was taught with features of another one.
        """
        from framescribe.model.hub import fetch_checkpoint

        model = self.model
        found = fetch_checkpoint(model.name, model.revision, model.adapter)
        check_heads(self.heads, found.name, found.revision)
        name = features_of(found.name, found.revision)
        kept = (Scorer(name, _VERSION, (), features_of=name),) * self.keeps_features
        return (*kept, *map(_as_scorer, self.heads))

    def seen_here(self, tasks: Iterator[ScoreTask], limits: DecodeLimits) -> Iterator[Scored]:
        """As ``scored_here``, of tasks whose scorers may be among ``scorers``; the model is loaded at the first.

        Raises:
            UsageError: the model cannot be loaded.
            DeviceError: the device failed.
        """
        from framescribe.captioner import Captioner
        from framescribe.model.device_errors import explain_out_of_memory

        captioner = Captioner.from_pretrained(self.model, batch_size=1, decoder="cpu")
        with decoders(limits) as (workers, pool, count):
            look = partial(self._decoded, workers=workers, captioner=captioner)
            for clip, measured, sights, pictures in side_by_side(tasks, look, pool, count):
                seen: tuple[Measured, ...] = ()
                if pictures is not None:
                    with explain_out_of_memory("for the frames of a clip"):
                        vector_D = captioner.engine.pool(*pictures).numpy()
                    seen = tuple(self._measured(each, vector_D, len(pictures[1])) for each in sights)
                yield clip, (*measured, *seen)

    def _decoded(self, task: ScoreTask, workers: DecodeWorkers | None, captioner: Captioner) -> _Decoded:
        clip, scorers = task
        sights = tuple(each for each in scorers if each.features_of == each.name or each.name in self._heads)
        others = tuple(each for each in scorers if each not in sights)
        if not sights:
            return _Decoded(*score_one(task, workers))
        try:
            with _frames(clip, self.sampling, others, workers) as frames:
                pictures = captioner.preparer.pictures(frames.pixels)
                return _Decoded(clip, frames.measured, sights, pictures)
        except ClipError as error:
            return _Decoded(clip, all_failed(scorers, error.stage, str(error)))
        except Exception as error:  # the one boundary: whatever a clip does, it is rows
            from framescribe.model.device_errors import is_device_failure

            if is_device_failure(error):
                raise DeviceError(f"{self.model.device} failed: {error}") from error
            log.debug("%s", clip.source_video, exc_info=True)
            return _Decoded(
                clip, all_failed(scorers, "decode", f"{clip.source_video}: {type(error).__name__}: {error}")
            )

    @property
    def _heads(self) -> dict[str, Head]:
        return {head.scorer: head for head in self.heads}

    def _measured(self, sight: Scorer, vector_D: np.ndarray[Any, Any], num_frames: int) -> Measured:
        values: tuple[float, ...] = ()
        if (head := self._heads.get(sight.name)) is not None:
            values = tuple(map(float, head.probabilities(vector_D[None])[0]))
        vector = vector_D.astype("<f2").tobytes() if sight.features_of else None
        name = sight.features_of or ""
        return Measured(sight.name, sight.version, sight.names, values, num_frames, vector, name)


def _as_scorer(head: Head) -> Scorer:
    return Scorer(head.scorer, HEAD_VERSION, tuple(Score(label, "", "", "") for label in head.labels))


def _frames(
    clip: Clip, sampling: FrameSampling, scorers: tuple[Scorer, ...], workers: DecodeWorkers | None
) -> AbstractContextManager[Frames]:
    if workers is None:
        return nullcontext(decode_frames(clip, sampling, scorers=scorers))
    return workers.decoded(clip, sampling, scorers)
