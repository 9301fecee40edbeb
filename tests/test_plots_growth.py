"""The pictures of growth, overlaid histograms, fans and rectifiers hold the numbers that they were given."""

import numpy as np
import pytest

import initviz as iv
from initviz.experiments import Growth, layer_factors, rectifier


def falling(factor, layers=8, seeds=3):
    return Growth(
        np.tile(5.0 * factor ** np.arange(layers), (seeds, 1)),
        np.tile(7.0 * factor ** np.arange(layers)[::-1], (seeds, 1)),
    )


def test_growth_is_drawn_relative_to_where_the_signal_starts():
    curves = {"half": falling(0.5), "kept": falling(1.0)}
    figure = iv.plots.growth(curves, {"half": (0.5, 0.5), "kept": (np.ones(8), np.ones(8))})
    forward, backward = figure.axes
    lines = {line.get_marker(): line.get_ydata() for line in forward.lines if line.get_marker() not in ("None", None)}
    np.testing.assert_allclose(lines["o"], np.log10(0.5) * np.arange(8))
    np.testing.assert_allclose(lines["s"], 0, atol=1e-12)
    for ax, expected in ((forward, np.arange(8)), (backward, np.arange(8)[::-1])):
        dashed = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "--"]
        assert len(dashed) == 2
        np.testing.assert_allclose(dashed[0], np.log10(0.5) * expected)
    words = " ".join(text.get_text() for text in figure.texts)
    assert "● half" in words and "■ kept" in words and "theory" in words


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
    figure = iv.plots.overlay(reports)
    assert [len(ax.lines) for ax in figure.axes] == [4, 4, 4, 4]
    assert all(line.get_ydata().sum() == pytest.approx(1, abs=0.02) for ax in figure.axes for line in ax.lines)
    assert [t.get_text() for t in figure.axes[1].get_legend().get_texts()] == [
        "layer 1",
        "layer 2",
        "layer 3",
        "layer 4",
    ]
    assert "gradients" in figure.axes[2].get_title(loc="left")


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
