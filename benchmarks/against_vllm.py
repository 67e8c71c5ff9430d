"""framescribe beside vLLM with its plugin: the same clips, one card, one after the other in processes of their own.

    python -m benchmarks.against_vllm --vllm-python VLLM_ENV/bin/python --json benchmarks/results/against_vllm_h100.json
    … --quant fp8        … --from mp4        … --engines framescribe
    python -m benchmarks.against_vllm --model tiny                                  (runs it through on a CPU)

The official size with random weights; long clips have 24 frames and 200 tokens, short ones 7 and 130, as uint8 frames
in memory or from 720p files. vLLM, which takes minutes to start, starts once and takes the long clips, then the short
ones; framescribe starts for each. No two clips are alike, and vLLM's caches of prefixes and inputs are off, so that
nothing is computed once for two. vLLM compiles and has CUDA graphs, as it does by default, and fp8 by its own
``--quantization fp8``. What is timed is one call with all clips: normalizing, encoding, prefill, tokens. First token:
one clip alone. Medians. The file is written after every step.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, publish
from benchmarks.speed.from_files import measure_files, workload_of, write_videos
from framescribe.bench.official import OFFICIAL_CONFIG, RANDOM_MODEL
from framescribe.bench.workload import LONG, SHORT, Workload

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
# As many clips at a time as the memory holds, at most 256: framescribe's default. vLLM's on an H100 is 1,024.
_LENGTHS = {"long": dataclasses.replace(LONG, clips=256, batch=256), "short": SHORT}
_RESULT = "result: "


def main() -> None:
    arguments = _parse()
    if arguments.measure:
        for length, figures in _MEASURES[arguments.measure](arguments):
            print(_RESULT + json.dumps({length: figures}), flush=True)
        return
    found: dict[str, dict[str, Any]] = {}
    asked = {name: getattr(arguments, name) for name in ("model", "quant", "source", "vllm_options")}
    lengths = {"vllm": [arguments.lengths], "framescribe": [[length] for length in arguments.lengths]}
    for name, chosen in ((engine, each) for engine in arguments.engines for each in lengths[engine]):
        python = arguments.vllm_python if name == "vllm" else sys.executable
        command = [python, "-m", "benchmarks.against_vllm", *sys.argv[1:]]
        command += ["--measure", name, "--lengths", *chosen]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                if not line.startswith(_RESULT):
                    print(line, end="", file=sys.stderr, flush=True)
                    continue
                found.setdefault(name, {}).update(json.loads(line.removeprefix(_RESULT)))
                publish(asked | found | {"ratio": _ratios(found)} | provenance(), arguments.json)
        if process.returncode:
            raise SystemExit(f"{name} ended with {process.returncode}")


def _ratios(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """How many times as long vLLM takes, where both are measured."""
    ours, theirs = found.get("framescribe", {}), found.get("vllm", {})
    return {
        length: {
            key: theirs[length][key] / ours[length][key] for key in ("seconds_per_clip", "first_token_s")
        }
        for length in ours
        if length in theirs
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vllm-python", default=sys.executable, help="of the environment that has vLLM")
    parser.add_argument("--model", choices=(RANDOM_MODEL, "tiny"), default=RANDOM_MODEL)
    parser.add_argument("--quant", choices=("fp8", "fp8-kv"))
    parser.add_argument("--lengths", choices=tuple(_LENGTHS), nargs="+", default=list(_LENGTHS))
    parser.add_argument("--from", dest="source", choices=("frames", "mp4"), default="frames")
    parser.add_argument(
        "--engines", choices=("vllm", "framescribe"), nargs="+", default=["vllm", "framescribe"]
    )
    parser.add_argument(
        "--vllm-options", type=json.loads, default={}, help="further arguments of LLM, as JSON"
    )
    parser.add_argument("--clips", type=int)
    parser.add_argument("--new-tokens", type=int)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", choices=("framescribe", "vllm"), help=argparse.SUPPRESS)
    return parser.parse_args()


def _workloads(arguments: argparse.Namespace, videos: list[Path]) -> Iterator[tuple[str, Workload]]:
    for length in arguments.lengths:
        names = [name for name in ("clips", "new_tokens") if getattr(arguments, name)]
        chosen = workload_of(videos, _LENGTHS[length]) if videos else _LENGTHS[length]
        yield length, dataclasses.replace(chosen, **{name: getattr(arguments, name) for name in names})


def measure_framescribe(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """This engine: figures for each length."""
    from framescribe.bench.measure import measure, rates
    from framescribe.bench.subject import build_subject, open_subject, subject_preparer
    from framescribe.model.precision import choose_precision
    from framescribe.model_spec import ModelSpec

    device = "cuda" if arguments.model == RANDOM_MODEL else "cpu"
    precision = choose_precision(ModelSpec(device=device, quant=arguments.quant))
    subject = open_subject(arguments.model)
    model, preparer = build_subject(subject, precision), subject_preparer(subject, precision)
    with tempfile.TemporaryDirectory() as folder:
        videos = write_videos(Path(folder)) if arguments.source == "mp4" else []
        for length, workload in _workloads(arguments, videos):
            measured = measure(model, preparer, precision, workload, arguments.repeat)
            found = rates(measured, workload)
            figures = {key: found[key] for key in ("seconds_per_clip", "all_seconds_per_clip")}
            figures["first_token_s"] = found["latency"]["first_token_s"]
            if videos:
                figures |= measure_files(model, subject, precision, workload, videos, arguments.repeat, "cpu")
            yield length, figures | dataclasses.asdict(workload) | {"precision": str(precision)}


def write_folder(folder: Path) -> None:
    """The official config and a tokenizer; vLLM makes the weights up."""
    from framescribe.model.hub import fetch_checkpoint

    values = OFFICIAL_CONFIG.official_values("bfloat16")
    (folder / "config.json").write_text(json.dumps(values))
    tiny = fetch_checkpoint("tiny-random").folder
    for name in _TOKENIZER_FILES:
        (folder / name).write_bytes((tiny / name).read_bytes())
    tokenizer = json.loads((tiny / "tokenizer.json").read_text())
    vocabulary, first = tokenizer["model"]["vocab"], OFFICIAL_CONFIG.bos_token_id
    missing = first - min(token["id"] for token in tokenizer["added_tokens"])
    vocabulary |= {f"<unused {number}>": first - missing + number for number in range(missing)}
    for token in tokenizer["added_tokens"]:
        token["id"] += missing  # where the official ones are
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def vllm_prompts(config: Any, workload: Workload, videos: list[Path], clips: int) -> list[dict[str, Any]]:
    """Prompts of the workload's clips, no two alike: from files decoded in threads, or of random frames."""
    from framescribe.integrations.vllm.loader import with_metadata
    from framescribe.types import Clip, FrameSampling
    from framescribe.video.decode import decode_frames

    prompt = workload.prompt(config)
    text = [token for token, slot in zip(prompt.input_ids, prompt.is_vision, strict=True) if not slot][1:]
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
                "prompt_token_ids": [config.bos_token_id, config.pad_token_id, *text],
                "multi_modal_data": {"video": each},
                "mm_processor_kwargs": {"template": "base"},
            }
            for each in pool.map(video, range(clips))
        ]


def measure_vllm(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """vLLM, with the plugin: figures for each length."""
    from vllm import LLM, SamplingParams, __version__

    from framescribe.checkpoint import open_checkpoint

    is_random = arguments.model == RANDOM_MODEL
    with tempfile.TemporaryDirectory() as folder:
        videos = write_videos(Path(folder)) if arguments.source == "mp4" else []
        write_folder(Path(folder))
        checkpoint = None if is_random else open_checkpoint(arguments.model)
        config = checkpoint.config if checkpoint else OFFICIAL_CONFIG
        workloads = list(_workloads(arguments, videos))
        on_gpu: dict[str, Any] = {
            "load_format": "dummy", "dtype": "bfloat16", "quantization": "fp8" if arguments.quant else None,
            "kv_cache_dtype": "fp8" if arguments.quant == "fp8-kv" else "auto", "gpu_memory_utilization": 0.92,
        }  # fmt: skip
        llm = LLM(
            str(checkpoint.folder) if checkpoint else folder, max_model_len=4096,
            max_num_seqs=max(workload.batch for _, workload in workloads), enable_prefix_caching=False,
            mm_processor_cache_gb=0, limit_mm_per_prompt={"video": 1},
            **on_gpu if is_random else {"dtype": "float32"}, **arguments.vllm_options,
        )  # fmt: skip

        def seconds(workload: Workload, clips: int, new_tokens: int) -> float:
            exactly = SamplingParams(
                temperature=0, max_tokens=new_tokens, min_tokens=new_tokens, ignore_eos=True, detokenize=False
            )
            prompts = [] if videos else vllm_prompts(config, workload, videos, clips)
            began = time.perf_counter()
            llm.generate(prompts or vllm_prompts(config, workload, videos, clips), exactly, use_tqdm=False)
            return time.perf_counter() - began

        for length, workload in workloads:
            seconds(workload, min(32, workload.clips), 8)
            first = statistics.median(seconds(workload, 1, 1) for _ in range(arguments.repeat))
            runs = [
                seconds(workload, workload.clips, workload.new_tokens) / workload.clips
                for _ in range(arguments.repeat)
            ]
            figures = {"seconds_per_clip": statistics.median(runs), "all_seconds_per_clip": runs}
            yield (
                length,
                figures | {"first_token_s": first, "version": __version__} | dataclasses.asdict(workload),
            )


_MEASURES = {"framescribe": measure_framescribe, "vllm": measure_vllm}

if __name__ == "__main__":
    main()
