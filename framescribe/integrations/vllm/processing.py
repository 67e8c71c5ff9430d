"""What vLLM does with a video before the model sees it: frames to tensors, placeholders to the published tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from vllm.multimodal.inputs import MultiModalFieldConfig
from vllm.multimodal.parse import MultiModalDataParser
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdateDetails,
)

from framescribe.errors import UsageError
from framescribe.integrations.vllm.loader import MADE_BY
from framescribe.integrations.vllm.versions import FramesProcessor
from framescribe.model.config import ModelConfig
from framescribe.types import TEMPLATES
from framescribe.video.transform import transform

FIELD = "pixel_values_videos"
_PUBLISHED_FRAMES = 24
_KNOWN_FRAMES = (None, MADE_BY, "jpeg_sequence")  # not those that vLLM's own loaders choose


class ProcessingInfo(BaseProcessingInfo):
    """Sizes, and how many videos a prompt may have."""

    @property
    def sizes(self) -> ModelConfig:
        sizes: ModelConfig = self.get_hf_config().sizes
        return sizes

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        return {"video": 1}

    def get_data_parser(self) -> MultiModalDataParser:
        return MultiModalDataParser(video_needs_metadata=True)


class DummyInputs(BaseDummyInputsBuilder):
    """The largest input, by which vLLM plans its memory."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        slot: str = self.info.get_tokenizer().convert_ids_to_tokens(self.info.sizes.pad_token_id)
        return slot * mm_counts.get("video", 0)

    def get_dummy_mm_data(
        self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Any
    ) -> dict[str, Any]:
        asked = mm_options.get("video")
        frames = getattr(asked, "num_frames", None) or _PUBLISHED_FRAMES
        side = self.info.sizes.vision_config.image_size
        video = np.zeros((frames, 3, side, side), np.uint8)
        return {"video": [(video, {"seconds": list(range(frames))})] * mm_counts.get("video", 0)}


def checked_frames(video: Any, metadata: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """A video's frames, [T, 3, H, W], with as many seconds as there are vision features: vLLM ends where they differ.

    Raises:
        UsageError: there are none, or not a whole second for each.
    """
    frames = np.asarray(video)
    if frames.ndim != 4 or not frames.size:
        raise UsageError(f"a video must be frames [T, 3, H, W] or [T, H, W, 3], not {list(frames.shape)}")
    seconds = metadata.get("seconds", range(len(frames)))
    if (
        not isinstance(seconds, Sequence)
        or len(seconds) != len(frames)
        or not all(isinstance(second, Integral) for second in seconds)
    ):
        raise UsageError(
            f"a video of {len(frames)} frames must have a whole second for each, not {seconds!r}"
        )
    return frames if frames.shape[1] == 3 else frames.transpose(0, 3, 1, 2)


class Processor(FramesProcessor):
    """Frames and their seconds to pixels and tokens."""

    def tensors(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Normalized frames of each video, float32 [F, 3, S, S].

        Raises:
            UsageError: frames that another loader chose, or what are no frames with a second each.
        """
        pixels = []
        for video, metadata in data.get("videos", ()):
            if (chosen_by := metadata.get("video_backend")) not in _KNOWN_FRAMES:
                raise UsageError(
                    f"the video loader {chosen_by} chooses other frames than the model was trained on; serve with "
                    f"""--media-io-kwargs '{{"video": {{"video_backend": "{MADE_BY}"}}}}'"""
                )
            frames = checked_frames(video, metadata)
            pixels.append(transform(frames, self.info.sizes.vision_config.image_size))
        return {FIELD: pixels} if pixels else {}

    def _get_mm_fields_config(self, *_: Any, **__: Any) -> Mapping[str, MultiModalFieldConfig]:
        return {FIELD: MultiModalFieldConfig.batched("video")}

    def _get_prompt_updates(
        self, mm_items: Any, hf_processor_mm_kwargs: Mapping[str, Any], out_mm_kwargs: Any
    ) -> Sequence[PromptReplacement]:
        if unknown := set(hf_processor_mm_kwargs) - {"template"}:
            raise UsageError(f"mm_processor_kwargs takes template, not {', '.join(sorted(unknown))}")
        template = hf_processor_mm_kwargs.get("template", "chat")
        if template not in TEMPLATES:
            raise UsageError(f"unknown template {template!r}; choose one of {', '.join(TEMPLATES)}")
        slot, encode = self.info.sizes.pad_token_id, self.info.get_tokenizer().encode
        tokens_per_frame = self.info.sizes.vision_config.tokens_per_frame

        def replacement(item: int) -> PromptUpdateDetails:
            video, metadata = mm_items["video"].get(item)
            ids: list[int] = []
            for second in metadata.get("seconds", range(len(video))):
                ids += [slot] * tokens_per_frame
                ids += encode(str(second), add_special_tokens=False) if template == "chat" else []
            return PromptUpdateDetails.select_token_id(ids, slot)

        return [PromptReplacement(modality="video", target=[slot], replacement=replacement)]
