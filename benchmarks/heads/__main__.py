"""Heads on the bundled model's features: how well they learn planted kinds, and how fast they score a million clips.

    python -m benchmarks.heads taught --seeds 81 82 83 --json benchmarks/results/heads_taught.json
    python -m benchmarks.heads million FOLDER --json benchmarks/results/heads_million.json
    python -m benchmarks.heads captioning --repeats 15 --json benchmarks/results/heads_captioning.json
    python -m benchmarks.heads captioning --model random --json benchmarks/results/heads_captioning_h100.json

``taught``: for each kind 300 labels (60 clips of it, 240 of others and of none) teach a head through the whole path:
clips in memory, captioner, features, ``teach``; its AUC on clips that it has not seen, for each seed's clips.
``million``: ``apply_heads`` and
``similar`` over a million made-up vectors of the bundled model's size, each in a process of its own, start included.
``captioning``: the same clips captioned plainly, with ``--features``, and with a head too (``captioning.py``). Last
line: JSON.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.heads.captioning import captioning
from benchmarks.heads.kinds import KINDS
from benchmarks.provenance import provenance, publish
from framescribe import Captioner, CaptionSettings, Clip, GenerationSettings, VideoFrames, teach
from framescribe.dataset.lock import locked
from framescribe.dataset.store import RowFolder
from framescribe.feature_row import FeatureRow, features_of
from framescribe.heads.head import Head
from framescribe.heads.logistic import judge
from framescribe.synthetic.batches import make_batch
from framescribe.task import ClipTask

TAUGHT, HELD_OUT, LABELS = 60, 40, 300
SIZE, SHARD = 1312, 20_000
_ONE_TOKEN = CaptionSettings(generation=GenerationSettings(max_new_tokens=1), repair=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("taught", "million", "captioning"))
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--clips", type=int, default=1_000_000, help="of million")
    parser.add_argument("--model", default="tiny", help="of captioning; random: the official sizes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[5], help="of the clips; taught takes each")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    made_by = provenance()
    with tempfile.TemporaryDirectory() as scratch:
        if options.what == "taught":
            draws = {seed: taught(seed, Path(scratch) / str(seed)) for seed in options.seeds}
            figures = {"labels": LABELS, "of_the_kind": TAUGHT, "draws": draws, "auc": over_draws(draws)}
        elif options.what == "million":
            figures = million(options.folder or Path(scratch) / "million", options.clips, options.repeats)
        else:
            clips = [clip for clip, _ in planted(options.seeds[0], 2)]
            figures = captioning(options.model, clips, options.repeats, Path(scratch))
    publish({**figures, **made_by}, options.json)


def planted(seed: int, each: int) -> Iterator[tuple[Clip, str]]:
    """``each`` clips of every kind and of none, and the kind's name."""
    kinds = [kind for kind in (*KINDS, "") for _ in range(each)]
    draw = random.Random(seed)
    draw.shuffle(kinds)
    for step in range(-(-len(kinds) // 8)):
        batch = make_batch(seed, step, 8).pixels.numpy()
        for number, kind in enumerate(kinds[8 * step : 8 * step + 8]):
            others = [batch[(number + 1) % 8], batch[(number + 2) % 8]]
            frames = KINDS[kind](batch[number], others, draw) if kind else batch[number]
            name = f"{seed}-{8 * step + number}"
            yield Clip(name, data=VideoFrames(frames, fps=1, name=name), given_id=name), kind


def taught(seed: int, scratch: Path) -> dict[str, Any]:
    clips = list(planted(seed, TAUGHT + HELD_OUT))
    kind_of = {clip.id: kind for clip, kind in clips}
    rows: list[Any] = []
    tasks = (ClipTask.of(clip, (_ONE_TOKEN.prompt,)) for clip, _ in clips)
    captioner = Captioner.from_pretrained("tiny", device="cpu")
    for row in captioner.caption_tasks(tasks, _ONE_TOKEN, beside=rows.extend):
        assert row.caption_status != "error", row.error_message
    write(RowFolder(str(scratch / "set")), [row.to_dict() for row in rows])
    draw = random.Random(seed)
    figures = {}
    for kind in KINDS:
        positives = [each for each, its in kind_of.items() if its == kind][:TAUGHT]
        negatives = draw.sample([each for each, its in kind_of.items() if its != kind], LABELS - TAUGHT)
        labels = {each: {kind: each in set(positives)} for each in (*positives, *negatives)}
        lesson = teach(labels, scratch / f"{kind}.safetensors", features=scratch / "set")
        others = [row for row in rows if row.clip_id not in labels]
        vectors = np.stack([np.frombuffer(row.features, "<f2") for row in others])
        held_out = judge(
            lesson.head.probabilities(vectors)[:, 0],
            np.array([kind_of[row.clip_id] == kind for row in others]),
        )
        figures[kind] = {
            "held_out_clips": len(others),
            "auc": round(held_out.auc, 4),
            "calibration_error": round(held_out.calibration_error, 4),
            "cross_validated_auc": round(lesson.head.card["labels"][kind]["auc"], 4),
        }
        print(kind, figures[kind], flush=True)
    return figures


def over_draws(draws: dict[int, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and worst AUC of each kind."""
    by_kind = {kind: [draw[kind]["auc"] for draw in draws.values()] for kind in KINDS}
    return {kind: {"mean": round(float(np.mean(auc)), 4), "worst": min(auc)} for kind, auc in by_kind.items()}


def write(folder: RowFolder, rows: list[dict[str, Any]]) -> None:
    with locked(folder):
        folder.features.make()
        folder.features.append(rows, "benchmark", folder.features.next_number())


def million(path: Path, clips: int, repeats: int) -> dict[str, Any]:
    made_with, draw = features_of("tiny", "benchmark"), np.random.default_rng(0)
    folder = RowFolder(str(path))
    if not folder.features.shards():
        for start in range(0, clips, SHARD):
            vectors = draw.normal(size=(SHARD, SIZE)).astype("<f2")
            rows = [
                FeatureRow(
                    clip_id=f"{start + number:016x}", source_video=f"videos/{start + number}.mp4", start_s=0.0,
                    end_s=None, features_of=made_with, features=vector.tobytes(), num_frames=24, engine_version="0",
                ).to_dict()
                for number, vector in enumerate(vectors)
            ]  # fmt: skip
            write(folder, rows)
    names = tuple(f"label_{number}" for number in range(6))
    head = Head(
        "six", names, made_with, draw.normal(size=(6, SIZE)).astype(np.float32), np.zeros(6, np.float32), {}
    )
    head_path = path.with_name("six.safetensors")
    head.save(head_path)
    calls = {
        "apply_heads": f"apply_heads({str(path)!r}, {str(head_path)!r})",
        "similar": f"similar({str(path)!r}, like={f'{12345:016x}'!r})",
    }
    figures: dict[str, Any] = {"clips": clips, "labels": 6, "bytes": folder.features.size_bytes()}
    for name, call in calls.items():
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"from framescribe import {name}; {call}"], check=True)
            seconds.append(round(time.perf_counter() - start, 2))
        figures[name] = {"median_s": statistics.median(seconds), "each_s": seconds}
        print(name, figures[name], flush=True)
    return figures


if __name__ == "__main__":
    main()
