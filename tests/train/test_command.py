"""`framescribe train` in processes of its own: killed and gone on with, and two that train together."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from framescribe.cli.main import app
from tests.cli.run import COMMAND
from tests.train.small import logged, losses, run_training, small_settings, weights


def write_toml(path: Path, **values: Any) -> Path:
    def text(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else repr(value)

    path.write_text("".join(f"{key} = {text(value)}\n" for key, value in values.items() if value is not None))
    return path


@pytest.fixture(autouse=True)
def _one_thread_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def settings_file(folder: Path, **changes: Any) -> Path:
    return write_toml(folder / "run.toml", **small_settings(folder, **changes).to_dict())


def test_killed_and_resumed_equals_uninterrupted(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    """SIGKILL after step 17, whose state was never saved: steps 11 to 17 are done again."""
    changes = {"data": str(clips), "model": str(checkpoint), "steps": 32, "save_every": 10, "workers": 1}
    run_training(small_settings(tmp_path, **changes), tmp_path / "whole")
    command = [
        COMMAND,
        "train",
        settings_file(tmp_path, **changes),
        "-o",
        tmp_path / "killed",
        "--device",
        "cpu",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("step 17/"):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    steps = [line["step"] for line in logged(tmp_path / "killed")]
    assert 17 <= len(steps) < 32
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "going on after step 10 of 32" in result.stderr
    assert [line["step"] for line in logged(tmp_path / "killed")] == list(range(1, 33))
    assert losses(tmp_path / "killed") == pytest.approx(losses(tmp_path / "whole"), abs=1e-3)
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    for name in whole:
        torch.testing.assert_close(killed[name], whole[name], rtol=1e-3, atol=1e-4)


def test_two_processes_are_one_with_twice_the_batch(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    # A clip that cannot be read, and so belongs to one process only, must not stop the other.
    (clips / "3.mp4").write_bytes(b"no video")
    changes = {"data": str(clips), "model": str(checkpoint), "steps": 5, "validation_clips": 1}
    path = settings_file(tmp_path, batch_size=1, accumulation=2, **changes)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "framescribe", "train", path, "-o", tmp_path / "two", "--device", "cpu"]
    result = subprocess.run([*torchrun, *command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    run_training(small_settings(tmp_path, batch_size=4, **changes), tmp_path / "one")
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "nowhere"}, "data 'nowhere' is neither"),
        ({"model": "nothing"}, "nothing"),
    ],
)
def test_wrong_use_is_told_without_a_traceback(
    changes: dict[str, Any], message: str, clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    path = settings_file(tmp_path, **{"data": str(clips), "model": str(checkpoint)} | changes)
    result = CliRunner().invoke(app, ["train", str(path), "-o", str(tmp_path / "run"), "--device", "cpu"])
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_minutes(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    path = settings_file(tmp_path, data=str(clips), model=str(checkpoint), steps=2)
    arguments = ["train", str(path), "-o", str(tmp_path / "run"), "--device", "cpu"]
    stopped = CliRunner().invoke(app, [*arguments, "--minutes", "0.000001"])
    assert stopped.exit_code == 0
    assert "the same command goes on" in stopped.output
    finished = CliRunner().invoke(app, arguments)
    assert finished.exit_code == 0
    assert f"wrote {tmp_path / 'run' / 'checkpoint'}" in finished.output
    assert len(losses(tmp_path / "run")) == 2
