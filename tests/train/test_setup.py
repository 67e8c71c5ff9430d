"""What a run begins with: held-back clips, the other world of validation, places of patches, the RoPE table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from framescribe.train.initial import grid_embedding
from framescribe.train.setup import set_up
from tests.reference import CPU
from tests.train.small import SIZES, small_settings


@pytest.mark.parametrize(("wanted", "held_back"), [(0, 0), (1, 1), (4, 1)])
def test_clips_to_validate_are_not_trained_on_and_a_quarter_at_most(
    wanted: int, held_back: int, clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    settings = small_settings(
        tmp_path, data=str(clips), model=str(checkpoint), validation_clips=wanted, batch_size=6
    )
    setup = set_up(settings, tmp_path / "run", CPU)
    validated = {batch.clip_ids[0] for batch in setup.validation}
    trained = {clip_id for batch in setup.source.batches(range(5)) for clip_id in batch.clip_ids}
    assert (len(validated), len(trained)) == (held_back, 6 - held_back)
    assert not validated & trained


def test_synthetic_clips_to_validate_are_of_another_world(checkpoint: Path, tmp_path: Path) -> None:
    settings = small_settings(tmp_path, model=str(checkpoint), validation_clips=2, batch_size=1)
    setup = set_up(settings, tmp_path / "run", CPU)
    trained = next(iter(setup.source.batches([0])))
    assert not torch.equal(setup.validation[0].pixels_F3SS, trained.pixels_F3SS)
    seeds = {batch.clip_ids[0].split("/")[1] for batch in setup.validation}
    assert seeds.isdisjoint({str(settings.seed)})


@pytest.mark.parametrize(
    ("rope", "bf16", "rounded"),
    [("weights", True, True), ("weights", False, False), ("float32", True, False)],
)
def test_training_from_scratch_begins_with_places_and_the_rope_table_of_inference(
    rope: str, bf16: bool, rounded: bool, checkpoint: Path, tmp_path: Path
) -> None:
    settings = small_settings(tmp_path, bf16=bf16)
    Path(str(settings.architecture)).write_text(json.dumps(SIZES | {"rope_dtype": rope}))
    # Learnt before, by the run that this one goes on with.
    shutil.copytree(checkpoint, tmp_path / "run/tokenizer", ignore=shutil.ignore_patterns("*.safetensors"))
    model = set_up(settings, tmp_path / "run", CPU).model
    assert torch.equal(model.vision.position_embedding.detach()[1:], grid_embedding(4, 32))
    assert (model.decoder.rotary.inv_freq_NE.dtype == torch.bfloat16) is rounded
