"""The LSUV stepper: its numbers are LSUV's, its controls do what they say, its picture shows them."""

import asyncio

import numpy as np
import pytest
import torch
from pictures import mark, marks, pixels, words

import initviz as iv
from initviz.experiments import LSUV_CHOICES, STARTS, LsuvSettings, lsuv_step
from initviz.experiments._lsuv_steps import variances
from initviz.plots import lsuv_figure
from initviz.plots._figure import Bars, Columns
from initviz.plots._lsuv import DONE, LAST, WAITING
from initviz.plots._matplotlib import masses
from initviz.widgets import explore_lsuv
from initviz.widgets._player import Player

SMALL = {"depth": 4, "width": 16, "batch": 64}


# The numbers -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", LSUV_CHOICES)
def test_a_step_is_lsuv_halted_there(activation):
    settings = LsuvSettings(activation=activation, **SMALL)
    step = lsuv_step(settings, 3)
    data = iv.digits()
    net = iv.mlp(4, 16, LSUV_CHOICES[activation], "orthogonal", n_in=64, n_out=10, device="cpu")
    x, _ = data.batch(64, seed=0)
    start = variances(net, x)
    iv.lsuv_(net, x, orthonormal=False, first=3)
    np.testing.assert_allclose([layer.variance_after for layer in step.start.layers], start, rtol=1e-5)
    np.testing.assert_allclose([layer.variance_after for layer in step.now.layers], variances(net, x), rtol=1e-4)
    np.testing.assert_allclose(step.unseen, variances(net, data.x_test[:512]), rtol=1e-4)
    last = net.hidden[0](x.cpu()).detach().double().numpy(force=True)
    assert step.now.layers[0].over_samples == pytest.approx(last.var(axis=0).mean(), rel=1e-4)


def test_after_the_last_step_every_layer_is_done():
    step = lsuv_step(LsuvSettings(**SMALL), 5)
    assert [layer.skipped for layer in step.now.layers] == [None] * 5
    assert "5 of 5 layers are within 0.1 of 1" in step.sentence


def test_sentences():
    settings = LsuvSettings(activation="relu", **SMALL)
    assert lsuv_step(settings, 0).sentence.startswith("Nothing is done yet: after Orthogonal the variances lie between")
    layer = lsuv_step(settings, 2).now.layers[1]
    words = lsuv_step(settings, 2).sentence
    assert words.startswith("Layer 2 of 5: ") and f"{layer.variance_before:.2f}" in words and "now it has 1.00" in words
    biased = LsuvSettings(start="pytorch_default", tol=0.01, **SMALL)
    assert any("times" in lsuv_step(biased, k).sentence for k in range(1, 6))
    near = LsuvSettings(tol=0.5, depth=1, width=64)
    assert "its weight stays" in lsuv_step(near, 1).sentence


def test_the_unusual_activations_have_the_gain_that_they_say():
    z = torch.randn(10**6, generator=torch.Generator(torch.get_default_device()).manual_seed(0), dtype=torch.float64)
    for name in ("x_tanh_x", "bump"):
        activation = LSUV_CHOICES[name]
        assert activation.gain == pytest.approx(float(activation.function(z).square().mean() ** -0.5), rel=0.01)
        assert name not in iv.ACTIVATIONS


# The picture -----------------------------------------------------------------------------------------------------------------


def test_the_bars_are_the_variances_and_their_colours_the_state():
    step = lsuv_step(LsuvSettings(**SMALL), 2)
    figure = lsuv_figure(step)
    now, start = mark(figure, Bars, "variance now"), mark(figure, Bars, "variance at the start")
    np.testing.assert_array_equal(now.top, [layer.variance_after for layer in step.now.layers])
    np.testing.assert_array_equal(start.top, [layer.variance_before for layer in step.start.layers])
    assert start.hollow and now.roles == (DONE, LAST, WAITING, WAITING, WAITING)
    band = marks(figure, Bars)[0]
    assert (band.bottom[0], band.top[0]) == pytest.approx((0.9, 1.1))
    written = words(figure.panels[0])
    assert written[1] == f"{step.now.layers[1].variance_after:.2f}" and "▬ 1 ± 0.1" in written


def test_a_dead_layer_has_no_bar_and_says_0():
    step = lsuv_step(LsuvSettings(depth=30, width=8, activation="relu", batch=2, seed=1), 0)
    assert step.start.layers[-1].variance_after >= 0
    bars = mark(lsuv_figure(step), Bars, "variance now")
    assert np.isfinite(bars.top).sum() == sum(layer.variance_after > 0 for layer in step.now.layers)


def test_the_histograms_hold_what_lies_beyond_their_ends():
    step = lsuv_step(LsuvSettings(activation="x_tanh_x", start="he_normal", **SMALL), 0)
    panel = lsuv_figure(step).panels[1]
    (columns,) = marks(panel, Columns)
    assert step.start.layers[-1].after.max > 4
    found = masses(columns, np.linspace(panel.y.low, panel.y.high, 129))
    assert found[-1, -1] > 0.01
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-9)


def test_the_figure_function_and_its_size():
    figure = iv.plots.lsuv(lsuv_step(LsuvSettings(**SMALL), 1), "a title")
    assert repr(figure) == "<Figure size 1280x635 with 3 Axes>"


# The app ---------------------------------------------------------------------------------------------------------------------


def test_next_previous_and_the_slider():
    app = explore_lsuv(**SMALL)
    before = app.picture.value
    assert app.previous.disabled and not app.next.disabled
    app.next.click()
    assert app.controls["step"].value == 1 == app.step.step and app.picture.value != before
    app.previous.click()
    assert app.picture.value == before
    app.set(step=5)
    assert app.next.disabled and "All done" in app.words.value
    app.next.click()
    assert app.controls["step"].value == 5


def test_every_control_moves_the_network():
    app = explore_lsuv(step=2, **SMALL)
    for name, value in {
        "activation": "sine", "start": "he_normal", "depth": 6, "width": 32, "batch": 8, "tol": 0.5, "seed": 3,
    }.items():  # fmt: skip
        before = app.step
        app.set(**{name: value})
        assert getattr(app.step.settings, name) == value and app.step is not before, name
    assert app.controls["step"].max == 7


def test_a_shallower_network_takes_the_step_with_it():
    app = explore_lsuv(step=5, **SMALL)
    app.set(depth=2)
    assert app.controls["step"].value == app.step.step == 3
    app.set(depth=8, step=9)
    assert app.step.step == 9


def test_every_control_has_a_tooltip_and_a_label():
    app = explore_lsuv(**SMALL)
    for widget in [*app.controls.values(), app.previous, app.next, app.player.button]:
        assert widget.tooltip and widget.description


def test_the_mime_bundle_has_a_picture_and_a_line_and_the_first_state_is_the_same_each_time():
    one, two = explore_lsuv(step=1, **SMALL)._repr_mimebundle_(), explore_lsuv(step=1, **SMALL)._repr_mimebundle_()
    assert one["text/plain"] == two["text/plain"] and one["text/plain"].startswith("LSUV stepper: x tanh(x), 4 layers")
    assert one["image/png"] == two["image/png"]


def test_the_picture_without_words_is_cut_to_its_panels():
    app = explore_lsuv(**SMALL)
    still, bare = pixels(app.still()), pixels(app.picture.png())
    assert still.shape[1] == bare.shape[1] == 1280 and still.shape[0] > bare.shape[0]


def test_play_goes_to_the_end_and_starts_anew_there():
    app = explore_lsuv(**SMALL)
    app.player.button.value = True  # without an event loop: at once
    assert app.controls["step"].value == 5 and not app.player.button.value
    seen = []
    app.controls["step"].observe(lambda change: seen.append(change["new"]), names="value")
    app.player.button.value = True
    assert seen == [0, 1, 2, 3, 4, 5]


def test_play_in_an_event_loop_can_be_stopped():
    async def run():
        app = explore_lsuv(**SMALL)
        slider = app.controls["step"]
        app.player.beat = 0.001
        app.player.button.value = True
        while slider.value < 2:
            await asyncio.sleep(0.001)
        app.player.button.value = False
        stopped = slider.value
        await asyncio.sleep(0.05)
        assert slider.value == stopped < 5 and app.player.button.description == "Play"
        app.player.button.value = True
        while app.player.button.value:
            await asyncio.sleep(0.001)
        assert slider.value == 5
        await asyncio.sleep(0.2)
        assert app.step.step == 5

    asyncio.run(run())


def test_a_player_moves_any_slider():
    import ipywidgets

    slider = ipywidgets.IntSlider(value=3, min=0, max=10, step=2)
    player = Player(slider)
    player.button.value = True
    assert slider.value == 10


# Bad input -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"activation": "rely"}, ValueError, "^activation: 'rely' is unknown; did you mean .*'relu'"),
        ({"start": "zeros"}, ValueError, "^start: 'zeros' is unknown; it takes one of orthogonal"),
        ({"depth": 0}, ValueError, "^depth: got 0"),
        ({"depth": 31}, ValueError, "^depth: got 31; the control takes 1 to 30"),
        ({"width": 2.5}, TypeError, "^width: got float"),
        ({"tol": -1}, ValueError, "^tol: got -1"),
        ({"batch": 0}, ValueError, "^batch: got 0"),
        ({"batch": 5000}, ValueError, "^size: got 5000; digits has"),
        ({"data": "cifar"}, ValueError, "^data: 'cifar' is unknown"),
        ({"seed": -1}, ValueError, "^seed: got -1"),
        ({"step": 12}, ValueError, "^step: got 12; the network has 11 layers"),
        ({"layers": 3}, ValueError, "^settings: 'layers' is unknown"),
    ],
)
def test_bad_input_is_one_clear_error(settings, kind, message):
    with pytest.raises(kind, match=message):
        explore_lsuv(**settings)


def test_a_refused_value_moves_no_control():
    app = explore_lsuv(**SMALL)
    with pytest.raises(ValueError):
        app.set(activation="sine", width=3)
    assert app.controls["activation"].value == "x_tanh_x" and app.step.settings.activation == "x_tanh_x"


def test_every_start_is_a_scheme():
    assert set(STARTS) <= set(iv.SCHEMES)
