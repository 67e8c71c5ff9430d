"""A prepared clip crosses processes as bytes and is the same clip again."""

import dataclasses
import re

import numpy as np
import pyarrow as pa
import pytest
import torch

from framescribe import prepare
from framescribe.checkpoint import open_checkpoint
from framescribe.errors import DeviceError
from framescribe.prepare import Prepared
from framescribe.rows import RowMaker
from framescribe.task import ClipTask, Question
from framescribe.types import CaptionSettings, Clip, Frames, Prompt, VideoFacts
from tests.reference import CLIPS


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("buffer", [bytes, memoryview, pa.py_buffer])
def test_packed_and_unpacked(buffer, dtype):
    """From any buffer that may only be read: torch 2.11 does not take pyarrow's as it is."""
    facts = VideoFacts(64, 48, 24.0, 1.0, "h264", 24)
    frames = Frames(np.empty((0, 3, 0, 0), np.uint8), (0, 7), (0.0, 0.3), 1.0, facts)
    prompts = tuple(Prompt((0, 2, 2, last), (0, 1, 1, 2), (False, True, True, False), 3) for last in (5, 6))
    task = ClipTask(Clip("a.mp4", 1.0, 2.0), (Question(0, "Who?"), Question(3, "Where?\n")))
    pixels = torch.randn(2, 3, 8, 8).to(dtype).transpose(2, 3)
    prepared = Prepared(task, frames, prompts, pixels, (0, 0, 1))
    rest, content = prepared.pack()
    again = Prepared.unpack(rest, buffer(bytes(content)))
    assert torch.equal(again.pixels_P3SS, pixels)
    assert again.pixels_P3SS.dtype == dtype
    assert (again.task, again.prompts, again.picture_of_frame) == (task, prompts, (0, 0, 1))
    for field in dataclasses.fields(Frames):
        if field.name != "pixels":
            assert getattr(again.frames, field.name) == getattr(frames, field.name)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx(...)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"),
    ],
    ids=["torch", "cublas", "cudnn", "triton"],
)
def test_a_device_that_fails_is_no_clips_fault(error, captioner, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(prepare, "transform", fail)
    task = ClipTask.of(Clip(str(CLIPS / "short-half-second.mp4")), ["What?"])
    with pytest.raises(DeviceError, match=re.escape(str(error))):
        captioner.preparer.prepare(task, CaptionSettings())


def test_every_question_is_asked_and_the_pixels_have_the_models_dtype(tokenizer):
    rows = RowMaker("model", "revision", "bf16")
    preparer = prepare.Preparer(open_checkpoint("tiny-random"), rows, dtype=torch.bfloat16)
    short = str(CLIPS / "short-half-second.mp4")
    for own, questions in ((None, ["What is there?", "Where?"]), ("Who is there?", ["Who is there?"])):
        task = ClipTask.of(Clip(short, prompt=own), ["What is there?", "Where?"])
        prepared = preparer.prepare(task, CaptionSettings())
        assert prepared.pixels_P3SS.dtype == torch.bfloat16
        assert prepared.frames.pixels.size == 0  # many times larger, and of no more use
        texts = [
            tokenizer.decode([id for id, see in zip(each.input_ids, each.is_vision, strict=True) if not see])
            for each in prepared.prompts
        ]
        assert texts == [f"0Question: {question} Answer:" for question in questions]


def _uploaded(device: torch.device, pixels_P3SS: torch.Tensor) -> tuple[Prepared, Prepared]:
    rows = RowMaker("model", "revision", "bf16")
    preparer = prepare.Preparer(open_checkpoint("tiny-random"), rows, device=device, dtype=torch.bfloat16)
    facts = VideoFacts(64, 48, 24.0, 1.0, "h264", 24)
    frames = Frames(np.empty((0, 3, 0, 0), np.uint8), (0,), (0.0,), 1.0, facts)
    prepared = Prepared(ClipTask.of(Clip("a.mp4"), ["What?"]), frames, (), pixels_P3SS, (0,))
    return prepared, preparer.upload(prepared)


def test_what_cannot_be_uploaded_stays_where_it_is():
    prepared, uploaded = _uploaded(torch.device("cpu"), torch.empty(1, 3, 8, 8, device="meta"))
    assert uploaded is prepared


@pytest.mark.gpu
def test_uploaded_pixels_are_the_same(cuda):
    prepared, uploaded = _uploaded(cuda, torch.randn(5, 3, 56, 56).to(torch.bfloat16))
    assert uploaded.pixels_P3SS.device.type == "cuda"
    assert torch.equal(uploaded.pixels_P3SS.cpu(), prepared.pixels_P3SS)
