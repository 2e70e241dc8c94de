"""Figures as shapes: versions as bands, gaps where nothing is known, and moments that lie where they should."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from loadingbay.console import plots
from loadingbay.console.plots import LEFT, RIGHT, WIDTH, Share

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def _shares(*values, versions="1112", interval=None):
    return [
        Share(NOON + timedelta(hours=n), version, value, interval if value is not None else None)
        for n, (value, version) in enumerate(zip(values, versions, strict=False))
    ]


def test_each_version_in_service_is_a_band():
    plot = plots.over_time([("s0", _shares(0.9, 0.8, 0.9, 0.95))])
    assert [band.word for band in plot.bands] == ["1", "2"]
    assert plot.bands[0].at == LEFT
    assert plot.bands[0].at + plot.bands[0].width == plot.bands[1].at
    assert round(plot.bands[1].at + plot.bands[1].width, 1) == WIDTH - RIGHT


def test_a_version_that_comes_back_is_a_band_again():
    plot = plots.over_time([("s0", _shares(0.9, 0.8, 0.9, 0.95, versions="1211"))])
    assert [band.word for band in plot.bands] == ["1", "2", "1"]


def test_an_unknown_accuracy_is_a_gap():
    plot = plots.over_time([("s1", _shares(0.9, None, 0.8, 0.85, interval=(0.7, 0.95)))])
    assert [len(points.split()) for _, points in plot.lines] == [1, 2]
    assert [len(points.split()) for _, points in plot.areas] == [2, 4]
    assert len(plot.dots) == 3


def test_the_ends_of_the_axis_are_moments():
    plot = plots.over_time([("s0", _shares(0.9, 0.8))])
    assert plot.ticks_across == ((LEFT, NOON), (WIDTH - RIGHT, NOON + timedelta(hours=1)))


def test_a_single_moment_lies_in_the_middle():
    plot = plots.over_time([("s0", _shares(0.9))])
    assert plot.dots[0][1] == (LEFT + WIDTH - RIGHT) / 2
    assert len(plot.bands) == 1


@given(st.lists(st.tuples(st.sampled_from("123"), st.none() | st.floats(0, 1)), max_size=30))
def test_bands_fill_the_axis_and_shapes_stay_inside(given_):
    shares = [Share(NOON + timedelta(hours=n), version, value) for n, (version, value) in enumerate(given_)]
    plot = plots.over_time([("s0", shares)])
    assert round(sum(band.width for band in plot.bands), 0) in {0, WIDTH - LEFT - RIGHT}
    assert all(LEFT <= x <= WIDTH - RIGHT and 0 <= y <= plot.height for _, x, y, _ in plot.dots)
