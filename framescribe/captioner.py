"""The front door: clips in, exactly one row per clip out, in completion order; a failure is a row with a reason.

The way of one clip: open and decode (``video``), transform, prompt, then generate (``engine``), text, row. Decoding
runs in worker processes ahead of the engine, each driven by a thread that prepares what it decoded (``prepare.py``);
everything else runs in the caller's (``session.py``).
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import IO, TypeGuard, cast

import torch

from framescribe.distinct import Distinct
from framescribe.engine.engine import Engine
from framescribe.engine.request import Request
from framescribe.errors import UsageError
from framescribe.model.checkpoint import Progress, load_model, read_stop_ids
from framescribe.model.config import ModelConfig
from framescribe.model.device_errors import memory_told
from framescribe.model.hub import Checkpoint, fetch_checkpoint
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision, check_memory, choose_batch, choose_precision
from framescribe.model.quantize import quantizer
from framescribe.pipeline.sources import check_sources, expand_sources
from framescribe.prepare import Prepared, Preparer
from framescribe.prompt import History
from framescribe.rows import RowMaker
from framescribe.session import CaptionSession
from framescribe.tokenizer import CaptionTokenizer
from framescribe.types import DEFAULT_MODEL, CaptionRow, CaptionSettings, Clip
from framescribe.video.memory import DEFAULT_MEMORY_GB
from framescribe.video.worker_process import Worker
from framescribe.video.workers import DEFAULT_TIMEOUT_S, DecodeWorkers, usable_cpus
from framescribe.video_frames import VideoFrames

Source = str | Path | bytes | IO[bytes] | VideoFrames | Clip
CaptionProgress = Callable[[int, int | None], None]

log = logging.getLogger("framescribe")

# 8 of an H100's 16 cores kept it busy 82 % of the time with 720p clips of 6 s.
_MAX_DECODERS = 32


class Captioner:
    """A loaded model that captions clips and answers questions about them.

    Make one with ``Captioner.from_pretrained``.
    """

    def __init__(
        self,
        model: CaptionModel,
        tokenizer: CaptionTokenizer,
        checkpoint: Checkpoint,
        precision: Precision,
        stop_ids: frozenset[int],
        batch_size: int,
    ) -> None:
        self.checkpoint = checkpoint
        self.precision = precision
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        # One for all calls, which may overlap: its KV cache takes most of the memory.
        self._engine = Engine(model, stop_ids, batch_size, kv_dtype=precision.kv_dtype)
        self._rows = RowMaker(checkpoint.name, checkpoint.revision, str(precision))
        self._preparer = Preparer(tokenizer, model.config, self._rows, device=model.device, dtype=model.dtype)
        self._idle_workers: list[Worker] = []

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = DEFAULT_MODEL,
        *,
        revision: str | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        quant: int | str | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Captioner:
        """Loads a checkpoint of the official layout.

        Args:
            model: a folder, a bundled model's name, a Hugging Face repo id, or ``modelscope:owner/name``.
            revision: branch, tag or commit of the repository.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or a ``torch.device``.
            dtype: ``auto``, ``bf16``, ``fp16``, ``fp32``, torch's names for them, or a ``torch.dtype`` (see
                ``choose_precision``).
            quant: 8, 4, ``"fp8"`` or ``"fp8-kv"`` for the linear layers (see ``quantizer``).
            batch_size: clips that decode together at most; None takes what the memory left allows.
            progress: called with the parameters loaded so far, and all there are.

        Raises:
            UsageError: the checkpoint cannot be had or is not whole, or the memory is too small for it.
            DeviceError: memory ran out all the same.
        """
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"`batch_size` must be at least 1, not {batch_size}")
        precision = choose_precision(device, dtype, quant)
        checkpoint = fetch_checkpoint(str(model), revision)
        config = ModelConfig.from_file(checkpoint.folder / "config.json")
        tokenizer = CaptionTokenizer(checkpoint.folder)
        if len(tokenizer) > config.vocab_size:
            raise UsageError(
                f"{checkpoint.folder}: the tokenizer has {len(tokenizer)} tokens, the model {config.vocab_size}"
            )
        log.info("%s: %s", checkpoint.name, check_memory(config, precision))
        with memory_told("loading the model"):
            loaded = load_model(
                checkpoint.folder,
                precision.device,
                precision.dtype,
                None if precision.quant is None else quantizer(precision.quant),
                progress,
            )
        with memory_told("for the clips that decode together"):
            return cls(
                loaded,
                tokenizer,
                checkpoint,
                precision,
                read_stop_ids(checkpoint.folder, config),
                batch_size or choose_batch(config, precision),
            )

    def caption(
        self,
        sources: Source | Iterable[Source],
        settings: CaptionSettings = CaptionSettings(),
        *,
        decode_workers: int | None = None,
        decode_timeout_s: float = DEFAULT_TIMEOUT_S,
        decode_memory_gb: float = DEFAULT_MEMORY_GB,
        progress: CaptionProgress | None = None,
    ) -> Iterator[CaptionRow]:
        """Captions clips, in completion order.

        Args:
            sources: one of these or many, read lazily: paths and URLs of videos, folders, globs, lists and tars, as on
                the command line (see ``expand_sources``); a video as bytes, as an open binary file, or as pictures
                (``VideoFrames``); ``Clip`` for a span. A clip that comes twice (same source and span) gives one row.
            settings: the same for all.
            decode_workers: processes that decode, at most; started when needed and kept for later calls. None: one
                per core, up to 32. 0: decode in threads of this process, without a time-out.
            decode_timeout_s: seconds for opening and decoding one clip; what takes longer is an ``error`` row.
            decode_memory_gb: memory that a worker may take for one clip, in 10^9 bytes; what takes more is an ``error``
                row. 24 pictures of 8K take less than the default.
            progress: called after each row with the rows so far, and how many there will be (None as long as
                ``sources`` are still being read).

        Yields:
            Exactly one row per clip. A clip that fails gives a row with ``caption_status`` ``error``, the stage and
            the reason, and the others go on.

        Raises:
            UsageError: what is no source, a folder or glob without videos, or a setting that makes no sense: at the
                call. A list of clips that cannot be read: where it is met.
        """
        if not isinstance(settings, CaptionSettings):
            raise UsageError(f"settings must be CaptionSettings(…), not {settings!r}")
        if decode_workers is not None and decode_workers < 0:
            raise UsageError(f"`decode_workers` must be 0 or more, not {decode_workers}")
        if not decode_timeout_s > 0:
            raise UsageError(f"`decode_timeout_s` must be above 0, not {decode_timeout_s}")
        if not decode_memory_gb > 0:
            raise UsageError(f"`decode_memory_gb` must be above 0, not {decode_memory_gb}")
        workers = (
            None
            if decode_workers == 0
            else DecodeWorkers(self._idle_workers, decode_timeout_s, decode_memory_gb)
        )
        clips = Distinct(_clips(sources))
        rows = self._captioned(clips, settings, decode_workers, workers)
        return rows if progress is None else _told(rows, clips, progress)

    def _captioned(
        self,
        clips: Distinct,
        settings: CaptionSettings,
        decode_workers: int | None,
        workers: DecodeWorkers | None,
    ) -> Iterator[CaptionRow]:
        session = self.session(settings)
        decoders = decode_workers or min(_MAX_DECODERS, usable_cpus())
        with ThreadPoolExecutor(decoders, thread_name_prefix="decode") as pool, workers or nullcontext():
            decoding: dict[Future[Prepared | CaptionRow], None] = {}
            try:
                while True:
                    # As many clips ahead as the engine can take next: enough to keep it busy, bounded memory.
                    while len(decoding) + len(session) < self._batch_size + decoders:
                        if (clip := next(clips, None)) is None:
                            break
                        decoding[pool.submit(self._preparer.prepare, clip, settings, workers)] = None
                    if not decoding and not len(session):
                        return
                    timeout = 0 if len(session) else None
                    for future in wait(decoding, timeout, return_when=FIRST_COMPLETED).done:
                        del decoding[future]
                        prepared = future.result()
                        if isinstance(prepared, CaptionRow):
                            yield prepared
                        else:
                            session.add(prepared)
                    yield from session.step()
            finally:
                # A consumer that stops early leaves no work in the pool.
                pool.shutdown(wait=False, cancel_futures=True)
                session.close()

    def longest_in_progress(self) -> int:
        """Tokens of the longest caption that is being written, of whichever call; to show how far it is."""
        return self._engine.longest_in_progress()

    def session(self, settings: CaptionSettings) -> CaptionSession:
        """For callers that prepare clips themselves (``Preparer``): prepared clips in, rows out."""
        return CaptionSession(self._engine, self._preparer, self._tokenizer, self._rows, settings)

    def __repr__(self) -> str:
        return f"Captioner({self.checkpoint.name!r}, {self.precision}, {self.precision.device})"

    def ask(
        self,
        source: Source,
        question: str,
        history: History = (),
        settings: CaptionSettings = CaptionSettings(),
    ) -> Iterator[str]:
        """Answers a question about one clip, piece by piece as the text grows.

        Args:
            source: as in ``caption``.
            question: what to answer; ``settings.prompt`` is not used.
            history: earlier (question, answer) turns about the same clip.
            settings: frames, template (not ``base``, which knows no questions before) and decoding.

        Raises:
            ClipError: the clip cannot be read.
            UsageError: an empty question, or history with the ``base`` template.
        """
        if not question.strip():
            raise UsageError("the question is empty")
        if history and settings.resolved_template == "base":
            raise UsageError("the base template has no turns; use `template='chat'` for a conversation")
        clip = as_clip(source)
        with (
            DecodeWorkers(self._idle_workers, DEFAULT_TIMEOUT_S) as workers,
            workers.decoded(clip, settings.sampling) as frames,
        ):
            prepared = self._preparer.ready(clip, frames, settings, question, history)
        request = Request(clip.id, prepared.prompt, prepared.pixels_F3SS, settings.generation)
        token_ids: list[int] = []
        sent = 0
        for token_id in self._engine.stream(request):
            token_ids.append(token_id)
            if piece := self._tokenizer.decode_settled(token_ids)[sent:]:
                yield piece
                sent += len(piece)
        yield self._tokenizer.decode(token_ids)[sent:]


def as_clip(source: Source) -> Clip:
    """Wraps what a caller may give for a whole video; bytes and nameless files are labelled by their content."""
    if isinstance(source, Clip):
        return source
    if isinstance(source, str | Path):
        return Clip(os.fspath(source))
    if isinstance(source, VideoFrames):
        return Clip(source.name, data=source)
    if isinstance(source, bytes):
        return Clip(f"bytes:{hashlib.sha256(source).hexdigest()[:16]}", data=source)
    if hasattr(source, "shape"):
        raise UsageError(
            "pictures in memory need the times at which they are shown: VideoFrames(pictures, fps=24)"
        )
    if not hasattr(source, "read"):
        raise UsageError(
            f"a clip must be a path, URL, bytes, open binary file, VideoFrames or Clip, not {source!r}"
        )
    if isinstance(name := getattr(source, "name", None), str):
        return Clip(name, data=source)
    if source.seekable():
        source.seek(0)
    if not isinstance(content := source.read(), bytes):
        raise UsageError(f"{source!r} is open as text; open it in binary mode")
    return as_clip(content)


def _clips(sources: Source | Iterable[Source]) -> Iterator[Clip]:
    """Every clip that sources name. What is no source at all is refused now, not where it is met."""
    if isinstance(sources, str | Path | bytes | Clip | VideoFrames):
        sources = [sources]
    elif hasattr(sources, "read") or hasattr(sources, "shape"):
        sources = [cast(Source, sources)]  # an open file, or an array, which is refused below
    if not isinstance(sources, Iterable):
        raise UsageError(f"sources must be paths, URLs, Clips … or a list of them, not {sources!r}")
    if isinstance(sources, list | tuple):
        check_sources(os.fspath(source) for source in sources if _may_be_many(source))
        sources = [source if _may_be_many(source) else as_clip(source) for source in sources]
    return chain.from_iterable(_expanded(source) for source in sources)


def _expanded(source: Source) -> Iterable[Clip]:
    return expand_sources([os.fspath(source)]) if _may_be_many(source) else [as_clip(source)]


def _may_be_many(source: Source) -> TypeGuard[str | Path]:
    """Whether a source is a name that is looked up; a path to nothing is a clip, whose row says so."""
    if not isinstance(source, str | Path):
        return False
    name = os.fspath(source)
    return "://" in name or glob.has_magic(name) or os.path.exists(name)


def _told(rows: Iterator[CaptionRow], clips: Distinct, progress: CaptionProgress) -> Iterator[CaptionRow]:
    done, said = 0, None
    for done, row in enumerate(rows, start=1):
        said = clips.count
        progress(done, said)
        yield row
    if said is None:  # how many there are was known only behind the last one
        progress(done, clips.count)
