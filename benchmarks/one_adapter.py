"""One LoRA adapter in framescribe, in transformers (by PEFT) and on vLLM: are the captions the same?

    framescribe synthesize 200 style-clips && framescribe train recipes/style.toml -o runs/style
    python -m benchmarks.one_adapter runs/style/adapter style-clips --vllm-python VLLM_ENV/bin/python --json FILE

Greedy captions of the first ``--clips`` videos of a folder, fp32 on a CPU, each library in a process of its own. vLLM
and transformers hold the base model's weights and the adapter's beside each other, framescribe has merged them.
``without_adapter`` counts how many captions are the same without one. Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, publish
from framescribe.checkpoint import OpenCheckpoint, open_checkpoint
from framescribe.model.adapter import base_of
from framescribe.types import DEFAULT_QUESTION, CaptionSettings, GenerationSettings

_LIBRARIES = ("framescribe", "transformers", "vllm", "without_adapter")
_RESULT = "result: "
_TOGETHER = 4
_VLLM_ON_A_CPU = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("adapter", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vllm-python", default=sys.executable, help="of the environment that has vLLM")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--caption-with", choices=_LIBRARIES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.caption_with:
        clips = sorted(map(str, arguments.folder.rglob("*.mp4")))[: arguments.clips]
        print(_RESULT + json.dumps(caption_with(arguments.caption_with, arguments, clips)))
        return
    captions = {}
    for library in _LIBRARIES:
        python = arguments.vllm_python if library == "vllm" else sys.executable
        command = [python, "-m", "benchmarks.one_adapter", *sys.argv[1:], "--caption-with", library]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | _VLLM_ON_A_CPU
        )
        captions[library] = json.loads(done.stdout.splitlines()[-1].removeprefix(_RESULT))
    ours = captions["framescribe"]
    same = {
        library: sum(map(str.__eq__, ours, theirs))
        for library, theirs in captions.items()
        if library != "framescribe"
    }
    counts = {"clips": len(ours), "different_captions": len(set(ours)), "same_as_framescribe": same}
    publish(counts | {"captions": ours[:2]} | provenance(), arguments.json)


def caption_with(library: str, arguments: argparse.Namespace, clips: list[str]) -> list[str]:
    """Captions of the clips by one library, in their order."""
    base, limit = base_of(arguments.adapter), arguments.max_new_tokens
    if library == "transformers":
        return _in_transformers(open_checkpoint(base), arguments.adapter, clips, limit)
    if library == "vllm":
        return _on_vllm(open_checkpoint(base), arguments.adapter, clips, limit)
    from framescribe.captioner import Captioner

    adapter = arguments.adapter if library == "framescribe" else None
    captioner = Captioner.from_pretrained(base, adapter=adapter, device="cpu", dtype="fp32")
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=limit, stop_loops=False))
    found = {row.source_video: row.caption_raw.strip() for row in captioner.caption(clips, settings)}
    return [found[clip] for clip in clips]


def _in_transformers(base: OpenCheckpoint, adapter: Path, clips: list[str], limit: int) -> list[str]:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoProcessor

    import framescribe.integrations.transformers  # noqa: F401 - registers the model

    loaded = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    model, processor = PeftModel.from_pretrained(loaded, adapter), AutoProcessor.from_pretrained(base.folder)
    captions: list[str] = []
    for start in range(0, len(clips), _TOGETHER):
        batch = processor(DEFAULT_QUESTION, clips[start : start + _TOGETHER])
        tokens = model.generate(**batch, max_new_tokens=limit, do_sample=False)
        captions += processor.batch_decode(tokens[:, batch["input_ids"].shape[1] :])
    return [caption.strip() for caption in captions]


def _on_vllm(base: OpenCheckpoint, adapter: Path, clips: list[str], limit: int) -> list[str]:
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    from framescribe.integrations.vllm import register
    from framescribe.integrations.vllm.prompts import PromptMaker

    register()  # as vLLM does where framescribe is installed
    llm: Any = LLM(
        str(base.folder),
        dtype="float32",
        max_model_len=4096,
        max_num_seqs=8,
        enable_lora=True,
        max_lora_rank=64,
    )
    make = PromptMaker(str(base.folder))
    greedy = SamplingParams(temperature=0, max_tokens=limit, stop_token_ids=make.stop_ids)
    request = LoRARequest("adapter", 1, str(adapter))
    outputs = llm.generate([make(clip) for clip in clips], greedy, lora_request=request, use_tqdm=False)
    return [base.tokenizer.decode(output.outputs[0].token_ids).strip() for output in outputs]


if __name__ == "__main__":
    main()
