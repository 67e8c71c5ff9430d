"""Clips and questions to what the model takes: the frames and the prompt as published.

Shape legend: B clips, F frames of the longest, S image size, L tokens of the longest.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoTokenizer, BatchFeature, ProcessorMixin

from framescribe.errors import UsageError
from framescribe.integrations.transformers.config import CogVLMVideoConfig
from framescribe.pipeline.given import Source, as_clip, listed
from framescribe.prompt import History, PromptBuilder
from framescribe.tokenizer import tidied
from framescribe.types import DEFAULT_QUESTION, IGNORED_LABEL, CaptionSettings, FrameSampling, Prompt
from framescribe.video.decode import decode_frames
from framescribe.video.transform import transform


@dataclass(frozen=True, slots=True)
class _Encoder:
    tokenizer: Any

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids


class CogVLMVideoProcessor(ProcessorMixin):
    """Makes the model's inputs, and text of its outputs.

    Args:
        tokenizer: transformers' tokenizer of the checkpoint.
        config: the model's.
    """

    def __init__(self, tokenizer: Any, config: CogVLMVideoConfig) -> None:
        self.tokenizer = tokenizer
        self.config = config
        self.prompts = PromptBuilder(
            _Encoder(tokenizer),
            bos_token_id=config.bos_token_id,
            eos_token_id=config.eos_token_id,
            slot_token_id=config.pad_token_id,
            tokens_per_frame=config.sizes.vision_config.tokens_per_frame,
        )

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> CogVLMVideoProcessor:
        """Reads the folder's tokenizer and config; it has no file of a processor."""
        config = AutoConfig.from_pretrained(pretrained_model_name_or_path, **kwargs)
        return cls(AutoTokenizer.from_pretrained(pretrained_model_name_or_path, **kwargs), config)

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Writes the tokenizer's files and the config, as the official folder has them."""
        self.tokenizer.save_pretrained(save_directory, **kwargs)
        self.config.save_pretrained(save_directory, **kwargs)

    def __call__(
        self,
        text: str | Sequence[str] = DEFAULT_QUESTION,
        videos: Source | Sequence[Source] | None = None,
        *,
        answer: Sequence[str] | None = None,
        history: History = (),
        settings: CaptionSettings = CaptionSettings(),
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """A batch for ``generate``, or for training.

        Args:
            text: the question, or one for each clip.
            videos: the clips, whose frames are chosen and decoded as by ``Captioner``, in this process: paths, URLs,
                bytes, open files, ``VideoFrames`` or ``Clip``. None: questions without one.
            answer: for training: the caption of each.
            history: earlier (question, answer) turns of all.
            settings: which frames are seen (``sampling``), and the prompt's ``template``; the rest is not read.
            return_tensors: ``pt``.

        Returns:
            input_ids, attention_mask and token_type_ids (1 in vision slots), int64 [B, L], padded on the left; with
            videos also pixel_values, float32 [B, F, 3, S, S], and num_frames, int64 [B]; with answers also labels,
            int64 [B, L].

        Raises:
            UsageError: numbers of questions, clips and answers that differ, or what is no clip.
            ClipError: a clip cannot be decoded.
        """
        if return_tensors != "pt":
            raise UsageError(f"`return_tensors` must be 'pt', not {return_tensors!r}")
        clips = [] if videos is None else list(listed(videos))
        if videos is not None and not clips:
            raise UsageError("there are no clips; videos=None asks a question without one")
        several = [text] if isinstance(text, str) else list(text)
        questions = several * len(clips) if clips and len(several) == 1 else several
        answers = [None] * len(questions) if answer is None else list(answer)
        if len(answers) != len(questions) or (clips and len(clips) != len(questions)):
            raise UsageError(
                f"{len(questions)} questions, {len(clips)} clips, {len(answers)} answers: each prompt takes one clip"
            )
        frames = [
            _pixels(clip, settings.sampling, self.config.sizes.vision_config.image_size) for clip in clips
        ]
        prompts = [
            self.prompts.build(question, settings.resolved_template, seconds, history=history, answer=wanted)
            for question, seconds, wanted in zip(
                questions, [seconds for _, seconds in frames] or [[]] * len(questions), answers, strict=True
            )
        ]
        batch = _padded(prompts, self.config.pad_token_id)
        if frames:
            pixels = [pixels_F3SS for pixels_F3SS, _ in frames]
            batch["pixel_values"] = pad_sequence(pixels, batch_first=True)
            batch["num_frames"] = torch.tensor([len(each) for each in pixels])
        return BatchFeature(batch)

    def batch_decode(self, sequences: Any, skip_special_tokens: bool = True, **kwargs: Any) -> list[str]:
        """The captions of what ``generate`` gave, without the prompts: what framescribe makes of the same tokens."""
        return [self.decode(sequence, skip_special_tokens, **kwargs) for sequence in sequences]

    def decode(self, token_ids: Any, skip_special_tokens: bool = True, **kwargs: Any) -> str:
        """The text of one sequence of tokens, prompt included where it holds one."""
        text: str = self.tokenizer.decode(
            token_ids, skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False, **kwargs
        )
        return tidied(text) if self.tokenizer.clean_up_tokenization_spaces else text


def _pixels(source: Source, sampling: FrameSampling, image_size: int) -> tuple[Tensor, list[int]]:
    """A clip's normalized frames [F, 3, S, S], and the second that the prompt names behind each."""
    frames = decode_frames(as_clip(source), sampling)
    return transform(frames.pixels, image_size), frames.text_seconds(sampling)


def _padded(prompts: Sequence[Prompt], pad_token_id: int) -> dict[str, Tensor]:
    def padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
        longest = max(map(len, rows))
        return torch.tensor([[value] * (longest - len(row)) + list(row) for row in rows])

    batch = {
        "input_ids": padded([prompt.input_ids for prompt in prompts], pad_token_id),
        "attention_mask": padded([[1] * len(prompt) for prompt in prompts], 0),
        "token_type_ids": padded([list(map(int, prompt.is_vision)) for prompt in prompts], 0),
    }
    if prompts[0].labels is not None:
        batch["labels"] = padded([prompt.labels or () for prompt in prompts], IGNORED_LABEL)
    return batch
