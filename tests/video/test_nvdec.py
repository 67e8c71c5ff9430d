"""NVIDIA's own decoder, on a machine that has one: the frames are FFmpeg's, bit for bit."""

import logging
import math
import os
import signal
from collections.abc import Iterator
from ctypes import sizeof
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from framescribe import CaptionSettings, Clip, FrameSampling, GenerationSettings
from framescribe.captioner import Captioner
from framescribe.types import Frames
from framescribe.video.decode import decode_frames
from framescribe.video.gpu import PROCESS_BYTES, GpuDecoders
from framescribe.video.nvdec import cuda as driver
from framescribe.video.nvdec import cuvid
from framescribe.video.nvdec.rgb import ToRgb
from framescribe.video.workers import DecodeWorkers
from tests.reference import CLIPS

ENCODERS = {
    "default": ("libx264", {}),
    "no B-frames": ("libx264", {"bf": "0", "refs": "4"}),
    "pyramid": ("libx264", {"bf": "6", "x264-params": "b-pyramid=strict"}),
    "open groups": ("libx264", {"g": "12", "x264-params": "open-gop=1"}),
    "intra refresh": ("libx264", {"x264-params": "intra-refresh=1:keyint=12"}),
    "full range": ("libx264", {"x264-params": "fullrange=on:colormatrix=bt709"}),
    "hevc": ("libx265", {"x265-params": "log-level=none"}),
    "hevc, short groups": ("libx265", {"x265-params": "log-level=none:keyint=10:bframes=3"}),
    "hevc, layers": ("libx265", {"x265-params": "log-level=none:temporal-layers=1"}),
}
SIZES = ((176, 144), (354, 242), (1920, 1080))
# Where decoding begins anew at a picture that others may be shown before, FFmpeg decodes the clip.
MAY_BE_LEFT = {"open groups"}


def test_structures_are_those_of_the_header():
    """Sizes and places by a C compiler, of NVIDIA's Video Codec SDK 13 on 64-bit Linux."""
    found = {
        kind.__name__: sizeof(kind)
        for kind in (
            cuvid.DecodeCaps, cuvid.CreateInfo, cuvid.ProcessingParams, cuvid.DecodeStatus,
            cuvid.VideoFormat, cuvid.SourcePacket, cuvid.DisplayInfo, cuvid.ParserParams, driver._Copy2D,
        )
    }  # fmt: skip
    assert found == {
        "DecodeCaps": 88, "CreateInfo": 176, "ProcessingParams": 264, "DecodeStatus": 192,
        "VideoFormat": 64, "SourcePacket": 32, "DisplayInfo": 24, "ParserParams": 136, "_Copy2D": 128,
    }  # fmt: skip
    assert (cuvid.CreateInfo.display_area.offset, cuvid.CreateInfo.target_rect.offset) == (80, 128)
    assert (cuvid.VideoFormat.display_area.offset, cuvid.VideoFormat.chroma_format.offset) == (24, 40)
    assert (cuvid.ProcessingParams.stream.offset, cuvid.ParserParams.user_data.offset) == (56, 40)
    assert (driver._Copy2D.src_pitch.offset, driver._Copy2D.dst_device.offset) == (48, 88)


def write(path: Path, encoder: str, options: dict[str, str], size: tuple[int, int]) -> Path:
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    noise = np.random.default_rng(0).integers(0, 60, (height, width, 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=12, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(40 if width < 1000 else 12):
            waves = [
                127 + 60 * np.sin((x * a + y * b) / 40 + number / 4) for a, b in ((1, 2), (2, 1), (-1, 1))
            ]
            picture = np.stack(waves, axis=-1) + np.roll(noise, number * 3, axis=(0, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture.astype(np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def gpu() -> Iterator[GpuDecoders]:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    found = GpuDecoders.of(0, 20_000_000_000)
    if found is None:
        pytest.skip("the GPU has no video decoder")
    torch.zeros(1, device="cuda")
    yield found
    for _ in range(found.count):
        if (seat := found.take()) is not None:
            seat.discard()


@pytest.fixture(autouse=True)
def reasons(caplog: pytest.LogCaptureFixture) -> None:
    """Of clips that are left to FFmpeg, in a failed test's log; each process logs as it was started."""
    caplog.set_level(logging.DEBUG, "framescribe")


def rgb(frames: Frames) -> np.ndarray:
    assert frames.yuv is not None
    return ToRgb(torch.device("cuda"))(frames.yuv).cpu().numpy()


def check(gpu: GpuDecoders, clip: Clip, sampling: FrameSampling, may_be_left: bool = False) -> None:
    wanted = decode_frames(clip, sampling)
    with DecodeWorkers(gpu=gpu) as workers, workers.decoded(clip, sampling) as frames:
        assert may_be_left or frames.decoder == "gpu", clip
        found = frames.pixels if frames.yuv is None else rgb(frames)
        assert np.array_equal(found, wanted.pixels), clip
        assert (frames.indices, frames.facts) == (wanted.indices, wanted.facts)


@pytest.mark.gpu
def test_real_clips(gpu):
    for path, strategy in product(sorted(CLIPS.glob("*.mp4")), ("chat", "base", "uniform")):
        check(gpu, Clip(str(path)), FrameSampling(strategy))
    check(gpu, Clip(str(CLIPS / "long-70s.mp4"), start_s=40, end_s=60), FrameSampling())


@pytest.mark.gpu
@pytest.mark.parametrize("name", ENCODERS)
def test_whatever_encoded_it(gpu, tmp_path, name):
    for number, size in enumerate(SIZES):
        path = write(tmp_path / f"{number}.mp4", *ENCODERS[name], size)
        check(gpu, Clip(str(path)), FrameSampling("uniform", 5), name in MAY_BE_LEFT)
    check(gpu, Clip(str(tmp_path / "0.mp4"), start_s=1.5), FrameSampling("chat", fps=3), name in MAY_BE_LEFT)


@pytest.mark.gpu
def test_damage_is_left_to_ffmpeg(gpu, tmp_path):
    content = bytearray(write(tmp_path / "whole.mp4", *ENCODERS["default"], (354, 242)).read_bytes())
    for at in range(len(content) // 3, len(content) // 3 + 2000):
        content[at] ^= 0x5A
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    wanted = decode_frames(Clip(str(path)), FrameSampling("uniform"))
    with (
        DecodeWorkers(gpu=gpu) as workers,
        workers.decoded(Clip(str(path)), FrameSampling("uniform")) as frames,
    ):
        assert frames.decoder == "cpu"
        assert np.array_equal(frames.pixels, wanted.pixels)


@pytest.mark.gpu
def test_memory_is_as_counted(gpu, tmp_path):
    path = write(tmp_path / "large.mp4", *ENCODERS["default"], (1920, 1080))
    seat = gpu.take()
    assert seat is not None
    seat.discard()
    gpu.give_back(seat)
    free = torch.cuda.mem_get_info()[0]
    check(gpu, Clip(str(path)), FrameSampling("uniform", 24))
    taken = free - torch.cuda.mem_get_info()[0]
    assert 0 < taken < PROCESS_BYTES + 24 * math.prod((1920, 1080, 3))  # and what torch keeps of the RGB


@pytest.mark.gpu
def test_a_run_survives_its_decoders(gpu):
    captioner = Captioner.from_pretrained("tiny", device="cuda", batch_size=4, decoder="gpu")
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=3))
    clips = [Clip(str(CLIPS / "kitten.mp4"), given_id=str(number)) for number in range(12)]
    rows = []
    for row in captioner.caption(clips, settings):
        rows.append(row)
        for seat in captioner.decoders.gpu._free:
            for worker in seat._workers:
                os.kill(worker._process.pid, signal.SIGKILL)
    assert sorted(row.clip_id for row in rows) == sorted(clip.id for clip in clips)
    assert {row.caption_status for row in rows} <= {"success", "truncated"}
    assert len({row.caption_raw for row in rows}) == 1
