"""The learning rate of each step, and what decays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from framescribe.model.checkpoint import random_model
from framescribe.model.config import ModelConfig
from framescribe.train.optimizer import learning_rate_at, make_optimizers
from tests.reference import CPU
from tests.train.small import SIZES, small_settings


def test_learning_rate(tmp_path: Path) -> None:
    settings = small_settings(tmp_path, steps=110, warmup_steps=10, learning_rate=1e-3)
    rates = [learning_rate_at(step, settings) for step in range(111)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[:10] == pytest.approx([1e-4 * step for step in range(1, 11)])
    # torch's own cosine, from the peak to a hundredth of it.
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100, eta_min=1e-5)
    for rate in rates[10:]:
        assert rate == pytest.approx(cosine.get_last_lr()[0], rel=1e-6)
        optimizer.step()
        cosine.step()


@pytest.mark.parametrize("steps", [1, 5])
def test_warm_up_longer_than_the_run(steps: int, tmp_path: Path) -> None:
    settings = small_settings(tmp_path, steps=steps, warmup_steps=10, learning_rate=1.0)
    assert [learning_rate_at(step, settings) for step in range(steps)] == pytest.approx(
        [0.1 * (step + 1) for step in range(steps)]
    )


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_norms_biases_and_embeddings_do_not_decay(optimizer: str, tmp_path: Path) -> None:
    model = random_model(ModelConfig.from_dict(SIZES), CPU, torch.float32, seed=1).requires_grad_(True)
    names = {id(weight): name for name, weight in model.named_parameters()}
    settings = small_settings(tmp_path, weight_decay=0.1, optimizer=optimizer)
    decays = {
        names[id(weight)]: group["weight_decay"]
        for each in make_optimizers(model, settings)
        for group in each.param_groups
        for weight in group["params"]
    }
    assert decays.keys() == set(names.values())
    adamw = make_optimizers(model, settings)[-1]
    assert {group["betas"] for group in adamw.param_groups} == {(0.9, 0.95)}
    still = {name for name, decay in decays.items() if decay == 0}
    assert still == {
        name
        for name in names.values()
        if name.endswith(("bias", "norm.weight", "embedding", "embedding.weight", "boi", "eoi"))
    }


def test_muon_takes_the_matrices_between_hidden_states(tmp_path: Path) -> None:
    model = random_model(ModelConfig.from_dict(SIZES), CPU, torch.float32, seed=1).requires_grad_(True)
    muon, adamw = make_optimizers(model, small_settings(tmp_path, optimizer="muon"))
    assert isinstance(muon, torch.optim.Muon)
    assert isinstance(adamw, torch.optim.AdamW)
    taken = {id(weight) for group in muon.param_groups for weight in group["params"]}
    hidden = {id(each.weight) for each in model.modules() if isinstance(each, torch.nn.Linear)}
    assert taken == hidden - {id(model.lm_head.weight)}
    rest = {id(weight) for group in adamw.param_groups for weight in group["params"]}
    assert taken.isdisjoint(rest)
    assert taken | rest == {id(weight) for weight in model.parameters()}
