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
from framescribe.model.model import CaptionModel


class DecodeBatch:
    """State of the decoding rows on the device, changed in the order of its stream: nothing here waits for it.

    Attributes:
        rows: the sequences, in row order.
        tokens_R: int64, the newest token of each row.
        positions_R: int64, its position.
        lengths_R: int32, tokens in the cache.
        used_R: int32, 1 for rows of sequences, 0 for the rest.
        tables_RM: int32, block numbers.

    Args:
        size: R.
        max_blocks: M.
        vocab_size: W.
        device: where.
    """

    def __init__(self, size: int, max_blocks: int, vocab_size: int, device: torch.device) -> None:
        self.rows: list[Sequence] = []
        self.tokens_R = torch.zeros(size, dtype=torch.long, device=device)
        self.positions_R = torch.zeros(size, dtype=torch.long, device=device)
        self.lengths_R = torch.zeros(size, dtype=torch.int32, device=device)
        self.used_R = torch.zeros(size, dtype=torch.int32, device=device)
        self.tables_RM = torch.zeros(size, max_blocks, dtype=torch.int32, device=device)
        # Made when the first repetition penalty comes: 16 MB for 128 rows of the official vocabulary.
        self._seen_RW: Tensor | None = None
        self._vocab_size = vocab_size

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def _state(self) -> list[Tensor]:
        tensors = [self.tokens_R, self.positions_R, self.lengths_R, self.used_R, self.tables_RM]
        return tensors if self._seen_RW is None else [*tensors, self._seen_RW]

    def add(self, rows: list[Sequence], logits_BW: Tensor) -> Tensor:
        """Appends sequences that have just been prefilled and chooses the token that follows.

        Args:
            rows: their blocks cover what was prefilled.
            logits_BW: at their last tokens.

        Returns:
            int64 [B], the chosen tokens.
        """
        first, end = len(self.rows), len(self.rows) + len(rows)
        self.rows += rows
        self.positions_R[first:end] = self._put([row.next_position for row in rows])
        self.lengths_R[first:end] = self._put([row.tokens for row in rows]).int()
        self.used_R[first:end] = 1
        width = max(len(row.blocks) for row in rows)
        self.tables_RM[first:end, :width] = self._put(
            [row.blocks + [0] * (width - len(row.blocks)) for row in rows]
        ).int()
        if any(row.request.settings.repetition_penalty != 1 for row in rows) and self._seen_RW is None:
            self._seen_RW = torch.zeros(
                len(self.tokens_R), self._vocab_size, dtype=torch.bool, device=self.tokens_R.device
            )
        if self._seen_RW is not None:
            self._seen_RW[first:end] = False
            for place, row in enumerate(rows, start=first):
                self._seen_RW[place, self._put(row.known_ids)] = True
        return self.choose(logits_BW, first)

    def choose(self, logits_BW: Tensor, first: int = 0) -> Tensor:
        """Chooses the next tokens of the rows from ``first`` on, which ``logits_BW`` is of; returns them, int64 [B]."""
        rows = self.rows[first : first + len(logits_BW)]
        settings = [row.request.settings for row in rows]
        if all(map(is_plain_greedy, settings)):
            tokens_B = logits_BW.argmax(-1)
        else:
            seen = None if self._seen_RW is None else self._seen_RW[first : first + len(rows)]
            tokens_B = choose_tokens(logits_BW, settings, [row.dice for row in rows], seen)
        self.tokens_R[first : first + len(rows)] = tokens_B
        return tokens_B

    def grow(self, rows: list[Sequence]) -> None:
        """Tells the device of the newest block of these rows."""
        if rows:
            numbers = {id(row): number for number, row in enumerate(self.rows)}
            places = [[numbers[id(row)], len(row.blocks) - 1, row.blocks[-1]] for row in rows]
            row_B, column_B, block_B = self._put(places).unbind(1)
            self.tables_RM[row_B, column_B] = block_B.int()

    def remove(self, leaving: Collection[Sequence]) -> None:
        """Takes rows out; the last ones move into the gaps."""
        gone = set(map(id, leaving))
        size = sum(id(row) not in gone for row in self.rows)
        gaps = [place for place, row in enumerate(self.rows[:size]) if id(row) in gone]
        fillers = [place for place, row in enumerate(self.rows[size:], start=size) if id(row) not in gone]
        if gaps:
            to_B, from_B = self._put([gaps, fillers])
            for tensor in self._state:
                tensor[to_B] = tensor[from_B]
            for gap, filler in zip(gaps, fillers, strict=True):
                self.rows[gap] = self.rows[filler]
        self.used_R[size : len(self.rows)] = 0
        del self.rows[size:]

    def _put(self, values: list[int] | list[list[int]]) -> Tensor:
        return to_device(values, self.tokens_R.device)


def to_device(values: list[int] | list[list[int]], device: torch.device) -> Tensor:
    """int64 on ``device``, in the order of its stream; only pinned memory is copied without waiting for the stream."""
    tensor = torch.tensor(values, dtype=torch.long)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def decode_step(model: CaptionModel, cache: KVCache, batch: DecodeBatch, size: int) -> Tensor:
    """One more token for the first ``size`` rows: stores their newest, advances them, returns logits [size, W].

    All of it runs on the device from fixed addresses, so it can be captured as a CUDA graph. Rows beyond the sequences
    store nothing and attend to nothing.
    """
    used_B, lengths_B, tables_BM = batch.used_R[:size], batch.lengths_R[:size], batch.tables_RM[:size]
    block_B = tables_BM.gather(1, (lengths_B // BLOCK_SIZE).long()[:, None])[:, 0].long()
    slots_B = torch.where(used_B > 0, block_B * BLOCK_SIZE + lengths_B % BLOCK_SIZE, -1)
    attend = cache.decode(slots_B, tables_BM, (lengths_B + 1) * used_B)
    x_B1D = model.embedding(batch.tokens_R[:size, None])
    hidden_B1D = model.decoder(x_B1D, batch.positions_R[:size, None], attend)
    logits_BW: Tensor = model.lm_head(hidden_B1D[:, 0])
    lengths_B += used_B
    batch.positions_R[:size] += used_B
    return logits_BW
