"""Clips whose frames are all equal beside clips whose frames all differ: seconds a clip, and whether tokens change.

    python -m benchmarks.equal_frames --json benchmarks/results/equal_frames_cpu.json
    python -m benchmarks.equal_frames --quant fp8-kv --json benchmarks/results/equal_frames_fp8_kv_h100.json

Both kinds have the same number of frames and run in turn through one engine, which encodes equal frames once. The same
still clips with every frame encoded tell whether that changes features or tokens. On a GPU the official sizes with
random weights and the published clip; on a CPU the bundled model. Random weights of that depth are chaotic: where a
product of few rows rounds otherwise than one of many, their tokens may differ, and ``features_relative_error`` says by
how much features do. Last line: JSON.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import asdict, replace
from pathlib import Path

import torch

from benchmarks.provenance import provenance, publish
from framescribe.bench.clips import ClipRunner
from framescribe.bench.measure import default_model
from framescribe.bench.subject import build_subject, open_subject, subject_preparer
from framescribe.bench.workload import LONG, Workload
from framescribe.engine.engine import Engine
from framescribe.engine.observer import PhaseTimer
from framescribe.model.precision import choose_precision
from framescribe.model_spec import ModelSpec
from framescribe.prepare import Preparer

# Still clips whose tokens are compared.
COMPARED = 8


def compare(engine: Engine, preparer: Preparer, still: Workload) -> dict[str, float]:
    """What encoding equal frames once changes of the first still clips, against encoding each of them."""
    frames = still.draw_frames()[:COMPARED]
    runner = ClipRunner(engine, preparer, still)
    once = [runner.request(number, still.new_tokens) for number in range(len(frames))]
    each = [
        replace(request, pixels_P3SS=preparer.pixels(torch.from_numpy(pixels)), picture_of_frame=None)
        for request, pixels in zip(once, frames, strict=True)
    ]
    tokens = [{done.id: done.token_ids for done in engine.generate(side)} for side in (once, each)]
    with torch.inference_mode():
        (one_PVD, every_FVD) = (
            engine.model.vision(side[0].pixels_P3SS.to(engine.model.device)).float() for side in (once, each)
        )
    return {
        "clips_compared": len(frames),
        "clips_with_equal_tokens": sum(tokens[0][each.id] == tokens[1][each.id] for each in once),
        "features_relative_error": ((every_FVD - one_PVD).norm() / every_FVD.norm()).item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quant")
    parser.add_argument("--clips", type=int, help="of each kind")
    parser.add_argument("--new-tokens", type=int, default=LONG.new_tokens)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by = provenance()

    precision = choose_precision(ModelSpec(device=arguments.device, quant=arguments.quant))
    clips = arguments.clips or (LONG.clips if precision.device.type == "cuda" else 4)
    film = replace(LONG, clips=clips, batch=min(clips, LONG.batch), new_tokens=arguments.new_tokens)
    still = replace(film, frames_per_picture=film.frames)
    subject = open_subject(default_model(precision))
    model, preparer = build_subject(subject, precision), subject_preparer(subject, precision)
    timer = PhaseTimer(model.device)
    engine = Engine(model, frozenset(), film.batch, kv_dtype=precision.kv_dtype, observer=timer)
    changed = compare(engine, preparer, still)
    runners = {"different": ClipRunner(engine, preparer, film), "equal": ClipRunner(engine, preparer, still)}
    for runner in runners.values():
        runner.warm_up()
    runs: dict[str, list[float]] = {kind: [] for kind in runners}
    phases: dict[str, dict[str, float]] = {}
    for _ in range(arguments.repeat):
        for kind, runner in runners.items():
            timer.take()
            runs[kind].append(runner.run() / clips)
            phases[kind] = {name: totals.seconds / clips for name, totals in timer.take().items()}
    seconds = {kind: statistics.median(each) for kind, each in runs.items()}
    figures = {
        "precision": str(precision),
        "workload": asdict(film),
        "seconds_per_clip": seconds,
        "times_as_fast": seconds["different"] / seconds["equal"],
        "phases_of_the_last_run": phases,
        "all_seconds_per_clip": runs,
    }
    publish(figures | changed | made_by, arguments.json)


if __name__ == "__main__":
    main()
