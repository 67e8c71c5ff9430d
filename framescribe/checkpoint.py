"""A checkpoint opened: config, tokenizer, stop tokens and prompts, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from framescribe.errors import UsageError
from framescribe.interrupts import uninterrupted
from framescribe.model.adapter import Adapter, read_adapter
from framescribe.model.checkpoint import Progress, Quantize, empty_model, load_model, read_stop_ids
from framescribe.model.config import ModelConfig
from framescribe.model.hub import Checkpoint, fetch_checkpoint
from framescribe.model.layout import CONFIG_FILE, linear_weights, official_tensors
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision
from framescribe.model.quantize import quantizer
from framescribe.model.rewrite import rewrite
from framescribe.model.stored import Merge, checked_tensors
from framescribe.prompt import PromptBuilder
from framescribe.tokenizer import CaptionTokenizer


@dataclass(frozen=True, slots=True, eq=False)
class OpenCheckpoint:
    """What of a checkpoint is needed beside its weights.

    Attributes:
        folder: holds the official layout.
        name: as the user gave it; goes into the rows.
        revision: commit of a hub's repository, or a fingerprint of a local folder's weights.
        config: of the model.
        tokenizer: the model's.
        stop_ids: tokens that end a caption.
        adapter: LoRA weights that are merged into the checkpoint's.
        base: the checkpoint without its adapter, where it has one.
    """

    folder: Path
    name: str
    revision: str
    config: ModelConfig
    tokenizer: CaptionTokenizer
    stop_ids: frozenset[int]
    adapter: Adapter | None = None
    base: Checkpoint | None = None

    @property
    def prompts(self) -> PromptBuilder:
        config = self.config
        return PromptBuilder(
            self.tokenizer,
            bos_token_id=config.bos_token_id,
            eos_token_id=config.eos_token_id,
            slot_token_id=config.pad_token_id,
            tokens_per_frame=config.vision_config.tokens_per_frame,
        )

    def load(self, precision: Precision, progress: Progress | None = None) -> CaptionModel:
        """Loads the weights (see ``load_model``)."""
        quantize = _quantize(precision)
        return load_model(self.folder, precision.device, precision.dtype, quantize, progress, self.merge)

    def with_adapter(self, adapter: str | None) -> OpenCheckpoint:
        """The same checkpoint under another adapter, or under none; only that adapter is read.

        Args:
            adapter: its folder.

        Raises:
            UsageError: it is no adapter of this model, or the checkpoint is another by now.
        """
        base = self.base or Checkpoint(self.folder, self.name, self.revision)
        base.check_unchanged()
        if adapter is None:
            return replace(self, name=base.name, revision=base.revision, adapter=None, base=None)
        found = base.with_adapter(adapter)
        read = _read_adapter(adapter, self.config)
        return replace(self, name=found.name, revision=found.revision, adapter=read, base=base)

    def rewrite(self, model: CaptionModel, precision: Precision, other: OpenCheckpoint) -> None:
        """Makes a loaded model that of the same checkpoint under another adapter.

        Only the layers that either adapter changes are read, and written where they are. Whatever fails leaves the
        model as it was.

        Args:
            model: loaded from this one, in ``precision``.
            other: from ``with_adapter``.

        Raises:
            UsageError: the checkpoint is not there any more, or damaged.
        """
        names = {name for each in (self, other) if each.adapter is not None for name in each.adapter.factors}
        stored = checked_tensors(self.folder, official_tensors(empty_model(self.config)))
        quantize = _quantize(precision)
        try:
            rewrite(model, stored, names, quantize, other.merge)
        except BaseException:
            with uninterrupted():
                rewrite(model, stored, names, quantize, self.merge)
            raise

    @property
    def merge(self) -> Merge | None:
        """What is added to the weights as they are loaded."""
        return None if self.adapter is None else self.adapter.merged


def open_checkpoint(
    name: str | None, revision: str | None = None, adapter: str | None = None
) -> OpenCheckpoint:
    """Finds a checkpoint, downloads what is not here yet, and opens it.

    Args:
        name, revision, adapter: as in ``ModelSpec``.

    Raises:
        UsageError: it cannot be had, a file is missing or not what it should be, or the tokenizer is another model's.
    """
    found = fetch_checkpoint(name, revision, adapter)
    config = ModelConfig.from_file(found.folder / CONFIG_FILE)
    tokenizer = CaptionTokenizer(found.folder)
    if len(tokenizer) > config.vocab_size:
        raise UsageError(
            f"{found.folder}: the tokenizer has {len(tokenizer)} tokens, the model {config.vocab_size}"
        )
    stop_ids = read_stop_ids(found.folder, config)
    merged = None
    if adapter is not None:
        merged = _read_adapter(adapter, config)
    return OpenCheckpoint(
        found.folder, found.name, found.revision, config, tokenizer, stop_ids, merged, found.base
    )


def _read_adapter(folder: str, config: ModelConfig) -> Adapter:
    return read_adapter(Path(folder).expanduser(), linear_weights(empty_model(config)))


def _quantize(precision: Precision) -> Quantize | None:
    return None if precision.quant is None else quantizer(precision.quant)
