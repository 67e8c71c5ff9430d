"""What a run needs before its first step: model, tokenizer, data, validation clips."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from framescribe.checkpoint import OpenCheckpoint, open_checkpoint
from framescribe.errors import UsageError
from framescribe.extras import require
from framescribe.model.checkpoint import load_model, random_model
from framescribe.model.config import ModelConfig
from framescribe.model.model import CaptionModel
from framescribe.tokenizer import CaptionTokenizer, learn_tokenizer
from framescribe.train.batches import BatchSource, ClipBatches, SyntheticBatches, TrainBatch
from framescribe.train.examples import Examples, drop_long_captions, read_examples
from framescribe.train.initial import place_patches
from framescribe.train.parts import Tuning, choose_weights
from framescribe.train.settings import SYNTHETIC, TrainSettings

# Captions that a new tokenizer is learnt from, where the data is endless.
_SYNTHETIC_CAPTIONS = 20_000
# The synthetic world of another seed: validation clips are never trained on.
_VALIDATION_SEED_OFFSET = 1_000_003

log = logging.getLogger("framescribe")


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """The parts of a run.

    Attributes:
        model: on its device, ``requires_grad`` set on what trains.
        tuning: gives the model to save, and LoRA's weights by themselves.
        checkpoint: config, tokenizer and stop tokens that the model began with.
        source: of the batches.
        validation: batches of one clip each, not trained on, to look at as training goes.
        autocast: makes the context of a forward pass.
    """

    model: CaptionModel
    tuning: Tuning
    checkpoint: OpenCheckpoint
    source: BatchSource
    validation: list[TrainBatch]
    autocast: Callable[[], AbstractContextManager[Any]]


def set_up(settings: TrainSettings, run: Path, device: torch.device) -> Setup:
    """Loads or makes everything.

    Raises:
        UsageError: data, model or settings that do not fit each other, or LoRA without its package.
    """
    if settings.lora_rank:
        require("peft", "`lora_rank`")
    run.mkdir(parents=True, exist_ok=True)
    examples = None if settings.data == SYNTHETIC else read_examples(settings.data)
    model, checkpoint = _model(settings, examples, run, device)
    prompts, image_size = checkpoint.prompts, checkpoint.config.vision_config.image_size
    source: BatchSource
    if examples is None:
        source = SyntheticBatches(prompts, settings, device, image_size)
        # Not compiled: a few batches of another size are not worth a program of their own.
        seed = settings.seed + _VALIDATION_SEED_OFFSET
        other_world = replace(settings, batch_size=1, seed=seed, compile=False)
        others = SyntheticBatches(prompts, other_world, device, image_size)
        validation = list(others.batches(range(settings.validation_clips)))
    else:
        drop_long_captions(examples, checkpoint.tokenizer, settings.max_caption_tokens)
        held_back = _hold_back(examples, settings.validation_clips)
        for name, reason in examples.skipped:
            log.warning("skipped %s: %s", name, reason)
        log.info(
            "%d clips to train on, %d to validate, %d skipped",
            len(examples.usable),
            len(held_back.usable),
            len(examples.skipped),
        )
        if not examples.usable:
            raise UsageError(f"{settings.data}: nothing is left to train on; see what was skipped above")
        source = ClipBatches(examples, prompts, settings, image_size)
        validation = list(ClipBatches(held_back, prompts, settings, image_size).one_by_one())

    tuning = choose_weights(model, settings)
    if settings.gradient_checkpointing:
        model.vision.recomputes_activations = model.decoder.recomputes_activations = True
    if settings.compile:
        # Layer by layer: they share one compiled program, so compiling takes seconds, not minutes.
        for layer in (*model.vision.layers, *model.decoder.layers):
            layer.compile()
    autocast = partial(torch.autocast, device.type, dtype=torch.bfloat16, enabled=settings.bf16)
    return Setup(model, tuning, checkpoint, source, validation, autocast)


def _model(
    settings: TrainSettings, examples: Examples | None, run: Path, device: torch.device
) -> tuple[CaptionModel, OpenCheckpoint]:
    """The model to train, and what else belongs to it."""
    dtype = torch.bfloat16 if settings.lora_rank and settings.bf16 else torch.float32
    if settings.model is not None:
        checkpoint = open_checkpoint(settings.model)
        model = load_model(checkpoint.folder, device, dtype, merge=checkpoint.merge)
    else:
        assert settings.architecture is not None
        config = ModelConfig.from_file(Path(settings.architecture))
        folder = run / "tokenizer"
        if not (folder / "tokenizer.json").is_file():
            learn_tokenizer(_captions(examples), config.vocab_size, folder)
        tokenizer = CaptionTokenizer(folder)
        special = tokenizer.special_ids
        if (config.bos_token_id, config.eos_token_id, config.pad_token_id) != special:
            raise UsageError(
                f"{settings.architecture}: a new tokenizer has bos, eos and pad tokens {special}; write these there"
            )
        model = random_model(config, device, dtype, settings.seed)
        place_patches(model)
        stop_ids = frozenset({config.eos_token_id})
        checkpoint = OpenCheckpoint(folder, settings.architecture, "", config, tokenizer, stop_ids)
    if settings.bf16 and model.config.rope_dtype == "weights":
        # The RoPE table that the checkpoint will be used with.
        model.decoder.rotary.inv_freq_NE = model.decoder.rotary.inv_freq_NE.bfloat16()
    return model, checkpoint


def _captions(examples: Examples | None) -> Iterable[str]:
    if examples is not None:
        return [example.caption for example in examples.usable]
    from framescribe.synthetic.batches import make_clips

    return [clip.caption for clip in make_clips(0, 0, _SYNTHETIC_CAPTIONS)]


def _hold_back(examples: Examples, count: int) -> Examples:
    """Takes the last ``count`` examples out of training, a quarter of them at most."""
    count = min(count, len(examples.usable) // 4)
    split = len(examples.usable) - count
    held_back = Examples(examples.usable[split:])
    examples.usable = examples.usable[:split]
    return held_back
