"""What the page draws: histograms that hold everything, and numbers as people read them."""

from itertools import pairwise

import pytest

from framescribe.report.charts import Bar, Histogram, bars_of, nice_step, number_ticks, quantile
from framescribe.report.units import duration, percent


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (9996, 10_000, "99.9 %"),
        (1, 10_000, "0.1 %"),
        (0, 7, "0 %"),
        (7, 7, "100 %"),
        (1, 3, "33.3 %"),
        (0, 0, "–"),
    ],
)
def test_only_all_is_100_percent_and_only_nothing_0(part, whole, said):
    assert percent(part, whole) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(7.125, "7.12 s"), (119, "119 s"), (120, "2.0 min"), (7199, "120.0 min"), (7200, "2.0 h")],
)
def test_durations_in_the_unit_that_reads_best(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("counts", "share", "number"),
    [
        ({1: 1, 2: 1}, 0.5, 1),
        ({9: 1, 2: 2}, 0.5, 2),
        ({3: 4}, 0.25, 3),
        ({1: 1, 5: 3}, 0.75, 5),
        ({}, 0.5, 0),
    ],
)
def test_quantiles(counts, share, number):
    assert quantile(counts, share) == number


def test_a_few_long_captions_do_not_squash_the_others():
    """As a run looks of which 5 captions of 1,000 loop."""
    counts = dict.fromkeys(range(80, 130), 20) | {1500 + number: 1 for number in range(5)}
    bars = bars_of(counts, "words")
    assert sum(bar.value for bar in bars) == sum(counts.values())
    assert [bar.is_rest for bar in bars] == [False] * (len(bars) - 1) + [True]
    assert bars[-1].value == 5
    assert "1,504" in bars[-1].label
    assert sum(bar.value > 0 for bar in bars[:-1]) >= 20  # their shape can be seen
    assert any(label.text.startswith("over 1") for label in Histogram(bars, number_ticks(bars)).labels)
    even = bars_of(dict.fromkeys(range(1000), 1), "words")
    assert not any(bar.is_rest for bar in even)


@pytest.mark.parametrize(
    "counts",
    [{5: 1}, {0: 100_000, 1: 1}, {0: 3, 1: 2}, {3: 1, 4000: 5}, {number: number + 1 for number in range(37)}],
)
def test_histograms_count_everything_and_stay_in_their_picture(counts):
    bars = bars_of(counts, "words")
    assert sum(bar.value for bar in bars) == sum(counts.values())
    assert len(bars) <= 31
    for bar, after in pairwise(bars):
        assert bar.end == after.start
    chart = Histogram(bars, number_ticks(bars), [(20, "mark")])
    for column, after in pairwise(chart.columns):
        assert column.left + column.width == pytest.approx(after.left, abs=0.11)
    for column, bar in zip(chart.columns, bars, strict=True):
        assert min(column.left, column.width - 2 * column.gap, column.height) >= 0
        assert column.left + column.width <= chart.width + 0.1
        assert column.height <= chart.floor - chart.top
        assert (column.height > 0) == (bar.value > 0)
    assert all(0 <= each.x <= chart.width for each in chart.labels + chart.lines)


@pytest.mark.parametrize(
    ("least", "step"), [(0.1, 1), (1, 1), (1.5, 2), (3, 5), (7, 10), (10, 10), (11, 20), (501, 1000)]
)
def test_nice_steps(least, step):
    assert nice_step(least) == step


@pytest.mark.parametrize(("value", "shown"), [(7, "7"), (1234, "1,234"), (49_970, "49,970"), (0.25, "0.25")])
def test_the_tallest_bar_says_how_many_it_holds(value, shown):
    assert Histogram([Bar(0, 1, value, "")], []).labels[0].text == shown
