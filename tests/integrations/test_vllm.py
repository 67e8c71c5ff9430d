"""The model on vLLM, against outputs recorded from the published code; needs vLLM (its build for CPUs will do)."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("vllm", exc_type=ImportError)
os.environ |= {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}

from vllm import LLM, SamplingParams
from vllm.lora.request import LoRARequest

from framescribe.captioner import Captioner
from framescribe.checkpoint import open_checkpoint
from framescribe.integrations.vllm import CHAT_TEMPLATE, register
from framescribe.integrations.vllm.prompts import PromptMaker
from framescribe.types import CaptionSettings, FrameSampling, GenerationSettings
from framescribe.video_frames import VideoFrames
from tests.integrations.adapters import write_adapter
from tests.integrations.padded_heads import OVERRIDES, padded, write_padded
from tests.reference import CASES, CLIPS, TINY, recorded

RECORDED = [name for name, case in CASES.items() if not case["answer"] and not case["history"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("padded")
    write_padded(path)
    return path


@pytest.fixture(scope="module")
def llm(folder: Path) -> Any:
    register()
    register()  # as in processes that load plugins twice
    return LLM(
        str(folder), hf_overrides=OVERRIDES, dtype="float32", max_model_len=4096, enforce_eager=True, max_num_seqs=8,
        media_io_kwargs={"video": {"video_backend": "framescribe"}}, enable_prefix_caching=True, enable_lora=True,
        max_lora_rank=8, mm_processor_cache_gb=0.1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def make(folder: Path) -> PromptMaker:
    return PromptMaker(str(TINY))


def captions(
    llm: Any, make: PromptMaker, prompts: list[dict[str, Any]], count: int = 12, **options: Any
) -> list[str]:
    greedy = SamplingParams(temperature=0, max_tokens=count, stop_token_ids=make.stop_ids)
    outputs = llm.generate(prompts, greedy, use_tqdm=False, **options)
    decode = open_checkpoint(
        str(TINY)
    ).tokenizer.decode  # vLLM leaves out a character that is half there at the end
    return [decode(output.outputs[0].token_ids).strip() for output in outputs]


def small_clips(count: int) -> list[VideoFrames]:
    """Clips of one to three pictures that differ in their colours only."""
    drawn = np.random.default_rng(0)
    colours = drawn.integers(0, 256, (count, 3, 8, 8, 3), dtype=np.uint8)
    return [
        VideoFrames(colour[: 1 + number % 3].repeat(28, axis=1).repeat(28, axis=2), fps=1)
        for number, colour in enumerate(colours)
    ]


def ours(clips: list[VideoFrames], adapter: Path | None = None, count: int = 12) -> list[str]:
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=count))
    rows = Captioner.from_pretrained(TINY, adapter=adapter, device="cpu", dtype="fp32").caption(
        clips, settings
    )
    by_name = {row.source_video: row.caption_raw for row in rows}
    return [by_name[clip.name].strip() for clip in clips]


def test_tokens_are_as_recorded(llm: Any, make: PromptMaker) -> None:
    prompts, wanted, greedy = [], [], []
    for name in RECORDED:
        case, tensors = CASES[name], recorded(name)
        video = tensors.get("video_u8_cthw")
        source: Any = None if video is None else VideoFrames(video.transpose(0, 1), fps=1)
        if name.startswith("clip-"):
            source = CLIPS / f"{name.split('-')[1]}.mp4"
        sampling = FrameSampling("base" if name.endswith("-base") else "chat")
        prompts.append(
            make(source, case["query"], CaptionSettings(template=case["template"], sampling=sampling))
        )
        wanted.append((tensors["input_ids"].tolist(), tensors["greedy_ids"].tolist()))
        greedy.append(
            SamplingParams(
                temperature=0, max_tokens=len(wanted[-1][1]), stop_token_ids=make.stop_ids, logprobs=0
            )
        )
    outputs = llm.generate(prompts, greedy, use_tqdm=False)
    found = [(list(output.prompt_token_ids), list(output.outputs[0].token_ids)) for output in outputs]
    assert found == wanted


def test_200_clips_with_one_prompt_have_their_own_captions(llm: Any, make: PromptMaker) -> None:
    clips = small_clips(200)
    wanted = ours(clips)
    assert len(set(wanted)) > 100
    prompts = [make(clip) for clip in clips]
    assert captions(llm, make, prompts) == wanted
    assert captions(llm, make, prompts[::-1]) == wanted[::-1]  # of which most is in the cache now


def test_an_adapter_gives_the_captions_that_it_gives_in_framescribe(
    llm: Any, make: PromptMaker, tmp_path: Path
) -> None:
    clips = small_clips(4)
    write_adapter(tmp_path / "ours")
    write_adapter(tmp_path / "padded", padded)
    adapted = captions(
        llm, make, [make(clip) for clip in clips], lora_request=LoRARequest("a", 1, str(tmp_path / "padded"))
    )
    assert adapted == ours(clips, tmp_path / "ours")
    assert adapted != ours(clips)


def test_what_would_go_wrong_is_refused(llm: Any, make: PromptMaker) -> None:
    prompt = make(small_clips(1)[0])
    video = prompt["multi_modal_data"]["video"]
    for change, reason in (
        ({"multi_modal_data": {"video": [video, video]}}, "At most 1 video"),
        (
            {"multi_modal_data": {"video": [(video[0], {"video_backend": "opencv"})]}},
            "video loader opencv chooses",
        ),
        *(
            ({"multi_modal_data": {"video": [(frames, video[1] | {"seconds": seconds})]}}, reason)
            for frames, seconds, reason in (
                (video[0], [0, 1], "a whole second for each"),
                (video[0], [float("nan")], "a whole second for each"),
                (video[0], None, "a whole second for each"),
                (video[0][:0], [], "a video must be frames"),
                (video[0][:, 0], [0], "a video must be frames"),
            )
        ),
        ({"mm_processor_kwargs": {"template": "story"}}, "unknown template"),
        ({"mm_processor_kwargs": {"temlate": "base"}}, "takes template, not temlate"),
        ({"prompt_token_ids": [509, 30]}, "placeholder|prompt"),
        ({"multi_modal_data": {"image": np.zeros((8, 8, 3), np.uint8)}}, "image"),
    ):
        with pytest.raises(Exception, match=reason):
            captions(llm, make, [prompt | change])
    assert captions(llm, make, [prompt]) == ours(small_clips(1))


def test_a_chat_with_a_file_has_the_published_tokens(llm: Any, make: PromptMaker) -> None:
    data = base64.b64encode((CLIPS / "horse.mp4").read_bytes()).decode()
    video = {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{data}"}}
    asked = {"role": "user", "content": [video, {"type": "text", "text": "What is seen?"}]}
    turns = [asked, {"role": "assistant", "content": "A horse."}, {"role": "user", "content": "Its colour?"}]
    greedy = SamplingParams(temperature=0, max_tokens=6)
    for chat, history, question in (
        ([asked], (), "What is seen?"),
        (turns, [("What is seen?", "A horse.")], "Its colour?"),
    ):
        (output,) = llm.chat(chat, greedy, chat_template=CHAT_TEMPLATE, use_tqdm=False)
        prompts = open_checkpoint(str(TINY)).prompts
        seconds = make(CLIPS / "horse.mp4")["multi_modal_data"]["video"][1]["seconds"]
        wanted = prompts.build(question, "chat", seconds, history=history).input_ids
        assert tuple(output.prompt_token_ids) == wanted
    with pytest.raises(Exception, match="user and assistant in turns"):
        llm.chat([{"role": "system", "content": "Be brief."}, asked], greedy, chat_template=CHAT_TEMPLATE)


def test_the_loader_decodes_as_framescribe_does(llm: Any, make: PromptMaker) -> None:
    from vllm.multimodal.video import VIDEO_LOADER_REGISTRY

    loader = VIDEO_LOADER_REGISTRY.load("framescribe")
    content = (CLIPS / "horse.mp4").read_bytes()
    pixels, metadata = loader.load_bytes(content, num_frames=32)
    wanted = make(CLIPS / "horse.mp4")["multi_modal_data"]["video"]
    assert np.array_equal(pixels, wanted[0])
    assert metadata == wanted[1]
    assert len(loader.load_bytes(content, strategy="uniform", frames=3)[0]) == 3
    with pytest.raises(ValueError, match="not fps"):
        loader.load_bytes(content, fps=2)
