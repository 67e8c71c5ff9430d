"""What became of a clip under one prompt, as its row: the one place that fills the columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from framescribe.caption_row import CaptionRow
from framescribe.errors import ErrorStage
from framescribe.feature_row import FeatureRow, features_of
from framescribe.quality.checks import caption_status, check
from framescribe.shown import shorten
from framescribe.task import ClipTask, Question
from framescribe.types import CaptionSettings, Clip, FinishReason, Frames
from framescribe.version import __version__


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes the rows of one loaded model.

    Attributes:
        model, model_revision, precision: as rows record them; None where a server does not tell.
    """

    model: str
    model_revision: str | None
    precision: str | None

    def failed(
        self, task: ClipTask, settings: CaptionSettings, stage: ErrorStage, reason: str
    ) -> tuple[CaptionRow, ...]:
        """The rows of a clip that has no caption."""
        return tuple(
            CaptionRow(
                caption_status="error",
                error_stage=stage,
                error_message=shorten(reason),
                **self._common(task.clip, question, settings),
            )
            for question in task.questions
        )

    def captioned(
        self,
        clip: Clip,
        question: Question,
        settings: CaptionSettings,
        frames: Frames,
        *,
        text: str,
        finish_reason: FinishReason,
        prompt_tokens: int | None,
        output_tokens: int | None,
    ) -> CaptionRow:
        """The row of a caption, ``text``, checked; the frames' pixels are not needed any more."""
        caption = text.strip()
        is_truncated = finish_reason == "length"
        flags = check(caption, is_truncated=is_truncated, loops=finish_reason == "loop")
        facts = frames.facts
        damage = None
        if facts.missing_s > 0:
            promised_s = facts.duration_s + facts.missing_s
            damage = (
                f"{clip.source_video}: {facts.missing_s:.2f} s of {promised_s:.2f} s cannot be read; "
                "the caption is of the rest"
            )
        return CaptionRow(
            caption_status=caption_status(flags, is_truncated=is_truncated),
            flags=flags,
            duration_s=facts.duration_s,
            width=facts.width,
            height=facts.height,
            fps=facts.fps,
            codec=facts.codec,
            missing_s=facts.missing_s,
            caption=caption,
            caption_raw=text,
            finish_reason=finish_reason,
            error_message=damage,
            frame_indices=frames.indices,
            frame_timestamps_s=frames.timestamps_s,
            covered_s=frames.covered_s,
            decoder=frames.decoder,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            **self._common(clip, question, settings),
        )

    def features(self, clip: Clip, pooled: bytes, num_frames: int) -> FeatureRow:
        """The row of a clip's pooled features."""
        return FeatureRow(
            clip_id=clip.id,
            source_video=clip.source_video,
            start_s=clip.start_s,
            end_s=clip.end_s,
            features_of=features_of(self.model, self.model_revision),
            features=pooled,
            num_frames=num_frames,
            engine_version=__version__,
            created_at=_now(),
        )

    def _common(self, clip: Clip, question: Question, settings: CaptionSettings) -> dict[str, Any]:
        """Columns that every row has: the clip, how it was to be captioned, and by what."""
        generation = settings.generation
        return {
            "clip_id": clip.id,
            "source_video": clip.source_video,
            "start_s": clip.start_s,
            "end_s": clip.end_s,
            "strategy": settings.sampling.strategy,
            "num_frames": settings.sampling.num_frames,
            "sample_fps": settings.sampling.fps,
            "template": settings.resolved_template,
            "prompt": question.text,
            "prompt_index": question.index,
            "model": self.model,
            "model_revision": self.model_revision,
            "precision": self.precision,
            "max_new_tokens": generation.max_new_tokens,
            "temperature": generation.temperature,
            "top_p": generation.top_p,
            "repetition_penalty": generation.repetition_penalty,
            "seed": generation.seed,
            "stop_loops": generation.stop_loops,
            "engine_version": __version__,
            "created_at": _now(),
        }


def created_now(row: CaptionRow) -> CaptionRow:
    """The row as of this moment: a caption is made when its last repair is."""
    return replace(row, created_at=_now())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
