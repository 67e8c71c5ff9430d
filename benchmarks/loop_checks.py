"""What looking for loops costs: the same clips through the engine with and without it, in turn.

    python -m benchmarks.loop_checks --quant fp8-kv --json benchmarks/results/loop_checks_h100.json

On a GPU the official sizes with random weights, which loop soon: what is found is not acted upon, so that both sides
generate the same tokens. On a CPU the bundled model. Last line: JSON.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.provenance import provenance, publish
from framescribe.bench.from_frames import FromFrames
from framescribe.bench.settings import BenchSettings
from framescribe.bench.subject import Subject
from framescribe.engine import engine as engine_module
from framescribe.engine.engine import Deliver, Engine
from framescribe.engine.loops import certainly_loops
from framescribe.engine.request import Request
from framescribe.engine.sequence import Sequence
from framescribe.model.precision import choose_precision


class _Looking(Engine):
    """An engine that looks for loops if ``looks``, whatever a request says."""

    looks = True

    def add(self, request: Request, deliver: Deliver) -> Sequence:
        settings = replace(request.settings, stop_loops=self.looks)
        return super().add(replace(request, settings=settings), deliver)


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

    looked = 0

    def look(token_ids: list[int]) -> bool:
        nonlocal looked
        looked += 1
        certainly_loops(token_ids)
        return False

    engine_module.certainly_loops = look
    settings = BenchSettings(
        precision=choose_precision(arguments.device, "auto", arguments.quant), is_short=True,
        clips=arguments.clips, new_tokens=arguments.new_tokens, repeat=arguments.repeat,
    )  # fmt: skip
    subject = Subject.named(settings.model_name)
    workload = settings.preset.workload(subject.config, clips=settings.clips, new_tokens=settings.new_tokens)
    model = subject.build(settings.precision)
    engine = _Looking(model, frozenset(), workload.batch, kv_dtype=settings.precision.kv_dtype)
    clips = FromFrames(engine, subject.preparer(settings.precision), workload)
    clips.warm_up()
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(arguments.repeat):
        for looks in (False, True):
            engine.looks = looks
            seconds[looks].append(clips.run() / workload.clips)
    assert looked > 0, "nothing was looked at"
    without, looking = statistics.median(seconds[False]), statistics.median(seconds[True])
    figures = {
        "precision": str(settings.precision),
        "workload": asdict(workload),
        "seconds_per_clip_without": without,
        "seconds_per_clip_looking": looking,
        "ratio": looking / without,
        "all_without": seconds[False],
        "all_looking": seconds[True],
        "looks": looked,
    }
    publish(figures | made_by, arguments.json)


if __name__ == "__main__":
    main()
