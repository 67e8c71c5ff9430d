"""The model that a benchmark runs: a checkpoint's, or random weights of the official sizes."""

from __future__ import annotations

from dataclasses import replace

from framescribe.bench.official import OFFICIAL_CONFIG, RANDOM_MODEL
from framescribe.checkpoint import OpenCheckpoint, open_checkpoint
from framescribe.model.checkpoint import random_model
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision, check_memory
from framescribe.model.quantize import quantizer
from framescribe.prepare import Preparer
from framescribe.rows import RowMaker

# Random weights know no text; any tokenizer of fewer tokens will do.
_TOKENIZER_MODEL = "tiny-random"


def open_subject(name: str) -> OpenCheckpoint:
    """What ``open_checkpoint`` finds, or for ``random`` the official sizes; without stop tokens, so that none ends."""
    if name == RANDOM_MODEL:
        checkpoint = replace(open_checkpoint(_TOKENIZER_MODEL), config=OFFICIAL_CONFIG)
    else:
        checkpoint = open_checkpoint(name)
    return replace(checkpoint, stop_ids=frozenset())


def build_subject(checkpoint: OpenCheckpoint, precision: Precision) -> CaptionModel:
    """Loads the weights, or draws the random ones.

    Raises:
        UsageError: the device's memory is too small.
    """
    check_memory(checkpoint.config, precision)
    if checkpoint.config is not OFFICIAL_CONFIG:
        return checkpoint.load(precision)
    quantize = None if precision.quant is None else quantizer(precision.quant)
    return random_model(OFFICIAL_CONFIG, precision.device, precision.dtype, seed=0, quantize=quantize)


def subject_preparer(checkpoint: OpenCheckpoint, precision: Precision) -> Preparer:
    """Prepares clips for the model in this precision."""
    rows = RowMaker("benchmark", "", str(precision))
    return Preparer(checkpoint, rows, device=precision.device, dtype=precision.dtype)
