"""A training run's state on disk: trained weights, optimizer moments, step. Safetensors and JSON, nothing pickled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from framescribe.errors import UsageError
from framescribe.files import remove_leftovers, temporary_beside
from framescribe.train.settings import TrainSettings

_FOLDER = "state"


def save_state(
    run: Path,
    step: int,
    seconds: float,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    settings: TrainSettings,
    processes: int,
) -> None:
    """Replaces the run's state by that after ``step`` optimizer steps; a kill leaves the old state or the new one."""
    from safetensors.torch import save_file

    remove_leftovers(run)
    new = temporary_beside(run / _FOLDER)
    new.mkdir(parents=True)
    trained = _trained(model)
    save_file({name: parameter.detach() for name, parameter in trained.items()}, new / "weights.safetensors")
    moments = {
        f"{name}/{key}": value.contiguous()
        for name, parameter in trained.items()
        for optimizer in optimizers
        for key, value in optimizer.state.get(parameter, {}).items()
    }
    save_file(moments, new / "optimizer.safetensors")
    facts = {"step": step, "seconds": seconds, "settings": settings.to_dict(), "processes": processes}
    (new / "state.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    # A folder cannot be replaced in one step: the old one steps aside first, and `state_folder` knows both names.
    old = run / f"{_FOLDER}.old"
    shutil.rmtree(old, ignore_errors=True)
    if (run / _FOLDER).exists():
        (run / _FOLDER).rename(old)
    new.rename(run / _FOLDER)
    shutil.rmtree(old, ignore_errors=True)


def state_folder(run: Path) -> Path | None:
    """The run's last whole state, or None."""
    for name in (_FOLDER, f"{_FOLDER}.old"):
        if (run / name / "state.json").is_file():
            return run / name
    return None


def finished_steps(run: Path, settings: TrainSettings) -> int | None:
    """The steps of a run that has done all of ``settings``, these and no others; None if there is something left."""
    folder = state_folder(run)
    if folder is None:
        return None
    facts = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    is_done = facts["settings"] == settings.to_dict() and facts["step"] == settings.steps
    return int(facts["step"]) if is_done else None


def load_state(
    folder: Path,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    settings: TrainSettings,
    processes: int,
) -> tuple[int, float]:
    """Fills weights and moments from ``state_folder``'s answer. Returns the steps done and the seconds they took.

    Raises:
        UsageError: it was saved under other settings, or by another number of processes, so that the run would go on
            differently; names them all.
    """
    from safetensors.torch import load_file

    facts = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    saved = {**facts["settings"], "processes": facts["processes"]}
    now = {**settings.to_dict(), "processes": processes}
    if differing := [
        f"{key}: {saved.get(key)!r} → {now[key]!r}" for key in now if saved.get(key) != now[key]
    ]:
        raise UsageError(
            f"{folder} was trained with other settings ({'; '.join(differing)}); "
            "go on with the same, or train into another folder"
        )
    weights = load_file(folder / "weights.safetensors")
    moments = load_file(folder / "optimizer.safetensors")
    names = {parameter: name for name, parameter in _trained(model).items()}
    for optimizer in optimizers:
        for parameter in (one for group in optimizer.param_groups for one in group["params"]):
            parameter.data.copy_(weights[names[parameter]])
            optimizer.state[parameter] = {
                key.rpartition("/")[2]: _like(value, parameter, key)
                for key, value in moments.items()
                if key.rpartition("/")[0] == names[parameter]
            }
    return int(facts["step"]), float(facts["seconds"])


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _like(value: Tensor, parameter: nn.Parameter, key: str) -> Tensor:
    # AdamW keeps its step count on the CPU unless it is fused; fused on CUDA, beside the parameter.
    return value.to(parameter.device) if not key.endswith("/step") or parameter.is_cuda else value
