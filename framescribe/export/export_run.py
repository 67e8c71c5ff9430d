"""What an export is: one value, with all the rules between its options."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, get_args

from framescribe.errors import UsageError
from framescribe.export.judged import Accept
from framescribe.export.layout import Layout, find_layout, with_several_captions
from framescribe.export.pair import LINKS, Link
from framescribe.export.prepare import Preparation, form_for
from framescribe.quality.cleanup import CleanupRules
from framescribe.quality.flags import FLAGS
from framescribe.task import DEFAULT_TIMEOUT_S
from framescribe.video.normalize import Normalize


class ExportOptions(TypedDict, total=False):
    """The options of ``framescribe.export.run.export``, which says what they do."""

    where: str | Sequence[str]
    prompt_index: int | None
    link: Link
    rules: CleanupRules
    accepted_flags: Collection[str]
    accept: Accept | None
    variant: str | Sequence[str]
    min_frames: int
    sources: Collection[str]
    normalize: Normalize | None
    first_frames: bool
    keep_clips: str | PathLike[str] | None
    decode_timeout_s: float
    overwrite: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRun:
    """An export; ``export`` says what each of its attributes does.

    Raises:
        UsageError: a value that makes no sense, or that the layout cannot do; nothing has been made yet.
    """

    layout: Layout
    target: Path
    where: str | Sequence[str] = ()
    prompt_index: int | None = None
    link: Link = "copy"
    rules: CleanupRules = CleanupRules()
    accepted_flags: Collection[str] = ()
    accept: Accept | None = None
    variant: tuple[str, ...] = ()
    min_frames: int = 1
    sources: Collection[str] = ()
    normalize: Normalize | None = None
    first_frames: bool = False
    keep_clips: str | PathLike[str] | None = None
    decode_timeout_s: float = DEFAULT_TIMEOUT_S
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.link not in LINKS:
            raise UsageError(f"unknown `link` {self.link!r}; choose one of {', '.join(LINKS)}")
        if unknown := [flag for flag in self.accepted_flags if flag not in FLAGS]:
            raise UsageError(f"unknown `accepted_flags` {unknown[0]!r}; choose from {', '.join(FLAGS)}")
        if self.accept is not None and self.accept not in get_args(Accept):
            raise UsageError(f"`accept` takes {' or '.join(get_args(Accept))}, not {self.accept!r}")
        _ = self.preparation  # raises for a time that is none
        layout = self.layout
        if self.link == "reference" and not layout.may_reference:
            raise UsageError(
                f"{layout.name} needs the clips under names of its own: use `link` copy, symlink or hardlink"
            )
        if self.link != "copy" and layout.clips is None:
            raise UsageError(
                f"{layout.name} packs the clips into tar files: `link={self.link}` means nothing there"
            )
        if self.first_frames and layout.images is None:
            raise UsageError(f"{layout.name} has no place for first frames; leave out `first_frames`")
        for word in layout.forbidden_in_target:
            if word in str(self.target):
                raise UsageError(
                    f"{self.target}: {layout.trainer} replaces {word!r} wherever it stands in a path; choose another "
                    "target"
                )

    @classmethod
    def of(
        cls,
        layout: str | Layout,
        target: str | PathLike[str],
        *,
        variant: str | Sequence[str] = (),
        min_frames: int = 1,
        normalize: Normalize | None = None,
        **options: Any,
    ) -> ExportRun:
        """The export that a call asks for: the layout as these clips need it."""
        chosen = find_layout(layout) if isinstance(layout, str) else layout
        least = max(min_frames, chosen.reads.min_frames)
        chosen = replace(chosen, reads=replace(chosen.reads, min_frames=least))
        variants = (variant,) if isinstance(variant, str) else tuple(variant)
        if len(variants) > 1:
            chosen = with_several_captions(chosen)
        return cls(
            layout=chosen,
            target=Path(target).resolve(),
            variant=variants,
            min_frames=min_frames,
            normalize=None if normalize is None else form_for(chosen.reads, normalize),
            **options,
        )

    @property
    def preparation(self) -> Preparation:
        """How clips are made."""
        keep = None if self.keep_clips is None else Path(self.keep_clips)
        return Preparation(self.normalize, self.first_frames, keep, self.decode_timeout_s)

    @property
    def unharmful_flags(self) -> list[str]:
        """Flags that keep no caption out: those given, and what the rules mend."""
        mended = {"opener": self.rules.strip_openers, "over_budget": self.rules.budget is not None}
        return sorted({*self.accepted_flags, *(flag for flag, is_mended in mended.items() if is_mended)})
