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
    use='L(VideoDataset)(dataset_dir="{target}", num_frames=93, video_size=(704, 1280))',
)
