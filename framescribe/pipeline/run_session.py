"""A run into a dataset folder, from its opening to its end: what is still to be captioned, and where rows go."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from framescribe.dataset.lock import locked
from framescribe.dataset.runs import Identity, Run, RunLog, run_identity
from framescribe.dataset.store import RowFolder, row_key
from framescribe.dataset.writer import ROWS_PER_SHARD, RowWriter
from framescribe.pipeline.beside import check_heads
from framescribe.pipeline.caption_run import CaptionRun
from framescribe.pipeline.executor import MadeBy
from framescribe.pipeline.hashes import SourceHashes, source_sha256
from framescribe.pipeline.preflight import Preflight
from framescribe.task import ClipTask
from framescribe.types import Clip


class RunSession:
    """What of a run is done and what is not, as of its opening (see ``open_session``).

    Attributes:
        folder: the rows' one.
        hashes: of the sources that are being captioned, where sources are hashed.

    Args:
        run: goes into a folder.
        folder: that folder.
        log: the folder's runs.
        identity: from ``run_identity``.
        hardware: that captions.

    Raises:
        UsageError: a damaged folder, or rows that a newer framescribe wrote.
    """

    def __init__(
        self, run: CaptionRun, folder: RowFolder, log: RunLog, identity: Identity, hardware: str
    ) -> None:
        self.folder = folder
        self._caption_run = run
        self._log = log
        self._identity = identity
        self._run = log.find(identity)
        self._hardware = hardware
        others = log.others(self._run) if self._run else ()
        self._done = folder.done(self._run.fingerprint if self._run else "", others)
        self._chosen = None if run.redo is None else folder.chosen(run.redo)
        self._with_row = None if run.redo is None else folder.keys(since=0)
        self.hashes = SourceHashes()

    def check(self) -> None:
        """Raises OtherSettings if the run cannot begin as the folder was made with other settings; it names them."""
        self._log.check(self._identity)

    def begin(self) -> None:
        """Begins the run, as ``RunLog.begin``; up to here nothing was written."""
        run = self._caption_run
        self._run = self._log.begin(self._identity, beside=run.new_run, redo=run.redo is not None)

    @property
    def run(self) -> Run:
        """The run that has begun."""
        assert self._run is not None, "begin comes first"
        return self._run

    def left(self, clip: Clip) -> ClipTask | None:
        """What of a clip is still to be captioned, its bytes unseen; None for nothing."""
        task = ClipTask.of(clip, self._caption_run.asked)
        return task.only(lambda question: self._is_left(row_key(clip.id, question.index)))

    def _is_left(self, key: str) -> bool:
        return key not in self._done if self._chosen is None else key in self._chosen

    def is_left_out(self, clip: Clip) -> bool:
        """Whether a clip has no row and, as others are done again, gets none."""
        return self._with_row is not None and clip.id not in self._with_row

    def task(self, clip: Clip) -> ClipTask | None:
        """As ``left``; where sources are hashed, a clip whose bytes have changed is captioned again.

        A row without a hash tells of none, and counts; a row that failed to open its source had none to tell.
        """
        left = self.left(clip)
        if not self._caption_run.hash_sources or (left is None and self._chosen is not None):
            return left
        sha256 = source_sha256(clip)

        def has_changed(key: str) -> bool:
            recorded = self._done.get(key)
            return key not in self._done or (recorded is not None and recorded != (sha256 or ""))

        if self._chosen is None:
            task = ClipTask.of(clip, self._caption_run.asked)
            left = task.only(lambda question: has_changed(row_key(clip.id, question.index)))
        if left is not None:
            self.hashes.keep(left, sha256)
        return left

    def estimate(self, report: Preflight) -> None:
        """Fills in what earlier sessions tell of time and disk."""
        report.clips_per_s = self._run.clips_per_s(self._hardware) if self._run else None
        report.has_folder = True
        if rows := self.folder.table.num_rows():
            report.bytes_per_row = self.folder.table.size_bytes() / rows
        if self.folder.is_local:
            root = Path(self.folder.root)
            existing = next(parent for parent in [root, *root.parents] if parent.exists())
            report.free_bytes = shutil.disk_usage(existing).free

    def took(self, rows: int, seconds: float) -> None:
        """Notes the rate of rows that were written elsewhere."""
        self.run.add_rate(self._hardware, rows, seconds)
        self._log.save()

    def writer(self) -> RowWriter:
        """Where this session's rows go; its run must have begun."""
        size = self._caption_run.rows_per_shard or ROWS_PER_SHARD
        return RowWriter(self.folder, self._log, self.run, self._hardware, size)


def open_session(run: CaptionRun, made_by: MadeBy, stack: ExitStack) -> RunSession:
    """Opens a run's folder and begins the run there; a dry run leaves everything as it is.

    Args:
        run: goes into a folder.
        made_by: what captions.
        stack: the folder is locked until it closes.

    Raises:
        UsageError: the folder is another's, damaged, of a newer version or locked; ``OtherSettings``: it was made with
            other settings.
    """
    assert run.folder is not None
    folder = RowFolder(run.folder)
    # Before the folder is made: there may be no such model. A dry run downloads nothing, and takes any revision.
    revision = None if run.dry_run else made_by.find_revision()
    if revision is not None:
        check_heads(run.heads, run.model.label, revision)
    if not run.dry_run:
        stack.enter_context(locked(folder))
    settings = replace(run.settings, repair=run.repairs)
    model = made_by.model or run.model.label
    identity = run_identity(settings, run.asked, model, revision, made_by.precision, made_by.sent)
    session = RunSession(run, folder, RunLog(folder), identity, made_by.hardware)
    if not run.dry_run:
        session.begin()
    return session
