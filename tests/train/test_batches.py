"""Which clips a batch holds, in which order, and how they are asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framescribe.prompt import PromptBuilder
from framescribe.tokenizer import CaptionTokenizer
from framescribe.train.batches import ClipBatches, TrainBatch
from framescribe.train.examples import read_examples
from tests.train.small import small_settings

SLOT = 2


def batches(clips: Path, checkpoint: Path, numbers: range, **changes: Any) -> list[TrainBatch]:
    prompts = PromptBuilder(
        CaptionTokenizer(checkpoint), bos_token_id=0, eos_token_id=1, slot_token_id=SLOT, tokens_per_frame=6
    )
    settings = small_settings(clips, data=str(clips), model=str(checkpoint), **changes)
    return list(ClipBatches(read_examples(str(clips)), prompts, settings, image_size=28).batches(numbers))


def test_each_epoch_has_every_clip_once_in_an_order_of_its_own(clips: Path, checkpoint: Path) -> None:
    drawn = batches(clips, checkpoint, range(12), batch_size=3)
    epochs = [[*drawn[2 * epoch].clip_ids, *drawn[2 * epoch + 1].clip_ids] for epoch in range(6)]
    named = [example.clip.id for example in read_examples(str(clips)).usable]
    assert all(sorted(epoch) == sorted(named) for epoch in epochs)
    orders = {tuple(epoch) for epoch in epochs}
    assert len(orders) == 6
    assert tuple(named) not in orders
    other = batches(clips, checkpoint, range(2), batch_size=3, seed=6)
    assert [*other[0].clip_ids, *other[1].clip_ids] not in epochs


def test_frames_and_layout_are_those_of_the_settings(clips: Path, checkpoint: Path) -> None:
    tokenizer = CaptionTokenizer(checkpoint)
    example = read_examples(str(clips)).usable[0]
    for changes, numbers in (
        ({"strategy": "uniform", "frames": 3, "template": "vqa", "prompt": "What?"}, ""),
        ({"strategy": "uniform", "frames": 2, "template": "chat", "prompt": "What?"}, "02"),
        ({"strategy": "chat", "frames": 24, "template": "chat", "prompt": "What?"}, "012"),
    ):
        (batch,) = batches(clips, checkpoint, range(1), **changes)
        row = batch.clip_ids.index(example.clip.id) if example.clip.id in batch.clip_ids else 0
        ids = batch.input_ids_BL[row].tolist()
        frames = len(batch.pixels_F3SS) // len(batch.clip_ids)
        assert ids.count(SLOT) == 6 * frames
        assert frames == (3 if changes["strategy"] == "chat" else changes["frames"])
        answer = "Short answer" if changes["template"] == "vqa" else "Answer"
        text = tokenizer.decode([id for id in ids if id > SLOT])
        assert text.startswith(f"{numbers}Question: What? {answer}:")
