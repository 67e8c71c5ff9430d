"""`framescribe train` in processes of its own: killed and gone on with, and two that train together."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from framescribe.cli.main import app
from framescribe.train.settings import TrainSettings
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


PROGRAM = """
from pathlib import Path
from framescribe.cli.main import app

app(standalone_mode=False)
# Whichever lives on while Python ends may take the process down.
names = [each.read_text().strip() for each in Path("/proc/self/task").glob("*/comm")]
print(f"threads of the group: {[each for each in names if 'gloo' in each]}\\n", end="")
"""


def test_two_processes_are_one_with_twice_the_batch(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    # A clip that cannot be read, and so belongs to one process only, must not stop the other.
    (clips / "3.mp4").write_bytes(b"no video")
    changes = {"data": str(clips), "model": str(checkpoint), "steps": 5, "validation_clips": 1}
    path = settings_file(tmp_path, batch_size=1, accumulation=2, **changes)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [tmp_path / "program.py", "train", path, "-o", tmp_path / "two", "--device", "cpu"]
    result = subprocess.run([*torchrun, *command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("threads of the group: []") == 2
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
    assert "run it again to resume" in stopped.output
    finished = CliRunner().invoke(app, arguments)
    assert finished.exit_code == 0
    assert f"checkpoint: {tmp_path / 'run' / 'checkpoint'}" in finished.output
    assert len(losses(tmp_path / "run")) == 2


def test_a_finished_run_is_not_done_again(clips: Path, checkpoint: Path, tmp_path: Path) -> None:
    settings = small_settings(tmp_path, data=str(clips), model=str(checkpoint), steps=2)
    run_training(settings, tmp_path / "run")
    path = settings_file(tmp_path, data=str(clips), model=str(checkpoint), steps=2)
    arguments = ["train", str(path), "-o", str(tmp_path / "run"), "--device", "cpu"]
    (clips / "1.mp4").unlink()  # neither data nor model are looked at again
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 0
    assert "finished already, after 2 steps" in again.output
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before
    # Killed between the last state and the checkpoint: only that is written.
    shutil.rmtree(tmp_path / "run" / "checkpoint")
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (tmp_path / "run" / "checkpoint" / "config.json").is_file()
    # More steps are other settings.
    settings_file(tmp_path, data=str(clips), model=str(checkpoint), steps=3)
    more = CliRunner().invoke(app, arguments)
    assert more.exit_code == 2
    assert "steps: 2 → 3" in " ".join(more.output.split())


@pytest.mark.parametrize(
    "wrong", [("--minutes", "0"), ("--minutes", "nan"), ("--max-shard-mb", "0"), ("--device", "toaster")]
)
def test_wrong_options_leave_no_folder(
    wrong: tuple[str, str], clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    path = settings_file(tmp_path, data=str(clips), model=str(checkpoint))
    result = CliRunner().invoke(app, ["train", str(path), "-o", str(tmp_path / "run"), *wrong])
    assert result.exit_code == 2
    assert wrong[0] in result.output
    assert not (tmp_path / "run").exists()


def test_the_example_trains_as_it_is_printed(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["train", "--example"])
    assert printed.exit_code == 0
    (tmp_path / "settings.toml").write_text(printed.output)
    settings = TrainSettings.from_file(tmp_path / "settings.toml")
    assert settings.steps * settings.batch_size <= 16  # about a minute on two cores
    # The same on the smallest model, to be quick.
    run_training(replace(settings, model="tiny-random", steps=2), tmp_path / "run")
    assert (tmp_path / "run" / "checkpoint" / "config.json").is_file()


def test_training_with_lora_says_nothing_of_torchs_insides(
    clips: Path, checkpoint: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft", reason="needs the extra train")
    path = settings_file(tmp_path, data=str(clips), model=str(checkpoint), steps=1, lora_rank=2)
    command = [COMMAND, "train", path, "-o", tmp_path / "run", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "step 1/1" in done.stderr
    assert not re.search(r"torch[./]|Warning", done.stderr), done.stderr
