"""The paged KV cache, and attention over it for the two phases that use one.

Shape legend: B sequences, T packed tokens, N blocks, P tokens in a block, M blocks of a sequence at most, H query
heads, K key-value heads, L tokens of this call, E head size, C sequences of one length.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby

import torch
from torch import Tensor

from framescribe.model.attention import LayerAttention, causal, paged_attention, write_kv
from framescribe.model.config import ModelConfig

# Tokens: a block is long enough to read at full speed, and half a block a clip is all that is lost.
BLOCK_SIZE = 64


class KVCache:
    """Keys and values of all sequences, in blocks that the scheduler hands out.

    One tensor pair per layer, [N, K, P, E]: a kernel reads a head's share of a block in one piece.

    Args:
        config: for the number of layers, heads and their size.
        num_blocks: N.
        dtype, device: of keys and values; float8_e4m3fn halves what decoding reads, and rounds to 3 bits.
    """

    def __init__(
        self, config: ModelConfig, num_blocks: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        shape = (num_blocks, config.num_multi_query_heads, BLOCK_SIZE, config.head_dim)
        layers = range(config.num_hidden_layers)
        self._keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in layers]
        self._values = [torch.zeros(shape, dtype=dtype, device=device) for _ in layers]

    def prefill(self, slot_mapping_T: Tensor, lengths: Sequence[int]) -> LayerAttention:
        """Stores and attends whole sequences, packed one after the other along L (B is 1), each seeing itself only.

        Args:
            slot_mapping_T: int64, where each token's keys and values go: block * P + place in the block.
            lengths: tokens of each sequence; neighbours of one length are attended as one batch.
        """
        runs = [(length, len(list(group))) for length, group in groupby(lengths)]
        run_tokens = [length * count for length, count in runs]

        def attend(layer: int, q_BHLE: Tensor, k_BKLE: Tensor, v_BKLE: Tensor) -> Tensor:
            write_kv(
                k_BKLE[0].transpose(0, 1),
                v_BKLE[0].transpose(0, 1),
                self._keys[layer],
                self._values[layer],
                slot_mapping_T,
            )
            parts = []
            for (_, count), *qkv in zip(
                runs, *(x[0].split(run_tokens, dim=1) for x in (q_BHLE, k_BKLE, v_BKLE)), strict=True
            ):
                y_CHLE = causal(*(x.unflatten(1, (count, -1)).transpose(0, 1) for x in qkv))
                # Laid out as the next product reads it.
                parts.append(y_CHLE.transpose(1, 2).flatten(0, 1))
            y_THE = parts[0] if len(parts) == 1 else torch.cat(parts)
            return y_THE.transpose(0, 1)[None]

        return lambda layer: partial(attend, layer)

    def decode(
        self, slot_mapping_B: Tensor, block_tables_BM: Tensor, context_lens_B: Tensor
    ) -> LayerAttention:
        """Stores and attends one new token of each sequence (L is 1).

        Args:
            slot_mapping_B: int64, where its keys and values go; negative for rows that only fill the batch.
            block_tables_BM: int32, each sequence's blocks.
            context_lens_B: int32, tokens of each sequence with the new one; 0 for rows that only fill the batch.
        """

        def attend(layer: int, q_BHLE: Tensor, k_BKLE: Tensor, v_BKLE: Tensor) -> Tensor:
            keys, values = self._keys[layer], self._values[layer]
            write_kv(k_BKLE[:, :, 0], v_BKLE[:, :, 0], keys, values, slot_mapping_B)
            return paged_attention(q_BHLE[:, :, 0], keys, values, block_tables_BM, context_lens_B)[:, :, None]

        return lambda layer: partial(attend, layer)
