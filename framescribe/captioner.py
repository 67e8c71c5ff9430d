"""The front door: clips in, exactly one row per clip out, in completion order; a failure is a row with a reason.

The way of one clip: open and decode (``video``), transform, prompt, then generate (``engine``), text, row. Decoding
runs in worker processes ahead of the engine, each driven by a thread that prepares what it decoded (``prepare.py``);
everything else runs in the caller's (``session.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import partial
from os import fspath
from pathlib import Path
from weakref import WeakSet

import torch

from framescribe.bound import TimeSpent
from framescribe.caption_row import CaptionRow
from framescribe.checkpoint import OpenCheckpoint, open_checkpoint
from framescribe.counted import CaptionProgress, CountedTasks, told_of
from framescribe.decoders import Decoders, decoding_threads
from framescribe.distinct import Distinct
from framescribe.engine.engine import Engine
from framescribe.engine.request import Request
from framescribe.errors import UsageError
from framescribe.model.checkpoint import Progress
from framescribe.model.device_errors import explain_out_of_memory
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision, check_memory, choose_batch, choose_precision
from framescribe.model_spec import ModelSpec
from framescribe.pipeline.given import Source, as_clip, given_clips
from framescribe.prepare import Preparer, check_can_decode, gpu_decoders
from framescribe.prompt import History
from framescribe.rows import RowMaker
from framescribe.session import CaptionSession, Decoding, answer
from framescribe.side_rows import Beside, Scoring
from framescribe.task import (
    DEFAULT_MEMORY_GB,
    DEFAULT_TIMEOUT_S,
    ClipTask,
    DecodeLimits,
    DecoderChoice,
    Question,
    check_prompts,
)
from framescribe.types import CaptionSettings

log = logging.getLogger("framescribe")


class Captioner:
    """A loaded model that captions clips and answers questions about them.

    Make one with ``Captioner.from_pretrained``.

    Attributes:
        checkpoint: what it loaded.
        precision: in which it computes.
        engine, preparer, decoders, batch_size: for callers that drive the engine themselves, such as a server; the
            batch size is of clips that decode together.
    """

    def __init__(
        self,
        model: CaptionModel,
        checkpoint: OpenCheckpoint,
        precision: Precision,
        batch_size: int,
        decoder: DecoderChoice = "cpu",
    ) -> None:
        self.checkpoint = checkpoint
        self.precision = precision
        self.batch_size = batch_size
        self.decoders = Decoders(gpu_decoders(decoder, model.device))
        # One for all calls, which may overlap: its KV cache takes most of the memory.
        self.engine = Engine(
            model,
            checkpoint.stop_ids,
            batch_size,
            kv_dtype=precision.kv_dtype,
            reserved_bytes=0 if self.decoders.gpu is None else self.decoders.gpu.memory_bytes,
        )
        self.preparer = Preparer(checkpoint, self._row_maker(), device=model.device, dtype=model.dtype)
        self._sessions: WeakSet[CaptionSession] = WeakSet()

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | ModelSpec | None = None,
        *,
        revision: str | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        quant: int | str | None = None,
        adapter: str | Path | None = None,
        batch_size: int | None = None,
        decoder: DecoderChoice = "auto",
        progress: Progress | None = None,
    ) -> Captioner:
        """Loads a checkpoint of the official layout.

        Args:
            model: a folder, a bundled model's name, a Hugging Face repo id, or ``modelscope:owner/name``; or a
                ``ModelSpec``, which says the next five as well. None: the adapter's model, or the bundled ``tiny``.
            revision: branch, tag or commit of the repository.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or a ``torch.device``.
            dtype: ``auto``, ``bf16``, ``fp16``, ``fp32``, torch's names for them, or a ``torch.dtype`` (see
                ``choose_precision``).
            quant: 8, 4, ``"fp8"`` or ``"fp8-kv"`` for the linear layers (see ``quantizer``).
            adapter: folder of a LoRA adapter, such as ``framescribe train`` writes; merged into the weights.
            batch_size: clips that decode together at most; None takes what the memory left allows.
            decoder: ``auto`` decodes videos on the GPU too, where it has a decoder for them; ``cpu`` does not; ``gpu``
                as ``auto``, and refuses to load where the GPU has none. The frames are the same.
            progress: called with the parameters loaded so far, and all there are.

        Raises:
            UsageError: the checkpoint cannot be had or is not whole, the memory is too small for it, or the GPU
                has no decoder.
            DeviceError: memory ran out all the same.

        Examples:
            >>> captioner = Captioner.from_pretrained("tiny", device="cpu")
        """
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"`batch_size` must be at least 1, not {batch_size}")
        held = revision, device, dtype, quant, adapter
        spec = model if isinstance(model, ModelSpec) else ModelSpec(model, *held)
        precision = choose_precision(spec)
        check_can_decode(decoder, precision.device)
        checkpoint = open_checkpoint(spec.name, spec.revision, spec.adapter)
        log.info("%s: %s", checkpoint.name, check_memory(checkpoint.config, precision))
        with explain_out_of_memory("loading the model"):
            loaded = checkpoint.load(precision, progress)
        with explain_out_of_memory("for the clips that decode together"):
            batch = batch_size or choose_batch(checkpoint.config, precision)
            return cls(loaded, checkpoint, precision, batch, decoder)

    def caption(
        self,
        sources: Source | Iterable[Source],
        settings: CaptionSettings = CaptionSettings(),
        *,
        prompts: Sequence[str] | None = None,
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
            prompts: several prompts, in place of the settings' one: each clip is decoded and seen once, and gives a
                row for each, with ``prompt_index``. A clip that has a prompt of its own is asked that one only.
            decode_workers: processes that decode, at most; started when needed and kept for later calls. None: one
                per core, up to 32. 0: decode in threads of this process, without a time-out.
            decode_timeout_s: seconds for opening and decoding one clip; what takes longer is an ``error`` row.
            decode_memory_gb: memory that a worker may take for one clip, in 10^9 bytes; what takes more is an ``error``
                row. 24 pictures of 8K take less than the default.
            progress: called after each row with the rows so far, and how many there will be (None as long as
                ``sources`` are still being read).

        Yields:
            Exactly one row per clip and prompt. A clip that fails gives rows with ``caption_status`` ``error``, the
            stage and the reason, and the others go on.

        Raises:
            UsageError: what is no source, a folder or glob without videos, or a setting that makes no sense: at the
                call. A list of clips that cannot be read: where it is met.

        Examples:
            >>> for row in captioner.caption("clips/"):
            ...     print(row.source_video, row.caption_status, row.caption)
            clips/kite.mp4 success A kite ...
        """
        if not isinstance(settings, CaptionSettings):
            raise UsageError(f"settings must be CaptionSettings(…), not {settings!r}")
        asked = (settings.prompt,) if prompts is None else check_prompts(prompts)
        limits = DecodeLimits(decode_workers, decode_timeout_s, decode_memory_gb)
        clips = Distinct(given_clips(sources))
        tasks = CountedTasks(ClipTask.of(clip, asked) for clip in clips)
        rows = self.caption_tasks(tasks, settings, limits)
        return rows if progress is None else told_of(rows, clips, tasks, progress)

    def caption_tasks(
        self,
        tasks: Iterator[ClipTask],
        settings: CaptionSettings,
        limits: DecodeLimits = DecodeLimits(),
        spent: TimeSpent | None = None,
        beside: Beside | None = None,
        scoring: Scoring | None = None,
    ) -> Generator[CaptionRow]:
        """As ``caption``, of different clips that are each asked their own questions.

        Args:
            tasks: read as they are needed.
            settings, limits: the same for all.
            spent: is told what the time goes to.
            beside: is given each clip's pooled features, before its caption's row; None makes none.
            scoring: has clips measured while they are decoded, and takes their scores before the caption's row.

        Raises:
            UsageError: ``limits`` ask for a GPU's decoder, and this captioner has none.
        """
        workers, threads = None, decoding_threads()
        if limits.workers != 0:
            workers, threads = self.decoders.within(limits)
        prepare = partial(self.preparer.prepare, settings=settings, workers=workers, scoring=scoring)
        decoding = Decoding(prepare, threads, workers)
        session = self.session(settings, beside)
        return session.caption(tasks, decoding, self.batch_size, spent or TimeSpent())

    def longest_in_progress(self) -> int:
        """Tokens of the longest caption that is being written, of whichever call; to show how far it is."""
        return self.engine.longest_in_progress()

    def session(self, settings: CaptionSettings, beside: Beside | None = None) -> CaptionSession:
        """For callers that prepare clips themselves (``Preparer``): prepared clips in, rows out."""
        with self.engine.lock:  # not while `use_adapter` is at work
            tokenizer = self.checkpoint.tokenizer
            session = CaptionSession(self.engine, self.preparer, tokenizer, settings, beside)
            self._sessions.add(session)
        return session

    def use_adapter(self, adapter: str | Path | None) -> None:
        """Goes on with another LoRA adapter over the loaded model.

        Only the layers that it or the one before changes are read from the checkpoint again, merged and quantized as
        they are on loading, and written where they are: memory does not grow. Captions and rows are from then on those
        of ``from_pretrained(model, adapter=adapter)``. What fails leaves the captioner as it was.

        Args:
            adapter: its folder; None: the model alone.

        Raises:
            UsageError: captions are in work, the adapter is not one of this model, or the checkpoint has changed.
            DeviceError: memory ran out; if it does so again while the layers before are put back, load the model anew.

        Examples:
            >>> captioner.use_adapter("runs/style/adapter")
            >>> captioner.use_adapter(None)
        """
        with self.engine.lock:
            if len(self.engine) or not all(session.is_closed for session in self._sessions):
                raise UsageError("captions are in work; read them to the end, or drop their iterator, first")
            other = self.checkpoint.with_adapter(None if adapter is None else fspath(adapter))
            with explain_out_of_memory("for another adapter's layers"):
                self.checkpoint.rewrite(self.engine.model, self.precision, other)
            self.checkpoint = other
            self.preparer.rows = self._row_maker()

    def _row_maker(self) -> RowMaker:
        return RowMaker(self.checkpoint.name, self.checkpoint.revision, str(self.precision))

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

        Examples:
            >>> print("".join(captioner.ask("clip.mp4", "What moves?")))
            A kite ...
        """
        if not question.strip():
            raise UsageError("the question is empty")
        if history and settings.resolved_template == "base":
            raise UsageError("the base template has no turns; use `template='chat'` for a conversation")
        clip = as_clip(source)
        decoders, _ = self.decoders.within(DecodeLimits(decoder="cpu"))
        with decoders as workers, workers.decoded(clip, settings.sampling) as frames:
            task = ClipTask(clip, (Question(0, question),))
            prepared = self.preparer.ready(task, frames, settings, history)
        (prompt,) = prepared.prompts
        request = Request(
            clip.id, prompt, prepared.pixels_P3SS, settings.generation, prepared.picture_of_frame
        )
        yield from answer(self.engine, self.checkpoint.tokenizer, request)
