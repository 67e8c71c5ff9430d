"""CogVideo's SAT code: it finds ``.mp4`` files and turns each path into its label's by replacing words in it."""

from dataclasses import replace

from framescribe.export.pair import Format
from framescribe.export.reads import DECORD
from framescribe.export.sidecars import Sidecars

FORMAT = Format(
    name="cogvideo-sat",
    trainer="CogVideo SAT",
    layout=Sidecars("videos", "labels"),
    reads=replace(DECORD, suffixes=frozenset({".mp4"})),
    use='train_data: ["{target}"]',
    # path.replace(".mp4", ".txt").replace("videos", "labels"), everywhere in it
    forbidden_in_target=("videos", ".mp4"),
)
