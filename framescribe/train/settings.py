"""Everything that decides a training run, read from a TOML file."""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from framescribe.errors import UsageError
from framescribe.reading import read_text
from framescribe.types import DEFAULT_QUESTION, FrameSampling, Strategy, Template

Part = Literal["vision", "adapter", "language"]
PARTS: tuple[Part, ...] = get_args(Part)
OptimizerName = Literal["adamw", "muon"]
SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """One training run. Two runs of equal settings see the same clips in the same order.

    Attributes:
        data: ``synthetic``, a folder of clips with .txt files beside them, or a .jsonl or .parquet file with
            columns ``source_video`` (or ``file_name`` or ``file``, relative to the file) and ``caption``.
        steps: optimizer steps.
        model: the checkpoint to start from. Without it, random weights of ``architecture``.
        architecture: a ``config.json``; its vocabulary is a byte-level BPE learnt from the captions.
        parts: which of the model's parts train.
        lora_rank: 0 trains the parts' own weights; above, LoRA (arXiv 2106.09685) of this rank on their linear layers.
        lora_layers: LoRA on so many of the last layers of each part; all of them if not given.
        lora_alpha: LoRA's scale is ``lora_alpha / lora_rank``.
        prompt, template, strategy, frames: as at inference.
        max_caption_tokens: longer captions are skipped.
        batch_size: clips per process and forward pass.
        accumulation: forward passes per optimizer step.
        learning_rate: the peak; warmed up linearly over ``warmup_steps``, then a cosine down to a hundredth.
        optimizer: ``adamw``, or ``muon`` for the matrices between hidden states with AdamW for the rest.
        weight_decay: of matrices; none for norms, biases and embeddings of places.
        max_grad_norm: gradients are scaled down to it.
        seed: of the weights and of the data's order.
        askew: the share of the synthetic world's subjects that are shown at any angle, not upright.
        bf16: compute in bf16 under autocast; weights stay fp32 (with LoRA, frozen weights are held in bf16).
        gradient_checkpointing: recompute activations in the backward pass: less memory, a third more time.
        compile: compile the layers, and what draws the synthetic world, with torch.compile.
        workers: processes that decode video.
        log_every, validate_every, save_every: in steps. Validation is of ``validation_clips`` clips.
    """

    data: str
    steps: int
    model: str | None = None
    architecture: str | None = None
    parts: tuple[Part, ...] = PARTS
    lora_rank: int = 0
    lora_layers: int | None = None
    lora_alpha: int = 16
    prompt: str = DEFAULT_QUESTION
    template: Template = "chat"
    strategy: Strategy = "chat"
    frames: int = 24
    max_caption_tokens: int = 512
    batch_size: int = 1
    accumulation: int = 1
    learning_rate: float = 1e-4
    warmup_steps: int = 100
    optimizer: OptimizerName = "adamw"
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    seed: int = 0
    askew: float = 0.0
    bf16: bool = True
    gradient_checkpointing: bool = False
    compile: bool = False
    workers: int = 2
    log_every: int = 10
    validate_every: int = 500
    save_every: int = 500
    validation_clips: int = 4

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_type(field.name, getattr(self, field.name), get_type_hints(TrainSettings)[field.name])
        if (self.model is None) == (self.architecture is None):
            raise UsageError(
                "give either `model` (a checkpoint to start from) or `architecture` (a config.json)"
            )
        if not self.parts:
            raise UsageError(f"parts must name some of {', '.join(PARTS)}")
        if self.lora_rank and self.architecture is not None:
            raise UsageError("LoRA adapts a trained model: give `model`, not `architecture`, or lora_rank 0")
        if self.lora_layers is not None and (not self.lora_rank or self.lora_layers < 1):
            raise UsageError(
                f"lora_layers must be at least 1, and goes with lora_rank; it is {self.lora_layers!r}"
            )
        if self.askew and (self.data != SYNTHETIC or self.askew > 1):
            raise UsageError(
                f"askew is a share of the synthetic world's subjects, not {self.askew!r} of {self.data!r}"
            )
        at_least = {
            "steps": 1, "batch_size": 1, "accumulation": 1, "frames": 1, "max_caption_tokens": 1, "lora_rank": 0,
            "warmup_steps": 0, "workers": 0, "log_every": 1, "validate_every": 1, "save_every": 1,
            "validation_clips": 0, "learning_rate": 0, "weight_decay": 0, "max_grad_norm": 0, "lora_alpha": 0,
            "askew": 0,
        }  # fmt: skip
        for name, least in at_least.items():
            if not least <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be at least {least}, not {getattr(self, name)!r}")

    @property
    def sampling(self) -> FrameSampling:
        return FrameSampling(self.strategy, self.frames)

    @classmethod
    def from_file(cls, path: Path) -> TrainSettings:
        """Reads a TOML file; a relative ``architecture`` is sought beside it.

        Raises:
            UsageError: not TOML, an unknown or missing key, or a value that makes no sense.
        """
        try:
            values = tomllib.loads(read_text(path))
            settings = cls.from_dict(values)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
        if settings.architecture is not None:
            return cls.from_dict(values | {"architecture": str(path.parent / settings.architecture)})
        return settings

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainSettings:
        """From plain values, as ``to_dict`` gives them; raises UsageError as ``from_file`` does."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(values.keys() - known):
            raise UsageError(f"unknown settings {unknown}; known are {sorted(known)}")
        if missing := sorted({"data", "steps"} - values.keys()):
            raise UsageError(f"missing settings {missing}")
        parts = values.get("parts", PARTS)
        return cls(**{**values, "parts": tuple(parts) if isinstance(parts, list) else parts})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "parts": list(self.parts)}


_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _check_type(name: str, value: object, wanted: Any) -> None:
    """Raises UsageError for a value that does not have its field's type."""
    if get_origin(wanted) is tuple:
        each, _ = get_args(wanted)
        if not isinstance(value, tuple):
            raise UsageError(f"{name} must be a list, not {value!r}")
        for member in value:
            _check_type(name, member, each)
    elif get_origin(wanted) is Literal:
        if value not in get_args(wanted):
            raise UsageError(f"{name} must be one of {', '.join(get_args(wanted))}, not {value!r}")
    else:
        kinds = set(get_args(wanted) or (wanted,))
        if type(value) not in kinds | ({int} if float in kinds else set()):
            (kind,) = kinds - {NoneType}
            raise UsageError(f"{name} must be {_KINDS[kind]}, not {value!r}")
