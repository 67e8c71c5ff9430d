"""Scores on the page: histograms that hold every clip, thresholds that can be seen, and the clips beside them."""

import random
import re
from itertools import pairwise

import numpy as np
import pytest

import framescribe
from framescribe import Dataset, UsageError
from framescribe.report.charts import Histogram
from framescribe.report.scales import Scale, Spread, round_width
from framescribe.report.scores import scores_of
from tests.cli.run import invoke
from tests.profiles.scored import drawn_clips, write_clips
from tests.report.pages import Document

DRAW = random.Random(3)
VALUES = {
    "one value": [0.0] * 20,
    "one value, not 0": [3.5] * 20,
    "shares": [DRAW.random() for _ in range(500)],
    "long tail": [DRAW.lognormvariate(0, 2) for _ in range(500)],
    "negative": [DRAW.gauss(-5, 0.01) for _ in range(500)],
    "one far away": [*(DRAW.random() for _ in range(500)), 1e12, -1e12],
    "tiny": [DRAW.random() * 1e-6 for _ in range(500)],
}


def scale_of(values, marks=()):
    low, high = np.quantile(values, [0.01, 0.99], method="inverted_cdf")
    return Scale.of(Spread(min(values), max(values), float(low), float(high)), marks)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("marks", [(), (0.05,), (-4.99, 1e-7)])
def test_every_value_is_in_a_bar_and_bars_join(name, marks):
    values = VALUES[name]
    scale = scale_of(values, marks)
    counts: dict[int, int] = {}
    for value in values:
        place = int(np.clip(np.floor(value / scale.width), scale.first - 1, scale.last + 1))
        counts[place] = counts.get(place, 0) + 1
    bars = scale.bars(counts)
    assert sum(bar.value for bar in bars) == len(values)
    assert len(bars) <= 100
    for bar, after in pairwise(bars):
        assert bar.end == pytest.approx(after.start, abs=1e-9 * scale.width)
    for bar in bars:
        if not bar.is_rest:
            near = 1e-9 * scale.width
            assert bar.value == sum(bar.start - near <= value < bar.end - near for value in values)
    chart = Histogram(bars, scale.ticks(bars), [(mark, "mark") for mark in marks])
    assert all(0 <= label.x <= chart.width for label in chart.labels + chart.lines)
    assert len(chart.labels) > 1


@pytest.mark.parametrize(
    ("name", "mark"),
    [("one value", 0.05), ("shares", 0.9), ("shares", 0.0), ("shares", 1.4), ("one value, not 0", 3.5)],
)
def test_a_threshold_near_the_values_can_be_seen(name, mark):
    scale = scale_of(VALUES[name], [mark])
    bars = scale.bars({})
    assert [line.text for line in Histogram(bars, [], [(mark, "here")]).lines] == ["here"]


def test_outliers_do_not_stretch_the_axis():
    scale = scale_of(VALUES["one far away"])
    assert (scale.last - scale.first + 1) * scale.width <= 1.5
    bars = scale.bars({scale.first - 1: 1, scale.first: 500, scale.last + 1: 1})
    assert [bar.is_rest for bar in (bars[0], bars[1], bars[-1])] == [True, False, True]


@pytest.mark.parametrize(
    ("least", "width"),
    [(1, 1), (1.1, 2), (3, 5), (7, 10), (0.03, 0.05), (0.011, 0.02), (2e-7, 2e-7), (51, 100)],
)
def test_round_widths(least, width):
    assert round_width(least) == pytest.approx(width)


@pytest.fixture(scope="module")
def clips():
    return drawn_clips(200, seed=5)


@pytest.fixture(scope="module")
def folder(clips, tmp_path_factory):
    path = tmp_path_factory.mktemp("scored")
    write_clips(path, clips)
    return path


def test_the_clips_beside_a_threshold_are_the_nearest_ones(clips, folder):
    chosen = framescribe.filter(folder, thresholds="brightness >= 100")
    (chart,) = scores_of(Dataset.scored(folder), chosen).limited
    outside, inside = chart.limits[0].edges
    values = sorted(each["brightness"] for each in clips.values() if "brightness" in each)
    assert [clip["value"] for clip in inside.clips] == [value for value in values if value >= 100][:3]
    assert [clip["value"] for clip in outside.clips] == [value for value in values if value < 100][:-4:-1]
    assert chart.clips == len(values)
    dropped = sum(bar.height > 0 and bar.is_dropped for bar in chart.histogram.columns)
    assert 0 < dropped < len(chart.histogram.columns)


def test_a_clip_far_away_is_in_the_histogram(clips, tmp_path):
    write_clips(tmp_path, clips | {"far": {"motion": 1e9, "static_share": 0.5}})
    (chart,) = scores_of(
        Dataset.scored(tmp_path), framescribe.filter(tmp_path, thresholds="motion >= 2")
    ).limited
    last = chart.histogram.columns[-1]
    assert last.is_rest
    assert last.label.endswith(": 1")


def test_the_page_of_scored_clips_without_captions(folder, tmp_path):
    page = tmp_path / "page.html"
    shown = invoke("report", str(folder), "--profile", "allegro", "--set", "motion>=2", "-o", str(page))
    assert shown.exit_code == 0, shown.output
    document = Document(page.read_text())
    text = " ".join(document.text.split())
    for said in (
        "200 scored clips, without captions", "Allegro", "Just outside brightness <= 180", "Just inside motion >= 2",
        "text_area_share <= 0.0005 off", "aesthetic score (LAION): >= 4.8", "Other scores", "file not found",
    ):  # fmt: skip
        assert said in text, said
    report = framescribe.filter(folder, "allegro", ["motion>=2"])
    assert re.search(rf"all that are on ?{report.kept} ?{report.dropped} ?{report.unknown}", text)
    assert not [name for _, name, _ in document.attributes if name.startswith("on")]


def test_a_report_without_scores_refuses_thresholds(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"clip_id": "a", "source_video": "a.mp4", "caption_status": "success"}\n')
    with pytest.raises(UsageError, match="has no scores"):
        Dataset(rows).report(tmp_path / "page.html", thresholds="motion >= 2")
    Dataset(rows).report(tmp_path / "page.html")
