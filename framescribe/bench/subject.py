"""The model that a benchmark runs: a checkpoint's, or random weights of the official sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from framescribe.bench.official import OFFICIAL_CONFIG, RANDOM_MODEL
from framescribe.checkpoint import OpenCheckpoint, open_checkpoint
from framescribe.model.checkpoint import random_model
from framescribe.model.config import ModelConfig
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision, check_memory
from framescribe.model.quantize import quantizer
from framescribe.prepare import Preparer
from framescribe.rows import RowMaker

# Random weights know no text; any tokenizer of fewer tokens will do.
_TOKENIZER_MODEL = "tiny-random"


@dataclass(frozen=True, slots=True)
class Subject:
    """The model under test but for its weights, which come and go."""

    # Without stop tokens; the weights are its own unless they are random.
    checkpoint: OpenCheckpoint
    is_random: bool

    @property
    def config(self) -> ModelConfig:
        return self.checkpoint.config

    @classmethod
    def named(cls, name: str) -> Subject:
        """``random``, or what ``fetch_checkpoint`` finds."""
        if name == RANDOM_MODEL:
            checkpoint = replace(open_checkpoint(_TOKENIZER_MODEL), config=OFFICIAL_CONFIG)
        else:
            checkpoint = open_checkpoint(name)
        return cls(replace(checkpoint, stop_ids=frozenset()), name == RANDOM_MODEL)

    def build(self, precision: Precision) -> CaptionModel:
        """The model on its device; ValueError where the memory is too small."""
        check_memory(self.config, precision)
        if not self.is_random:
            return self.checkpoint.load(precision)
        quantize = None if precision.quant is None else quantizer(precision.quant)
        return random_model(self.config, precision.device, precision.dtype, seed=0, quantize=quantize)

    def preparer(self, precision: Precision) -> Preparer:
        """For the model in this precision."""
        rows = RowMaker("benchmark", "", str(precision))
        return Preparer(self.checkpoint, rows, device=precision.device, dtype=precision.dtype)
