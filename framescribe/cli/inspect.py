"""``framescribe inspect``: what a video is, and which of its frames each strategy would see."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framescribe.cli import options
from framescribe.shown import shown

if TYPE_CHECKING:
    from framescribe.video.plan import Probe


def inspect(
    video: Annotated[str, typer.Argument(help="File or URL.")],
    frames: options.NumFrames = 24,
    start: options.Start = 0.0,
    end: options.End = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show a video's facts and the frames that each strategy chooses, without loading a model.

    Examples:
        framescribe inspect clip.mp4
        framescribe inspect https://example.com/talk.webm --start 60 --end 84 --json
    """
    from framescribe.cli.console import out
    from framescribe.types import Clip
    from framescribe.video.decode import probe
    from framescribe.video.workers import DecodeWorkers

    clip = Clip(video, start, end)
    with DecodeWorkers() as workers:
        seen = workers.call(probe, clip)
    report = {"source_video": video, "start_s": start, "end_s": end, **_report(seen, frames)}
    if as_json:
        print(json.dumps(report))
        return
    facts = report["facts"]
    out.print(shown(video), style="bold", markup=False)
    out.print(
        f"  {facts['width']}×{facts['height']}, {facts['codec']}, {facts['duration_s']:.2f} s, "
        f"{facts['num_frames']} frames, {facts['fps']:.3f} per second"
    )
    if facts["missing_s"] > 0:
        out.print(f"  damaged: {facts['missing_s']:.2f} s cannot be read")
    for name, chosen in report["strategies"].items():
        out.print(f"  {name}: {len(chosen['frame_indices'])} frames, covering {chosen['covered_s']:.2f} s")
        out.print(f"    {' '.join(map(str, chosen['frame_indices']))}")


def _report(probe: Probe, num_frames: int) -> dict[str, Any]:
    from framescribe.types import STRATEGIES, FrameSampling
    from framescribe.video.sample import select_frames

    strategies = {}
    for strategy in STRATEGIES:
        selection = select_frames(
            probe.timestamps_s, probe.facts.fps, probe.facts.duration_s, FrameSampling(strategy, num_frames)
        )
        strategies[strategy] = {
            "frame_indices": list(selection.indices),
            "frame_timestamps_s": [round(float(probe.timestamps_s[index]), 6) for index in selection.indices],
            "covered_s": selection.covered_s,
        }
    return {"facts": asdict(probe.facts), "strategies": strategies}
