"""What looking for loops costs: the same clips through the engine with and without it, in turn.

    python -m benchmarks.loop_checks --quant fp8-kv --json benchmarks/results/loop_checks_h100.json

On a GPU the official sizes with random weights, on a CPU the bundled model. Tokens are sampled at a temperature at
which nothing loops, so that both sides generate the same number of them. Last line: JSON.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.provenance import provenance, publish
from framescribe.bench.clips import ClipRunner
from framescribe.bench.measure import default_model, default_workload
from framescribe.bench.subject import build_subject, open_subject, subject_preparer
from framescribe.engine.engine import Engine
from framescribe.model.precision import choose_precision
from framescribe.model_spec import ModelSpec
from framescribe.types import GenerationSettings

TEMPERATURE = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quant")
    parser.add_argument("--clips", type=int)
    parser.add_argument("--new-tokens", type=int)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    made_by = provenance()

    precision = choose_precision(ModelSpec(device=arguments.device, quant=arguments.quant))
    subject = open_subject(default_model(precision))
    chosen = {"clips": arguments.clips, "new_tokens": arguments.new_tokens}
    workload = replace(
        default_workload(precision, is_short=True),
        **{name: value for name, value in chosen.items() if value is not None},
    )
    model, preparer = build_subject(subject, precision), subject_preparer(subject, precision)
    engine = Engine(model, frozenset(), workload.batch, kv_dtype=precision.kv_dtype)
    runners = {
        looks: ClipRunner(
            engine, preparer, workload, GenerationSettings(temperature=TEMPERATURE, stop_loops=looks)
        )
        for looks in (False, True)
    }
    runners[False].warm_up()
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(arguments.repeat):
        for looks, runner in runners.items():
            seconds[looks].append(runner.run() / workload.clips)
    without, looking = statistics.median(seconds[False]), statistics.median(seconds[True])
    figures = {
        "precision": str(precision),
        "workload": asdict(workload),
        "seconds_per_clip_without": without,
        "seconds_per_clip_looking": looking,
        "ratio": looking / without,
        "all_without": seconds[False],
        "all_looking": seconds[True],
    }
    publish(figures | made_by, arguments.json)


if __name__ == "__main__":
    main()
