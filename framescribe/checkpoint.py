"""A checkpoint opened: config, tokenizer, stop tokens and prompts, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from framescribe.errors import UsageError
from framescribe.model.adapter import Adapter, read_adapter
from framescribe.model.checkpoint import Merge, Progress, empty_model, load_model, read_stop_ids
from framescribe.model.config import ModelConfig
from framescribe.model.hub import fetch_checkpoint
from framescribe.model.layout import CONFIG_FILE, official_tensors
from framescribe.model.model import CaptionModel
from framescribe.model.precision import Precision
from framescribe.model.quantize import quantizer
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
    """

    folder: Path
    name: str
    revision: str
    config: ModelConfig
    tokenizer: CaptionTokenizer
    stop_ids: frozenset[int]
    adapter: Adapter | None = None

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
        quantize = None if precision.quant is None else quantizer(precision.quant)
        return load_model(self.folder, precision.device, precision.dtype, quantize, progress, self.merge)

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
        merged = read_adapter(Path(adapter).expanduser(), official_tensors(empty_model(config)))
    return OpenCheckpoint(found.folder, found.name, found.revision, config, tokenizer, stop_ids, merged)
