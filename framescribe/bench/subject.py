"""The model that a benchmark runs: a checkpoint's, or random weights of the official sizes."""

from __future__ import annotations

from dataclasses import dataclass

from framescribe.bench.official import OFFICIAL_CONFIG, RANDOM_MODEL
from framescribe.model.checkpoint import load_model, random_model
from framescribe.model.config import ModelConfig
from framescribe.model.hub import Checkpoint, fetch_checkpoint
from framescribe.model.layout import CONFIG_FILE
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision, check_memory
from framescribe.model.quantize import quantizer
from framescribe.prepare import Preparer
from framescribe.rows import RowMaker
from framescribe.tokenizer import CaptionTokenizer

# Random weights know no text; any tokenizer of fewer tokens will do.
_TOKENIZER_MODEL = "tiny-random"


@dataclass(frozen=True, slots=True)
class Subject:
    """The model under test but for its weights, which come and go."""

    # Where config and tokenizer are from, and the weights unless they are random.
    checkpoint: Checkpoint
    config: ModelConfig
    is_random: bool

    @property
    def tokenizer(self) -> CaptionTokenizer:
        return CaptionTokenizer(self.checkpoint.folder)

    @classmethod
    def named(cls, name: str) -> Subject:
        """``random``, or what ``fetch_checkpoint`` finds."""
        if name == RANDOM_MODEL:
            return cls(fetch_checkpoint(_TOKENIZER_MODEL), OFFICIAL_CONFIG, is_random=True)
        checkpoint = fetch_checkpoint(name)
        return cls(checkpoint, ModelConfig.from_file(checkpoint.folder / CONFIG_FILE), is_random=False)

    def build(self, precision: Precision) -> CaptionModel:
        """The model on its device; ValueError where the memory is too small."""
        check_memory(self.config, precision)
        quantize = None if precision.quant is None else quantizer(precision.quant)
        device, dtype = precision.device, precision.dtype
        if self.is_random:
            return random_model(self.config, device, dtype, seed=0, quantize=quantize)
        return load_model(self.checkpoint.folder, device, dtype, quantize)

    def preparer(self, precision: Precision) -> Preparer:
        """For the model in this precision."""
        rows = RowMaker("benchmark", "", str(precision))
        return Preparer(self.tokenizer, self.config, rows, device=precision.device, dtype=precision.dtype)
