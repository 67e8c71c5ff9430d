"""Training on the synthetic world: endless, reproducible, without held-out pairs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from framescribe.prompt import PromptBuilder
from framescribe.synthetic.facts import has_held_out_pair
from framescribe.tokenizer import CaptionTokenizer
from framescribe.train.batches import SyntheticBatches
from tests.reference import CPU
from tests.train.small import losses, run_training, small_settings


def batches(checkpoint: Path, folder: Path, **changes: Any) -> SyntheticBatches:
    prompts = PromptBuilder(
        CaptionTokenizer(checkpoint), bos_token_id=0, eos_token_id=1, slot_token_id=2, tokens_per_frame=6
    )
    settings = small_settings(folder, model=str(checkpoint), **{"batch_size": 40, **changes})
    return SyntheticBatches(prompts, settings, CPU, image_size=28)


def test_held_out_pairs_are_never_drawn(checkpoint: Path, tmp_path: Path) -> None:
    source = batches(checkpoint, tmp_path)
    facts = [clip.facts for number in range(50) for clip in source[number][0]]
    assert not any(map(has_held_out_pair, facts))
    assert len({fact.subject for fact in facts}) > 90


def test_a_batch_follows_from_its_number(checkpoint: Path, tmp_path: Path) -> None:
    source = batches(checkpoint, tmp_path)
    _, again = source[3]
    assert again.clip_ids[:2] == ["synthetic/5/3/0", "synthetic/5/3/1"]
    assert torch.equal(source[3][1].input_ids_BL, again.input_ids_BL)
    captions = {clip.caption for clip in source[3][0]}
    assert captions.isdisjoint(clip.caption for clip in source[4][0])


def test_subjects_askew_change_the_frames_and_no_word(checkpoint: Path, tmp_path: Path) -> None:
    (upright,), (askew,) = (
        batches(checkpoint, tmp_path, batch_size=4, workers=0, askew=share).batches([3])
        for share in (0.0, 1.0)
    )
    assert torch.equal(upright.input_ids_BL, askew.input_ids_BL)
    apart = (upright.pixels_F3SS != askew.pixels_F3SS).flatten(1).any(1)
    assert apart.view(4, 8).any(1).all()


def test_from_scratch_with_a_tokenizer_of_its_own_and_resumed(tmp_path: Path) -> None:
    for optimizer in ("adamw", "muon"):
        whole, parts = (tmp_path / f"{optimizer} {name}" for name in ("whole", "parts"))
        settings = small_settings(
            tmp_path, steps=3, batch_size=1, validation_clips=1, validate_every=3, optimizer=optimizer
        )
        if optimizer == "muon":
            shutil.copytree(
                tmp_path / "adamw whole/tokenizer", whole / "tokenizer"
            )  # learning it takes seconds
        run_training(settings, whole)
        shutil.copytree(whole / "tokenizer", parts / "tokenizer")
        run_training(settings, parts, max_minutes=1e-9)
        run_training(settings, parts)
        assert losses(parts) == losses(whole)
    tokenizer = CaptionTokenizer(tmp_path / "adamw whole" / "checkpoint")
    assert len(tokenizer) == 320
    assert tokenizer.decode(tokenizer.encode("A kangaroo hops.")) == "A kangaroo hops."
