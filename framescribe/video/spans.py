"""Spans of a video to files of their own, in one reading."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from framescribe.types import Clip
from framescribe.video.decode import ShownFrame, probe, shown_frames
from framescribe.video.plan import Probe
from framescribe.video.source import open_source, opened_again


@dataclass(frozen=True, slots=True)
class Cut:
    """A file to make: of the seconds from ``start_s`` to ``end_s`` (None: the end), counted from the first frame."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None


class Output:
    """A file in the making, which has its name once it is whole.

    Attributes:
        cut: what it is made of.
        end_s: where the span ends: within the video.
        problem: why it is not made, if so.
        is_done: nothing more is to be written.
    """

    def __init__(self, cut: Cut, video: Probe, sound_from: IO[bytes] | None) -> None:
        video_end_s = video.facts.duration_s
        self.cut = cut
        self.end_s = video_end_s if cut.end_s is None else min(cut.end_s, video_end_s)
        self.problem: str | None = None
        if self.end_s <= cut.start_s:
            self.problem = f"no frame from {cut.start_s:g} s: the video has {video_end_s:g} s"
        self.is_done = self.problem is not None
        self._sound_from = sound_from
        self._opened = ExitStack()

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.__exit__(*error)  # type: ignore[arg-type]

    def show(self, shown: ShownFrame | None) -> Iterator[None]:
        """From ``shown.time_s`` on the video shows this frame; None: it has ended. Yields as it goes on."""
        raise NotImplementedError


def write_spans(
    clip: Clip,
    cuts: Sequence[Cut],
    output: Callable[[Cut, Probe, IO[bytes] | None], Output],
    keep_sound: bool,
) -> Generator[None, None, dict[Path, str]]:
    """Makes files of spans of a clip's video; yields as it goes on. A file of such a name is always whole.

    Args:
        clip: whose video is read; its own span says nothing.
        cuts: what to make; spans may overlap.
        output: makes the file of a span, with the sound of an open video if there is one.
        keep_sound: whether the files have the sound of their spans.

    Returns:
        Why a file was not made, for those that were not.

    Raises:
        ClipError: the video cannot be read.
        OSError: a file cannot be written.
    """
    with ExitStack() as stack:
        file = stack.enter_context(open_source(clip))
        whole = replace(clip, start_s=0.0, end_s=None, data=file)  # fetched once
        video = probe(whole)
        sound = stack.enter_context(opened_again(file)) if keep_sound else None
        outputs = [stack.enter_context(output(cut, video, sound)) for cut in cuts]
        waiting = [output for output in outputs if not output.is_done]
        if waiting:
            start_s, end_s = min(each.cut.start_s for each in waiting), max(each.end_s for each in waiting)
            for shown in shown_frames(replace(whole, start_s=start_s, end_s=end_s)):
                for each in waiting:
                    yield from each.show(shown)
                waiting = [each for each in waiting if not each.is_done]
                yield
            for each in waiting:
                yield from each.show(None)
        return {each.cut.path: each.problem for each in outputs if each.problem is not None}
