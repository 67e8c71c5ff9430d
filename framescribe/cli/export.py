"""``framescribe export``: captions and clips as a trainer reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framescribe.cli import export_options as given
from framescribe.cli import options

if TYPE_CHECKING:
    from framescribe.export.report import ExportReport


def export(
    *,
    rows: options.Rows,
    to: given.To,
    target: given.Target = None,
    link: given.LinkName = "copy",
    accept: given.Accept = None,
    variant: given.Variant = None,
    where: options.Where = None,
    prompt_index: given.PromptIndex = None,
    min_frames: given.MinFrames = 1,
    sources: given.Sources = None,
    normalize: given.NormalizeFlag = False,
    fps: given.Fps = None,
    size: given.Size = None,
    fit: given.FitName = None,
    frames: given.Frames = None,
    keep_audio: given.KeepAudio = False,
    crf: given.Crf = None,
    first_frames: given.FirstFrames = False,
    keep_clips: given.KeepClips = None,
    decode_timeout: given.DecodeTimeout = 120.0,
    overwrite: given.Overwrite = False,
    rules: given.Rules,
) -> None:
    """Write captions and clips as a trainer reads them.

    Only captions with status success and without flags go in, and those that people accepted; none that they rejected.
    --strip-openers mends the flag opener and --max-words over_budget. The stored rows stay as they are: clean-up is
    applied to the export. What was left out, and why, is in .framescribe/report.json in the target.

    Spans of longer videos are cut out: H.264 in MP4, encoded anew. With --normalize every clip is made as the trainer's
    models take it.

    Layouts: cogvideo-finetune, cogvideo-sat, cogvideo-sat-wds, finetrainers, cogvideox-factory, diffsynth, musubi,
    diffusion-pipe, simpletuner, ai-toolkit, videox-fun, ltx, open-sora, videofolder, webdataset, fastvideo, cosmos-sft,
    cosmos-predict2, onetrainer, llama-factory, ms-swift, llava, csv.

    Examples:
        framescribe export captions/ --to cogvideo-finetune --strip-openers
        framescribe export rows.jsonl --to musubi -t dataset/ --link symlink --max-words 100
        framescribe export captions/ --to diffsynth --normalize --size 832x480 --frames 81 --min-frames 81
    """
    from framescribe.cli.console import path_errors
    from framescribe.export.run import export as export_rows

    with path_errors():
        report = export_rows(
            rows, to, target or options.beside_rows(rows, f"-{to}"),
            where=where or (), prompt_index=prompt_index, link=link,
            rules=rules, **given.accepted(accept), variant=variant or (), min_frames=min_frames, sources=sources or (),
            normalize=given.normalized(to, normalize, fps, size, fit, frames, keep_audio, crf),
            first_frames=first_frames, keep_clips=keep_clips, decode_timeout_s=decode_timeout, overwrite=overwrite,
        )  # fmt: skip
    _print(report, first_frames)


def _print(report: ExportReport, first_frames: bool) -> None:
    from framescribe.cli.console import err, out
    from framescribe.export.layout import LAYOUTS
    from framescribe.export.report import LONG_CAPTION_WORDS
    from framescribe.export.target import REPORT

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
    layout = LAYOUTS[report.format]
    out.print(f"{layout.trainer}: {layout.use_line(report.target, first_frames)}", markup=False)
