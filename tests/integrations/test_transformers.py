"""The model in transformers, against outputs recorded from the published code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import framescribe.integrations.transformers
from framescribe.captioner import Captioner
from framescribe.errors import UsageError
from framescribe.eval.parity import BOUNDS
from framescribe.types import CaptionSettings, FrameSampling, GenerationSettings
from framescribe.video_frames import VideoFrames
from tests.integrations.adapters import write_adapter
from tests.reference import CASES, CLIPS, ODD_SIZES, TINY, recorded, write_random_checkpoint

transformers = pytest.importorskip("transformers")
AutoModelForCausalLM, AutoProcessor = transformers.AutoModelForCausalLM, transformers.AutoProcessor


@pytest.fixture(scope="module")
def model() -> Any:
    """Read only."""
    return AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32)


@pytest.fixture(scope="module")
def processor() -> Any:
    return AutoProcessor.from_pretrained(TINY)


@pytest.fixture(scope="module")
def three(processor: Any) -> dict[str, Tensor]:
    """Clips of 24, 24 and 7 frames in one batch."""
    frames = [recorded("base-24f")["video_u8_cthw"], recorded("chat-24f-portrait")["video_u8_cthw"]]
    frames.append(frames[1][:, 5:12])
    return processor("What is seen?", [clip_of(each) for each in frames])


def clip_of(video_u8_cthw: Tensor) -> VideoFrames:
    return VideoFrames(video_u8_cthw.transpose(0, 1), fps=1)


def case_inputs(name: str, processor: Any) -> dict[str, Tensor]:
    case, video = CASES[name], recorded(name).get("video_u8_cthw")
    clips = None if video is None else clip_of(video)
    if name.startswith("clip-"):
        clips = CLIPS / f"{name.split('-')[1]}.mp4"
    settings = CaptionSettings(
        template=case["template"], sampling=FrameSampling("base" if name.endswith("-base") else "chat")
    )
    answer = None if case["answer"] is None else [case["answer"]]
    return processor(case["query"], clips, answer=answer, history=case["history"], settings=settings)


def new_tokens(model: Any, inputs: dict[str, Tensor], count: int = 12, **options: Any) -> list[list[int]]:
    ids = model.generate(**inputs, max_new_tokens=count, **{"do_sample": False} | options)
    return ids[:, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_as_recorded(name: str, model: Any, processor: Any) -> None:
    wanted, inputs = recorded(name), case_inputs(name, processor)
    assert inputs["input_ids"][0].tolist() == wanted["input_ids"].tolist()
    positions = model.model.positions(inputs["input_ids"], inputs["attention_mask"])
    assert positions[0].tolist() == wanted["position_ids"].tolist()
    with torch.no_grad():
        outputs = model(**inputs)
    assert (outputs.logits[0, -8:] - wanted["logits_last8"]).abs().max() < BOUNDS["logits"]
    if "labels" in inputs:
        assert inputs["labels"][0].tolist() == wanted["labels"].tolist()
        assert abs(outputs.loss - wanted["loss"]) < BOUNDS["loss"]
    else:
        tokens = new_tokens(model, inputs, len(wanted["greedy_ids"]))
        assert tokens == [wanted["greedy_ids"].tolist()]
        assert processor.batch_decode(tokens) == [CASES[name]["greedy_text"]]


@pytest.mark.parametrize(
    ("attention", "options"),
    [
        ("eager", {}),
        ("sdpa", {}),
        ("sdpa", {"cache_implementation": "static"}),
        ("sdpa", {"use_cache": False}),
    ],
)
def test_a_batch_of_24_24_and_7_frames_has_the_tokens_of_each_alone(
    attention: str, options: dict[str, Any], processor: Any, three: dict[str, Tensor], captioner: Captioner
) -> None:
    model = AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32, attn_implementation=attention)
    settings = CaptionSettings("What is seen?", generation=GenerationSettings(max_new_tokens=6))
    frames = [recorded("base-24f")["video_u8_cthw"], recorded("chat-24f-portrait")["video_u8_cthw"]]
    clips = [clip_of(frames[0]), clip_of(frames[1]), clip_of(frames[1][:, 5:12])]
    rows = {row.source_video: row.caption for row in captioner.caption(clips, settings)}
    texts = [text.strip() for text in processor.batch_decode(new_tokens(model, three, 6, **options))]
    assert texts == [rows[clip.name] for clip in clips]


def test_all_ways_to_generate_see_the_right_frames(model: Any, three: dict[str, Tensor]) -> None:
    greedy = new_tokens(model, three)
    torch.manual_seed(3)
    drawn = new_tokens(model, three, do_sample=True, top_k=1, num_return_sequences=2)
    assert drawn == [tokens for tokens in greedy for _ in range(2)]
    beams = new_tokens(model, three, num_beams=2)
    for row in range(3):
        alone = {name: tensor[row : row + 1] for name, tensor in three.items()}
        assert new_tokens(model, alone, num_beams=2) == beams[row : row + 1]


def test_the_tower_takes_a_bounded_number_of_frames(model: Any, three: dict[str, Tensor]) -> None:
    taken = []
    hook = model.model.vision.register_forward_pre_hook(lambda _, given: taken.append(len(given[0])))
    new_tokens(model, three, 1)
    hook.remove()
    assert sum(taken) == 24 + 24 + 7
    assert max(taken) <= 48


def test_without_a_mask_slots_are_not_taken_for_padding(model: Any, processor: Any) -> None:
    inputs = case_inputs("chat-5f", processor)
    wanted = recorded("chat-5f")["greedy_ids"].tolist()
    del inputs["attention_mask"], inputs["token_type_ids"]
    assert new_tokens(model, inputs, len(wanted)) == [wanted]
    with torch.no_grad():
        logits = model(**inputs, position_ids=recorded("chat-5f")["position_ids"][None]).logits
    assert (logits[0, -8:] - recorded("chat-5f")["logits_last8"]).abs().max() < BOUNDS["logits"]


def test_what_would_go_wrong_is_refused(model: Any, processor: Any, three: dict[str, Tensor]) -> None:
    bare = {name: three[name] for name in ("input_ids", "pixel_values", "num_frames")}
    with pytest.raises(UsageError, match="and only token_type_ids and attention_mask tell it apart"):
        new_tokens(model, bare)
    with pytest.raises(UsageError, match="pass token_type_ids"):
        new_tokens(model, bare | {"attention_mask": three["attention_mask"]}, cache_implementation="static")
    with pytest.raises(UsageError, match="vision slots"):
        new_tokens(model, three | {"num_frames": torch.tensor([24, 24, 8])})
    with pytest.raises(UsageError, match="vision slots"):
        new_tokens(model, {name: three[name] for name in ("input_ids", "attention_mask")})
    right = {name: three[name].flip(1) for name in ("input_ids", "attention_mask", "token_type_ids")}
    with pytest.raises(UsageError, match="on the left"):
        new_tokens(model, three | right)
    cache = model(**three, use_cache=True)
    kept = {"past_key_values": getattr(cache, "cache", None) or cache.past_key_values}
    with pytest.raises(UsageError, match="whole prompt's input_ids"):
        model(torch.tensor([[5]] * 3), **kept)
    with pytest.raises(UsageError, match="each prompt takes one clip"):
        processor(["One?", "Two?"], [CLIPS / "horse.mp4"] * 3)
    with pytest.raises(UsageError, match="there are no clips"):
        processor("An empty folder's?", [])
    with pytest.raises(UsageError, match="must be a path"):
        processor("Two clips?", [[CLIPS / "horse.mp4", CLIPS / "kitten.mp4"]])


def test_positions_never_reach_attention(model: Any, three: dict[str, Tensor]) -> None:
    seen = []

    def spy(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **options: Any) -> Any:
        seen.append(set(options))
        return transformers.AttentionInterface()["sdpa"](module, query, key, value, mask, **options)

    transformers.AttentionInterface.register("spy", spy)
    transformers.AttentionMaskInterface.register("spy", transformers.AttentionMaskInterface()["sdpa"])
    spied = AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32, attn_implementation="spy")
    assert new_tokens(spied, three) == new_tokens(model, three)
    assert seen
    assert not any("position_ids" in options for options in seen)


def test_saves_the_official_layout(
    tmp_path: Path, model: Any, processor: Any, three: dict[str, Tensor]
) -> None:
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert all(map(torch.equal, model.state_dict().values(), again.state_dict().values()))
    assert (
        AutoProcessor.from_pretrained(tmp_path)("Why?")["input_ids"].tolist()
        == processor("Why?")["input_ids"].tolist()
    )
    short = CaptionSettings(generation=GenerationSettings(max_new_tokens=6))
    ours, theirs = (
        [
            row.caption
            for row in Captioner.from_pretrained(folder, device="cpu").caption(CLIPS / "horse.mp4", short)
        ]
        for folder in (TINY, tmp_path)
    )
    assert ours == theirs


def test_other_sizes_and_the_dtype_of_the_rope_table(tmp_path: Path) -> None:
    write_random_checkpoint(tmp_path, ODD_SIZES | {"rope_dtype": "bfloat16"})
    model, processor = AutoModelForCausalLM.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)
    clip = clip_of(recorded("chat-5f")["video_u8_cthw"])
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=16))
    (row,) = Captioner.from_pretrained(tmp_path, device="cpu").caption(clip, settings)
    tokens = new_tokens(model, processor(videos=clip), 16)
    assert processor.batch_decode(tokens)[0].strip() == row.caption


def test_remote_code_is_never_asked_for(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    assert "auto_map" in json.loads((tmp_path / "config.json").read_text())  # to files that are not there
    model = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=True)
    assert type(model) is framescribe.integrations.transformers.CogVLMVideoForCausalLM


@pytest.mark.parametrize("library", ["bitsandbytes", "torchao", "device_map"])
def test_quantized_and_placed_by_transformers(library: str, processor: Any) -> None:
    wanted = recorded("chat-5f")["logits_last8"]
    options: dict[str, Any] = {"device_map": "cpu", "dtype": torch.float32}
    if library == "bitsandbytes":
        options["quantization_config"] = transformers.BitsAndBytesConfig(load_in_8bit=True)
    elif library == "torchao":
        from torchao.quantization import Int8WeightOnlyConfig

        options["quantization_config"] = transformers.TorchAoConfig(Int8WeightOnlyConfig())
    model = AutoModelForCausalLM.from_pretrained(TINY, **options)
    with torch.no_grad():
        logits = model(**case_inputs("chat-5f", processor)).logits[0, -8:].float()
    assert (logits - wanted).norm() < {"bitsandbytes": 0.1, "torchao": 0.1, "device_map": 1e-4}[
        library
    ] * wanted.norm()
    layer = model.model.layers[0].self_attn.language_expert_query_key_value
    assert (type(layer.weight.data) is Tensor and type(layer) is torch.nn.Linear) == (library == "device_map")


def test_an_adapter_of_ours_gives_the_captions_that_it_gives_in_framescribe(
    tmp_path: Path, model: Any, processor: Any
) -> None:
    from peft import PeftModel

    write_adapter(tmp_path)
    clip = clip_of(recorded("chat-5f")["video_u8_cthw"])
    short = CaptionSettings(generation=GenerationSettings(max_new_tokens=12))
    (row,) = Captioner.from_pretrained(adapter=tmp_path, device="cpu").caption(clip, short)
    for adapted in (
        AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32),
        PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32), tmp_path),
    ):
        (text,) = processor.batch_decode(new_tokens(adapted, processor(videos=clip)))
        assert text.strip() == row.caption
    (plain,) = processor.batch_decode(new_tokens(model, processor(videos=clip)))
    assert plain.strip() != row.caption


def test_learns_by_gradients_and_recomputes_activations(processor: Any) -> None:
    model = AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32).train()
    inputs = case_inputs("train-answer", processor)
    grads = []
    for checkpointed in (False, True):
        if checkpointed:
            model.gradient_checkpointing_enable()
        model.zero_grad()
        model(**inputs).loss.backward()
        grads.append({name: parameter.grad.clone() for name, parameter in model.named_parameters()})
    assert all(grad.abs().sum() > 0 for grad in grads[0].values())
    torch.testing.assert_close(grads[0], grads[1])


def test_a_version_that_was_not_tried_is_named_with_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    from framescribe.integrations import versions

    monkeypatch.setattr(versions.metadata, "version", lambda _: "6.1.0")
    with pytest.raises(UsageError, match=r"transformers 6\.1\.0 is installed, and <5\.\d+,>=5\.17 was tried"):
        versions.check_version("transformers", "framescribe.integrations.transformers")
