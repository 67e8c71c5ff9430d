"""framescribe beside vLLM with its plugin: the same clips, one card, one after the other in processes of their own.

    python -m benchmarks.against_vllm --vllm-python VLLM_ENV/bin/python --json benchmarks/results/against_vllm_h100.json
    … --quant fp8        … --short        … --from mp4

The official size with random weights; 24 frames and 200 tokens a clip, or 7 and 130 (``--short``), from uint8 frames in
memory or from 720p files. No two clips are alike, and vLLM's caches of prefixes and inputs are off, so that nothing is
computed once for two. vLLM has fp8 by its own ``--quantization fp8``. What is timed is one call with all clips:
normalizing, encoding, prefill, tokens. First token: one clip alone. Medians of three. Last line: JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, publish
from benchmarks.speed.from_files import measure_files, workload_of, write_videos
from framescribe.bench.measure import benchmark
from framescribe.bench.official import OFFICIAL_CONFIG, RANDOM_MODEL
from framescribe.bench.subject import build_subject, open_subject
from framescribe.bench.workload import LONG, SHORT, Workload
from framescribe.model.hub import fetch_checkpoint
from framescribe.model.precision import choose_precision
from framescribe.model_spec import ModelSpec

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def main() -> None:
    arguments = _parse()
    if arguments.only:
        print(json.dumps(_MEASURES[arguments.only](arguments)))
        return
    found = {}
    for name, python in (("framescribe", sys.executable), ("vllm", arguments.vllm_python)):
        command = [python, "-m", "benchmarks.against_vllm", *sys.argv[1:], "--only", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, json.dumps(found[name]), flush=True)
    ratio = {
        key: found["vllm"][key] / found["framescribe"][key] for key in ("seconds_per_clip", "first_token_s")
    }
    asked = {"short": arguments.short, "quant": arguments.quant, "source": arguments.source}
    publish(asked | found | {"ratio": ratio} | provenance(), arguments.json)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vllm-python", default=sys.executable, help="of the environment that has vLLM")
    parser.add_argument("--short", action="store_true", help="clips of 6 s, not of 24 s")
    parser.add_argument("--quant", choices=("fp8", "fp8-kv"))
    parser.add_argument("--from", dest="source", choices=("frames", "mp4"), default="frames")
    parser.add_argument("--clips", type=int)
    parser.add_argument("--batch", type=int, help="clips that decode together at most, of both")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", choices=("framescribe", "vllm"), help="one of the two, in this process")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _workload(arguments: argparse.Namespace, videos: list[Path]) -> Workload:
    chosen = SHORT if arguments.short else LONG
    given = {name: getattr(arguments, name) for name in ("clips", "batch") if getattr(arguments, name)}
    return dataclasses.replace(workload_of(videos, chosen) if videos else chosen, **given)


def measure_framescribe(arguments: argparse.Namespace) -> dict[str, Any]:
    """This engine."""
    precision = choose_precision(ModelSpec(device="cuda", quant=arguments.quant))
    with tempfile.TemporaryDirectory() as folder:
        videos = write_videos(Path(folder)) if arguments.source == "mp4" else []
        workload = _workload(arguments, videos)
        found = benchmark(RANDOM_MODEL, precision, workload, arguments.repeat)
        result = {
            "seconds_per_clip": found["seconds_per_clip"],
            "first_token_s": found["latency"]["first_token_s"],
        }
        if videos:
            subject = open_subject(RANDOM_MODEL)
            model = build_subject(subject, precision)
            result |= measure_files(model, subject, precision, workload, videos, arguments.repeat, "cpu")
    return result | dataclasses.asdict(workload) | {"versions": found["versions"]}


def write_folder(folder: Path) -> None:
    """The official config and a tokenizer; vLLM makes the weights up."""
    values = OFFICIAL_CONFIG.official_values("bfloat16")
    (folder / "config.json").write_text(json.dumps(values))
    tiny = fetch_checkpoint("tiny-random").folder
    for name in _TOKENIZER_FILES:
        (folder / name).write_bytes((tiny / name).read_bytes())
    tokenizer = json.loads((tiny / "tokenizer.json").read_text())
    for token in tokenizer["added_tokens"]:
        token["id"] += OFFICIAL_CONFIG.bos_token_id - 509  # where the official ones are
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def vllm_prompts(workload: Workload, videos: list[Path], clips: int) -> list[dict[str, Any]]:
    """Prompts of the workload's clips, no two alike: from files decoded in threads, or of random frames."""
    from framescribe.integrations.vllm.loader import with_metadata
    from framescribe.types import Clip, FrameSampling
    from framescribe.video.decode import decode_frames

    text = [token for token, slot in zip(*_tokens(workload), strict=True) if not slot][1:]
    drawn = workload.draw_frames()

    def video(number: int) -> tuple[Any, dict[str, Any]]:
        if videos:
            clip = Clip(str(videos[number % len(videos)]))
            pixels, metadata = with_metadata(decode_frames(clip, FrameSampling()), FrameSampling())
        else:
            pixels, metadata = drawn[number % len(drawn)].copy(), {"seconds": list(range(workload.frames))}
        pixels[0, :, 0, 0] = number % 251, number // 251, clips % 251
        return pixels, metadata

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [
            {
                "prompt_token_ids": [OFFICIAL_CONFIG.bos_token_id, OFFICIAL_CONFIG.pad_token_id, *text],
                "multi_modal_data": {"video": each},
                "mm_processor_kwargs": {"template": "base"},
            }
            for each in pool.map(video, range(clips))
        ]


def _tokens(workload: Workload) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    prompt = workload.prompt(OFFICIAL_CONFIG)
    return prompt.input_ids, prompt.is_vision


def measure_vllm(arguments: argparse.Namespace) -> dict[str, Any]:
    """vLLM, with the plugin."""
    from vllm import LLM, SamplingParams, __version__

    with tempfile.TemporaryDirectory() as folder:
        videos = write_videos(Path(folder)) if arguments.source == "mp4" else []
        workload = _workload(arguments, videos)
        write_folder(Path(folder))
        llm = LLM(
            folder, load_format="dummy", dtype="bfloat16", quantization="fp8" if arguments.quant else None,
            kv_cache_dtype="fp8" if arguments.quant == "fp8-kv" else "auto", max_model_len=4096,
            max_num_seqs=workload.batch, gpu_memory_utilization=0.92, enable_prefix_caching=False,
            mm_processor_cache_gb=0, limit_mm_per_prompt={"video": 1}, skip_tokenizer_init=False,
        )  # fmt: skip

        def seconds(clips: int, new_tokens: int) -> float:
            exactly = SamplingParams(
                temperature=0, max_tokens=new_tokens, min_tokens=new_tokens, ignore_eos=True, detokenize=False
            )
            prompts = [] if videos else vllm_prompts(workload, videos, clips)
            began = time.perf_counter()
            llm.generate(prompts or vllm_prompts(workload, videos, clips), exactly, use_tqdm=False)
            return time.perf_counter() - began

        seconds(min(16, workload.clips), 8)
        first = statistics.median(seconds(1, 1) for _ in range(arguments.repeat))
        runs = [seconds(workload.clips, workload.new_tokens) for _ in range(arguments.repeat)]
    per_clip = statistics.median(runs) / workload.clips
    return {
        "seconds_per_clip": per_clip,
        "first_token_s": first,
        "all_seconds_per_clip": [run / workload.clips for run in runs],
        **dataclasses.asdict(workload),
        "version": __version__,
    }


_MEASURES = {"framescribe": measure_framescribe, "vllm": measure_vllm}

if __name__ == "__main__":
    main()
