"""Curves and grouped bars: what is drawn is what was given."""

import matplotlib.figure
import numpy as np
import pytest
from pictures import mark, marks, words

import initviz as iv
from initviz.plots._figure import Bars, Line


def test_a_curve_is_the_mean_over_seeds_with_one_standard_deviation():
    values = np.array([[1.0, 2.0, 4.0], [3.0, 2.0, 8.0]])
    figure = iv.plots.curves([1, 2, 3], {"a": values}, title="height", xlabel="x")
    ax = figure.axes[0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), values.mean(axis=0))
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    spread = values.std(axis=0, ddof=1)
    assert band.min() == pytest.approx((values.mean(axis=0) - spread).min())
    assert band.max() == pytest.approx((values.mean(axis=0) + spread).max())
    assert ax.get_title(loc="left") == "height" and ax.get_xlabel() == "x"


def test_on_a_log_axis_means_are_of_logarithms():
    given = [1, 2], {"a": np.array([[1.0, 1e-4], [100.0, 1e-8]])}
    figure = iv.plots.curves_figure(*given, title="", xlabel="", log_y=True)
    np.testing.assert_allclose(mark(figure, Line, "a").y, [10, 1e-6])
    assert figure.panels[0].y.scale == "log"
    paper = iv.plots.curves(*given, title="", xlabel="", log_y=True)
    np.testing.assert_allclose(paper.axes[0].lines[0].get_ydata(), [1, -6])  # its axis is of powers of ten


def test_what_a_seed_has_no_number_for_is_a_gap():
    values = np.array([[1.0, 2.0, 0.0], [1.0, np.nan, 4.0]])
    for log, expected in ((True, [1, np.nan, np.nan]), (False, [1, np.nan, 2])):
        figure = iv.plots.curves_figure([1, 2, 3], {"a": values}, title="", xlabel="", log_y=log)
        np.testing.assert_array_equal(mark(figure, Line, "a").y, expected)


def test_what_is_predicted_is_dashed_and_its_points_are_hollow():
    given = [1, 2], {"a": [1, 2], "b": [3, 4]}
    figure = iv.plots.curves_figure(*given, predicted={"b": np.array([3.1, 4.1])}, title="", xlabel="")
    a, b, theory = (mark(figure, Line, name) for name in ("a", "b", "b, predicted"))
    assert a.width > 0 and b.width == 0 and b.hollow and not a.hollow
    np.testing.assert_allclose(theory.y, [3.1, 4.1])
    assert theory.dash and theory.role == b.role != a.role
    said = " ".join(words(figure.panels[0]))
    assert "● a" in said and "□ b" in said and "predicted" in said


def test_a_log_axis_of_x_has_a_tick_at_each_point():
    figure = iv.plots.curves([2, 8, 512], {"a": [1, 2, 3]}, title="", xlabel="", log_x=True)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["2", "8", "512"]


def test_groups_are_means_and_spreads_of_seeds():
    results = {
        "one": {"x": np.array([0.5, 0.7]), "y": np.array([0.1, 0.1])},
        "two": {"x": np.array([0.9, 0.9]), "y": np.array([0, 0])},
    }
    figure = iv.plots.groups_figure(results, title="accuracy", percent=True, chance=0.1)
    assert isinstance(iv.plots.groups(results, title="accuracy"), matplotlib.figure.Figure)
    bars = marks(figure, Bars)
    np.testing.assert_allclose([one.top for one in bars], [[60, 90], [10, 0]])
    low, high, _ = marks(figure, Line)[0].y[:3]
    assert high - low == pytest.approx(2 * 100 * np.std([0.5, 0.7], ddof=1))
    assert words(figure.panels[0])[:4] == ["60", "90", "10", "0"]
    assert figure.panels[0].x.labels == ("one", "two")
    assert len({one.hatch for one in bars}) == 2, "no colour is the only sign"


def test_lines_that_lie_upon_one_another_show_their_markers_in_turn():
    x = np.arange(13)
    figure = iv.plots.curves_figure(x, {"a": 0 * x, "b": 0 * x}, title="", xlabel="")
    shown = [set(line.x) for line in marks(figure, Line) if line.marker]
    assert not shown[0] & shown[1] and shown[0] | shown[1] == set(x)


@pytest.mark.parametrize(
    ("x", "lines", "how", "words"),
    [
        ([1, 2], {}, {}, "^lines: got 0; it takes one to 6"),
        ([1, 2], {str(n): np.ones(2) for n in range(7)}, {}, "^lines: got 7"),
        ([1, 2, 3], {"a": np.ones(2)}, {}, r"^lines: 'a' has shape \(2,\)"),
        ([0, 1], {"a": np.ones(2)}, {"log_x": True}, "^x: got .* above 0"),
        ([], {"a": np.ones(0)}, {}, "^x: got"),
    ],
)
def test_curves_that_cannot_be_drawn(x, lines, how, words):
    with pytest.raises(ValueError, match=words):
        iv.plots.curves(x, lines, title="", xlabel="", **how)


@pytest.mark.filterwarnings("error")
def test_a_curve_without_a_number_is_left_out():
    iv.plots.curves([1, 2], {"a": np.full(2, np.nan), "b": np.ones(2)}, title="", xlabel="")


@pytest.mark.parametrize(
    "results", [{}, {"a": {str(n): np.ones(3) for n in range(5)}}, {"a": {"p": np.ones(3)}, "b": {"q": np.ones(3)}}]
)
def test_groups_that_cannot_be_drawn(results):
    with pytest.raises(ValueError, match="^results: got"):
        iv.plots.groups(results, title="")
