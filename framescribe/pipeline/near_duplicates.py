"""Copies among the clips of a dataset folder, by the fingerprints that ``score`` left there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike, fspath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.dataset.lock import locked
from framescribe.dataset.side_writer import SideWriter
from framescribe.dataset.store import RowFolder
from framescribe.errors import UsageError
from framescribe.score_row import ScoreRow
from framescribe.scores import near_duplicates as comparing
from framescribe.scores.catalogue import COPY_SCORES
from framescribe.scores.fingerprint import FEATURES_OF, PLANES, SIDE
from framescribe.shown import shown
from framescribe.version import __version__

SCORER, VERSION = "near_duplicates", 3

_CLIP = ("clip_id", "source_video", "start_s", "end_s")
_SIZE = 2 * PLANES * SIDE * SIDE


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """What was found in a dataset.

    Attributes:
        groups: the ids of clips that are copies of one another, two or more a group; the first was scored first.
        rows: a dict for each of these clips, in the same order: ``group`` (0, 1, ...), ``clip_id``, ``source_video``,
            ``start_s``, ``end_s``.
        num_clips: that were compared.
        num_flat: that were not, as they are of one colour.
    """

    groups: tuple[tuple[str, ...], ...]
    rows: tuple[dict[str, Any], ...]
    num_clips: int
    num_flat: int


def near_duplicates(folder: str | PathLike[str]) -> NearDuplicates:
    """Finds clips of a dataset folder that are copies: coded anew, scaled, letterboxed, cut by up to 10 %, retimed.

    The folder gets two scores for each clip, of the set as it is now: ``near_duplicates``, how many other clips are
    copies of it, and ``duplicate_number``, 0 for the clip of a group that was scored first, 1 for the next, and so on;
    none for clips of one colour. ``duplicate_number = 0`` as a condition keeps one clip of each group.

    Args:
        folder: of a dataset that ``score`` has measured ``fingerprint`` in; path or URL.

    Raises:
        UsageError: it has no fingerprints, cannot be read, or another run writes there.
        OSError: the scores cannot be written.
    """
    dataset = RowFolder(fspath(folder))
    clips, vectors = _read(dataset)
    if not clips:
        raise UsageError(f"{shown(dataset.name)} has no fingerprints; `framescribe score` makes them")
    first = comparing.near_duplicates(np.concatenate(vectors).reshape(-1, PLANES, SIDE, SIDE))
    with locked(dataset):
        writer = SideWriter(dataset, SCORER)
        for row in _rows(clips, first):
            writer.write([row])
            if writer.is_due:
                writer.flush()
        writer.flush()
    members: dict[int, list[dict[str, Any]]] = {}
    for clip, group in zip(clips, first.tolist(), strict=True):
        members.setdefault(group, []).append(clip)
    num_flat = len(members.pop(-1, ()))
    found = [group for group in members.values() if len(group) > 1]
    return NearDuplicates(
        groups=tuple(tuple(clip["clip_id"] for clip in group) for group in found),
        rows=tuple({"group": number} | clip for number, group in enumerate(found) for clip in group),
        num_clips=len(clips) - num_flat,
        num_flat=num_flat,
    )


def _read(dataset: RowFolder) -> tuple[list[dict[str, Any]], list[NDArray[np.float16]]]:
    """The clips that have a fingerprint, and the fingerprints, in the order in which they were written."""
    clips: list[dict[str, Any]] = []
    vectors = []
    for batch in dataset.features.batches([*_CLIP, "features_of", "features"]):
        rows = [row for row in batch.to_pylist() if row["features_of"] == FEATURES_OF]
        if any(len(row["features"] or b"") != _SIZE for row in rows):
            raise UsageError(f"{shown(dataset.name)} has a fingerprint that is no {FEATURES_OF}")
        if rows:
            vectors.append(np.frombuffer(b"".join(row["features"] for row in rows), "<f2"))
            clips += [{name: row[name] for name in _CLIP} for row in rows]
    return clips, vectors


def _rows(clips: list[dict[str, Any]], first: NDArray[np.int64]) -> Iterator[ScoreRow]:
    sizes = np.bincount(first[first >= 0], minlength=len(first))
    seen = np.zeros(len(first), int)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    for clip, group in zip(clips, first.tolist(), strict=True):
        values = (float("nan"), float("nan"))
        if group >= 0:
            values = float(sizes[group] - 1), float(seen[group])
            seen[group] += 1
        yield ScoreRow(
            **clip, scorer=SCORER, version=VERSION, names=COPY_SCORES, values=values,
            engine_version=__version__, created_at=now,
        )  # fmt: skip
