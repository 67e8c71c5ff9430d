"""The files in which a trainer's settings name the data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from framescribe.export.layout import Layout
from framescribe.export.pair import Pair
from framescribe.export.templates import rendered
from framescribe.export.writers import append


@dataclass(slots=True)
class Groups:
    """By what the clips of an export fall into data sets of their own: their frame rates and numbers of frames."""

    rates: set[str] = field(default_factory=set)
    num_frames: set[int] = field(default_factory=set)

    def add(self, pair: Pair) -> None:
        """Notes a pair that was exported."""
        self.rates.add(pair.rate)
        self.num_frames.add(pair.facts.num_frames)


def write_settings(layout: Layout, groups: Groups, folder: Path, final: Path) -> None:
    """Writes the layout's settings into ``folder``, which will be renamed to ``final``."""
    values = {
        "name": final.name,
        "target": str(final),
        "rates": sorted(groups.rates, key=lambda rate: float(rate.replace("_", "."))),
        "lengths": _lengths(layout.lengths, groups.num_frames),
        "shards": _shards(folder),
    }
    for name, template in layout.settings.items():
        append(folder / name, rendered(template, values))


def _lengths(lengths: tuple[int, ...], found: set[int]) -> list[tuple[int, int | None]]:
    """Least and longest clip of each data set that has clips; the last one's longest is None."""
    if not lengths:
        return []
    taken = {max(least for least in lengths if least <= max(number, lengths[0])) for number in found}
    longest = {least: following - 1 for least, following in pairwise(lengths)}
    return [(least, longest.get(least)) for least in sorted(taken)]


def _shards(folder: Path) -> str:
    """One name for all shards, as webdataset expands it."""
    last = max((path.stem for path in folder.glob("*.tar")), default="00000")
    return f"{{00000..{last}}}.tar" if last > "00000" else "00000.tar"
