"""``framescribe download``: a checkpoint fetched ahead of its use."""

from __future__ import annotations

from typing import Annotated

import typer

from framescribe.cli import options


def download(
    model: Annotated[
        str,
        typer.Argument(
            autocompletion=options.models,
            help="Hugging Face id, or modelscope:ID. The bundled ones are here already.",
        ),
    ],
    revision: options.Revision = None,
) -> None:
    """Download a checkpoint, or finish a download, and print its folder.

    Later commands find it by the same --model, without a network too. What is here already is not fetched again. Only
    data is downloaded (.json, .safetensors), never code.

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
