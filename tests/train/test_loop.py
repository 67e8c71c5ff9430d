"""The loop: resuming, stopping, accumulating; in one process."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from framescribe.model.checkpoint import load_model
from framescribe.train import loop
from framescribe.train.examples import read_examples
from framescribe.train.loop import LossNotFinite
from framescribe.train.optimizer import learning_rate_at, make_optimizers
from framescribe.train.progress import Validation
from framescribe.train.setup import set_up
from tests.reference import CPU
from tests.train.conftest import CAPTIONS
from tests.train.small import logged, losses, run_training, small_settings, weights


def test_a_run_writes_log_tensorboard_state_and_checkpoint(
    clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = small_settings(
        tmp_path, data=str(clips), model=str(checkpoint), validation_clips=1, validate_every=2
    )
    reported = run_training(settings, tmp_path / "run")
    validations = [news for news in reported if isinstance(news, Validation)]
    assert [news.step for news in validations] == [2, 4]
    assert all(news.captions[0][0] == CAPTIONS[5] and math.isfinite(news.loss) for news in validations)
    log = logged(tmp_path / "run")
    assert [(line["step"], "loss" in line) for line in log] == [
        (1, True), (2, True), (2, False), (3, True), (4, True), (4, False)
    ]  # fmt: skip
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    for name in ("loss", "learning_rate", "validation_loss"):
        expected = [(line["step"], line[name]) for line in log if name in line]
        assert [(event.step, event.value) for event in board.Scalars(name)] == [
            (step, pytest.approx(value)) for step, value in expected
        ]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        path.name for path in (tmp_path / "run" / "checkpoint").iterdir()
    }


def test_training_learns(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    settings = small_settings(
        tmp_path, data=str(clips), model=str(checkpoint), steps=15, batch_size=4, learning_rate=1e-2
    )
    run_training(settings, tmp_path / "run")
    first, *_, last = losses(tmp_path / "run")
    assert first == pytest.approx(math.log(320), abs=0.5)  # random weights say nothing of 320 tokens
    assert last < 0.8 * first


def test_stopped_after_minutes_and_resumed_is_uninterrupted(
    clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    settings = small_settings(tmp_path, data=str(clips), model=str(checkpoint), steps=5)
    run_training(settings, tmp_path / "whole")
    for done in range(1, 6):
        run_training(settings, tmp_path / "parts", max_minutes=1e-9)
        assert [line["step"] for line in logged(tmp_path / "parts")] == list(range(1, done + 1))
        assert (tmp_path / "parts" / "checkpoint").exists() == (done == 5)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_resume_with_other_settings_is_refused(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    settings = small_settings(tmp_path, data=str(clips), model=str(checkpoint))
    run_training(settings, tmp_path / "run")
    other = small_settings(tmp_path, data=str(clips), model=str(checkpoint), seed=6, batch_size=3)
    with pytest.raises(ValueError, match="batch_size: 2 → 3; seed: 5 → 6") as refused:
        run_training(other, tmp_path / "run")
    assert "learning_rate" not in str(refused.value)
    state = tmp_path / "run" / "state" / "state.json"
    facts = json.loads(state.read_text())
    state.write_text(json.dumps(facts | {"processes": 2, "step": facts["step"] - 1}))  # of a run not finished
    with pytest.raises(ValueError, match=r"other settings \(processes: 2 → 1\)"):
        run_training(settings, tmp_path / "run")


def test_a_line_of_the_log_that_a_kill_cut_off_is_dropped(
    clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    settings = small_settings(tmp_path, data=str(clips), model=str(checkpoint), steps=3)
    run_training(settings, tmp_path / "run", max_minutes=1e-9)
    with (tmp_path / "run" / "log.jsonl").open("a") as file:
        file.write('{"step": 2, "loss": 5.1}\n{"step": 3, "lo')
    run_training(settings, tmp_path / "run")
    assert [line["step"] for line in logged(tmp_path / "run")] == [1, 2, 3]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_state(
    clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    settings = small_settings(tmp_path, data=str(clips), model=str(checkpoint), log_every=2)
    run_training(settings, tmp_path / "run", max_minutes=1e-9)
    state = tmp_path / "run" / "state" / "weights.safetensors"
    broken = load_file(state)
    broken["lm_head.weight"][7] = math.inf
    save_file(broken, state)
    before = state.read_bytes()
    with pytest.raises(LossNotFinite, match="at step 2; clips of its batch: ") as stopped:
        run_training(settings, tmp_path / "run")
    named = str(stopped.value).split("batch: ")[1].split(". The last")[0].split(", ")
    assert len(named) == 2
    assert set(named) <= {example.clip.id for example in read_examples(str(clips)).usable}
    assert str(tmp_path / "run" / "state") in str(stopped.value)
    assert state.read_bytes() == before
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_accumulated_batches_are_one_batch(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Captions differ in length, so a mean of the batches' means would differ."""
    common = {"data": str(clips), "model": str(checkpoint), "max_grad_norm": 1e9}
    run_training(small_settings(tmp_path, batch_size=6, **common), tmp_path / "one")
    run_training(small_settings(tmp_path, batch_size=2, accumulation=3, **common), tmp_path / "three")
    assert losses(tmp_path / "three") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


@pytest.mark.parametrize("limit", [1e9, 0.01])
def test_a_step_is_torchs_own_with_gradients_scaled_down_to_their_limit(
    limit: float, clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    """Three steps over the same six clips, written out: loss, gradients of this step alone, their norm, AdamW."""
    settings = small_settings(
        tmp_path, data=str(clips), model=str(checkpoint), batch_size=6, steps=3, max_grad_norm=limit
    )
    run_training(settings, tmp_path / "run")
    setup = set_up(settings, tmp_path / "other", CPU)
    (optimizer,) = make_optimizers(setup.model, settings)
    for step, batch in enumerate(setup.source.batches(range(3))):
        loss = setup.model(
            batch.input_ids_BL, batch.positions_BL, batch.is_vision_BL, batch.labels_BL, batch.pixels_F3SS
        )
        trained = list(setup.model.parameters())
        gradients = torch.autograd.grad(loss, trained)
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        for weight, gradient in zip(trained, gradients, strict=True):
            weight.grad = gradient * min(1, limit / norm)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, settings)
        optimizer.step()
    expected = dict(setup.model.named_parameters())
    assert losses(tmp_path / "run")[2] == pytest.approx(loss.item(), rel=1e-4)
    found = load_model(tmp_path / "run" / "checkpoint", CPU, torch.float32)
    for name, weight in found.named_parameters():
        torch.testing.assert_close(weight, expected[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("bf16", [True, False])
def test_checkpoint_and_states_are_written_as_promised(
    bf16: bool, clips: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    real = loop.save_state
    monkeypatch.setattr(
        loop, "save_state", lambda run, step, *rest: (saved.append(step), real(run, step, *rest))
    )
    settings = small_settings(
        tmp_path, data=str(clips), model=str(checkpoint), steps=5, save_every=2, bf16=bf16
    )
    run_training(settings, tmp_path / "run")
    assert saved == [2, 4, 5]
    assert {weight.dtype for weight in weights(tmp_path / "run").values()} == {
        torch.bfloat16 if bf16 else torch.float32
    }


def test_gradient_checkpointing_changes_nothing(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    for name, recompute in (("kept", False), ("recomputed", True)):
        settings = small_settings(
            tmp_path, data=str(clips), model=str(checkpoint), gradient_checkpointing=recompute
        )
        run_training(settings, tmp_path / name)
    assert losses(tmp_path / "recomputed") == pytest.approx(losses(tmp_path / "kept"), rel=1e-6)
    kept, recomputed = weights(tmp_path / "kept"), weights(tmp_path / "recomputed")
    for name in kept:
        torch.testing.assert_close(recomputed[name], kept[name], rtol=1e-4, atol=1e-6)


def test_only_the_chosen_parts_train(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    settings = small_settings(tmp_path, data=str(clips), model=str(checkpoint), parts=["adapter"])
    run_training(settings, tmp_path / "run")
    before, after = load_file(checkpoint / "model.safetensors"), weights(tmp_path / "run")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("model.vision.") for name in changed)
    assert not any("transformer" in name or "patch_embedding" in name for name in changed)
