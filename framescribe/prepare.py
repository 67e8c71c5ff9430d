"""A clip made ready for the engine: frames decoded and transformed, prompts built. Needs no weights.

Used by the front door's decoding threads, and by processes on other hosts that feed one.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from framescribe.caption_row import CaptionRow
from framescribe.checkpoint import OpenCheckpoint
from framescribe.errors import ClipError, DeviceError, UsageError
from framescribe.model.device_errors import is_device_failure
from framescribe.prompt import History
from framescribe.rows import RowMaker
from framescribe.scores.measure import all_failed
from framescribe.scores.scorer import Scorer
from framescribe.side_rows import Scoring, side_rows
from framescribe.task import ClipTask, DecoderChoice, Question, check_decoder
from framescribe.types import CaptionSettings, Clip, Frames, Prompt, VideoFacts
from framescribe.video.decode import decode_frames
from framescribe.video.gpu import GpuDecoders
from framescribe.video.nvdec.rgb import ToRgb
from framescribe.video.pictures import find_pictures
from framescribe.video.transform import transform
from framescribe.video.workers import DecodeWorkers
from framescribe.yuv import Yuv

if TYPE_CHECKING:
    from typing_extensions import Buffer

log = logging.getLogger("framescribe")

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A clip that is ready for the engine.

    Attributes:
        task: which clip, and what it is asked.
        frames: what was decoded, without the pixels.
        prompts: one for each question.
        pixels_P3SS: the transformed pictures: a frame that equals the one before it has none of its own.
        picture_of_frame: the number of the picture that each frame shows.
    """

    task: ClipTask
    frames: Frames
    prompts: tuple[Prompt, ...]
    pixels_P3SS: torch.Tensor
    picture_of_frame: tuple[int, ...]

    def pack(self) -> tuple[bytes, memoryview]:
        """The clip as bytes, for another process: the pictures' pixels, and all the rest."""
        pixels_P3SS = self.pixels_P3SS.contiguous()
        rest = {
            "clip": _values(self.task.clip, without="data"),
            "questions": list(map(_values, self.task.questions)),
            "frames": _values(self.frames, without="pixels")
            | {"facts": dataclasses.asdict(self.frames.facts)},
            "prompts": list(map(_values, self.prompts)),
            "shape": list(pixels_P3SS.shape),
            "dtype": str(pixels_P3SS.dtype).removeprefix("torch."),
            "picture_of_frame": self.picture_of_frame,
        }
        return json.dumps(rest).encode(), pixels_P3SS.view(torch.uint8).flatten().numpy().data

    @classmethod
    def unpack(cls, rest: bytes, pixels: Buffer) -> Prepared:
        """What ``pack`` of the same version made bytes of; the video itself, where the clip held it, is not there.

        The pixels stay where they are, and are only read.
        """
        values = json.loads(rest)
        of_frames = values["frames"]
        frames = Frames(
            pixels=np.empty((0, 3, 0, 0), np.uint8),
            indices=tuple(of_frames["indices"]),
            timestamps_s=tuple(of_frames["timestamps_s"]),
            covered_s=of_frames["covered_s"],
            facts=VideoFacts(**of_frames["facts"]),
            decoder=of_frames["decoder"],
        )
        task = ClipTask(Clip(**values["clip"]), tuple(Question(**each) for each in values["questions"]))
        prompts = tuple(Prompt(**with_tuples(each)) for each in values["prompts"])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given buffer is not writable")
            flat = torch.frombuffer(memoryview(pixels), dtype=getattr(torch, values["dtype"]))
        return cls(task, frames, prompts, flat.view(values["shape"]), tuple(values["picture_of_frame"]))


def _values(value: Any, without: str = "") -> dict[str, Any]:
    fields = (field.name for field in dataclasses.fields(value))
    return {name: getattr(value, name) for name in fields if name != without}


def with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON values with tuples for lists, as our types have them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def check_can_decode(decoder: DecoderChoice, device: torch.device) -> None:
    """Checks that videos can be decoded as it is asked.

    Raises:
        UsageError: by ``gpu``, and the device has no decoder that can be used.
    """
    check_decoder(decoder)
    if decoder == "gpu" and gpu_decoders(decoder, device) is None:
        raise UsageError(
            f"`decoder=gpu`: {device} has no video decoder that can be used; it takes an NVIDIA GPU, and its driver's "
            "libnvcuvid (in a container, NVIDIA_DRIVER_CAPABILITIES with `video`); leave it out for CPUs"
        )


def gpu_decoders(decoder: DecoderChoice, device: torch.device) -> GpuDecoders | None:
    """The processes that decode on ``device``; None where it has no decoder, or ``decoder`` asks for none."""
    if decoder == "cpu" or device.type != "cuda":
        return None
    number = torch.cuda.current_device() if device.index is None else device.index
    return GpuDecoders.of(number, torch.cuda.mem_get_info(number)[0], at_least=int(decoder == "gpu"))


class Preparer:
    """Prepares clips for one model.

    Args:
        checkpoint: the model's.
        rows: makes the model's rows; here, those of clips that cannot be prepared.
        device, dtype: the model's. Frames for a GPU are transformed there, others on the CPU; in fp32 either way, and
            rounded at the end.

    Attributes:
        rows: likewise.
    """

    def __init__(
        self,
        checkpoint: OpenCheckpoint,
        rows: RowMaker,
        *,
        device: torch.device = _CPU,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._image_size = checkpoint.config.vision_config.image_size
        self.rows = rows
        self._device = device
        self._dtype = dtype
        # Copies and transforms on a GPU go beside the engine's work, and before what of it has not begun: they are
        # short, and it waits for them. One clip at a time, as their memory adds up.
        self._stream = torch.cuda.Stream(device, priority=-1) if device.type == "cuda" else None
        self._lock = threading.RLock()
        self._prompts = checkpoint.prompts
        self._to_rgb = ToRgb(device)

    def prepare(
        self,
        task: ClipTask,
        settings: CaptionSettings,
        workers: DecodeWorkers | None = None,
        scoring: Scoring | None = None,
    ) -> Prepared | tuple[CaptionRow, ...]:
        """Decodes a clip, in one of ``workers`` if given, or gives the rows that say why it could not be.

        Its scores, if asked for, have been taken before this returns; those of a clip that failed say why, too.

        Raises:
            DeviceError: the device failed; nothing more can be done on it.
        """
        if scoring is None:
            return self._prepared(task, settings, workers, ())
        prepared = self._prepared(task, settings, workers, scoring.scorers)
        if isinstance(prepared, Prepared):
            measured = prepared.frames.measured
            frames = dataclasses.replace(prepared.frames, measured=())  # they go no further
            prepared = dataclasses.replace(prepared, frames=frames)
        else:
            why, message = prepared[0].error_stage or "decode", prepared[0].error_message or ""
            measured = all_failed(scoring.scorers, why, message)
        scoring.take(side_rows(task.clip, measured))
        return prepared

    def _prepared(
        self,
        task: ClipTask,
        settings: CaptionSettings,
        workers: DecodeWorkers | None,
        scorers: tuple[Scorer, ...],
    ) -> Prepared | tuple[CaptionRow, ...]:
        clip = task.clip
        try:
            if workers is None:
                return self.ready(task, decode_frames(clip, settings.sampling, scorers=scorers), settings)
            with workers.decoded(clip, settings.sampling, scorers) as frames:
                return self.ready(task, frames, settings)
        except ClipError as error:
            return self.rows.failed(task, settings, error.stage, str(error))
        except Exception as error:  # the one boundary: whatever a clip does, it is one row
            if is_device_failure(error):
                # No clip's fault: with rows that say so, a run would go through all the others in vain.
                raise DeviceError(f"{self._device} failed: {error}") from error
            log.debug("%s", clip.source_video, exc_info=True)
            message = f"{clip.source_video}: {type(error).__name__}: {error}"
            return self.rows.failed(task, settings, "decode", message)

    def ready(
        self, task: ClipTask, frames: Frames, settings: CaptionSettings, history: History = ()
    ) -> Prepared:
        """From decoded frames, whose pixels are not needed after this call."""
        prompts = tuple(self.prompt(frames, settings, each.text, history) for each in task.questions)
        pixels_P3SS, picture_of_frame = self.pictures(frames.pixels if frames.yuv is None else frames.yuv)
        # The source's pixels are many times larger, and a worker needs their memory for its next clip.
        frames = dataclasses.replace(frames, pixels=np.empty((0, 3, 0, 0), np.uint8), yuv=None)
        return Prepared(task, frames, prompts, pixels_P3SS, picture_of_frame)

    def pictures(
        self, decoded: np.ndarray[Any, np.dtype[np.uint8]] | Yuv
    ) -> tuple[torch.Tensor, tuple[int, ...]]:
        """Frames to the pictures that they show, as the model takes them: [P, 3, S, S]; and which each frame shows.

        Args:
            decoded: uint8 [F, 3, H, W], on a GPU copied there as they are; or pictures that are there already.
        """
        try:
            if isinstance(decoded, Yuv):
                with self._beside_the_engine():
                    return self._transformed(self._to_rgb(decoded), self._device)
            return self._transformed(torch.from_numpy(decoded), self._device)
        except torch.OutOfMemoryError:
            # A GPU filled by others still has room for what comes out.
            frames_F3HW = ToRgb(_CPU)(decoded) if isinstance(decoded, Yuv) else torch.from_numpy(decoded)
            return self._transformed(frames_F3HW, _CPU)

    def _transformed(
        self, frames_F3HW: torch.Tensor, device: torch.device
    ) -> tuple[torch.Tensor, tuple[int, ...]]:
        """As ``pictures``, computed on ``device``."""
        picture_of_frame, first_frames = find_pictures(frames_F3HW)
        if len(first_frames) < len(frames_F3HW):
            frames_F3HW = frames_F3HW[first_frames]
        return self.pixels(frames_F3HW, device), picture_of_frame

    def pixels(self, frames_F3HW: torch.Tensor, device: torch.device | None = None) -> torch.Tensor:
        """uint8 frames to what the model takes: [F, 3, S, S], on ``device``; None is the model's."""
        with self._beside_the_engine():
            frames_F3HW = frames_F3HW.to(device or self._device)
            return self._for_the_engine(transform(frames_F3HW, self._image_size).to(self._dtype))

    def upload(self, prepared: Prepared) -> Prepared:
        """Brings a clip that another process prepared to the model's device, so that the engine need not wait for it.

        Where that fails the pixels stay where they are: the engine meets the failure itself, and says what it is.
        """
        try:
            with self._beside_the_engine():
                pixels_P3SS = self._for_the_engine(prepared.pixels_P3SS.to(self._device))
        except RuntimeError as error:
            log.debug("%s: not brought to the device: %s", prepared.task.clip.source_video, error)
            return prepared
        return dataclasses.replace(prepared, pixels_P3SS=pixels_P3SS)

    def _for_the_engine(self, pixels_P3SS: torch.Tensor) -> torch.Tensor:
        if pixels_P3SS.is_cuda:
            pixels_P3SS.record_stream(torch.cuda.default_stream(self._device))
        return pixels_P3SS

    @contextmanager
    def _beside_the_engine(self) -> Iterator[None]:
        """What is computed on a GPU within this block is there after it."""
        if self._stream is None:
            yield
            return
        with self._lock, torch.cuda.stream(self._stream):
            yield
            self._stream.synchronize()

    def prompt(
        self, frames: Frames, settings: CaptionSettings, question: str, history: History = ()
    ) -> Prompt:
        """The prompt that asks ``question`` about these frames; their pixels are not needed."""
        seconds = frames.text_seconds(settings.sampling)
        return self._prompts.build(question, settings.resolved_template, seconds, history=history)
