"""Prompts for ``LLM.generate``: the published tokens, and the clip's frames beside them."""

from __future__ import annotations

from typing import Any

from framescribe.checkpoint import open_checkpoint
from framescribe.integrations.vllm.loader import with_metadata
from framescribe.pipeline.given import Source, as_clip
from framescribe.types import DEFAULT_QUESTION, CaptionSettings
from framescribe.video.decode import decode_frames


class PromptMaker:
    """Makes vLLM's prompts for one checkpoint.

    Args:
        model: as given to ``LLM``: a folder or a repository id.
        revision: of the repository.
    """

    def __init__(self, model: str, revision: str | None = None) -> None:
        self._checkpoint = open_checkpoint(model, revision)

    def __call__(
        self,
        source: Source | None,
        question: str = DEFAULT_QUESTION,
        settings: CaptionSettings = CaptionSettings(),
    ) -> dict[str, Any]:
        """One prompt: a clip and what is asked about it.

        Args:
            source: the clip, which is decoded in this process; None: a question without one.
            question: what is asked.
            settings: which frames are seen (``sampling``), and the prompt's ``template``; the rest is not read.

        Raises:
            ClipError: the clip cannot be decoded.
        """
        bos, *text = self._checkpoint.prompts.build(question, settings.resolved_template, ()).input_ids
        if source is None:
            return {"prompt_token_ids": [bos, *text]}
        frames = decode_frames(as_clip(source), settings.sampling)
        return {
            "prompt_token_ids": [bos, self._checkpoint.config.pad_token_id, *text],
            "multi_modal_data": {"video": with_metadata(frames, settings.sampling)},
            "mm_processor_kwargs": {"template": settings.resolved_template},
        }

    @property
    def stop_ids(self) -> list[int]:
        """Tokens that end a caption, for ``SamplingParams(stop_token_ids=…)``."""
        return sorted(self._checkpoint.stop_ids)
