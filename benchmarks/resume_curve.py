"""Train 300 steps, kill -9 on the way, resume: does the loss curve equal an uninterrupted run's within 1e-3?

    python -m benchmarks.resume_curve WORK_FOLDER --json benchmarks/results/resume_curve.json

Both runs are `framescribe train` of a 0.4 M model, from scratch, on 24 clips of the synthetic world; the second run is
killed twice. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, publish
from framescribe.synthetic.files import file_clips, prepare_folder, write_clips

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "framescribe", "train"]
SETTINGS = """
data = "{clips}"
architecture = "config.json"
steps = {steps}
batch_size = 4
learning_rate = 2e-3
warmup_steps = 30
max_caption_tokens = 400
seed = 3
bf16 = false
workers = 1
log_every = 1
save_every = 25
validate_every = 100
validation_clips = 1
"""


def small_config() -> dict[str, Any]:
    """The bundled model's config.json, made small."""
    values: dict[str, Any] = json.loads(
        (ROOT / "recipes" / "bundled" / "config.json").read_text(encoding="utf-8")
    )
    vision = values["vision_config"] | {
        "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "num_hidden_layers": 2, "image_size": 56,
        "num_positions": 17,
    }  # fmt: skip
    return values | {
        "hidden_size": 96, "intermediate_size": 192, "num_attention_heads": 4, "num_multi_query_heads": 2,
        "num_hidden_layers": 2, "vocab_size": 512, "vision_config": vision,
    }  # fmt: skip


def run(folder: Path, run_name: str, kill_at: int | None = None) -> None:
    """Trains until the end, or until the command has told of step ``kill_at``, which is its last word."""
    command = [*COMMAND, str(folder / "run.toml"), "-o", str(folder / run_name), "--device", "cpu"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if kill_at is not None and line.startswith(f"step {kill_at}/"):
                process.send_signal(signal.SIGKILL)
                break
            print(f"{run_name}: {line}", end="", file=sys.stderr)
    assert process.returncode == (0 if kill_at is None else -signal.SIGKILL), process.returncode


def losses(path: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="for the two runs; empty")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by = provenance()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    prepare_folder(folder / "clips", overwrite=True)
    list(write_clips(file_clips(24, seed=1), folder / "clips"))
    (folder / "config.json").write_text(json.dumps(small_config()), encoding="utf-8")
    (folder / "run.toml").write_text(
        SETTINGS.format(steps=arguments.steps, clips=folder / "clips"), encoding="utf-8"
    )

    kills = [arguments.steps * 2 // 5 + 7, arguments.steps * 4 // 5 + 3]
    run(folder, "whole")
    for step in kills:
        run(folder, "killed", step)
    run(folder, "killed")

    whole, killed = losses(folder / "whole"), losses(folder / "killed")
    assert list(whole) == list(killed) == list(range(1, arguments.steps + 1))
    result = {
        "steps": arguments.steps,
        "killed_after_steps": kills,
        "largest_difference": max(abs(whole[step] - killed[step]) for step in whole),
        "first_loss": whole[1],
        "last_loss": whole[arguments.steps],
        "device": "CPU",
        **made_by,
    }
    publish(result, arguments.json)


if __name__ == "__main__":
    main()
