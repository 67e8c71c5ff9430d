"""Clips that a GPU's decoder takes have the frames that FFmpeg gives; whatever it does, its clip is decoded."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from itertools import product
from logging.handlers import QueueHandler
from pathlib import Path
from queue import SimpleQueue

import av
import numpy as np
import pytest
import torch

from framescribe import CaptionSettings, Clip, FrameSampling, GenerationSettings
from framescribe.captioner import Captioner
from framescribe.errors import ClipError, UsageError
from framescribe.task import DecodeLimits
from framescribe.types import Frames
from framescribe.video.decode import decode_frames
from framescribe.video.nvdec.frames import decode_on
from framescribe.video.nvdec.rgb import ToRgb
from framescribe.video.packets import packets
from framescribe.video.workers import DecodeWorkers
from tests.awkward import AWKWARD, make
from tests.reference import CLIPS
from tests.video import hardware
from tests.video.decoders import HORSE, SAMPLING

CPU = torch.device("cpu")


@contextmanager
def workers(does: str, **options: float) -> Iterator[DecodeWorkers]:
    with DecodeWorkers(gpu=hardware.decoders(does), **options) as found:
        yield found


def rgb(frames: Frames) -> np.ndarray:
    return frames.pixels if frames.yuv is None else ToRgb(CPU)(frames.yuv).numpy()


def assert_equal(found: Frames, wanted: Frames) -> None:
    assert np.array_equal(rgb(found), wanted.pixels)
    assert (found.indices, found.timestamps_s) == (wanted.indices, wanted.timestamps_s)
    assert (found.covered_s, found.facts) == (wanted.covered_s, wanted.facts)


def test_the_frames_are_those_of_ffmpeg():
    samplings = (FrameSampling(), FrameSampling("base", 6), FrameSampling("uniform", 5))
    with workers("works") as found:
        for path, sampling in product(sorted(CLIPS.glob("*.mp4")), samplings):
            clip = Clip(str(path))
            with found.decoded(clip, sampling) as frames:
                assert frames.decoder == "gpu", path.name
                assert_equal(frames, decode_frames(clip, sampling))
        clip = Clip(str(CLIPS / "long-70s.mp4"), start_s=40, end_s=60)  # reached by seeking
        with found.decoded(clip, FrameSampling()) as frames:
            assert frames.decoder == "gpu"
            assert_equal(frames, decode_frames(clip, FrameSampling()))


def test_awkward_inputs_give_what_they_give_without(tmp_path):
    with workers("works") as found:
        for number, name in enumerate(AWKWARD):
            folder = tmp_path / str(number)
            folder.mkdir()
            clip = make(name, folder)
            try:
                wanted = decode_frames(clip, SAMPLING)
            except ClipError as error:
                message = f"^{re.escape(str(error))}$"
                with pytest.raises(ClipError, match=message), found.decoded(clip, SAMPLING):
                    pass
                continue
            with found.decoded(clip, SAMPLING) as frames:
                assert_equal(frames, wanted)


@pytest.mark.parametrize(
    "does",
    [
        "takes nothing",
        "finds another format",
        "is damaged",
        "gives other stamps",
        "dies",
        "hangs",
        "has no memory",
        "fails once",
        "fails for good",
    ],
)
def test_what_it_does_not_decode_a_cpu_does(does):
    wanted = decode_frames(Clip(str(HORSE)), SAMPLING)
    with workers(does, timeout_s=10) as found, found.decoded(Clip(str(HORSE)), SAMPLING) as frames:
        assert frames.decoder == "cpu"
        assert_equal(frames, wanted)


@pytest.mark.parametrize("does", ["dies", "fails for good"])
def test_one_that_keeps_dying_is_given_up(caplog, does):
    with workers(does) as found, caplog.at_level(logging.DEBUG, "framescribe"):
        for _ in range(5):
            with found.decoded(Clip(str(HORSE)), SAMPLING) as frames:
                assert frames.decoder == "cpu"
    assert sum("its decoder on the GPU" in record.message for record in caplog.records) == 3
    (warning,) = (record.message for record in caplog.records if record.levelno == logging.WARNING)
    assert "CPUs decode the rest" in warning


def test_why_a_clip_is_not_for_it_is_logged(caplog):
    said: SimpleQueue[logging.LogRecord] = SimpleQueue()  # by a thread that reads the process's stderr
    caplog.set_level(logging.DEBUG, "framescribe")
    handler = QueueHandler(said)
    logging.getLogger("framescribe").addHandler(handler)
    try:
        with workers("takes nothing") as found, found.decoded(Clip(str(HORSE)), SAMPLING):
            pass
        while "not decoded by the GPU" not in (message := said.get(timeout=240).message):
            pass
    finally:
        logging.getLogger("framescribe").removeHandler(handler)
    assert f"{HORSE}: not decoded by the GPU: Unfit('h264 of" in message


def test_a_run_that_ends_early_is_no_fault_of_its_processes():
    gpu = hardware.decoders()
    with DecodeWorkers(gpu=gpu) as over:
        pass
    for _ in range(3):  # killed as they begin
        with pytest.raises(ClipError, match="stopped with the run"), over.decoded(Clip(str(HORSE)), SAMPLING):
            pass
    with DecodeWorkers(gpu=gpu) as found, found.decoded(Clip(str(HORSE)), SAMPLING) as frames:
        assert frames.decoder == "gpu"


def test_a_process_that_is_left_without_an_answer_is_not_asked_again(monkeypatch):
    def fail(self: hardware.HostMemory, size: int) -> bytes:
        raise RuntimeError("on purpose")

    with workers("works", timeout_s=240) as found:
        with monkeypatch.context() as broken:
            broken.setattr(hardware.HostMemory, "lend", fail)
            with pytest.raises(RuntimeError, match="on purpose"), found.decoded(Clip(str(HORSE)), SAMPLING):
                pass
        with found.decoded(Clip(str(HORSE)), SAMPLING) as frames:
            assert frames.decoder == "gpu"
            assert_equal(frames, decode_frames(Clip(str(HORSE)), SAMPLING))


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_pictures_whose_colour_changes_are_left_to_ffmpeg(encoder, tmp_path):
    clip = Clip(str(two_colours(tmp_path / "both.mp4", encoder)))
    wanted = decode_frames(clip, SAMPLING)
    with workers("works") as found, found.decoded(clip, SAMPLING) as frames:
        assert frames.decoder == "cpu"
        assert_equal(frames, wanted)


def two_colours(path: Path, encoder: str) -> Path:
    """One stream of two recordings, each with its own parameter sets in band."""
    with av.open(str(HORSE)) as container:
        pictures = [frame.reformat(96, 64, "yuv420p") for frame in container.decode(video=0)][:8]
    form, raw = encoder.removeprefix("libx").replace("264", "h264").replace("265", "hevc"), b""
    for matrix in ("bt709", "smpte170m"):
        stored = BytesIO()
        with av.open(stored, "w", format=form) as container:
            options = {f"x{encoder[4:]}-params": f"log-level=none:colormatrix={matrix}:bframes=0"}
            stream = container.add_stream(encoder, rate=8, options=options)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for number, picture in enumerate(pictures):
                picture.pts, picture.time_base, picture.pict_type = number, Fraction(1, 8), 0
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        raw += stored.getvalue()
    with av.open(BytesIO(raw), format=form) as whole, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(packets(whole, whole.streams.video[0])):
            packet.time_base, packet.pts, packet.dts, packet.duration = Fraction(1, 8), number, number, 1
            packet.stream = stream
            container.mux(packet)
    return path


def test_pictures_that_would_take_too_much_memory_are_left_to_ffmpeg(monkeypatch):
    monkeypatch.setattr("framescribe.video.nvdec.frames._MOST_BYTES", 1000)

    def allocate(shape: tuple[int, ...]) -> np.ndarray:
        return np.empty(shape, np.uint8)

    frames = decode_on(Clip(str(HORSE)), SAMPLING, hardware.Named(), allocate, hardware.HostMemory().lend)
    assert frames.decoder == "cpu"
    assert_equal(frames, decode_frames(Clip(str(HORSE)), SAMPLING))


def test_while_it_is_busy_cpus_decode():
    with workers("works") as found:
        with (
            found.decoded(Clip(str(HORSE)), SAMPLING) as first,
            found.decoded(Clip(str(HORSE)), SAMPLING) as second,
        ):
            assert (first.decoder, second.decoder) == ("gpu", "cpu")
            assert np.array_equal(rgb(first), second.pixels)
        with found.decoded(Clip(str(HORSE)), SAMPLING) as third:
            assert third.decoder == "gpu"


def test_the_last_clips_wait_for_it_if_that_is_sooner():
    gpu = hardware.decoders()
    with DecodeWorkers(gpu=gpu) as found:
        for _ in range(2):  # so that it is known how long one takes
            with found.decoded(Clip(str(HORSE)), SAMPLING) as frames:
                assert frames.decoder == "gpu"
    seat = gpu.take()
    assert seat is not None
    assert gpu.take() is None
    soon = threading.Timer(0.1, gpu.give_back, [seat])
    soon.start()
    assert gpu.take(left=1_000_000, cpu_s=60.0) is None  # a queue that takes longer than a CPU
    soon.join()
    assert gpu.take() is seat
    threading.Timer(0.1, gpu.give_back, [seat]).start()
    assert gpu.take(left=0, cpu_s=60.0) is seat


def test_rows_say_what_decoded_them_and_are_the_same(captioner, monkeypatch):
    settings = CaptionSettings(generation=GenerationSettings(max_new_tokens=3))
    (wanted,) = captioner.caption(HORSE, settings)
    monkeypatch.setattr(captioner.decoders, "gpu", hardware.decoders())
    (row,) = captioner.caption(HORSE, settings)
    (again,) = captioner.caption_tasks(iter([hardware.task(HORSE)]), settings, DecodeLimits(decoder="cpu"))
    assert (wanted.decoder, row.decoder, again.decoder) == ("cpu", "gpu", "cpu")
    assert (row.caption_raw, row.frame_indices, row.codec) == (
        wanted.caption_raw,
        wanted.frame_indices,
        wanted.codec,
    )


def test_a_decoder_that_is_not_there_is_refused_before_anything_loads(tmp_path):
    with pytest.raises(UsageError, match="cpu has no video decoder"):
        Captioner.from_pretrained(tmp_path, device="cpu", decoder="gpu")
    with pytest.raises(UsageError, match="takes auto, cpu, gpu, not 'nvdec'"):
        DecodeLimits(decoder="nvdec")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="decode_workers"):
        DecodeLimits(workers=0, decoder="gpu")


def test_a_captioner_without_one_refuses_to_decode_by_it(captioner):
    with pytest.raises(UsageError, match="this one has no video decoder"):
        captioner.caption_tasks(iter([hardware.task(HORSE)]), CaptionSettings(), DecodeLimits(decoder="gpu"))
