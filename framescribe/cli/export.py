"""``framescribe export``: captions and clips as a trainer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framescribe.cli import clip_options, options
from framescribe.errors import UsageError

if TYPE_CHECKING:
    from framescribe.quality.cleanup import Replacement

_CLEANUP = "Clean-up"


def _formats(incomplete: str) -> list[str]:
    """For the shell's completion."""
    from framescribe.export.formats import FORMATS

    return [name for name in FORMATS if name.startswith(incomplete)]


def export(
    rows: options.Rows,
    to: Annotated[str, typer.Option("--to", autocompletion=_formats, help="Format: one of those above.")],
    target: Annotated[
        Path | None, typer.Option("--target", "-t", help="Folder to make; OUT-FORMAT if not given.")
    ] = None,
    link: Annotated[
        str, typer.Option(help="The clips: copy, symlink, hardlink, or reference where they are.")
    ] = "copy",
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FLAG",
            autocompletion=options.flags,
            help="Export captions with this flag too; repeatable.",
        ),
    ] = None,
    where: options.Where = None,
    min_frames: Annotated[int, typer.Option(min=1, help="Leave out clips of fewer frames.")] = 1,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="FOLDER|URL/",
            help="Read clips from here only; repeatable. Otherwise from any file, and any URL but private servers.",
        ),
    ] = None,
    normalize: clip_options.NormalizeFlag = False,
    fps: clip_options.Fps = None,
    size: clip_options.Size = None,
    fit: clip_options.FitName = None,
    frames: clip_options.Frames = None,
    keep_audio: clip_options.KeepAudio = False,
    crf: clip_options.Crf = None,
    first_frames: clip_options.FirstFrames = False,
    keep_clips: clip_options.KeepClips = None,
    decode_timeout: clip_options.DecodeTimeout = 120.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export; what others put there stays.")
    ] = False,
    strip_openers: Annotated[
        bool,
        typer.Option(
            "--strip-openers", help="Drop “The video shows” and its like.", rich_help_panel=_CLEANUP
        ),
    ] = False,
    replace: Annotated[
        list[str] | None,
        typer.Option(metavar="A=B", help="Put B in the place of A; repeatable.", rich_help_panel=_CLEANUP),
    ] = None,
    prefix: Annotated[str, typer.Option(help="Text before each caption.", rich_help_panel=_CLEANUP)] = "",
    suffix: Annotated[str, typer.Option(help="Text after each caption.", rich_help_panel=_CLEANUP)] = "",
    trigger: Annotated[
        str, typer.Option(help="Word in front of captions that lack it.", rich_help_panel=_CLEANUP)
    ] = "",
    max_words: Annotated[
        int | None,
        typer.Option(help="Cut longer captions at the end of a sentence.", rich_help_panel=_CLEANUP),
    ] = None,
) -> None:
    """Write captions and clips as a trainer reads them.

    Only captions with status success and without flags go in; --strip-openers mends the flag opener and --max-words
    over_budget. The stored rows stay as they are: clean-up is applied to the export. What was left out, and why, is
    in .framescribe/report.json in the target.

    Spans of longer videos are cut out: H.264 in MP4, encoded anew. With --normalize every clip is made as the trainer's
    models take it.

    Formats: cogvideo-finetune, cogvideo-sat, cogvideo-sat-wds, finetrainers, cogvideox-factory, diffsynth, musubi,
    diffusion-pipe, simpletuner, ai-toolkit, videox-fun, ltx, open-sora, videofolder, webdataset, fastvideo, cosmos-sft,
    cosmos-predict2, onetrainer, llama-factory, ms-swift, llava, csv.

    Examples:
        framescribe export captions/ --to cogvideo-finetune --strip-openers
        framescribe export rows.jsonl --to musubi -t dataset/ --link symlink --max-words 100
        framescribe export captions/ --to diffsynth --normalize --size 832x480 --frames 81 --min-frames 81
    """
    from framescribe.cli.console import err, out, path_errors
    from framescribe.dataset.filters import chosen_rows
    from framescribe.dataset.sinks import CAPTION_COLUMNS, read_rows
    from framescribe.export.formats import FORMATS
    from framescribe.export.pair import LINKS
    from framescribe.export.report import LONG_CAPTION_WORDS
    from framescribe.export.run import export as run_export
    from framescribe.export.target import REPORT
    from framescribe.quality.budget import Budget
    from framescribe.quality.cleanup import CleanupRules
    from framescribe.quality.flags import FLAGS

    with path_errors():
        if to not in FORMATS:
            raise UsageError(f"unknown format {to!r}; choose one of {', '.join(FORMATS)}")
        if link not in LINKS:
            raise UsageError(f"unknown --link {link!r}; choose one of {', '.join(LINKS)}")
        if unknown := [flag for flag in accept or () if flag not in FLAGS]:
            raise UsageError(f"unknown --accept {unknown[0]!r}; choose from {', '.join(FLAGS)}")
        rules = CleanupRules(
            strip_openers=strip_openers,
            replacements=tuple(map(_replacement, replace or ())),
            prefix=prefix,
            suffix=suffix,
            trigger_word=trigger,
            budget=None if max_words is None else Budget(max_words),
        )
        chosen = FORMATS[to]
        report = run_export(
            chosen_rows(read_rows(rows, CAPTION_COLUMNS), where or ()),
            chosen,
            target or options.beside_rows(rows, f"-{to}"),
            link=link,
            rules=rules,
            accepted_flags={
                *(accept or ()),
                *(["opener"] if strip_openers else []),
                *(["over_budget"] if max_words else []),
            },
            min_frames=min_frames,
            sources=sources or (),
            preparation=clip_options.preparation(
                chosen.reads,
                normalize=normalize,
                fps=fps,
                size=size,
                fit=fit,
                frames=frames,
                keep_audio=keep_audio,
                crf=crf,
                first_frames=first_frames,
                keep_clips=keep_clips,
                decode_timeout=decode_timeout,
            ),
            overwrite=overwrite,
        )
    err.print(f"{report.exported} of {report.rows} clips in {report.target}", markup=False)
    for reason, number in report.reasons.most_common():
        err.print(f"  {number} left out: {reason}", markup=False)
    if report.long_captions:
        err.print(
            f"  {report.long_captions} captions have more than {LONG_CAPTION_WORDS} words, about as many as "
            "CogVideoX's text encoder takes; --max-words cuts them"
        )
    if report.formulas:
        err.print(
            f"  {report.formulas} captions begin with =, +, - or @: a spreadsheet would take them for formulas"
        )
    if report.left_out:
        err.print(f"  each of them in {report.target}/{REPORT}", markup=False)
    use = f"{chosen.use} {chosen.use_images}" if first_frames else chosen.use
    out.print(f"{chosen.trainer}: {use.format(target=report.target)}", markup=False)


def _replacement(option: str) -> Replacement:
    from framescribe.quality.cleanup import Replacement

    find, equals, replace = option.partition("=")
    if not equals:
        raise UsageError(f"--replace {option!r}: write it as A=B")
    return Replacement(find, replace)
