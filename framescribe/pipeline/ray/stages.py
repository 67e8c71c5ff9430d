"""What runs on the hosts: clips are prepared on CPUs, captioned on GPUs, and their rows written, block by block.

Between the stages blocks of plain columns travel through Ray's shared memory. From decoders a block is one row of
lists, which Ray Data does not divide: the clips of a task, with their ids, their transformed frames and the rest of
what the engine takes. Then come rows as text. Frames are sent in the model's dtype, as the engine takes them: 7.2 MB
(fp32: 14.5) for 24 of them, whatever the source's size. uint8 frames at the source's size would be exact too, but are
25 MB at 720x480 and 149 MB at 1080p; uint8 at the model's size is not exact (video/workers.py).

What a caption worker does for a task holds Python's lock, and the engine waits for it, worst where many captions end at
once. So a task has several clips, their pixels are not copied, and rows are one column rather than thirty.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from framescribe.caption_row import CaptionRow
from framescribe.feature_row import FeatureRow
from framescribe.pipeline.beside import keeping
from framescribe.pipeline.ray.clip_list import ClipList
from framescribe.pipeline.ray.feeder import EngineFailure, Feeder
from framescribe.pipeline.ray.plain import read_row, read_side, row_text, side_text
from framescribe.pipeline.ray.telemetry import WorkerReport
from framescribe.prepare import Prepared
from framescribe.score_row import ScoreRow
from framescribe.side_rows import Scoring
from framescribe.task import ClipTask
from framescribe.video.workers import DecodeWorkers

if TYPE_CHECKING:
    import pyarrow as pa

    from framescribe.pipeline.ray.job import Job

_BESIDE = "beside"
"""The column of rows of other tables, between captions and their shards."""


_Ready = tuple[Prepared | CaptionRow, str | None, str]
"""A clip, or why there is none; its source's hash; rows of other tables, as text."""


class PrepareStage:
    """Slices of the clip list to prepared clips. A clip that cannot be prepared goes on as its row."""

    def __init__(self, job: Job, task_clips: int) -> None:
        job.enter()
        self._job, self._task_clips = job, task_clips
        self._preparer = job.preparer()
        self._workers = DecodeWorkers([], job.limits.timeout_s, job.limits.memory_gb)
        self._beside: list[ScoreRow | FeatureRow] = []
        self._scoring = Scoring(job.scores, self._beside.extend) if job.scores else None

    def __call__(self, slices: pa.Table) -> Iterator[pa.Table]:
        part: list[_Ready] = []
        for place in slices["slice"].to_pylist():
            for task, sha256 in ClipList.read(self._job.folder, place):
                self._beside.clear()
                prepared = self._preparer.prepare(task, self._job.settings, self._workers, self._scoring)
                rows: Sequence[Prepared | CaptionRow]
                rows = [prepared] if isinstance(prepared, Prepared) else prepared
                # Of a clip's rows the first brings what stands beside them.
                part += [
                    (row, sha256, side_text(() if number else self._beside))
                    for number, row in enumerate(rows)
                ]
                if len(part) >= self._task_clips:
                    yield _prepared_table(part)
                    part = []
        if part:
            yield _prepared_table(part)


class CaptionStage:
    """Prepared clips to rows. Calls overlap: each puts its clips into the one engine, and waits for their rows."""

    def __init__(self, job: Job, conductor: Any) -> None:
        job.enter()
        self._job = job
        captioner = job.captioner()
        self._beside: dict[str, list[ScoreRow | FeatureRow]] = defaultdict(list)
        keeps = job.features or job.heads
        beside = keeping(job.heads, job.features, self._take_beside) if keeps else None
        self._feeder = Feeder(captioner.session(job.settings, beside))
        self._report = WorkerReport(conductor, self._feeder)

    def __call__(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        if self._feeder.failure is not None:
            _die(self._feeder.failure)
        rows: list[CaptionRow] = []
        prepared: list[Prepared] = []
        ids, sha256s, beside, contents = (
            _flat(table[name]).to_pylist() for name in ("clip_id", "source_sha256", _BESIDE, "content")
        )
        hashes = dict(zip(ids, sha256s, strict=True))
        for content, pixels in zip(contents, _buffers(_flat(table["pixels"])), strict=True):
            if pixels is None:
                rows.append(read_row(content.decode()))
            else:
                prepared.append(Prepared.unpack(content, pixels))
        for text in beside:
            self._take_beside(read_side(text))
        try:
            for each, result in zip(prepared, self._feeder.caption(prepared), strict=True):
                rows += self._failed(each.task, result) if isinstance(result, Exception) else result
        except EngineFailure as failure:
            if not failure.is_of_one_clip:
                # Which clip it was is not known. They are tried again in a new process, in the end one by one.
                _die(failure)
            rows += self._failed(prepared[0].task, failure.reason)
        rows = [dataclasses.replace(row, source_sha256=hashes[row.clip_id]) for row in rows]
        self._report.add(rows)
        # Of a clip's rows the first brings them.
        beside = [side_text(self._beside.pop(row.clip_id, ())) for row in rows]
        return pa.table({"row": list(map(row_text, rows)), _BESIDE: beside})

    def _take_beside(self, rows: Iterable[ScoreRow | FeatureRow]) -> None:
        for row in rows:
            self._beside[row.clip_id].append(row)

    def _failed(self, task: ClipTask, error: BaseException) -> tuple[CaptionRow, ...]:
        reason = f"{task.clip.source_video}: {type(error).__name__}: {error}"
        return self._job.rows.failed(task, self._job.settings, "generate", reason)


def write_shard(table: pa.Table, job: Job, number: int) -> pa.Table:
    """Writes rows as one shard, and passes on only how many there are of each status.

    The shard is named by its clips: a task that is tried again replaces what it wrote before, and writes no row twice.
    """
    import pyarrow as pa

    rows = list(map(read_row, table["row"].to_pylist()))
    ids = "\0".join(sorted(f"{row.clip_id}\0{row.prompt_index}" for row in rows))
    token = hashlib.sha256(ids.encode()).hexdigest()[:16]
    folder, side_number = job.folder, job.side_shard + number - job.shard
    beside = [each for text in table[_BESIDE].to_pylist() for each in read_side(text)]
    for kind, side in ((FeatureRow, folder.features), (ScoreRow, folder.scores)):
        if of_kind := [each.to_dict() for each in beside if isinstance(each, kind)]:
            side.make()
            side.append(of_kind, job.fingerprint, side_number, token)
    folder.table.append([row.to_dict() for row in rows], job.fingerprint, number, token)
    counts = Counter(row.caption_status for row in rows)
    return pa.table({"status": list(counts), "rows": list(counts.values())})


def _prepared_table(part: Sequence[_Ready]) -> pa.Table:
    """One row of lists, which Ray Data does not divide."""
    import pyarrow as pa

    columns: dict[str, list[Any]] = {
        "clip_id": [], "source_sha256": [], _BESIDE: [], "content": [], "pixels": [],
    }  # fmt: skip
    for each, sha256, beside in part:
        values: tuple[object, ...]
        if isinstance(each, CaptionRow):
            values = (each.clip_id, sha256, beside, row_text(each).encode(), None)
        else:
            values = (each.task.clip.id, sha256, beside, *each.pack())
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    types = (pa.string(), pa.string(), pa.string(), pa.binary(), pa.large_binary())
    schema = pa.schema([(name, pa.list_(kind)) for name, kind in zip(columns, types, strict=True)])
    return pa.table({name: [column] for name, column in columns.items()}, schema)


def _flat(lists: pa.ChunkedArray) -> pa.Array:
    """What is in a column of lists; as a rule one list, which is not copied."""
    import pyarrow as pa

    first, *others = (chunk.flatten() for chunk in lists.chunks)
    return pa.concat_arrays([first, *others]) if others else first


def _buffers(values: pa.LargeBinaryArray) -> Iterator[pa.Buffer | None]:
    """The values where they lie: a scalar of such an array is a copy."""
    _, offsets, data = values.buffers()
    places = memoryview(offsets).cast("q")[values.offset :]
    for number, is_there in enumerate(values.is_valid().to_pylist()):
        start, end = places[number : number + 2]
        yield data.slice(start, end - start) if is_there else None


def _die(failure: EngineFailure) -> NoReturn:
    """Ends this process, so that Ray starts another: an engine that raised, or its GPU, is not to be trusted."""
    traceback.print_exception(failure)
    os._exit(1)
