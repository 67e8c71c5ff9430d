"""Where a batch's frames stand, and the positions that follow: ``prompt.py`` for padded batches of tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from framescribe.errors import UsageError


def find_slots(
    input_ids_BL: Tensor,
    attention_mask_BL: Tensor | None,
    token_type_ids_BL: Tensor | None,
    slot_token_id: int,
) -> Tensor:
    """The vision slots, bool [B, L]: tokens of type 1, where types are given.

    Padding has the slots' token too: without types the mask tells them apart.

    Raises:
        UsageError: neither is there.
    """
    if token_type_ids_BL is not None:
        return token_type_ids_BL == 1
    slots_BL = input_ids_BL == slot_token_id
    if attention_mask_BL is None:
        return slots_BL
    if attention_mask_BL.shape != slots_BL.shape:
        raise UsageError(
            "pass token_type_ids, as the processor gives them: this attention_mask does not say what is padding"
        )
    return slots_BL & attention_mask_BL.bool()


def position_ids(slots_BL: Tensor, attention_mask_BL: Tensor | None) -> Tensor:
    """Positions as published, int64 [B, L], counted from each row's first token that is not padding."""
    before, after = F.pad(slots_BL[:, :-1], (1, 0)), F.pad(slots_BL[:, 1:], (0, 1))
    inner_BL = before & slots_BL & after
    opens_BL = ~(inner_BL & F.pad(inner_BL[:, :-1], (1, 0)))
    if attention_mask_BL is not None:
        opens_BL = opens_BL & attention_mask_BL.bool()
    return (opens_BL.long().cumsum(-1) - 1).clamp(min=0)


def given_frames(
    slots_BL: Tensor, pixels_BF3SS: Tensor | None, num_frames_B: Tensor | None, tokens_per_frame: int
) -> Tensor | None:
    """The frames of all clips, one after the other, [F, 3, S, S]; None where there are none.

    Args:
        slots_BL: the prompts' vision slots.
        pixels_BF3SS: the clips' frames, padded to the longest.
        num_frames_B: int64, how many of them are each clip's; None: all.
        tokens_per_frame: vision slots of a frame.

    Raises:
        UsageError: a prompt's slots are not those of its frames.
    """
    slots_B = slots_BL.sum(-1)
    if pixels_BF3SS is None:
        frames_B = torch.zeros_like(slots_B)
    elif pixels_BF3SS.ndim != 5 or len(pixels_BF3SS) != len(slots_BL):
        raise UsageError(
            f"pixel_values must be [{len(slots_BL)} clips, frames, 3, side, side], not {list(pixels_BF3SS.shape)}"
        )
    elif num_frames_B is None:
        frames_B = torch.full_like(slots_B, pixels_BF3SS.shape[1])
    else:
        frames_B = num_frames_B.to(slots_B.device)
    if not torch.equal(slots_B, frames_B * tokens_per_frame):
        raise UsageError(
            f"the prompts have {slots_B.tolist()} vision slots, and their clips {frames_B.tolist()} frames of "
            f"{tokens_per_frame} slots; pass all that the processor gives: padding has the slots' token, "
            "and only token_type_ids and attention_mask tell it apart"
        )
    if pixels_BF3SS is None:
        return None
    numbers_F = torch.arange(pixels_BF3SS.shape[1], device=pixels_BF3SS.device)
    return pixels_BF3SS[numbers_F < frames_B.to(pixels_BF3SS.device)[:, None]]
