"""An evaluation: captions against references, or a model's captions of synthetic clips against what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framescribe.caption_row import CaptionRow
from framescribe.dataset.dataset import Dataset
from framescribe.dataset.row_file import RowFile
from framescribe.errors import UsageError
from framescribe.eval.attributes import AttributeReport, score_attributes
from framescribe.eval.matching import Pair, match
from framescribe.eval.metrics import OVERLAP_PACKAGE, overlap_figures, text_figures
from framescribe.extras import is_installed
from framescribe.synthetic.files import CAPTIONS_FILE, file_clips, prepare_folder, write_clips
from framescribe.types import CaptionSettings

if TYPE_CHECKING:
    from framescribe.captioner import Captioner

ROWS_FILE = "rows.jsonl"

# Of a row: what its caption followed from.
_MADE_BY = ("model", "model_revision", "precision", "strategy", "template", "num_frames", "engine_version")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What captions are worth.

    Attributes:
        clips: that have references.
        captioned: how many of them have a caption; the others count as wrong.
        figures: of the captions' texts, by name (``text_figures``, ``overlap_figures``).
        attributes: shares of right attributes; None where no reference has facts.
        made_by: what the captions followed from, where they were made for this.
        has_overlap: whether ``figures`` tell of CIDEr, BLEU and ROUGE, which need a package.
    """

    clips: int
    captioned: int
    figures: dict[str, Any]
    attributes: AttributeReport | None
    made_by: dict[str, Any] = field(default_factory=dict)
    has_overlap: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: attributes by split, ``captions``, and ``made_by`` if there is something."""
        report = {} if self.attributes is None else self.attributes.to_dict()
        return report | {"captions": self.figures} | ({"made_by": self.made_by} if self.made_by else {})


def evaluate(
    rows: str | Path | Iterable[Mapping[str, Any]], references: str | Path | Iterable[Mapping[str, Any]]
) -> Evaluation:
    """Measures captions against references of the same clips.

    Args:
        rows: a folder, ``.jsonl`` or ``.parquet`` file, or rows themselves, with ``caption``, and ``clip_id``,
            ``source_video`` or ``file``; the last row of a clip counts.
        references: likewise, perhaps with ``facts``; several rows of a clip are several references of it.

    Raises:
        UsageError: a row says no clip, two files have one name, or no clip that has references has a caption.
    """
    pairs = match(_read(rows), _read(references))
    found = _measured(pairs, {})
    # A clip without a caption counts as one with an empty one.
    expected = {pair.clip: pair.references for pair in pairs if pair.references}
    if not is_installed(OVERLAP_PACKAGE):
        return found
    captions = {pair.clip: pair.caption or "" for pair in pairs if pair.references}
    figures = found.figures | overlap_figures(captions, expected)
    return Evaluation(found.clips, found.captioned, figures, found.attributes, has_overlap=True)


def evaluate_synthetic(
    captioner: Captioner,
    count: int,
    folder: Path,
    seed: int = 0,
    settings: CaptionSettings = CaptionSettings(),
    *,
    drawn: Callable[[Iterator[Path]], Iterable[Path]] = iter,
    captioned: Callable[[Iterator[CaptionRow]], Iterable[CaptionRow]] = iter,
) -> Evaluation:
    """Draws clips of the synthetic world, half of them with pairs that are held out of training, and captions them.

    Their wording varies freely, so that no words are compared.

    Args:
        captioner: whose captions to measure.
        count: of clips.
        folder: empty or none; the clips, ``captions.jsonl`` (what they show) and ``rows.jsonl`` are left in it.
        seed: of the clips.
        settings: of the captions.
        drawn, captioned: are given the clips' files and the rows, and hand them on: to show how far it is.

    Raises:
        UsageError: the folder is taken, or no clip has got a caption.
    """
    prepare_folder(folder, overwrite=False)
    clips = file_clips(count - count // 2, seed) + file_clips(count // 2, seed, held_out=True)
    paths = list(drawn(write_clips(clips, folder)))
    with RowFile(folder / ROWS_FILE) as file:
        for row in captioned(captioner.caption(paths, settings)):
            file.write(row)
    rows = _read(folder / ROWS_FILE)
    made_by = {name: rows[0][name] for name in _MADE_BY} | {"clips": count, "clips_seed": seed}
    return _measured(match(rows, _read(folder / CAPTIONS_FILE)), made_by)


def _read(rows: str | Path | Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return list(Dataset(rows, required=()) if isinstance(rows, str | Path) else rows)


def _measured(pairs: Sequence[Pair], made_by: dict[str, Any]) -> Evaluation:
    captions = [pair.caption for pair in pairs if pair.caption]
    if not captions:
        raise UsageError("none of the clips that have references has a caption")
    with_facts = [(pair.caption, pair.facts) for pair in pairs if pair.facts]
    attributes = score_attributes(with_facts) if with_facts else None
    figures = {"clips": len(pairs), **text_figures(captions)}
    return Evaluation(len(pairs), len(captions), figures, attributes, made_by)
