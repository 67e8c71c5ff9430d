"""Text planted in pictures is found where it was planted, and nothing is fetched to find it."""

import socket

import numpy as np
import pytest

from framescribe.scores.text import Box, covered, overlap, persistence
from tests.reference import CLIPS

from .synthetic import pictures_of


def box(left, top, right, bottom):
    return Box(np.array([left, top, right, bottom]), 1.0)


def test_covered_counts_no_place_twice():
    rng = np.random.default_rng(1)
    corners = rng.integers(0, 100, (20, 2, 2))
    boxes, painted = [], np.zeros((100, 100), bool)
    for (left, top), (right, bottom) in zip(corners.min(1), corners.max(1) + 1, strict=True):
        boxes.append(box(left / 100, top / 100, right / 100, bottom / 100))
        painted[top:bottom, left:right] = True
    assert covered(boxes) == pytest.approx(painted.mean())
    assert covered([]) == 0


def test_overlap_is_intersection_over_union():
    assert overlap(box(0, 0, 0.4, 0.2).edges, box(0.2, 0, 0.6, 0.2).edges) == pytest.approx(1 / 3)
    assert overlap(box(0, 0, 0.1, 0.1).edges, box(0.5, 0.5, 0.6, 0.6).edges) == 0


def test_persistence_is_of_the_text_that_stands_longest():
    logo, moved, title = box(0.8, 0.0, 1, 0.1), box(0.1, 0.5, 0.3, 0.6), box(0.3, 0.3, 0.7, 0.5)
    assert persistence([[logo, title], [logo], [moved], [logo, moved]]) == 0.75  # one picture may miss it
    assert persistence([[title], [], [moved]]) == pytest.approx(1 / 3)
    assert persistence([[], []]) == 0


@pytest.mark.parametrize(
    ("height", "aspect", "counts"),
    [(0.19, 0.5, True), (0.21, 1.9, False), (0.3, 2.1, True), (0.35, 8, False)],
)
def test_what_has_the_shape_of_a_line_counts(height, aspect, counts):
    marked = Box(np.array([0.1, 0.1, 0.2, 0.1 + height]), aspect=aspect)
    assert marked.may_be_line is counts


def test_things_count_only_in_what_is_detected():
    pytest.importorskip("rapidocr")
    import av

    from framescribe.scores.text import measure

    with av.open(str(CLIPS / "horse.mp4")) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")[100:340, 200:560]
    values = measure(pictures_of(frame[None]))
    assert values["detected_text_area_share"] > 0.9
    assert values["text_area_share"] == values["read_text_area_share"] == 0


def test_planted_text_is_measured_without_the_network(monkeypatch):
    pytest.importorskip("rapidocr")
    import cv2

    from framescribe.scores.text import measure

    def refused(*arguments, **options):
        raise AssertionError("text needs no network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    frames = np.full((48, 360, 640, 3), 90, np.uint8) + np.arange(640, dtype=np.uint8)[:, None] // 8
    assert measure(pictures_of(frames))["text_area_share"] == 0
    for frame in frames:
        cv2.putText(frame, "SUBTITLES HERE", (170, 330), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 255, 255), 3)
    values = measure(pictures_of(frames))
    (width, height), _ = cv2.getTextSize("SUBTITLES HERE", cv2.FONT_HERSHEY_SIMPLEX, 1.2, 3)
    assert values["text_area_share"] == pytest.approx(width * height / (640 * 360), rel=0.8)
    assert values["read_text_area_share"] == values["text_area_share"]
    assert (values["text_persistence"], values["subtitle_share"], values["corner_text_share"]) == (1, 1, 0)


@pytest.mark.parametrize("size", [(1, 1), (2, 640), (33, 7), (9, 1200)])
def test_tiny_pictures_have_no_text(size):
    pytest.importorskip("rapidocr")
    from framescribe.scores.text import measure

    assert measure(pictures_of(np.zeros((3, *size, 3), np.uint8)))["text_area_share"] == 0
