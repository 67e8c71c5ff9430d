"""Which clips a run takes of what its sources name, whatever it does with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from framescribe.errors import UsageError

if TYPE_CHECKING:
    from framescribe.pipeline.given import Source
    from framescribe.video.segment import SegmentRule


class ClipChoice(Protocol):
    """The part of a run that says which clips it takes."""

    @property
    def sources(self) -> tuple[Source, ...]: ...

    @property
    def start_s(self) -> float: ...

    @property
    def end_s(self) -> float | None: ...

    @property
    def segment_rule(self) -> SegmentRule: ...

    @property
    def sample(self) -> int | None: ...

    @property
    def shard(self) -> tuple[int, int] | None: ...

    @property
    def seed(self) -> int:
        """Of the draw of ``sample`` clips."""


def check_count(name: str, value: Any) -> None:
    """
    Raises:
        UsageError: it is neither None nor a whole number above 0.
    """
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"`{name}` must be a whole number, not {value!r}")
    if value < 1:
        raise UsageError(f"`{name}` must be at least 1, not {value}")


def check_shard(shard: Any) -> None:
    """
    Raises:
        UsageError: it is neither None nor (i, n) with 1 ≤ i ≤ n.
    """
    if shard is None:
        return
    is_pair = isinstance(shard, tuple) and len(shard) == 2 and all(type(number) is int for number in shard)
    if not is_pair or not 1 <= shard[0] <= shard[1]:
        raise UsageError(f"`shard` takes i and n, 1 ≤ i ≤ n, such as 1/4 to 4/4, not {shard!r}")
