"""Clips per second through source, preflight's count, ledger and store, with no decoding and no model.

    python -m benchmarks.pipeline_overhead --clips 20000 --json benchmarks/results/pipeline_overhead.json

A list of paths is read as ``caption`` reads it: counted, filtered by what is done (a tenth is), given rows as long as
real ones, each caption checked for what may be wrong with it, and written into a folder in shards of 1,000.
``peak_rss_growth_mb`` is by how much memory grows from after the first tenth to its highest. Last line: JSON.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, publish
from framescribe.caption_row import CaptionRow
from framescribe.dataset.runs import RunLog, run_identity
from framescribe.dataset.store import RowFolder
from framescribe.model_spec import ModelSpec
from framescribe.pipeline.caption_run import CaptionRun
from framescribe.pipeline.executor import MadeBy
from framescribe.pipeline.run_clips import RunClips
from framescribe.pipeline.run_session import RunSession, open_session
from framescribe.pipeline.sources import expand_sources
from framescribe.quality.checks import check
from framescribe.types import CaptionSettings, Clip

SETTINGS = CaptionSettings()
STUB = MadeBy("fp32", "stub", lambda: "r")
SENTENCE = (
    "The small red ball rolls slowly over wet grass while two dogs watch from under an old wooden bench. "
)


def scrambled(chance: random.Random) -> str:
    return " ".join("".join(chance.sample(word, len(word))) for word in (SENTENCE * 6).split())


CAPTIONS = [scrambled(random.Random(seed)) for seed in range(256)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Measured first: importing torch would raise the peak.
        result = measure(Path(folder), options.clips) | provenance()
    publish(result, options.json)


def measure(work: Path, clips: int) -> dict[str, Any]:
    listed = work / "list.txt"
    listed.write_text("".join(f"folder {number // 1000}/clip {number:07}.mp4\n" for number in range(clips)))
    folder = RowFolder(str(work / "out"))
    folder.prepare()
    run = CaptionRun(sources=(str(listed),), output=str(work / "out"), model=ModelSpec("stub"))
    with ExitStack() as stack:
        open_session(run, STUB, stack)
        caption(run, folder, limit=clips // 10)
        before_mb = peak_rss_mb()
        began, began_cpu_s = time.perf_counter(), time.process_time()
        seen = {hash(clip.id) for clip in expand_sources([str(listed)])}
        counted_s = time.perf_counter() - began
        done = caption(run, folder, limit=clips)
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu_s
    assert len(seen) == clips
    assert folder.table.num_rows() == clips
    began = time.perf_counter()
    assert sum(1 for _ in folder.table.rows()) == clips
    return {
        "entries": clips,
        "captioned": done,
        "clips_per_s": round(done / seconds),
        "clips_per_cpu_s": round(done / cpu_s),
        "count_s": round(counted_s, 2),
        "write_s": round(seconds - counted_s, 2),
        "rows_read_per_s": round(clips / (time.perf_counter() - began)),
        "peak_rss_growth_mb": round(peak_rss_mb() - before_mb, 1),
        "bytes_per_row": round(folder.table.size_bytes() / clips),
    }


def caption(run: CaptionRun, folder: RowFolder, limit: int) -> int:
    log = RunLog(folder)
    identity = run_identity(run.settings, run.asked, "stub", "r", "fp32")
    session = RunSession(run, folder, log, identity, "stub")
    session.begin()
    number = 0
    with session.writer() as writer:
        for clip in RunClips(run, lambda clip: [clip]):
            if session.task(clip) is None:
                continue
            if number == limit:
                break
            writer.write(row(clip, CAPTIONS[number % len(CAPTIONS)]))
            number += 1
    return number


def row(clip: Clip, text: str) -> CaptionRow:
    """As long as a real one: 24 frames, 120 words."""
    return CaptionRow(
        clip_id=clip.id, source_video=clip.source_video, start_s=clip.start_s, end_s=clip.end_s, duration_s=24.0,
        width=1280, height=720, fps=25.0, codec="h264", missing_s=0.0, caption=text, caption_raw=f" {text}",
        caption_status="success", flags=check(text), frame_indices=tuple(range(0, 600, 25)),
        frame_timestamps_s=tuple(map(float, range(24))), covered_s=24.0, strategy="chat", num_frames=24,
        template="chat", prompt=SETTINGS.prompt, model="stub", model_revision="r", precision="fp32",
        max_new_tokens=2048, temperature=0.0, top_p=1.0, repetition_penalty=1.0, seed=0, engine_version="0",
        prompt_tokens=1622, output_tokens=150,
    )  # fmt: skip


def peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


if __name__ == "__main__":
    main()
