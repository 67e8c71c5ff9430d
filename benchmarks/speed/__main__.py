"""The engine's speed by phase, beside the floors that the machine's own ceilings set, and one clip at a time.

    python -m benchmarks.speed --json benchmarks/results/bench_long_bf16_h100.json
    python -m benchmarks.speed --short --quant fp8-kv --no-baseline
    python -m benchmarks.speed --from mp4 --clips 1024 --repeat 1 --no-baseline
    python -m benchmarks.speed --from mp4 --videos *.mp4 --clips 256 --decoder auto cpu --no-baseline

What ``framescribe bench`` measures, with the same models and clips, and more: floors are the work counted from the
config over matrix products and copies measured here (``work.py``, ``ceilings.py``); the baseline is transformers'
``generate`` on the same weights for one clip, or on a CPU this engine for one clip at a time (``baseline.py``);
``--from mp4`` captions files too, decoding included (``from_files.py``): 720p of 6 s, or those that ``--videos`` names;
the frames from memory are then of their size. Last line: JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.provenance import provenance, publish
from benchmarks.speed.baseline import Baseline, OneAtATime, as_published, has_transformers
from benchmarks.speed.ceilings import measure_ceilings
from benchmarks.speed.from_files import measure_files, workload_of, write_videos
from benchmarks.speed.work import floors, language_weight_bytes
from framescribe.bench.measure import default_model, default_workload, measure, rates
from framescribe.bench.subject import build_subject, open_subject, subject_preparer
from framescribe.bench.workload import Workload
from framescribe.checkpoint import OpenCheckpoint
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision, choose_precision
from framescribe.model_spec import ModelSpec


def main() -> None:
    arguments = _parse()
    made_by = provenance()
    precision = choose_precision(ModelSpec(device=arguments.device, quant=arguments.quant))
    name = arguments.model or default_model(precision)
    subject = open_subject(name)
    chosen = {key: getattr(arguments, key) for key in ("clips", "frames", "new_tokens", "batch")}
    given = {key: value for key, value in chosen.items() if value is not None}
    result = {"precision": str(precision), "model": name, "hardware": precision.hardware}
    with tempfile.TemporaryDirectory(prefix="framescribe-bench-") as folder:
        videos = arguments.videos
        if arguments.source == "mp4" and not videos:
            videos = write_videos(Path(folder))
        workload = workload_of(videos) if videos else default_workload(precision, arguments.short)
        workload = dataclasses.replace(workload, **given)
        result |= _measure(subject, precision, workload, videos, arguments)
    publish(result | made_by, arguments.json)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quant")
    parser.add_argument("--short", action="store_true", help="the 6 s clip instead of the 24 s one")
    parser.add_argument("--from", dest="source", choices=("frames", "mp4"), default="frames")
    parser.add_argument("--videos", type=Path, nargs="+", default=[], help="files in place of made ones")
    parser.add_argument("--decoder", nargs="+", choices=("auto", "cpu"), default=["auto"])
    for name in ("clips", "frames", "new-tokens", "batch"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--no-baseline", action="store_true")
    parser.add_argument(
        "--baseline-tokens", type=int, default=32, help="that are timed; the rest is extrapolated"
    )
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _measure(
    subject: OpenCheckpoint,
    precision: Precision,
    workload: Workload,
    videos: list[Path],
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    ceilings, preparer = measure_ceilings(precision), subject_preparer(subject, precision)
    _release(precision)
    model = build_subject(subject, precision)
    language_bytes = language_weight_bytes(model.decoder, model.lm_head)
    floor = floors(subject.config, workload, language_bytes, precision.kv_dtype, ceilings)
    slow, between = None, lambda: None
    if not arguments.no_baseline and not (precision.device.type == "cuda" and has_transformers()):
        slow = OneAtATime(model, preparer, workload)
        between = slow.run
    measured = rates(measure(model, preparer, precision, workload, arguments.repeat, between), workload)
    seconds = measured["seconds_per_clip"]
    is_gpu = precision.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated(precision.device) if is_gpu else None
    _release(precision)
    files = {}
    for decoder in arguments.decoder if videos else ():
        found = measure_files(model, subject, precision, workload, videos, arguments.repeat, decoder)
        files[decoder] = found | {"rate_to_frames": seconds / found["seconds_per_clip"]}
        _release(precision)
    baseline = slow.result if slow else None
    if not arguments.no_baseline and slow is None:
        baseline = _published(model, subject, precision, workload, arguments.baseline_tokens)
    return {
        **dataclasses.asdict(workload),
        "prompt_tokens": workload.prompt_tokens(subject.config),
        **measured,
        "floors": floor,
        "ratio_to_floor": seconds / floor["sum"],
        "shares": {phase: floor[phase] / measured["phases"][phase] for phase in floor if phase != "sum"}
        | {"sum": floor["sum"] / seconds},
        "ceilings": dataclasses.asdict(ceilings),
        "from_files": files,
        "baseline": baseline
        and dataclasses.asdict(baseline) | {"ratio": baseline.seconds_per_clip / seconds},
        "peak_memory_bytes": peak,
    }


def _published(
    model: CaptionModel, subject: OpenCheckpoint, precision: Precision, workload: Workload, timed_tokens: int
) -> Baseline:
    """The published way on the same weights, not quantized."""
    _release(precision)
    if precision.quant is not None:
        model = build_subject(subject, dataclasses.replace(precision, quant=None))
    return as_published(model, workload, timed_tokens)


def _release(precision: Precision) -> None:
    """Gives back the memory of what is gone: an engine's cache takes most of a GPU's."""
    gc.collect()
    if precision.device.type == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
