"""The pictures of growth, overlaid histograms, fans and rectifiers hold the numbers that they were given."""

import numpy as np
import pytest
from pictures import mark, marks, words

import initviz as iv
from initviz.experiments import Growth, layer_factors, rectifier
from initviz.plots._figure import Line


def falling(factor, layers=8, seeds=3):
    return Growth(
        np.tile(5.0 * factor ** np.arange(layers), (seeds, 1)),
        np.tile(7.0 * factor ** np.arange(layers)[::-1], (seeds, 1)),
    )


def test_growth_is_drawn_relative_to_where_the_signal_starts():
    curves = {"half": falling(0.5), "kept": falling(1.0)}
    figure = iv.plots.growth_figure(curves, {"half": (0.5, 0.5), "kept": (np.ones(8), np.ones(8))})
    for panel, expected in zip(figure.panels, (np.arange(8), np.arange(8)[::-1])):
        np.testing.assert_allclose(mark(panel, Line, "half: measured").y, 0.5**expected)
        np.testing.assert_allclose(mark(panel, Line, "kept: measured").y, 1)
        dashed = [one.y for one in marks(panel, Line) if one.dash]
        assert len(dashed) == 2
        np.testing.assert_allclose(dashed[0], 0.5**expected)
    said = " ".join(words(figure.panels[0]))
    assert "● half" in said and "■ kept" in said and "theory" in said


def test_both_ways_of_growth_share_a_scale_with_room_above_the_start():
    figure = iv.plots.growth({"one": Growth(falling(0.5).forward, falling(2.0).backward)})
    forward, backward = figure.axes
    assert forward.get_ylim() == backward.get_ylim()
    low, high = forward.get_ylim()
    assert high > np.log10(2.0) * 7 and low < np.log10(0.5) * 7
    assert (
        iv.plots.growth({"half": falling(0.5)}).axes[0].get_ylim()[1] > 0.05
    )  # the first layer's mark, at 10^0, is whole


def test_growth_with_widths_and_a_layer_at_zero():
    one = falling(0.5)
    one.forward[:, -1] = 0
    figure = iv.plots.growth({"it": one}, widths=np.array([100, 400] * 4))
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()][:2] == ["1\n100", "2\n400"]
    figure.canvas.draw()


def test_overlay_has_a_line_a_layer_and_their_mass():
    x, y = iv.digits().batch(64)
    reports = {name: iv.probe(iv.mlp(4, 50, "tanh", name), x, y) for name in ("lecun_uniform", "xavier_normal")}
    figure = iv.plots.overlay_figure(reports)
    names = ["layer 1", "layer 2", "layer 3", "layer 4"]
    for panel in figure.panels:
        lines = marks(panel, Line, "layer")
        assert [one.name for one in lines] == names
        assert all(one.y.sum() == pytest.approx(1, abs=0.02) for one in lines)
    assert words(figure.panels[1]) == names
    assert "gradients" in figure.panels[2].title


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_fans_shows_every_choice_and_the_weights_of_one(distribution):
    factors = layer_factors(32, 256, distribution=distribution)
    figure = iv.plots.fans(factors, "he")
    weights, ways = figure.axes
    below = " ".join(text.get_text() for text in weights.texts)
    assert f"std {factors[3].std:.3g}" in below
    assert ("bound" in below) == (distribution == "uniform")
    drawn = {line.get_marker(): 10 ** line.get_xdata() for line in ways.lines}
    np.testing.assert_allclose(drawn["o"], [one.forward for one in factors])
    np.testing.assert_allclose(drawn["s"], [one.backward for one in factors])


def test_rectifier_shows_measured_points_and_the_theory():
    run = rectifier(0.3, width=32, depth=6)
    figure = iv.plots.rectifier(run)
    function, forward, backward = figure.axes
    np.testing.assert_allclose(forward.lines[0].get_ydata(), np.log10(run.forward))
    np.testing.assert_allclose(backward.lines[1].get_ydata(), np.log10(run.backward_theory))
    assert any(f"measured {run.passed:.3f}" in text.get_text() for text in function.texts)
