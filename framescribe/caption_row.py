"""The row that a clip gives for a prompt: its columns are those of every table and file of captions."""

from __future__ import annotations

from dataclasses import dataclass

from framescribe.errors import ErrorStage
from framescribe.plain_row import PlainRow
from framescribe.types import SCHEMA_VERSION, CaptionStatus, Decoder, FinishReason, Strategy, Template
from framescribe.views import row_html, row_text


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CaptionRow(PlainRow):
    """What became of a clip under one prompt: its caption, and all that is needed to make it again.

    Every clip gives exactly one row for each prompt. ``clip_id`` and ``prompt_index`` name it; the last one counts.
    Of a caption that was imported, what is not known of its making is null.

    Attributes:
        clip_id: the clip's id: one that was given, or 16 hexadecimal digits of a hash of source, span and prompt.
        source_video: path or URL, exactly as it was named.
        start_s: first second of the span, counted from the video's first frame.
        end_s: end of the span in seconds, exclusive; null for the end of the video.
        duration_s: length of the clip in seconds, as far as it can be read.
        width: width of the displayed picture in pixels.
        height: height of the displayed picture in pixels.
        fps: average frame rate, in frames per second.
        codec: FFmpeg's name of the decoder, such as ``h264``.
        missing_s: seconds of the clip that the file promises and that cannot be read (truncated, corrupt).
        caption: the caption, without surrounding white space.
        caption_raw: the text that the model wrote first, as it wrote it: before any repair, white space included.
        caption_status: ``success``, ``truncated`` (reached the token limit), ``repetitive``, ``empty`` or ``error``.
        flags: what is wrong with the caption, such as ``cut_off``; empty for a good one.
        repairs: attempts to decode a defective caption again, in order, by the settings that they changed. The last one
            made ``caption``; if ``flags`` still names a defect, none succeeded and the first caption was kept.
        finish_reason: how decoding of the caption ended: ``stop`` (end of text), ``length`` (token limit), ``loop``
            (certain to loop), ``error``; null for ``error`` rows.
        error_stage: where an ``error`` row's clip failed: ``open``, ``decode``, ``sample``, ``prompt``, ``generate``
            or ``write``.
        error_message: why it failed; in other rows, what is damaged where ``missing_s`` is above 0.
        frame_indices: numbers of the frames that the model saw, within the clip, in presentation order.
        frame_timestamps_s: their times in seconds, counted from the clip's start.
        covered_s: seconds of the clip, from its start, that these frames stand for.
        decoder: what decoded them: ``cpu`` or ``gpu``; null in older rows.
        strategy: how frames were chosen: ``chat``, ``base`` or ``uniform``.
        num_frames: most frames that could be chosen.
        sample_fps: frames a second that ``chat`` took; null is 1.
        template: layout of the prompt: ``chat``, ``base`` or ``vqa``.
        prompt: what was asked.
        prompt_index: place of the prompt in the run's list of prompts; 0, or null in older rows, for the only one.
        model: checkpoint, as it was named.
        model_revision: commit of the checkpoint's repository, or a fingerprint of a local folder's weights.
        precision: dtype and quantization that computed it, such as ``bf16`` or ``bf16-int8``.
        max_new_tokens: limit on the caption's tokens.
        temperature: temperature of sampling; 0 is greedy.
        top_p: nucleus of sampling; 1 is all tokens.
        repetition_penalty: penalty on repeated tokens; 1 is none.
        seed: seed of sampling.
        stop_loops: whether a caption that is certain to loop was ended there.
        engine_version: version of framescribe that wrote the row.
        created_at: when the row was settled, repairs included: ISO 8601, UTC.
        prompt_tokens: length of the prompt in tokens, frames included.
        output_tokens: length of the generated text in tokens.
        source_sha256: SHA-256 of the source's bytes, where ``--hash`` asked for it.
        endpoint: server that captioned, by the URL of its API; null for captions that were computed here.
        answered_by: model that answered, as that server named it.
        sent: what it was sent of the clip: ``frames jpeg q=2``, ``frames png``, ``images jpeg q=2`` or ``video``.
        imported_from: file and line, or entry, that the caption was imported from; null for captions of a run.
        schema_version: version of these columns.
    """

    clip_id: str
    source_video: str
    start_s: float
    end_s: float | None
    duration_s: float | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    codec: str | None = None
    missing_s: float | None = None
    caption: str | None = None
    caption_raw: str | None = None
    caption_status: CaptionStatus
    flags: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    finish_reason: FinishReason | None = None
    error_stage: ErrorStage | None = None
    error_message: str | None = None
    frame_indices: tuple[int, ...] = ()
    frame_timestamps_s: tuple[float, ...] = ()
    covered_s: float | None = None
    decoder: Decoder | None = None
    strategy: Strategy | None
    num_frames: int | None
    sample_fps: float = 1.0
    template: Template | None
    prompt: str | None
    prompt_index: int = 0
    model: str | None
    model_revision: str | None
    precision: str | None
    max_new_tokens: int | None
    temperature: float | None
    top_p: float | None
    repetition_penalty: float | None
    seed: int | None
    stop_loops: bool = False
    engine_version: str
    created_at: str | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    source_sha256: str | None = None
    endpoint: str | None = None
    answered_by: str | None = None
    sent: str | None = None
    imported_from: str | None = None
    schema_version: int = SCHEMA_VERSION

    __repr__ = row_text
    _repr_html_ = row_html
