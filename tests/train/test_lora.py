"""LoRA: little trains, and what is saved is an ordinary checkpoint."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from framescribe.captioner import Captioner
from framescribe.checkpoint import open_checkpoint
from framescribe.errors import UsageError
from framescribe.model.checkpoint import load_model
from framescribe.model.layout import official_tensors
from framescribe.train.parts import choose_weights
from framescribe.types import CaptionSettings, GenerationSettings
from tests.reference import CPU
from tests.train.small import losses, run_training, small_settings, weights


@pytest.mark.parametrize("bf16", [False, True])
def test_only_lora_weights_train_in_fp32(bf16: bool, checkpoint: Path, tmp_path: Path) -> None:
    model = load_model(checkpoint, CPU, torch.bfloat16 if bf16 else torch.float32)
    settings = small_settings(tmp_path, model=str(checkpoint), lora_rank=2, parts=["language"], bf16=bf16)
    choose_weights(model, settings)
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    layers = 2 * 5  # of two decoder layers: qkv, attention_out, gate, up, down
    assert len(trained) == 2 * layers
    assert all("lora_" in name and name.startswith("decoder.layers.") for name in trained)
    assert {weight.dtype for weight in trained.values()} == {torch.float32}


def test_lora_adds_its_product_scaled_by_alpha_over_rank(checkpoint: Path, tmp_path: Path) -> None:
    """arXiv 2106.09685, section 4.1: W + B A, scaled by alpha / r."""
    before, model = (load_model(checkpoint, CPU, torch.float32) for _ in range(2))
    settings = small_settings(
        tmp_path, model=str(checkpoint), lora_rank=2, lora_alpha=32, parts=["language"], lora_layers=1
    )
    trained = choose_weights(model, settings)
    drawn = torch.Generator().manual_seed(0)
    added = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            weight.data = torch.randn(weight.shape, generator=drawn)
            added[name.replace(".default", "")] = weight.data.clone()
    merged = dict(trained.merged().named_parameters())
    changed = [name for name, weight in before.named_parameters() if not torch.equal(weight, merged[name])]
    assert len(changed) == 5
    for name in changed:
        layer = name.removesuffix(".weight")
        product = added[f"{layer}.lora_B.weight"] @ added[f"{layer}.lora_A.weight"]
        expected = before.get_parameter(name) + 32 / 2 * product
        torch.testing.assert_close(merged[name], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("part", "last", "names"),
    [
        ("language", 1, "decoder.layers.1."),
        ("language", 5, "decoder.layers."),
        ("vision", 1, "vision.layers.0."),
        ("adapter", 1, "vision.adapter."),
    ],
)
def test_lora_on_the_last_layers_of_a_part(
    part: str, last: int, names: str, checkpoint: Path, tmp_path: Path
) -> None:
    model = load_model(checkpoint, CPU, torch.float32)
    choose_weights(
        model,
        small_settings(tmp_path, model=str(checkpoint), lora_rank=2, lora_layers=last, parts=[part]),
    )
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert all(name.startswith(names) for name in trained)
    layers = {"language": min(last, 2) * 5, "vision": 4, "adapter": 4}[part]
    assert len(trained) == 2 * layers


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("language", "model.layers."),
        ("vision", "model.vision.transformer."),
        ("adapter", "model.vision.linear_proj."),
    ],
)
def test_the_merged_checkpoint_differs_in_the_chosen_part_only(
    part: str, changes: str, clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    settings = small_settings(
        tmp_path, data=str(clips), model=str(checkpoint), lora_rank=4, parts=[part], steps=3
    )
    run_training(settings, tmp_path / "run")
    before, after = load_file(checkpoint / "model.safetensors"), weights(tmp_path / "run")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith(changes) and after[name].ndim == 2 for name in changed)
    # Each change has the rank of LoRA's, and the size of a few steps.
    for name in changed:
        assert torch.linalg.matrix_rank(after[name] - before[name], rtol=1e-3) <= 4


def test_the_merged_checkpoint_is_the_trained_model(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    settings = small_settings(
        tmp_path, data=str(clips), model=str(checkpoint), lora_rank=8, lora_alpha=32, steps=2, batch_size=6,
        learning_rate=1e-2,
    )  # fmt: skip
    run_training(settings, tmp_path / "run")
    again = small_settings(
        tmp_path, data=str(clips), model=str(tmp_path / "run" / "checkpoint"), steps=1, batch_size=6
    )
    run_training(again, tmp_path / "again")
    longer = small_settings(
        tmp_path, data=str(clips), model=str(checkpoint), lora_rank=8, lora_alpha=32, steps=3, batch_size=6,
        learning_rate=1e-2,
    )  # fmt: skip
    run_training(longer, tmp_path / "longer")
    # All six clips are in every batch: the merged model starts where the third step of LoRA does, but for the schedule.
    assert losses(tmp_path / "again")[0] == pytest.approx(losses(tmp_path / "longer")[2], rel=0.02)
    assert losses(tmp_path / "again")[0] < losses(tmp_path / "longer")[0] - 0.01
    captioner = Captioner.from_pretrained(tmp_path / "run" / "checkpoint", device="cpu", dtype="fp32")
    settings_of_captions = CaptionSettings(generation=GenerationSettings(max_new_tokens=3))
    (row,) = captioner.caption([clips / "0.mp4"], settings_of_captions)
    assert row.output_tokens > 0


def test_resumed_lora_equals_uninterrupted(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    settings = small_settings(
        tmp_path, data=str(clips), model=str(checkpoint), lora_rank=2, gradient_checkpointing=True, steps=3
    )
    run_training(settings, tmp_path / "whole")
    for _ in range(3):
        run_training(settings, tmp_path / "parts", max_minutes=1e-9)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> tuple[Path, Path]:
    """A checkpoint, and a run that trained LoRA on all of its parts."""
    folder = tmp_path_factory.mktemp("tuned")
    run_training(small_settings(folder, steps=1), folder / "base")
    base = folder / "base" / "checkpoint"
    settings = small_settings(folder, model=str(base), lora_rank=3, lora_alpha=6, steps=3, learning_rate=1e-2)
    run_training(settings, folder / "run")
    return base, folder / "run"


def modules_of(tensors: dict[str, torch.Tensor]) -> torch.nn.Module:
    """A model of empty modules and linear layers, called as in the official checkpoint."""
    root = torch.nn.Module()
    for name, tensor in tensors.items():
        *path, layer, leaf = name.split(".")
        module = root
        for part in path:
            if part not in module._modules:
                module.add_module(part, torch.nn.Module())
            module = module.get_submodule(part)
        if leaf == "weight" and tensor.ndim == 2:
            linear = torch.nn.Linear(tensor.shape[1], tensor.shape[0], bias=False)
            linear.weight.data = tensor.clone()
            module.add_module(layer, linear)
    return root


def test_pefts_own_loader_reads_the_adapter(tuned: tuple[Path, Path], recwarn) -> None:
    from peft import PeftModel

    base, run = tuned
    before, merged = load_file(base / "model.safetensors"), weights(run)
    model = PeftModel.from_pretrained(modules_of(before), str(run / "adapter"))
    assert not [warning for warning in recwarn if "missing" in str(warning.message).lower()]
    found = model.merge_and_unload().state_dict()
    changed = [name for name in before if not torch.equal(before[name], merged[name])]
    assert len(changed) == 2 * 5 + 4 + 4  # all linear layers of decoder, tower and the adapter between them
    for name in changed:
        torch.testing.assert_close(found[name], merged[name])


def test_an_adapter_over_its_model_is_the_merged_checkpoint(tuned: tuple[Path, Path], clips: Path) -> None:
    base, run = tuned
    checkpoint = open_checkpoint(str(base), adapter=str(run / "adapter"))
    model = load_model(checkpoint.folder, CPU, torch.float32, merge=checkpoint.merge)
    assert official_tensors(model).keys() == weights(run).keys()
    for name, tensor in official_tensors(model).items():
        torch.testing.assert_close(tensor, weights(run)[name])
    by_adapter, by_checkpoint = (
        Captioner.from_pretrained(**model, device="cpu", dtype="fp32")
        for model in ({"adapter": run / "adapter"}, {"model": run / "checkpoint"})
    )
    limit = CaptionSettings(generation=GenerationSettings(max_new_tokens=8))
    (row,), (expected,) = (
        list(each.caption([clips / "0.mp4"], limit)) for each in (by_adapter, by_checkpoint)
    )
    assert row.caption_raw == expected.caption_raw
    assert row.model == str(run / "adapter")
    assert "+sha256:" in row.model_revision


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_dora": True}, "no plain LoRA adapter"),
        ({"peft_type": "IA3"}, "no plain LoRA adapter"),
        ({"base_model_name_or_path": None}, "names no base model"),
        ({"r": 4}, "do not fit this model's"),
        ({"r": 0}, "above 0"),
        ({"lora_alpha": math.nan}, "a number up to"),
        ({"lora_alpha": 10**400}, "a number up to"),
        ({"lora_alpha": True}, "a number up to"),
        ({"base_model_name_or_path": "tiny-random"}, "do not fit this model's|is no linear layer"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    changes, said, tuned: tuple[Path, Path], tmp_path: Path
) -> None:
    _, run = tuned
    shutil.copytree(run / "adapter", tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(UsageError, match=said):
        Captioner.from_pretrained(adapter=tmp_path / "adapter", device="cpu")


def test_an_adapter_without_layers_is_refused(tuned: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(tuned[1] / "adapter", tmp_path / "adapter")
    save_file({}, tmp_path / "adapter" / "adapter_model.safetensors")
    with pytest.raises(UsageError, match="holds no layer"):
        Captioner.from_pretrained(adapter=tmp_path / "adapter", device="cpu")


def test_a_model_is_no_adapter_and_an_adapter_no_model(tuned: tuple[Path, Path]) -> None:
    base, run = tuned
    with pytest.raises(UsageError, match=r"holds no adapter_config\.json"):
        Captioner.from_pretrained(base, adapter=run / "checkpoint", device="cpu")
    with pytest.raises(UsageError, match="is a LoRA adapter, not a model; give it as `adapter`"):
        Captioner.from_pretrained(run / "adapter", device="cpu")
