"""The executor that captions through OpenAI-compatible servers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from framescribe.endpoint.captioner import EndpointCaptioner
from framescribe.endpoint.spec import Endpoint
from framescribe.interrupts import uninterrupted
from framescribe.pipeline.caption_run import CaptionRun
from framescribe.pipeline.executor import MadeBy, Work
from framescribe.pipeline.local import deliver
from framescribe.pipeline.observer import Observer
from framescribe.side_rows import Scoring


class ThroughEndpoint:
    """Decodes here, has the model of a server caption, and hands each row to the outputs.

    Args:
        captioner: of the endpoint.
    """

    def __init__(self, captioner: EndpointCaptioner) -> None:
        self._captioner = captioner
        learned, endpoint = captioner.learn(), captioner.endpoint
        hardware = f"{', '.join(endpoint.urls)} with {learned.model}"
        self.made_by = MadeBy(
            learned.precision, hardware, lambda: learned.revision, learned.model, endpoint.sent
        )

    @classmethod
    @contextmanager
    def opened(cls, run: CaptionRun, endpoint: Endpoint) -> Iterator[ThroughEndpoint]:
        """The executor of a run, within the ``with`` block.

        Raises:
            UsageError: the endpoint cannot be used so.
        """
        with EndpointCaptioner(endpoint, run.settings.sampling) as captioner:
            yield cls(captioner)

    def caption(self, work: Work, observer: Observer) -> None:
        """See ``Executor``. Ctrl-C is met between two rows: a row is written and reported whole, or not at all."""
        run = work.run
        with ExitStack() as stack:
            for output in work.outputs:
                stack.enter_context(output)
            outputs, scoring = list(work.outputs), None
            if work.session is not None:
                writer = stack.enter_context(work.session.writer())
                outputs.append(writer)
                scoring = Scoring(run.scores, writer.write_beside) if run.scores else None
            work.started = time.monotonic()
            settings = replace(run.settings, repair=run.repairs)
            rows = self._captioner.caption_tasks(work.tasks, settings, run.limits, work.spent, scoring)
            with observer.captioning(work.total, None):
                for row in rows:
                    with uninterrupted():
                        deliver(row, work, outputs, observer)
