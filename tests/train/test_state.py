"""What lies on disk while a run goes on: whatever moment a kill falls into, it can go on from there."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from framescribe.train.progress import Progress, TrainLog
from framescribe.train.settings import TrainSettings
from framescribe.train.state import finished_steps, load_state, save_state, state_folder
from tests.train.small import logged, small_settings


class Killed(BaseException):
    """Nothing that a program catches."""


@pytest.fixture
def settings(tmp_path: Path) -> TrainSettings:
    return small_settings(tmp_path, steps=9)


def weight(folder: Path, settings: TrainSettings) -> tuple[int, float]:
    """The step and the weight of the run's state."""
    saved = state_folder(folder)
    assert saved is not None
    model = torch.nn.Linear(1, 1, bias=False)
    step, _ = load_state(saved, model, [torch.optim.SGD(model.parameters(), 1.0)], settings, 1)
    return step, model.weight.item()


def save(folder: Path, step: int, settings: TrainSettings) -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(step)
    save_state(folder, step, 0.0, model, [torch.optim.SGD(model.parameters(), 1.0)], settings, 1)


@pytest.mark.parametrize("function", ["os.rename", "shutil.rmtree", "os.mkdir", "os.fsync", "os.replace"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_kill_at_any_step_of_saving_leaves_a_whole_state(
    function: str, call: int, settings: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, settings)
    module, name = (os if function.startswith("os") else shutil), function.split(".")[1]
    real, calls = getattr(module, name), []

    def killed(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return real(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(module, name, killed)
        try:
            save(tmp_path, 2, settings)
        except Killed:
            assert weight(tmp_path, settings) in ((1, 1.0), (2, 2.0))
    save(tmp_path, 3, settings)
    assert weight(tmp_path, settings) == (3, 3.0)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".framescribe", "state."))]


def test_a_kill_while_weights_are_written_leaves_the_state_before(
    settings: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, settings)

    def killed(*_: object) -> None:
        raise Killed

    monkeypatch.setattr("safetensors.torch.save_file", killed)
    with pytest.raises(Killed):
        save(tmp_path, 2, settings)
    assert weight(tmp_path, settings) == (1, 1.0)


def test_a_state_that_stepped_aside_is_the_runs(settings: TrainSettings, tmp_path: Path) -> None:
    """Killed between the two renames."""
    save(tmp_path, 1, settings)
    (tmp_path / "state").rename(tmp_path / "state.old")
    assert weight(tmp_path, settings) == (1, 1.0)


def test_only_the_same_settings_and_all_their_steps_are_finished(
    settings: TrainSettings, tmp_path: Path
) -> None:
    assert finished_steps(tmp_path, settings) is None
    save(tmp_path, 8, settings)
    assert finished_steps(tmp_path, settings) is None
    save(tmp_path, 9, settings)
    assert finished_steps(tmp_path, settings) == 9
    assert finished_steps(tmp_path, replace(settings, seed=6)) is None


def test_a_line_of_the_log_is_on_disk_when_it_is_told(tmp_path: Path) -> None:
    log = TrainLog(tmp_path, 0)
    log.add(Progress(1, 2.5, 1e-3, 4.0, 5.0))
    assert [line["loss"] for line in logged(tmp_path)] == [2.5]
    log.close()
    assert json.loads((tmp_path / "log.jsonl").read_text())["step"] == 1
