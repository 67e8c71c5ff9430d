"""Clips that are like a clip, or show what is in pictures, by stored features: ``framescribe.similar``.

Features of a world are alike in most directions. Whitening by the dataset's own covariance leaves what sets a clip
apart; the cosine of whitened vectors is the exemplar's linear discriminant (Hariharan et al., ECCV 2012).

Shape legend: N clips, Q examples, D features, K kept of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import numpy as np

from framescribe.dataset.stored_features import FeatureBatch, StoredFeatures
from framescribe.errors import ClipError, UsageError
from framescribe.feature_row import PARTS, are_alike
from framescribe.shown import shown
from framescribe.types import CaptionSettings, GenerationSettings

if TYPE_CHECKING:
    from framescribe.captioner import Captioner
    from framescribe.pipeline.given import Source

Floats = np.ndarray[Any, np.dtype[np.float32]]

_SAMPLE = 20_000
"""Clips whose covariance stands for that of all."""
_SHRINKAGE = 0.1


class _Whitening:
    """Maps features to where the dataset's have no direction in common.

    Args:
        vectors_ND: of the dataset.
        parts: which of a vector's are compared: mean, maximum, deviation, detail (``model/pooling.py``).
    """

    def __init__(self, vectors_ND: np.ndarray[Any, Any], parts: slice) -> None:
        self._parts = parts
        kept_NK = self._kept(vectors_ND)
        self._mean_K = kept_NK.mean(0)
        covariance = np.atleast_2d(np.cov(kept_NK - self._mean_K, rowvar=False, bias=True))
        floor = _SHRINKAGE * np.trace(covariance) / len(covariance) + 1e-12
        factor = np.linalg.cholesky(covariance + floor * np.eye(len(covariance)))
        self._matrix_KK = np.linalg.inv(factor).T.astype(np.float32)

    def _kept(self, vectors_ND: np.ndarray[Any, Any]) -> Floats:
        size = vectors_ND.shape[1] // PARTS
        return vectors_ND[:, self._parts.start * size : self._parts.stop * size].astype(np.float32)

    def __call__(self, vectors_ND: np.ndarray[Any, Any]) -> Floats:
        """Unit vectors [N, K]; a clip just as the mean is 0."""
        white_NK = (self._kept(vectors_ND) - self._mean_K) @ self._matrix_KK
        lengths_N1 = np.linalg.norm(white_NK, axis=1, keepdims=True)
        unit_NK: Floats = white_NK / np.maximum(lengths_N1, 1e-12)
        return unit_NK


def similar(
    folder: str | PathLike[str],
    *,
    like: str | Sequence[str] = (),
    pictures: Source | Iterable[Source] = (),
    limit: int = 20,
    features_of: str | None = None,
    captioner: Captioner | None = None,
) -> list[dict[str, Any]]:
    """Finds the clips of a dataset that are most like examples, the most similar first.

    Several examples are averaged: pictures of one character before different backgrounds find the character.

    >>> from framescribe import similar
    >>> similar("captions/", like="5b1f89f56562d66a", limit=3)  # doctest: +SKIP

    Args:
        folder: a dataset's, with features (``caption --features``).
        like: ids of clips of the dataset, or their sources.
        pictures: pictures or videos from elsewhere; they go through the same model.
        limit: at most so many clips.
        features_of: which features, where there are those of several models.
        captioner: with the features' model loaded, for ``pictures``; None loads it.

    Returns:
        ``clip_id``, ``source_video``, ``start_s``, ``end_s`` and ``similarity``, the cosine of whitened features, from
        -1 to 1. Examples that are clips of the dataset are left out.

    Raises:
        UsageError: no or both kinds of examples, a clip or features that are not there.
        ClipError: a picture cannot be read.
    """
    from framescribe.pipeline.given import listed

    names, shown_pictures = [like] if isinstance(like, str) else list(like), list(listed(pictures))
    if bool(names) == bool(shown_pictures):
        raise UsageError("name examples, by either `like` or `pictures`")
    if limit < 1:
        raise UsageError(f"`limit` must be at least 1, not {limit}")
    stored = StoredFeatures(fspath(folder), features_of)
    sample_ND, found = _pass(stored, set(names))
    for name in names:
        if name not in found:
            raise UsageError(
                f"{shown(fspath(folder))} has no features of {shown(name)}: name clips by id or source, as `rows` does"
            )
        if len(found[name]) > 1:
            raise UsageError(f"{shown(name)} names {len(found[name])} clips: use the clip_id of one")
    if names:
        whitening, examples_QD = _Whitening(sample_ND, slice(0, 2)), np.concatenate(list(found.values()))
    else:
        # A single picture has no deviation, and mostly another background: the maximum tells best what is in it.
        whitening, examples_QD = _Whitening(sample_ND, slice(1, 2)), _seen(shown_pictures, stored, captioner)
    wanted_K = whitening(examples_QD).mean(0)
    wanted_K /= max(float(np.linalg.norm(wanted_K)), 1e-12)
    best: list[dict[str, Any]] = []
    for batch in stored:
        similarity_N = whitening(batch.vectors_ND) @ wanted_K
        best = _best(best, batch, similarity_N, set(names), limit)
    return best


def _pass(
    stored: StoredFeatures, names: set[str]
) -> tuple[np.ndarray[Any, Any], dict[str, list[np.ndarray[Any, Any]]]]:
    """Evenly drawn vectors of the dataset, and those of the clips that have each name."""
    step = max(1, stored.num_clips // _SAMPLE)
    sample, found, start = [], defaultdict[str, list[np.ndarray[Any, Any]]](list), 0
    for batch in stored:
        sample.append(batch.vectors_ND[-start % step :: step])
        start += len(batch.vectors_ND)
        if names:
            for number, keys in enumerate(_keys(batch)):
                for name in names.intersection(keys):
                    found[name].append(batch.vectors_ND[number])
    return np.concatenate(sample), found


def _keys(batch: FeatureBatch) -> Iterable[tuple[str, str]]:
    return zip(batch.clip_ids, batch.clips["source_video"].to_pylist(), strict=True)


def _best(
    best: list[dict[str, Any]], batch: FeatureBatch, similarity_N: Floats, left_out: set[str], limit: int
) -> list[dict[str, Any]]:
    few = np.argsort(-similarity_N, kind="stable")[: limit + len(left_out)]
    for number, row in zip(few, batch.rows(few.tolist()), strict=True):
        if not left_out.intersection((row["clip_id"], row["source_video"])):
            best.append(row | {"similarity": round(float(similarity_N[number]), 6)})
    return sorted(best, key=lambda row: -row["similarity"])[:limit]


def _seen(
    pictures: Sequence[Source], stored: StoredFeatures, captioner: Captioner | None
) -> np.ndarray[Any, Any]:
    """The features of pictures, by the model that made the stored ones."""
    from framescribe.captioner import Captioner
    from framescribe.pipeline.given import as_clip
    from framescribe.task import ClipTask

    if captioner is None:
        model, _, revision = stored.features_of.rpartition(" ")[0].rpartition("@")
        captioner = Captioner.from_pretrained(model, revision=None if ":" in revision else revision)
    rows: list[Any] = []
    settings = CaptionSettings(
        generation=GenerationSettings(max_new_tokens=1)
    )  # beside features, next to nothing
    tasks = (ClipTask.of(as_clip(picture), (settings.prompt,)) for picture in pictures)
    for row in captioner.caption_tasks(tasks, settings, beside=rows.extend):
        if row.caption_status == "error":
            raise ClipError(row.error_stage or "decode", row.error_message or "cannot be read")
    if other := next(
        (row.features_of for row in rows if not are_alike(row.features_of, stored.features_of)), None
    ):
        raise UsageError(
            f"the model's features are {shown(other)}, the stored ones {shown(stored.features_of)}"
        )
    return np.stack([np.frombuffer(row.features, "<f2") for row in rows])
