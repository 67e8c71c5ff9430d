"""What a caption run is: one value, with all the rules between its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from framescribe.dataset.row_file import is_row_file
from framescribe.dataset.store import Redo
from framescribe.errors import UsageError
from framescribe.model_spec import ModelSpec
from framescribe.task import DecodeLimits, check_prompts
from framescribe.types import CaptionSettings, Clip

if TYPE_CHECKING:
    from framescribe.pipeline.given import Source
    from framescribe.video.segment import SegmentRule

LOCAL_CLUSTER = "local"


@dataclass(frozen=True, slots=True)
class Ray:
    """The executor that captions on a Ray cluster: hosts prepare clips, caption them and write their rows.

    Attributes:
        address: ``local`` starts Ray on this host; ``auto``, ``HOST:PORT`` and ``ray://HOST:PORT`` are clusters.
        workers: processes that caption; None is one per GPU (times ``workers_per_gpu``), one on CPUs.
        workers_per_gpu: captioning processes that share a GPU.
        queue_clips: clips that a worker holds at a time; None is a quarter more than decode together.
        task_clips: clips that Ray hands over, and tries again, at a time.
        cpus_per_decoder: CPUs that Ray sets aside for each decoding process.
    """

    address: str = LOCAL_CLUSTER
    workers: int | None = None
    workers_per_gpu: int = 1
    queue_clips: int | None = None
    task_clips: int = 1
    cpus_per_decoder: float = 1.0

    def __post_init__(self) -> None:
        for name in ("workers", "workers_per_gpu", "queue_clips", "task_clips"):
            _check_count(name, getattr(self, name))
        if not self.cpus_per_decoder > 0:
            raise UsageError(f"`cpus_per_decoder` must be above 0, not {self.cpus_per_decoder}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionRun:
    """A caption run; ``framescribe.caption`` says what each of its attributes does.

    Attributes:
        sources: names of videos, folders, globs, URLs, lists and tars; clips; videos in memory.
        output: a folder or URL of one, or a ``.jsonl`` or ``.parquet`` file; None writes no rows.
        txt: whether captions go to text files beside their videos.
        model, batch_size, settings: what captions, how many clips at a time, and how.
        prompts: what each clip is asked; empty asks the settings' prompt.
        start_s, end_s: span to take of every video, in seconds.
        segments, min_length_s, max_length_s: how videos are divided into clips (see ``SegmentRule``).
        limits: what reading clips may take.
        executor: None computes in this process.
        overwrite: whether an output file, or text files, may be replaced.
        new_run: whether settings may differ from those of the folder's earlier run.
        redo: caption only clips whose last row failed or is flagged.
        hash_sources: record their sources' SHA-256, and caption again clips whose bytes have changed.
        limit: caption the first so many clips of those left to do.
        sample: caption so many clips, drawn by the settings' seed.
        shard: (i, n): caption only the i-th of n parts, counted from 1.
        rows_per_shard: rows per file of the folder.
        dry_run: only report what would be captioned.

    Raises:
        UsageError: options that exclude each other, or a value that makes no sense; nothing has been looked for, loaded
            or made yet.
    """

    sources: tuple[Source, ...]
    output: str | None = None
    txt: bool = False
    model: ModelSpec = field(default_factory=ModelSpec)
    batch_size: int | None = None
    settings: CaptionSettings = CaptionSettings()
    prompts: tuple[str, ...] = ()
    start_s: float = 0.0
    end_s: float | None = None
    segments: str = "whole"
    min_length_s: float = 0.0
    max_length_s: float | None = None
    limits: DecodeLimits = DecodeLimits()
    executor: Ray | None = None
    overwrite: bool = False
    new_run: bool = False
    redo: Redo | None = None
    hash_sources: bool = False
    limit: int | None = None
    sample: int | None = None
    shard: tuple[int, int] | None = None
    rows_per_shard: int | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not self.sources:
            raise UsageError("there is nothing to caption: name a video, a folder, a glob, a list or a URL")
        Clip("a video", self.start_s, self.end_s)  # raises for a span that cannot be
        if not isinstance(self.settings, CaptionSettings):
            raise UsageError(f"settings must be CaptionSettings(…), not {self.settings!r}")
        check_prompts(self.asked)
        for name in ("batch_size", "limit", "sample", "rows_per_shard"):
            _check_count(name, getattr(self, name))
        _check_shard(self.shard)
        self._check_output()
        if self.executor is not None:
            self._check_ray(self.executor)

    @property
    def asked(self) -> tuple[str, ...]:
        """The prompts, in order."""
        return self.prompts or (self.settings.prompt,)

    @property
    def folder(self) -> str | None:
        """Where rows go, if that is a folder."""
        return None if self.output is None or is_row_file(self.output) else self.output

    @property
    def repairs(self) -> bool:
        """Whether defective captions are decoded again: as the settings say, or else where trainers read them."""
        return bool(self.folder or self.txt) if self.settings.repair is None else self.settings.repair

    @property
    def segment_rule(self) -> SegmentRule:
        from framescribe.video.segment import SegmentRule

        return SegmentRule.parse(self.segments, self.min_length_s, self.max_length_s)

    def _check_output(self) -> None:
        if self.redo is not None and self.redo not in get_args(Redo):
            raise UsageError(f"`redo` takes {' or '.join(get_args(Redo))}, not {self.redo!r}")
        if not self.segment_rule.changes_nothing and self.txt:
            raise UsageError("`txt` writes one file for each video; with `segments` use `output`")
        if len(self.asked) > 1 and self.txt:
            raise UsageError("`txt` writes one caption for each video; with several `prompts` use `output`")
        if self.folder and self.overwrite:
            raise UsageError(
                "a folder is never overwritten: `redo` captions some clips again, `new_run` all of them"
            )
        if self.folder:
            return
        needs_folder = {
            "new_run": self.new_run,
            "redo": self.redo,
            "hash_sources": self.hash_sources,
            "rows_per_shard": self.rows_per_shard,
        }
        for name, is_given in needs_folder.items():
            if is_given:
                raise UsageError(f"`{name}` needs a folder to write to, such as `output=captions/`")

    def _check_ray(self, ray: Ray) -> None:
        if not isinstance(ray, Ray):
            raise UsageError(f"`executor` takes local, ray or Ray(…), not {ray!r}")
        if not self.folder or self.txt or self.dry_run:
            raise UsageError("`ray` writes to a folder: give `output=captions/`, without `txt` and `dry_run`")
        if self.model.device not in ("auto", "cuda", "cpu"):
            raise UsageError(
                f"on a cluster `device` is auto, cuda or cpu, not {self.model.device}: Ray hands out the GPUs"
            )
        if self.limits.workers == 0:
            raise UsageError("on a cluster `decode_workers` must be at least 1")
        if self.limits.decoder == "gpu":
            raise UsageError("on a cluster CPUs decode; leave out `decoder=gpu`")


def executor_of(executor: Literal["local", "ray"] | Ray) -> Ray | None:
    """``local`` is None, ``ray`` is Ray on this host.

    Raises:
        UsageError: anything else.
    """
    if executor == "local":
        return None
    if executor == "ray":
        return Ray()
    if not isinstance(executor, Ray):
        raise UsageError(f"`executor` takes local, ray or Ray(…), not {executor!r}")
    return executor


def _check_count(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"`{name}` must be a whole number, not {value!r}")
    if value < 1:
        raise UsageError(f"`{name}` must be at least 1, not {value}")


def _check_shard(shard: Any) -> None:
    if shard is None:
        return
    is_pair = isinstance(shard, tuple) and len(shard) == 2 and all(type(number) is int for number in shard)
    if not is_pair or not 1 <= shard[0] <= shard[1]:
        raise UsageError(f"`shard` takes i and n, 1 ≤ i ≤ n, such as 1/4 to 4/4, not {shard!r}")
