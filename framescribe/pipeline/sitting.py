"""One sitting of a run into a folder: which clips are to be captioned, and where their rows go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from framescribe.dataset.runs import Identity, Run, RunLog
from framescribe.dataset.store import Redo, RowFolder
from framescribe.dataset.writer import RowWriter
from framescribe.pipeline.hashes import SourceHashes
from framescribe.task import ClipTask
from framescribe.types import CaptionRow, CaptionSettings, Clip


class Sitting:
    """What is done and what is not, as of its start.

    Args:
        folder: of the rows.
        log: of the folder.
        identity: of the run, from ``run_identity``.
        hardware: that captions.
        redo: caption only clips that ``failed`` or are ``flagged``, by their last row; None: those whose caption is not
            the run's. Clips without any row are nothing to do again, and are left out.

    Raises:
        UsageError: a damaged folder, or rows that a newer framescribe wrote.
    """

    def __init__(
        self, folder: RowFolder, log: RunLog, identity: Identity, hardware: str, redo: Redo | None
    ) -> None:
        self.folder = folder
        self._log = log
        self._identity = identity
        self._run = log.find(identity)
        self._hardware = hardware
        others = log.others(self._run) if self._run else ()
        self._done = folder.done(self._run.fingerprint if self._run else "", others)
        self._is_redo = redo is not None
        self._chosen = None if redo is None else folder.chosen(redo)
        self._with_row = None if redo is None else folder.clip_ids(since=0)
        self._hashes: SourceHashes | None = None

    def check(self) -> None:
        """Raises UsageError if the run cannot begin as the folder was made with other settings; it names them."""
        self._log.check(self._identity)

    def begin(self, *, beside: bool) -> None:
        """Begins the run, as ``RunLog.begin``; up to here nothing was written.

        Args:
            beside: whether a run with other settings than the folder's last one may go into it.
        """
        self._run = self._log.begin(self._identity, beside=beside, redo=self._is_redo)

    @property
    def clips_per_s(self) -> float | None:
        """As measured in earlier sittings of this run on this hardware; None if there was none."""
        return self._run.clips_per_s(self._hardware) if self._run else None

    def is_todo(self, clip: Clip) -> bool:
        """Whether a clip is to be captioned, its bytes unseen."""
        return clip.id not in self._done if self._chosen is None else clip.id in self._chosen

    def is_left_out(self, clip: Clip) -> bool:
        """Whether a clip has no row and, as others are done again, gets none."""
        return self._with_row is not None and clip.id not in self._with_row

    def todo(self, clips: Iterable[Clip], *, hash_sources: bool) -> Iterator[Clip]:
        """The clips to be captioned; with ``hash_sources`` also those whose bytes have changed since."""
        if not hash_sources:
            return filter(self.is_todo, clips)
        self._hashes = SourceHashes()
        if self._chosen is not None:
            return self._hashes.changed(filter(self.is_todo, clips), {})
        return self._hashes.changed(clips, self._done)

    def finished(self, row: CaptionRow) -> CaptionRow:
        """A row with what is known of its clip here."""
        return row if self._hashes is None else self._hashes.on(row)

    def hashed(
        self, clips: Iterable[Clip], settings: CaptionSettings
    ) -> Iterator[tuple[ClipTask, str | None]]:
        """Clips of ``todo`` with their sources' hashes, for rows that are made elsewhere."""
        for clip in clips:
            sha256 = None if self._hashes is None else self._hashes.take(clip.id)
            yield ClipTask.of(clip, [settings.prompt]), sha256

    @property
    def run(self) -> Run:
        """The run that has begun."""
        assert self._run is not None, "begin comes first"
        return self._run

    def took(self, clips: int, seconds: float) -> None:
        """Notes the rate of clips whose rows were written elsewhere."""
        self.run.add_rate(self._hardware, clips, seconds)
        self._log.save()

    def writer(self, rows_per_shard: int) -> RowWriter:
        """Where this sitting's rows go; its run must have begun."""
        return RowWriter(self.folder, self._log, self.run, self._hardware, rows_per_shard)
