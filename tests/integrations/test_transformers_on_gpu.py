"""Attention in transformers on a GPU: eager, and FlashAttention where a version of it is installed, beside SDPA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import framescribe.integrations.transformers  # noqa: F401 - registers the model
from framescribe.model.hub import fetch_checkpoint
from framescribe.types import Clip

transformers = pytest.importorskip("transformers")
AutoModelForCausalLM, AutoProcessor = transformers.AutoModelForCausalLM, transformers.AutoProcessor

EXAMPLES = Path(__file__).parents[2] / "examples"
CLIPS = [Clip(str(EXAMPLES / "kite.mp4")), Clip(str(EXAMPLES / "rose.mp4"), end_s=3)]


def attentions() -> list[str]:
    """What there is beside SDPA."""
    names = transformers.utils.import_utils
    flash = [number for number in (2, 3, 4) if getattr(names, f"is_flash_attn_{number}_available")()]
    return ["eager", *(f"flash_attention_{number}" for number in flash)]


def captions(model: Any, processor: Any, clips: list[Clip], device: torch.device) -> tuple[list[str], Tensor]:
    """Greedy captions, and the first token's logits [clips, vocabulary], of clips in one batch."""
    batch = processor(videos=clips).to(device)
    with torch.no_grad():
        logits = model(**batch).logits[:, -1].float()
    tokens = model.generate(**batch, max_new_tokens=48, do_sample=False)
    return processor.batch_decode(tokens[:, batch["input_ids"].shape[1] :], skip_special_tokens=True), logits


@pytest.mark.gpu
@pytest.mark.parametrize("attention", attentions())
def test_a_padded_batch_has_the_captions_that_sdpa_gives(attention: str, cuda: torch.device) -> None:
    folder = fetch_checkpoint("tiny").folder
    processor = AutoProcessor.from_pretrained(folder)
    found = []
    for each in ("sdpa", attention):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation=each)
        found.append(captions(model.to(cuda), processor, CLIPS, cuda))
    (wanted, wanted_logits_BW), (texts, logits_BW) = found
    assert texts == wanted
    assert len(set(texts)) == len(CLIPS)
    assert (logits_BW - wanted_logits_BW).norm() < 0.05 * wanted_logits_BW.norm()
