"""The model as transformers knows models: loading, generating, saving, with the official tensor names as they are.

Shape legend: B clips, L tokens, F frames, S image size, D width, W vocabulary.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from framescribe.errors import UsageError
from framescribe.integrations.transformers.config import CogVLMVideoConfig
from framescribe.integrations.transformers.decoder import CogVLMVideoAttention, CogVLMVideoDecoderLayer
from framescribe.integrations.transformers.slots import find_slots, given_frames, position_ids
from framescribe.integrations.transformers.vision import VisionTower
from framescribe.model.decoder import RMSNorm

# The cache's name changed within the versions that were tried.
_CACHE = "cache" if "cache" in inspect.signature(create_causal_mask).parameters else "past_key_values"
# That the tower takes at a time: all of a large batch's would need gigabytes for no speed.
_FRAMES = 48


class CogVLMVideoPreTrainedModel(PreTrainedModel):
    """What transformers asks of a model, beside computing."""

    config_class = CogVLMVideoConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["CogVLMVideoDecoderLayer", "CogVLMVideoVisionLayer", "PatchEmbedding"]  # noqa: RUF012
    _skip_keys_device_placement = ["cache", "past_key_values"]  # noqa: RUF012
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_attention_backend = True
    _can_record_outputs = {  # noqa: RUF012
        "hidden_states": CogVLMVideoDecoderLayer,
        "attentions": CogVLMVideoAttention,
    }


class CogVLMVideoModel(CogVLMVideoPreTrainedModel):
    """Token ids and frames to hidden states."""

    def __init__(self, config: CogVLMVideoConfig) -> None:
        super().__init__(config)
        sizes = config.sizes
        self.embed_tokens = nn.Embedding(sizes.vocab_size, sizes.hidden_size)
        self.layers = nn.ModuleList(
            CogVLMVideoDecoderLayer(config, layer) for layer in range(sizes.num_hidden_layers)
        )
        self.norm = RMSNorm(sizes.hidden_size, sizes.rms_norm_eps)
        self.vision = VisionTower(sizes)
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        cache: Cache | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        num_frames: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Arguments as in ``CogVLMVideoForCausalLM.forward``."""
        cache = past_key_values if cache is None else cache
        if use_cache and cache is None:
            cache = DynamicCache(config=self.config)
        seen = 0 if cache is None else cache.get_seq_length()
        if position_ids is None:
            position_ids = self.positions(input_ids, attention_mask, token_type_ids, seen)
        x_BLD = inputs_embeds
        if x_BLD is None:
            x_BLD = self.embed_tokens(input_ids)
            if not seen or pixel_values is not None:
                assert input_ids is not None
                slots_BL = find_slots(input_ids, attention_mask, token_type_ids, self.config.pad_token_id)
                x_BLD = self.embed(x_BLD, slots_BL, pixel_values, num_frames)
        # Never the positions: see ``CogVLMVideoAttention``.
        mask = create_causal_mask(self.config, x_BLD, attention_mask, cache)
        for layer in self.layers:
            x_BLD = layer(x_BLD, position_ids.to(x_BLD.device), mask, cache, **kwargs)
        return BaseModelOutputWithPast(last_hidden_state=self.norm(x_BLD), **{_CACHE: cache})

    def positions(
        self,
        input_ids_BL: Tensor | None,
        attention_mask_BL: Tensor | None,
        token_type_ids_BL: Tensor | None = None,
        seen: int = 0,
    ) -> Tensor:
        """Positions of whole prompts.

        Raises:
            UsageError: they cannot be told, as the start of the prompts is not there.
        """
        mask_BL = input_ids_BL if attention_mask_BL is None else attention_mask_BL
        if input_ids_BL is None or mask_BL is None or mask_BL.shape != input_ids_BL.shape or seen:
            raise UsageError(
                "positions follow from the whole prompt's input_ids: give these, with an attention_mask of the same "
                "shape, or position_ids"
            )
        slots_BL = find_slots(input_ids_BL, attention_mask_BL, token_type_ids_BL, self.config.pad_token_id)
        return position_ids(slots_BL, attention_mask_BL)

    def embed(
        self, x_BLD: Tensor, slots_BL: Tensor, pixels_BF3SS: Tensor | None, num_frames_B: Tensor | None
    ) -> Tensor:
        """Token embeddings with the frames' features in their slots."""
        tokens_per_frame = self.config.sizes.vision_config.tokens_per_frame
        pixels = given_frames(slots_BL, pixels_BF3SS, num_frames_B, tokens_per_frame)
        if pixels is None or not len(pixels):
            return x_BLD
        # With gradients all activations are kept, and data-parallel processes must call the tower equally often.
        at_once = len(pixels) if torch.is_grad_enabled() else _FRAMES
        parts = [self.vision(some.to(self.vision.boi.dtype)) for some in pixels.split(at_once)]
        features = torch.cat(parts).to(x_BLD)
        return x_BLD.masked_scatter(slots_BL[..., None].to(x_BLD.device), features.flatten(0, 1))


class CogVLMVideoForCausalLM(CogVLMVideoPreTrainedModel, GenerationMixin):
    """The model with its head: logits, loss and ``generate``."""

    def __init__(self, config: CogVLMVideoConfig) -> None:
        super().__init__(config)
        self.model = CogVLMVideoModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Any = None,
        position_ids: Tensor | None = None,
        cache: Cache | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        num_frames: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits of prompts as ``CogVLMVideoProcessor`` makes them.

        Args:
            input_ids: int64 [B, L].
            attention_mask: int64 [B, L], 0 on padding; None: there is none.
            token_type_ids: int64 [B, L], 1 in vision slots; None: they follow from the two above.
            position_ids: int64 [B, L]; None: they follow from ``input_ids``, which then are whole prompts.
            cache, past_key_values: keys and values of earlier tokens, by the newer and the older name.
            inputs_embeds: [B, L, D] in place of ``input_ids``, frames included.
            pixel_values: normalized frames [B, F, 3, S, S], padded to the clip with the most.
            num_frames: int64 [B], how many frames of each clip are not padding; None: all.
            labels: int64 [B, L], -100 where nothing is to be learnt.
            use_cache: whether the cache is returned.
            logits_to_keep: compute the last so many; 0: all.

        Raises:
            UsageError: vision slots and frames do not match, or positions cannot be told.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=past_key_values if cache is None else cache,
            inputs_embeds=inputs_embeds,
            token_type_ids=token_type_ids,
            pixel_values=pixel_values,
            num_frames=num_frames,
            use_cache=use_cache,
            **kwargs,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept])
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs
            )
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            **{_CACHE: getattr(outputs, _CACHE)},
        )

    def _prepare_position_ids_for_generation(
        self, inputs_tensor: Tensor, model_kwargs: dict[str, Any]
    ) -> Tensor:
        input_ids = model_kwargs.get("input_ids", inputs_tensor)
        mask = model_kwargs.get("attention_mask")
        if mask is not None and not mask[:, -1].all():
            raise UsageError(
                "generate() continues after the last column: pad prompts on the left, as the processor does"
            )
        whole = input_ids if input_ids.ndim == 2 else None  # not embeddings
        return self.model.positions(whole, mask, model_kwargs.get("token_type_ids"))

    def _prepare_attention_mask_for_generation(self, inputs_tensor: Tensor, *_: Any) -> Tensor:
        # transformers would take the vision slots for padding, whose token they have. A batch that does have padding
        # is refused later, as its slots are then too many for its frames.
        return torch.ones(inputs_tensor.shape[:2], dtype=torch.long, device=inputs_tensor.device)
