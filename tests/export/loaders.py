"""How each trainer reads its data set, written from what is known of their loaders, not from ours.

Each takes the exported folder and gives (the clip's bytes, caption) pairs, in whatever order, as the trainer would.
"""

from __future__ import annotations

import csv
import json
import os
import tomllib
from itertools import pairwise
from pathlib import Path

import av
import pyarrow.parquet
import webdataset
from braceexpand import braceexpand

from tests.export.chat_loaders import llama_factory, llava, ms_swift

Pairs = list[tuple[bytes, str]]


def cogvideo_finetune(root: Path) -> Pairs:
    def lines(name: str) -> list[str]:
        with open(root / name, encoding="utf-8") as file:
            return [line.strip() for line in file.readlines() if len(line.strip()) > 0]

    prompts, videos = lines("prompts.txt"), lines("videos.txt")
    assert len(prompts) == len(videos)
    stems = [Path(video).stem for video in videos]  # latents are cached under these
    assert len(set(stems)) == len(stems)
    return [((root / video).read_bytes(), prompt) for video, prompt in zip(videos, prompts, strict=True)]


def sat_settings(root: Path) -> list[str]:
    """What ``args: train_data`` in its settings names, whose lists are JSON too."""
    (line,) = [
        line
        for line in (root / "data.yaml").read_text(encoding="utf-8").splitlines()
        if " train_data:" in line
    ]
    return json.loads(line.partition(":")[2])


def cogvideo_sat(root: Path) -> Pairs:
    pairs = []
    (root,) = map(Path, sat_settings(root))
    for folder, _, files in os.walk(root):
        for file in files:
            if file.endswith(".mp4"):
                path = os.path.join(folder, file)
                label = path.replace(".mp4", ".txt").replace("videos", "labels")
                with open(label, encoding="utf-8") as text:
                    pairs.append((Path(path).read_bytes(), text.read().splitlines()[0]))
    return pairs


def cogvideo_sat_wds(root: Path) -> Pairs:
    pairs = []
    settings = (root / "data.yaml").read_text(encoding="utf-8")
    assert "meta_names: [caption, duration, fps]" in settings  # no other columns are handed on
    assert "target: data_video.VideoDataset" in settings
    assert "iterable_dataset: true" in settings
    (shards,) = sat_settings(root)
    for tar in braceexpand(shards):
        meta = {}
        with open(tar.replace(".tar", ".meta.jsonl"), encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                if entry.get("duration") is not None and entry.get("fps") is not None:
                    meta[entry["key"]] = entry
        for sample in webdataset.WebDataset(tar, shardshuffle=False):
            entry = meta[sample["id"].decode()]
            assert sample["__key__"] == entry["key"]
            pairs.append((sample["mp4"], entry["caption"]))
    return pairs


def finetrainers(root: Path) -> Pairs:
    (dataset,) = json.loads((root / "dataset.json").read_text(encoding="utf-8"))["datasets"]
    assert dataset["dataset_type"] == "video"
    assert min(frames for frames, _, _ in dataset["video_resolution_buckets"]) == 1
    root = Path(dataset["data_root"])
    assert not any((root / f"metadata.{ending}").exists() for ending in ("json", "jsonl", "csv"))
    assert not [path for path in root.rglob("*") if path.suffix in (".tar", ".parquet")]
    prompts = (root / "prompts.txt").read_text(encoding="utf-8").splitlines()
    videos = (root / "videos.txt").read_text(encoding="utf-8").splitlines()
    return [((root / video).read_bytes(), prompt) for video, prompt in zip(videos, prompts, strict=True)]


def cogvideox_factory(root: Path) -> Pairs:
    with open(root / "prompt.txt", encoding="utf-8") as file:
        prompts = [line.strip() for line in file.readlines() if len(line.strip()) > 0]
    with open(root / "videos.txt", encoding="utf-8") as file:
        videos = [root.joinpath(line.strip()) for line in file.readlines() if len(line.strip()) > 0]
    return [(video.read_bytes(), prompt) for video, prompt in zip(videos, prompts, strict=True)]


def json_lines(root: Path, file: str, video: str, caption: str, base: str = ".") -> Pairs:
    with open(root / file, encoding="utf-8") as lines:
        entries = [json.loads(line.strip()) for line in lines]
    return [((root / base / entry[video]).read_bytes(), entry[caption]) for entry in entries]


def diffsynth(root: Path) -> Pairs:
    return json_lines(root, "metadata.jsonl", "video", "prompt")


def musubi(root: Path) -> Pairs:
    pairs, caches, entries = [], set(), []
    config = tomllib.loads((root / "dataset.toml").read_text(encoding="utf-8"))
    for dataset in config["datasets"]:
        assert isinstance(dataset["source_fps"], float)  # 30 instead of 30.0 is refused
        assert (
            dataset["frame_extraction"] == "full"
        )  # every other way drops clips that are shorter than it asks for
        assert dataset["max_frames"] % 4 == 1
        caches.add(dataset["cache_directory"])
        with open(dataset["video_jsonl_file"], encoding="utf-8") as lines:
            for line in lines:
                entry = json.loads(line)
                assert os.path.isabs(entry["video_path"])
                entries.append((dataset, entry))
                pairs.append((Path(entry["video_path"]).read_bytes(), entry["caption"]))
    stems = [(dataset["cache_directory"], Path(entry["video_path"]).stem) for dataset, entry in entries]
    assert len(set(stems)) == len(stems)  # latents and texts are cached under these
    assert len(caches) == len(config["datasets"])
    return pairs


def beside(root: Path) -> Pairs:
    return [
        (video.read_bytes(), video.with_suffix(".txt").read_text(encoding="utf-8").strip())
        for video in root.iterdir()
        if video.suffix in (".mp4", ".mkv")
    ]


def diffusion_pipe(root: Path) -> Pairs:
    config = tomllib.loads((root / "dataset.toml").read_text(encoding="utf-8"))
    assert [frames for frames in config["frame_buckets"] if frames > 1]  # without one every video is dropped
    pairs = []
    for directory in config["directory"]:
        for path in sorted(Path(directory["path"]).glob("*")):
            if path.is_file() and path.suffix not in (".txt", ".npz", ".json", ".parquet", ".bak", ".db"):
                pairs.append(
                    (path.read_bytes(), path.with_suffix(".txt").read_text(encoding="utf-8").strip())
                )
    return pairs


def simpletuner(root: Path) -> Pairs:
    backends = json.loads((root / "multidatabackend.json").read_text(encoding="utf-8"))
    sets = [backend for backend in backends if backend.get("dataset_type") == "video"]
    (texts,) = [backend for backend in backends if backend.get("dataset_type") == "text_embeds"]
    assert texts["default"]
    assert len({each["id"] for each in sets}) == len({each["cache_dir_vae"] for each in sets}) == len(sets)
    assert len({each["instance_data_dir"] for each in sets}) == 1
    assert all(each["caption_strategy"] == "textfile" for each in sets)
    ranges = sorted((each["video"]["min_frames"], each["video"].get("max_frames", 10**9)) for each in sets)
    assert all(end < start for (_, end), (start, _) in pairwise(ranges))  # no clip is in two
    assert all(each["video"]["num_frames"] == each["video"]["min_frames"] for each in sets)
    pairs = []
    for video in Path(sets[0]["instance_data_dir"]).iterdir():
        if video.suffix == ".txt":
            continue
        # Each line is a caption of its own, an empty one too.
        captions = video.with_suffix(".txt").read_text(encoding="utf-8").split("\n")
        pairs += [(video.read_bytes(), caption) for caption in captions]
    return pairs


def videox_fun(root: Path) -> Pairs:
    entries = json.loads((root / "metadata.json").read_text(encoding="utf-8"))
    return [
        ((root / entry["file_path"]).read_bytes(), entry["text"])
        for entry in entries
        if entry.get("type", "image") == "video"
    ]


def ltx(root: Path) -> Pairs:
    return json_lines(root, "dataset.jsonl", "video", "caption")


def open_sora(root: Path) -> Pairs:
    pairs = []
    for line in pyarrow.parquet.read_table(root / "dataset.parquet").to_pylist():
        assert list(line) == [
            "path", "text", "num_frames", "height", "width", "aspect_ratio", "resolution", "fps",
        ]  # fmt: skip
        assert line["resolution"] == line["height"] * line["width"]
        assert abs(line["aspect_ratio"] - line["height"] / line["width"]) < 1e-3
        assert line["num_frames"] > 0
        assert line["fps"] > 0
        assert os.path.isabs(line["path"])  # opened as it stands, wherever the trainer was started
        pairs.append((Path(line["path"]).read_bytes(), line["text"]))
    return pairs


def videofolder(root: Path) -> Pairs:
    return json_lines(root, "train/metadata.jsonl", "file_name", "text", base="train")


def webdataset_tars(root: Path) -> Pairs:
    shards = sorted(map(str, root.glob("*.tar")))
    pairs = []
    for sample in webdataset.WebDataset(shards, shardshuffle=False):
        assert json.loads(sample["json"])["caption"] == sample["txt"].decode()
        pairs.append((sample["mp4"], sample["txt"].decode()))
    return pairs


def fastvideo(root: Path) -> Pairs:
    pairs = []
    for entry in json.loads((root / "videos2caption.json").read_text(encoding="utf-8")):
        assert entry["fps"] > 0
        assert entry["num_frames"] > 0
        assert {*entry["resolution"]} == {"height", "width"}
        pairs.append(((root / "videos" / entry["path"]).read_bytes(), entry["cap"]))
    return pairs


def cosmos_sft(root: Path) -> Pairs:
    pairs = []
    lines = (root / "train/video_dataset_file.jsonl").read_bytes().splitlines()
    for record in map(json.loads, lines):
        assert record["duration"] > 0
        (window,) = record["t2w_windows"]
        with av.open(str(root / "train" / record["vision_path"])) as container:
            count = sum(1 for _ in container.decode(video=0))
            stream = container.streams.video[0]
            assert sorted((record["width"], record["height"])) == sorted((stream.width, stream.height))
        assert (window["start_frame"], window["end_frame"]) == (0, count - 1)
        pairs.append(((root / "train" / record["vision_path"]).read_bytes(), window["caption"]))
    return pairs


def cosmos_predict(root: Path) -> Pairs:
    return [
        (
            (root / "videos" / name).read_bytes(),
            (root / "metas" / name.replace(".mp4", ".txt")).read_text(encoding="utf-8").strip(),
        )
        for name in os.listdir(root / "videos")
        if name.endswith(".mp4")
    ]


def onetrainer(root: Path) -> Pairs:
    config = json.loads((root / "config.json").read_text(encoding="utf-8"))
    (concept,) = json.loads(Path(config["concept_file_name"]).read_text(encoding="utf-8"))
    assert concept["enabled"]
    pairs = []
    for video in sorted(Path(concept["path"]).iterdir()):
        if video.suffix not in {".webm", ".mkv", ".flv", ".avi", ".mov", ".wmv", ".mp4", ".mpeg", ".m4v"}:
            continue
        with video.with_suffix(".txt").open(encoding="utf-8") as lines:
            pairs += [(video.read_bytes(), line.strip()) for line in lines if line.strip()]
    return pairs


def plain_csv(root: Path) -> Pairs:
    with open(root / "clips.csv", encoding="utf-8", newline="") as lines:
        return [((root / line["path"]).read_bytes(), line["caption"]) for line in csv.DictReader(lines)]


LOADERS = {
    "cogvideo-finetune": cogvideo_finetune,
    "cogvideo-sat": cogvideo_sat,
    "cogvideo-sat-wds": cogvideo_sat_wds,
    "finetrainers": finetrainers,
    "cogvideox-factory": cogvideox_factory,
    "diffsynth": diffsynth,
    "musubi": musubi,
    "diffusion-pipe": diffusion_pipe,
    "simpletuner": simpletuner,
    "ai-toolkit": beside,
    "videox-fun": videox_fun,
    "ltx": ltx,
    "open-sora": open_sora,
    "videofolder": videofolder,
    "webdataset": webdataset_tars,
    "fastvideo": fastvideo,
    "cosmos-sft": cosmos_sft,
    "cosmos-predict2": cosmos_predict,
    "onetrainer": onetrainer,
    "llama-factory": llama_factory,
    "ms-swift": ms_swift,
    "llava": llava,
    "csv": plain_csv,
}
