"""The official model's sizes, for random weights: measuring speed needs no 25 GB download."""

from __future__ import annotations

from framescribe.model.config import ModelConfig, VisionConfig

RANDOM_MODEL = "random"

# As in the config.json of THUDM/cogvlm2-llama3-caption.
OFFICIAL_CONFIG = ModelConfig(
    vocab_size=128_256,
    hidden_size=4096,
    intermediate_size=14_336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_multi_query_heads=8,
    rms_norm_eps=1e-5,
    bos_token_id=128_000,
    eos_token_id=128_001,
    pad_token_id=128_002,
    vision_config=VisionConfig(
        hidden_size=1792,
        image_size=224,
        in_channels=3,
        intermediate_size=15_360,
        layer_norm_eps=1e-6,
        num_heads=16,
        num_hidden_layers=63,
        num_positions=257,
        patch_size=14,
    ),
)
