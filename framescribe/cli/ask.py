"""``framescribe ask``: a conversation about one clip."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from framescribe.cli import endpoint_options, options
from framescribe.errors import UsageError
from framescribe.model_spec import ModelSpec
from framescribe.types import CaptionSettings, Clip

if TYPE_CHECKING:
    from framescribe.captioner import Captioner
    from framescribe.endpoint.captioner import EndpointCaptioner


def ask(
    *,
    video: Annotated[str, typer.Argument(help="File or URL.")],
    questions: Annotated[
        list[str] | None, typer.Argument(help="Questions, asked in turn; without any, type them at a prompt.")
    ] = None,
    template: options.Template = None,
    model: options.Spec,
    sampling: options.Sampling,
    start: options.Start = 0.0,
    end: options.End = None,
    generation: options.Generation,
    endpoint: endpoint_options.Given,
) -> None:
    """Ask questions about a video; answers stream as they are written.

    Each question sees the earlier ones and their answers. Without questions a conversation opens; an empty line or
    Ctrl-D ends it.

    Examples:
        framescribe ask clip.mp4
        framescribe ask clip.mp4 'What is the dog doing?' 'Where is it?'
        framescribe ask talk.mp4 'Who speaks?' --start 60 --end 84
        framescribe ask clip.mp4 'What moves?' --endpoint http://gpu:8000
    """
    from framescribe.cli.console import load_captioner
    from framescribe.video.decode import probe
    from framescribe.video.workers import DecodeWorkers

    settings = CaptionSettings(template=template, sampling=sampling, generation=generation)
    if settings.resolved_template == "base" and len(questions or ()) != 1:
        raise UsageError("the base template has no turns; ask one question, or use --template chat")
    if any(not question.strip() for question in questions or ()):
        raise UsageError("a question is empty")
    if endpoint is not None and model != ModelSpec():
        raise UsageError("`model` is computed here; name an endpoint's model with `endpoint_model`")
    clip = Clip(video, start, end)
    with DecodeWorkers() as workers:
        workers.call(probe, clip)  # what cannot be read is told before a model is loaded
    asked = iter(questions) if questions else iter(_read_question, "")
    if endpoint is None:
        _converse(load_captioner(model, batch_size=1, decoder="cpu"), clip, asked, settings)
        return
    from framescribe.endpoint.captioner import EndpointCaptioner

    with EndpointCaptioner(endpoint, sampling) as remote:
        _converse(remote, clip, asked, settings)


def _converse(
    captioner: Captioner | EndpointCaptioner, clip: Clip, questions: Iterator[str], settings: CaptionSettings
) -> None:
    from framescribe.cli.console import out

    history: list[tuple[str, str]] = []
    for question in questions:
        answer = ""
        for piece in captioner.ask(clip, question, history, settings):
            out.print(piece if answer.strip() else piece.lstrip(), end="", markup=False)
            answer += piece
        out.print()
        history.append((question, answer.strip()))


def _read_question() -> str:
    with contextlib.suppress(ImportError):  # not every Python is built with it
        import readline  # noqa: F401 - from now on `input` edits lines, and knows the earlier ones
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return ""
