"""How x264 is set wherever it is used here: the same input gives the same bytes, on any machine."""

from __future__ import annotations

from collections.abc import Iterable

_THREADS = 4
"""As many on every machine: by itself x264 takes more the more cores there are, each with memory of its own, which in a
worker with a memory limit it may not get, and the output depends on their number."""


def x264_options(crf: int | None = None, params: Iterable[str] = ()) -> dict[str, str]:
    """Options for PyAV's ``add_stream``.

    Args:
        crf: quality, 0 (lossless) to 51; None leaves x264's own.
        params: more of x264's own parameters, each as ``name=value``.
    """
    # With its macroblock tree the output differs from run to run.
    options = {"x264-params": ":".join(["mbtree=0", *params]), "threads": str(_THREADS)}
    return options if crf is None else options | {"crf": str(crf)}
