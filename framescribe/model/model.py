"""The whole model: frames and token ids in, logits out.

Shape legend: B clips, L tokens, F frames of all clips together, S image size, D decoder width, W vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framescribe.model.attention import causal_attention
from framescribe.model.config import ModelConfig
from framescribe.model.decoder import Decoder
from framescribe.model.vision import VisionTower
from framescribe.types import IGNORED_LABEL


class CaptionModel(nn.Module):
    """CogVLM2-Llama3-Caption of any size."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.decoder = Decoder(config)
        self.vision = VisionTower(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are computed in (quantized weights are expanded to it)."""
        return self.embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    def embed(self, input_ids_BL: Tensor, is_vision_BL: Tensor, features_FVD: Tensor | None) -> Tensor:
        """Token embeddings with the frames' features, in order, in the vision slots. Returns [B, L, D]."""
        x_BLD: Tensor = self.embedding(input_ids_BL)
        if features_FVD is None:
            return x_BLD
        features = features_FVD.flatten(0, 1).to(x_BLD.dtype)
        return x_BLD.masked_scatter(is_vision_BL[..., None], features)

    def forward(
        self,
        input_ids_BL: Tensor,
        positions_BL: Tensor,
        is_vision_BL: Tensor,
        labels_BL: Tensor,
        pixels_F3SS: Tensor | None,
    ) -> Tensor:
        """The training loss of whole sequences; padding goes at the end of a sequence.

        Args:
            input_ids_BL, positions_BL: int64 (see ``types.Prompt``).
            is_vision_BL: bool, the frames' slots; as many as ``pixels_F3SS`` has frames, times slots per frame.
            labels_BL: int64, -100 where nothing is to be learnt.
            pixels_F3SS: normalised frames of all clips, clip after clip; None where there are none.

        Returns:
            Scalar: mean cross-entropy, in fp32 or better, of each labelled token given those before it.
        """
        features = None if pixels_F3SS is None else self.vision(pixels_F3SS.to(self.dtype))
        x_BLD = self.embed(input_ids_BL, is_vision_BL, features)
        hidden_BLD = self.decoder(x_BLD, positions_BL, causal_attention)
        # Logits of labelled tokens only: those of a whole prompt over the vocabulary would fill gigabytes.
        next_BL = labels_BL[:, 1:]
        labelled_BL = next_BL != IGNORED_LABEL
        logits_NW = self.lm_head(hidden_BLD[:, :-1][labelled_BL])
        precise = logits_NW.to(torch.promote_types(logits_NW.dtype, torch.float32))
        return F.cross_entropy(precise, next_BL[labelled_BL])
