"""What a caption run is: one value, with all the rules between its options."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

from framescribe.dataset.row_file import is_row_file
from framescribe.dataset.store import Redo
from framescribe.endpoint.spec import Endpoint
from framescribe.errors import UsageError
from framescribe.model_spec import ModelSpec, as_spec
from framescribe.pipeline.call_options import check_options
from framescribe.pipeline.clip_choice import check_count, check_shard
from framescribe.scores.registry import scorers_named
from framescribe.scores.scorer import Scorer
from framescribe.task import DecodeLimits, check_prompts
from framescribe.types import DEFAULT_MODEL, CaptionSettings, Clip

if TYPE_CHECKING:
    from framescribe.captioner import Captioner
    from framescribe.heads.apply import GivenHeads
    from framescribe.heads.head import Head
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
    task_clips: int = 4
    cpus_per_decoder: float = 1.0

    def __post_init__(self) -> None:
        for name in ("workers", "workers_per_gpu", "queue_clips", "task_clips"):
            check_count(name, getattr(self, name))
        if not self.cpus_per_decoder > 0:
            raise UsageError(f"`cpus_per_decoder` must be above 0, not {self.cpus_per_decoder}")


class CaptionOptions(TypedDict, total=False):
    """The options of ``framescribe.caption``, which says what they do."""

    model: str | PathLike[str] | ModelSpec | Captioner
    settings: CaptionSettings
    prompts: Iterable[str]
    txt: bool
    start_s: float
    end_s: float | None
    segments: str
    min_length_s: float
    max_length_s: float | None
    batch_size: int | None
    limits: DecodeLimits
    overwrite: bool
    new_run: bool
    redo: Redo | None
    hash_sources: bool
    where: str | Sequence[str]
    scores: Literal["all"] | Iterable[str]
    features: bool
    heads: GivenHeads | Iterable[GivenHeads]
    limit: int | None
    sample: int | None
    shard: tuple[int, int] | None
    rows_per_shard: int | None
    dry_run: bool
    executor: Literal["local", "ray"] | Ray | Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionRun:
    """A caption run; ``framescribe.caption`` says what each of its attributes does.

    A model that is loaded already is the ``captioner``; ``model`` names it then.

    Raises:
        UsageError: options that exclude each other, or a value that makes no sense; nothing has been looked for, loaded
            or made yet.
    """

    sources: tuple[Source, ...]
    output: str | None = None
    txt: bool = False
    model: ModelSpec = field(default_factory=ModelSpec)
    captioner: Captioner | None = None
    batch_size: int | None = None
    settings: CaptionSettings = CaptionSettings()
    prompts: tuple[str, ...] = ()
    start_s: float = 0.0
    end_s: float | None = None
    segments: str = "whole"
    min_length_s: float = 0.0
    max_length_s: float | None = None
    limits: DecodeLimits = DecodeLimits()
    executor: Ray | Endpoint | None = None
    overwrite: bool = False
    new_run: bool = False
    redo: Redo | None = None
    hash_sources: bool = False
    where: str | Sequence[str] = ()
    scores: tuple[Scorer, ...] = ()
    features: bool = False
    heads: tuple[Head, ...] = ()
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
            check_count(name, getattr(self, name))
        check_shard(self.shard)
        self._check_output()
        if self.scores and self.limits.decoder == "gpu":
            raise UsageError("`scores` are measured where CPUs decode; leave out `decoder=gpu`")
        if self.captioner is not None and (self.executor is not None or self.batch_size is not None):
            raise UsageError("`model` is loaded already: leave out `batch_size` and `executor`")
        if isinstance(self.executor, Endpoint):
            self._check_endpoint(self.executor)
        elif self.executor is not None:
            self._check_ray(self.executor)

    @classmethod
    def of(
        cls,
        sources: Source | Iterable[Source],
        output: str | PathLike[str] | None,
        *,
        model: str | PathLike[str] | ModelSpec | Captioner = DEFAULT_MODEL,
        prompts: Iterable[str] = (),
        scores: Literal["all"] | Iterable[str] = (),
        heads: GivenHeads | Iterable[GivenHeads] = (),
        executor: Literal["local", "ray"] | Ray | Endpoint = "local",
        **options: Any,
    ) -> CaptionRun:
        """The run that a call of ``framescribe.caption`` asks for."""
        from framescribe.pipeline.given import listed

        check_options("caption", CaptionOptions, options)
        captioner = None
        if not isinstance(model, str | PathLike | ModelSpec):
            captioner = _loaded(model)
            model = ModelSpec(captioner.checkpoint.name)
        return cls(
            sources=tuple(listed(sources)),
            output=None if output is None else fspath(output),
            model=as_spec(model),
            captioner=captioner,
            prompts=(prompts,) if isinstance(prompts, str) else tuple(prompts),
            scores=() if scores == () else scorers_named(scores),
            heads=given_heads(heads),
            executor=executor if isinstance(executor, Endpoint) else executor_of(executor),
            **options,
        )

    @property
    def asked(self) -> tuple[str, ...]:
        """The prompts, in order."""
        return self.prompts or (self.settings.prompt,)

    @property
    def folder(self) -> str | None:
        """Where rows go, if that is a folder."""
        return None if self.output is None or is_row_file(self.output) else self.output

    @property
    def seed(self) -> int:
        """Of the draw of ``sample`` clips."""
        return self.settings.generation.seed

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
            raise UsageError(f"`redo` takes {', '.join(get_args(Redo))}, not {self.redo!r}")
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
            "where": self.where,
            "hash_sources": self.hash_sources,
            "scores": self.scores,
            "features": self.features,
            "heads": self.heads,
            "rows_per_shard": self.rows_per_shard,
        }
        for name, is_given in needs_folder.items():
            if is_given:
                raise UsageError(f"`{name}` needs a folder to write to, such as `output=captions/`")

    def _check_endpoint(self, endpoint: Endpoint) -> None:
        if self.model != ModelSpec():
            raise UsageError("`model` is computed here; name an endpoint's model with `endpoint_model`")
        if self.features or self.heads or self.batch_size is not None:
            raise UsageError("`features`, `heads` and `batch_size` belong to a model that is computed here")
        if self.scores and endpoint.send == "video":
            raise UsageError("`scores` are measured where clips are decoded; with `send=video` use `score`")
        if self.limits.workers == 0 or self.limits.decoder == "gpu":
            raise UsageError(
                "with an endpoint CPUs decode: at least 1 of `decode_workers`, without `decoder=gpu`"
            )

    def _check_ray(self, ray: Ray) -> None:
        if not isinstance(ray, Ray):
            raise UsageError(f"`executor` takes local, ray, Ray(…) or Endpoint(…), not {ray!r}")
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


def _loaded(model: Any) -> Captioner:
    from framescribe.captioner import Captioner

    if not isinstance(model, Captioner):
        raise UsageError(f"`model` takes a name, ModelSpec(…) or a Captioner, not {model!r}")
    return model


def given_heads(heads: GivenHeads | Iterable[GivenHeads]) -> tuple[Head, ...]:
    """Heads as a run has them; nothing is imported where there are none."""
    if heads == ():
        return ()
    from framescribe.heads.apply import load_heads

    return load_heads(heads)


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
