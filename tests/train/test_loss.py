"""The training loss against transformers' and the recorded one, and what may not change it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers.loss.loss_utils import ForCausalLMLoss

from framescribe.model.attention import causal_attention
from framescribe.model.model import CaptionModel
from framescribe.prompt import PromptBuilder
from framescribe.tokenizer import CaptionTokenizer
from framescribe.train.batches import TrainBatch, collate, without_caption
from framescribe.types import IGNORED_LABEL, Prompt
from framescribe.video.transform import transform
from tests.reference import case_prompt, recorded


def loss_of(model: CaptionModel, batch: TrainBatch) -> torch.Tensor:
    with torch.no_grad():
        return model(
            batch.input_ids_BL, batch.positions_BL, batch.is_vision_BL, batch.labels_BL, batch.pixels_F3SS
        )


@pytest.fixture(scope="module")
def answered(prompts: PromptBuilder) -> TrainBatch:
    """The recorded training example, through the code that makes batches."""
    pixels = transform(recorded("train-answer")["video_u8_cthw"].transpose(0, 1))
    return collate(["train-answer"], [case_prompt("train-answer", prompts)], pixels)


def texts(prompts: PromptBuilder, *answers: str) -> list[Prompt]:
    return [prompts.build("What?", "chat", range(0), answer=answer) for answer in answers]


def test_equals_the_recorded_loss(model: CaptionModel, answered: TrainBatch) -> None:
    expected = recorded("train-answer")
    length = len(expected["labels"].flatten())
    assert torch.equal(answered.labels_BL[0, :length], expected["labels"].flatten())
    assert answered.labels_BL.shape[1] > length  # the batch is padded, the recorded one is not
    assert loss_of(model, answered).item() == pytest.approx(expected["loss"].item(), abs=1e-4)


def test_equals_the_loss_of_transformers(
    model: CaptionModel, prompts: PromptBuilder, answered: TrainBatch
) -> None:
    with torch.no_grad():
        features = model.vision(answered.pixels_F3SS)
        x = model.embed(answered.input_ids_BL, answered.is_vision_BL, features)
        logits = model.lm_head(model.decoder(x, answered.positions_BL, causal_attention))
    expected = ForCausalLMLoss(logits, answered.labels_BL, model.config.vocab_size)
    torch.testing.assert_close(loss_of(model, answered), expected)


def test_only_the_caption_and_its_end_are_learnt(
    prompts: PromptBuilder, tokenizer: CaptionTokenizer, answered: TrainBatch
) -> None:
    batch = collate(["a", "b"], texts(prompts, "A cat.", "A much longer caption of a dog."), torch.empty(0))
    for row, caption in enumerate(("A cat.", "A much longer caption of a dog.")):
        labelled = batch.labels_BL[row] != IGNORED_LABEL
        assert batch.labels_BL[row][labelled].tolist() == [*tokenizer.encode(caption), prompts.eos_token_id]
        assert torch.equal(batch.labels_BL[row][labelled], batch.input_ids_BL[row][labelled])
    assert batch.labelled_tokens == int((batch.labels_BL != IGNORED_LABEL).sum())
    assert not (answered.labels_BL[answered.is_vision_BL] != IGNORED_LABEL).any()


def test_a_batch_parts_into_the_prompt_of_inference_and_the_caption(
    prompts: PromptBuilder, tokenizer: CaptionTokenizer
) -> None:
    asked = prompts.build("What?", "chat", range(2))
    batch = collate(["a"], [prompts.with_answer(asked, "A cat.")], torch.empty(0))
    prompt, caption_ids = without_caption(batch)
    assert prompt == asked
    assert caption_ids == [*tokenizer.encode("A cat."), prompts.eos_token_id]


def test_padding_changes_nothing(model: CaptionModel, prompts: PromptBuilder) -> None:
    short, long = texts(prompts, "A cat.", "A long caption " * 20)
    frames = torch.empty(0, 3, 224, 224)
    alone = [collate(["x"], [prompt], frames) for prompt in (short, long)]
    together = collate(["a", "b"], [short, long], frames)
    assert alone[0].labels_BL.shape[1] < together.labels_BL.shape[1]
    counts = [batch.labelled_tokens for batch in alone]
    assert together.labelled_tokens == sum(counts)
    alone_losses = [loss_of(model, replace(batch, pixels_F3SS=None)) for batch in alone]
    expected = sum(loss * count for loss, count in zip(alone_losses, counts, strict=True)) / sum(counts)
    torch.testing.assert_close(loss_of(model, replace(together, pixels_F3SS=None)), expected)
    # Whatever the padding holds, no caption sees it.
    padding = torch.arange(together.input_ids_BL.shape[1]) >= len(short)
    filled = together.input_ids_BL.clone()
    filled[0, padding] = 77
    torch.testing.assert_close(
        loss_of(model, replace(together, pixels_F3SS=None, input_ids_BL=filled)), expected
    )
