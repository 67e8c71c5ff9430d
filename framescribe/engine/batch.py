"""The running sequences as the device sees them: one row each, always the first ``len`` rows, at fixed addresses.

Shape legend: R rows, B sequences, M blocks of a sequence at most, W vocabulary.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from framescribe.engine.kv_cache import BLOCK_SIZE, KVCache
from framescribe.engine.sampling import choose_tokens, is_plain_greedy
from framescribe.engine.sequence import Sequence
from framescribe.engine.transfer import to_device
from framescribe.model.model import CaptionModel


class DecodeBatch:
    """State of the decoding rows on the device, changed in the order of its stream: nothing here waits for it.

    Attributes:
        rows: the sequences, in row order.
        tokens_R: int64, the newest token of each row.
        positions_R: int64, its position.
        context_lens_R: int32, tokens in the cache.
        is_active_R: int32, 1 for rows of sequences, 0 for the rest.
        block_tables_RM: int32, block numbers.

    Args:
        size: R.
        max_blocks: M.
        vocab_size: W.
        device: where the state is kept.
    """

    def __init__(self, size: int, max_blocks: int, vocab_size: int, device: torch.device) -> None:
        self.rows: list[Sequence] = []
        self.tokens_R = torch.zeros(size, dtype=torch.long, device=device)
        self.positions_R = torch.zeros(size, dtype=torch.long, device=device)
        self.context_lens_R = torch.zeros(size, dtype=torch.int32, device=device)
        self.is_active_R = torch.zeros(size, dtype=torch.int32, device=device)
        self.block_tables_RM = torch.zeros(size, max_blocks, dtype=torch.int32, device=device)
        # Made when the first repetition penalty comes: most runs have none, and it has R x W elements.
        self._seen_RW: Tensor | None = None
        self._vocab_size = vocab_size
        self._device = device

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, sequences: list[Sequence], logits_BW: Tensor) -> Tensor:
        """Appends sequences that have just been prefilled and chooses the token that follows.

        Args:
            sequences: their blocks cover what was prefilled.
            logits_BW: at their last tokens.

        Returns:
            int64 [B], the chosen tokens.
        """
        first, end = len(self.rows), len(self.rows) + len(sequences)
        self.rows += sequences
        self.positions_R[first:end] = to_device([each.next_position for each in sequences], self._device)
        self.context_lens_R[first:end] = to_device([each.tokens for each in sequences], self._device).int()
        self.is_active_R[first:end] = 1
        width = max(len(each.blocks) for each in sequences)
        tables = [each.blocks + [0] * (width - len(each.blocks)) for each in sequences]
        self.block_tables_RM[first:end, :width] = to_device(tables, self._device).int()
        if self._seen_RW is None and any(each.request.settings.repetition_penalty != 1 for each in sequences):
            shape = (len(self.tokens_R), self._vocab_size)
            self._seen_RW = torch.zeros(shape, dtype=torch.bool, device=self._device)
        if self._seen_RW is not None:
            self._seen_RW[first:end] = False
            for row, sequence in enumerate(sequences, start=first):
                self._seen_RW[row, to_device(sequence.known_ids, self._device)] = True
        return self.choose(logits_BW, first)

    def choose(self, logits_BW: Tensor, first: int = 0) -> Tensor:
        """Chooses the next tokens of the rows from ``first`` on, whose logits these are; returns them, int64 [B]."""
        rows = slice(first, first + len(logits_BW))
        settings = [row.request.settings for row in self.rows[rows]]
        if all(map(is_plain_greedy, settings)):
            tokens_B = logits_BW.argmax(-1)
        else:
            seen_BW = None if self._seen_RW is None else self._seen_RW[rows]
            tokens_B = choose_tokens(logits_BW, settings, [row.rng for row in self.rows[rows]], seen_BW)
        self.tokens_R[rows] = tokens_B
        return tokens_B

    def append_blocks(self, sequences: list[Sequence]) -> None:
        """Copies the newest block of each of these sequences to the device."""
        if sequences:
            row_of = {id(sequence): row for row, sequence in enumerate(self.rows)}
            places = [[row_of[id(each)], len(each.blocks) - 1, each.blocks[-1]] for each in sequences]
            row_B, column_B, block_B = to_device(places, self._device).unbind(1)
            self.block_tables_RM[row_B, column_B] = block_B.int()

    def remove(self, leaving: Collection[Sequence]) -> None:
        """Takes rows out; those behind them move up."""
        gone = set(map(id, leaving))
        kept = [row for row, sequence in enumerate(self.rows) if id(sequence) not in gone]
        if kept != list(range(len(kept))):
            kept_B = to_device(kept, self._device)
            for tensor in (self.tokens_R, self.positions_R, self.context_lens_R, self.block_tables_RM):
                tensor[: len(kept)] = tensor[kept_B]
            if self._seen_RW is not None:
                self._seen_RW[: len(kept)] = self._seen_RW[kept_B]
        self.is_active_R[len(kept) : len(self.rows)] = 0
        self.rows = [self.rows[row] for row in kept]


def decode_step(model: CaptionModel, cache: KVCache, batch: DecodeBatch, size: int) -> Tensor:
    """Computes one more token for the first ``size`` rows: stores their newest and advances them.

    All of it runs on the device from fixed addresses, so it can be captured as a CUDA graph. Rows beyond the sequences
    store nothing and attend to nothing.

    Returns:
        Logits [size, W].
    """
    is_active_B, context_lens_B = batch.is_active_R[:size], batch.context_lens_R[:size]
    block_tables_BM = batch.block_tables_RM[:size]
    block_B = block_tables_BM.gather(1, (context_lens_B // BLOCK_SIZE).long()[:, None])[:, 0].long()
    slot_mapping_B = torch.where(is_active_B > 0, block_B * BLOCK_SIZE + context_lens_B % BLOCK_SIZE, -1)
    attend = cache.decode(slot_mapping_B, block_tables_BM, (context_lens_B + 1) * is_active_B)
    x_B1D = model.embedding(batch.tokens_R[:size, None])
    hidden_B1D = model.decoder(x_B1D, batch.positions_R[:size, None], attend)
    logits_BW: Tensor = model.lm_head(hidden_B1D[:, 0])
    context_lens_B += is_active_B
    batch.positions_R[:size] += is_active_B
    return logits_BW
