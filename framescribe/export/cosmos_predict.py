"""NVIDIA Cosmos-Predict2 and 2.5: ``.mp4`` files in ``videos``, their captions in ``metas``."""

from dataclasses import replace

from framescribe.export.pair import Format
from framescribe.export.reads import DECORD
from framescribe.export.sidecars import Sidecars

FORMAT = Format(
    name="cosmos-predict2",
    trainer="Cosmos-Predict2",
    layout=Sidecars("videos", "metas"),
    # It takes 93, and draws where they start from what is left, which must not be nothing.
    reads=replace(DECORD, suffixes=frozenset({".mp4"}), min_frames=94, fps=16),
    use="torchrun --nproc_per_node=8 -m scripts.train "
    "--config=cosmos_predict2/_src/predict2/configs/video2world/config.py -- "
    "experiment=predict2_video2world_training_2b_cosmos_nemo_assets "
    'dataloader_train.dataset.dataset_dir="{target}" dataloader_train.sampler.dataset.dataset_dir="{target}"',
)
