"""From a full-size checkpoint in the page cache to the first caption, in a fresh process: how long, and doing what?

    python -m benchmarks.load_checkpoint --folder /dev/shm/full --json benchmarks/results/load_checkpoint_h200.json

Saves a random model of the official size (25 GB) to the folder, then starts a new process twice: with an empty cache of
compiled kernels, and with the one that the first left. Each loads the model, and captions one clip of 24 random frames
to 20 tokens. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.provenance import provenance, publish

NEW_TOKENS = 20


def save(folder: Path) -> dict[str, float]:
    import torch

    from framescribe.model.checkpoint import random_model
    from framescribe.model.config import ModelConfig
    from framescribe.model.hub import fetch_checkpoint
    from framescribe.model.saving import save_checkpoint

    reference = Path(__file__).parents[1] / "tests" / "data" / "reference" / "official_checkpoint.json"
    config = ModelConfig.from_dict(json.loads(reference.read_text(encoding="utf-8"))["config"])
    model = random_model(config, torch.device("cuda"), torch.bfloat16, seed=0)
    started = time.monotonic()
    save_checkpoint(model, folder, fetch_checkpoint("tiny-random").folder)
    return {"seconds": time.monotonic() - started}


def start(folder: Path, quant: str | None) -> dict[str, float]:
    """What one process does until it has captioned a clip; seconds of each part."""
    started = time.monotonic()
    import numpy as np
    import torch

    from framescribe.captioner import Captioner
    from framescribe.types import CaptionSettings, GenerationSettings
    from framescribe.video_frames import VideoFrames

    times = {"import_s": time.monotonic() - started}
    loaded = {"done": 0.0, "parameters": 0.0}

    def progress(done: int, total: int) -> None:
        if done == total:
            torch.cuda.synchronize()
            loaded["done"], loaded["parameters"] = time.monotonic(), total

    torch.cuda.init()
    began = time.monotonic()
    times["device_s"] = began - started - times["import_s"]
    captioner = Captioner.from_pretrained(str(folder), quant=quant, progress=progress)
    times["load_s"] = loaded["done"] - began
    size_gb = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e9
    times["load_gb_per_s"] = size_gb / times["load_s"]
    times["engine_s"] = time.monotonic() - loaded["done"]
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=NEW_TOKENS))
    pixels = np.random.default_rng(0).integers(0, 256, (24, 3, 224, 398), np.uint8)
    for name in ("first_caption_s", "second_caption_s"):
        began = time.monotonic()
        video = VideoFrames(pixels, fps=1, name=name)
        (row,) = captioner.caption(video, settings, decode_workers=0)
        assert row.output_tokens, row
        times[name] = time.monotonic() - began
    times["until_first_caption_s"] = sum(
        times[part] for part in ("import_s", "device_s", "load_s", "engine_s", "first_caption_s")
    )
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="where the checkpoint goes, or is")
    parser.add_argument("--quant", help="as `framescribe caption` takes it")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--save", action="store_true", help="only save the checkpoint to the folder")
    parser.add_argument("--start", action="store_true", help="only load from the folder and caption a clip")
    arguments = parser.parse_args()
    if arguments.save:
        print(json.dumps(save(arguments.folder)))
        return
    if arguments.start:
        print(json.dumps(start(arguments.folder, arguments.quant)))
        return
    command = [sys.executable, "-m", "benchmarks.load_checkpoint", "--folder", str(arguments.folder)]
    if arguments.quant:
        command += ["--quant", arguments.quant]
    report: dict[str, object] = provenance()
    if not arguments.folder.exists():
        # In a process of its own, so that it leaves the GPU.
        report["save"] = _last_line([*command, "--save"], {})
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold_kernels", "warm_kernels"):
            report[name] = _last_line([*command, "--start"], {"TRITON_CACHE_DIR": cache})
            print(name, json.dumps(report[name]), flush=True)
    publish(report, arguments.json)


def _last_line(command: list[str], extra: dict[str, str]) -> object:
    done = subprocess.run(command, env=os.environ | extra, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
