"""``framescribe download``: fetch a checkpoint ahead of its use."""

from __future__ import annotations

from typing import Annotated

import typer

from framescribe.cli import options


def download(
    model: Annotated[
        str,
        typer.Argument(
            autocompletion=options.models,
            help="Hugging Face repository id, or modelscope:ID. Bundled models need no download.",
        ),
    ],
    revision: options.Revision = None,
) -> None:
    """Download a checkpoint, or resume an interrupted download, and print its folder.

    Later commands find it under the same --model, even offline. Files that are already here are not downloaded again.
    Only data (.json, .safetensors) is downloaded, never code.

    Examples:
        framescribe download THUDM/cogvlm2-llama3-caption
        framescribe download modelscope:ZhipuAI/cogvlm2-llama3-caption
    """
    from framescribe.checkpoint import open_checkpoint
    from framescribe.cli.console import err, out

    checkpoint = open_checkpoint(model, revision)  # raises for what is no model of ours
    size = sum(path.stat().st_size for path in checkpoint.folder.iterdir() if path.is_file())
    err.print(f"{checkpoint.name} at {checkpoint.revision}: {size / 1e9:.2f} GB", markup=False)
    out.print(str(checkpoint.folder), markup=False)
