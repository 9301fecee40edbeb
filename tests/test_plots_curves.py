"""Curves and grouped bars: what is drawn is what was given."""

import matplotlib.figure
import numpy as np
import pytest

import initviz as iv


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
    figure = iv.plots.curves([1, 2], {"a": np.array([[1.0, 1e-4], [100.0, 1e-8]])}, title="", xlabel="", log_y=True)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [10, 1e-6])
    assert figure.axes[0].get_yscale() == "log"


def test_what_is_predicted_is_dashed_and_its_points_are_hollow():
    figure = iv.plots.curves(
        [1, 2], {"a": [1, 2], "b": [3, 4]}, predicted={"b": np.array([3.1, 4.1])}, title="", xlabel=""
    )
    a, b, theory = figure.axes[0].lines
    assert a.get_linewidth() > 0 and b.get_linewidth() == 0 and b.get_markerfacecolor() == "white"
    np.testing.assert_allclose(theory.get_ydata(), [3.1, 4.1])
    assert theory.get_color() == b.get_color() != a.get_color()
    words = " ".join(text.get_text() for text in figure.texts)
    assert "● a" in words and "□ b" in words and "predicted" in words


def test_a_log_axis_of_x_has_a_tick_at_each_point():
    figure = iv.plots.curves([2, 8, 512], {"a": [1, 2, 3]}, title="", xlabel="", log_x=True)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["2", "8", "512"]


def test_groups_are_means_and_spreads_of_seeds():
    results = {
        "one": {"x": np.array([0.5, 0.7]), "y": np.array([0.1, 0.1])},
        "two": {"x": np.array([0.9, 0.9]), "y": np.array([0, 0])},
    }
    figure = iv.plots.groups(results, title="accuracy", percent=True, chance=0.1)
    assert isinstance(figure, matplotlib.figure.Figure)
    ax = figure.axes[0]
    heights = [[bar.get_height() for bar in bars.patches] for bars in ax.containers if hasattr(bars, "patches")]
    np.testing.assert_allclose(heights, [[60, 90], [10, 0]])
    first = next(lines for lines in ax.collections if len(lines.get_segments()))
    low, high = first.get_segments()[0][:, 1]
    assert high - low == pytest.approx(2 * 100 * np.std([0.5, 0.7], ddof=1))
    assert [text.get_text() for text in ax.texts] == ["60", "90", "10", "0"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["one", "two"]
    assert len({bar.get_hatch() for bars in ax.containers if hasattr(bars, "patches") for bar in bars.patches}) == 2


def test_lines_that_lie_upon_one_another_show_their_markers_in_turn():
    x = np.arange(13)
    lines = iv.plots.curves(x, {"a": 0 * x, "b": 0 * x}, title="", xlabel="").axes[0].lines
    shown = [set(x[line.get_markevery()[0] :: line.get_markevery()[1]]) for line in lines]
    assert not shown[0] & shown[1] and shown[0] | shown[1] == set(x)
