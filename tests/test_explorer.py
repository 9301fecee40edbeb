"""The explorer as a user works it: every control moves the picture, and nothing is left half done or left behind."""

import asyncio
import base64
import gc
import html
import math
import re
import threading
import warnings

import ipywidgets as widgets
import matplotlib.figure
import numpy as np
import pytest
from matplotlib import pyplot
from pictures import mark, marks, pixels
from test_measure import assert_same, run

import initviz as iv
from initviz._core.devices import device_names
from initviz.experiments import Settings, _measure, draw_ahead, measure
from initviz.initializers import ACTIVATIONS, SCHEMES, _draw_cache
from initviz.inspection import QUANTITIES
from initviz.models import NetworkCache
from initviz.plots import draw
from initviz.plots._figure import Line
from initviz.widgets._frame import Frame
from initviz.widgets._picture import Picture

SMALL = {"depth": 4, "width": 16, "batch": 64}


@pytest.fixture(scope="module")
def shared():
    return iv.explore(**SMALL)


@pytest.fixture
def explorer(shared):
    """A small one, as it starts: one for all tests (to make one takes half a second), set back each time."""
    start = {"forward": "activation", "backward": "preactivation_gradient"}
    shared.pin.value = shared.show_code.value = False
    shared.preset.value = shared.message.value = ""
    shared.set(**({name: getattr(Settings(**SMALL), name) for name in MOVES} | start))
    return shared


def all_widgets(box) -> list:
    return [w for child in box.children for w in (all_widgets(child) if hasattr(child, "children") else [child])]


# Controls ------------------------------------------------------------------------------------------------------------------

MOVES = {
    "depth": 7, "width": 64, "activation": "relu", "scheme": "small_normal", "scale": 10.0, "bias_std": 1.5,
    "normalization": "layer", "skip": True, "precision": "bfloat16", "data": "gaussian", "seed": 5,
}  # fmt: skip


def test_there_is_a_control_for_every_setting_and_for_the_panels(explorer):
    assert set(explorer.controls) == {*MOVES, "forward", "backward", "device"}
    c = explorer.controls
    assert (c["depth"].min, c["depth"].max) == (1, 200)
    assert (c["width"].options[0], c["width"].options[-1]) == (8, 1024)
    assert {value for _, value in c["activation"].options} == set(ACTIVATIONS)
    assert {value for _, value in c["scheme"].options} == set(SCHEMES)
    assert isinstance(c["scale"], widgets.FloatLogSlider) and c["scale"].base ** c["scale"].max == 100
    assert set(c["precision"].options) >= {"float32", "bfloat16", "float16"}
    assert set(c["normalization"].options) == {"none", "batch", "layer"}
    shown = {value for name in ("forward", "backward") for value in c[name].options.values()}
    assert shown == set(QUANTITIES)


@pytest.mark.parametrize("name", MOVES)
def test_a_control_moves_the_numbers_the_picture_and_the_words(explorer, name):
    before = explorer.picture.value
    explorer.controls[name].value = MOVES[name]
    assert getattr(explorer.measurement.settings, name) == MOVES[name]
    assert_same(
        explorer.measurement.report,
        measure(Settings(**(SMALL | {name: MOVES[name]})), quantities=["activation"]).report,
    )
    assert explorer.picture.value != before
    verdict = explorer.measurement.verdict
    assert verdict.kind.upper() in explorer.words.value and html.escape(verdict.why) in explorer.words.value
    assert verdict.kind in explorer.summary()


@pytest.mark.parametrize(
    ("forward", "backward"),
    [("activation", "activation_gradient"), ("preactivation", "weight_gradient"), ("weight", "preactivation_gradient")],
)
def test_the_chosen_quantities_are_shown(explorer, forward, backward):
    explorer.set(forward=forward, backward=backward)
    m = measure(Settings(**SMALL))
    for quantity in (forward, backward):
        points = mark(explorer.picture.figure, Line, f"{QUANTITIES[quantity]}: rms")
        np.testing.assert_array_equal(points.y, m.report.values(quantity, "rms"))


def test_every_control_has_a_tooltip_and_none_needs_a_mouse(explorer):
    keyboard = (
        widgets.IntSlider, widgets.FloatSlider, widgets.FloatLogSlider, widgets.SelectionSlider, widgets.Dropdown,
        widgets.BoundedIntText, widgets.Button, widgets.ToggleButton,
    )  # fmt: skip
    shown = all_widgets(explorer)
    controls = [w for w in shown if not isinstance(w, widgets.HTML | Picture)]
    several = len(device_names()) > 1  # else there is no device to choose
    assert len(controls) == 19 + several and all(isinstance(w, keyboard) for w in controls)
    assert all(w.tooltip and w.tabbable is not False for w in controls)
    assert len({w.tooltip for w in controls}) == len(controls)
    for w in controls:  # ipywidgets shows no tooltip of a menu that has a label: there the label has it
        if isinstance(w, widgets.Dropdown):
            assert f'title="{html.escape(w.tooltip)}"' in w.description and w.description_allow_html
    named = {id(w) for name, w in explorer.controls.items() if several or name != "device"}
    assert named <= {id(w) for w in shown}
    assert not any(isinstance(w, widgets.Output) for w in shown)


def test_sliders_report_while_they_are_dragged(explorer):
    sliders = [w for w in explorer.controls.values() if hasattr(w, "continuous_update")]
    assert all(w.continuous_update for w in sliders if not isinstance(w, widgets.BoundedIntText))


def test_new_seed_draws_other_weights_and_wraps_around(explorer):
    before = explorer.measurement.report.loss
    explorer.new_seed.click()
    assert explorer.measurement.settings.seed == 1 and explorer.measurement.report.loss != before
    explorer.set(seed=2**31 - 1)
    explorer.new_seed.click()
    assert explorer.measurement.settings.seed == 0 and explorer.measurement.report.loss == before


@pytest.mark.parametrize("name", iv.widgets.PRESETS)
def test_a_preset_moves_all_controls_and_keeps_its_promise(name):
    explorer = iv.explore(bias_std=0.5, skip=True, normalization="batch", depth=3, width=16, seed=2)
    explorer.preset.value = name
    assert explorer.measurement.verdict.kind == iv.widgets.PRESETS[name].kind
    assert explorer.measurement.settings == Settings(**iv.widgets.PRESETS[name].changes, seed=2)
    assert explorer.preset.value == name


def test_a_page_that_rounds_the_scale_to_a_step_of_its_slider_does_not_leave_the_preset(explorer):
    explorer.preset.value = "exploding_relu"
    scale = explorer.controls["scale"]
    nearest = scale.base ** (round(math.log10(1.5) / scale.step) * scale.step)
    assert f"{nearest:{scale.readout_format}}" == "1.5" and nearest != 1.5
    scale.set_state({"value": nearest})
    assert (explorer.preset.value, scale.value) == ("exploding_relu", 1.5)
    scale.set_state({"value": nearest * scale.base**scale.step})  # an arrow key
    assert explorer.preset.value == "" and scale.value == pytest.approx(1.5 * scale.base**scale.step, rel=5e-3)
    scale.set_state({"value": nearest})
    assert scale.value == nearest


def test_a_preset_is_left_by_moving_a_control_and_can_be_chosen_again(explorer):
    explorer.preset.value = "zeros"
    explorer.controls["scheme"].value = "he_normal"
    assert explorer.preset.value == "" and explorer.measurement.settings.scheme == "he_normal"
    explorer.preset.value = "zeros"
    assert explorer.measurement.settings.scheme == "zeros"


# Ghost, code, picture ------------------------------------------------------------------------------------------------------


def test_a_pinned_run_stays_behind_the_next_ones_until_it_is_let_go(explorer):
    first = measure(Settings(**SMALL)).report
    explorer.pin.value = True
    explorer.set(scale=3.0, forward="weight")
    for quantity in ("weight", "preactivation_gradient"):
        ghost = mark(explorer.picture.figure, Line, f"{QUANTITIES[quantity]}: pinned rms")
        np.testing.assert_array_equal(ghost.y, first.values(quantity, "rms"))
    assert explorer.picture.figure.caption.endswith("4 layers of 16, digits, seed 0")
    explorer.pin.value = False
    assert not [line for line in marks(explorer.picture.figure, Line) if "pinned" in line.name]


@pytest.mark.parametrize("pin", [False, True])
@pytest.mark.parametrize(
    "state",
    [
        {},
        MOVES,
        {"normalization": "batch", "forward": "weight", "backward": "weight_gradient"},
        {"scheme": "lsuv", "scale": 0.5, "activation": "gelu", "forward": "preactivation"},
        {"activation": "relu", "scale": 60.0, "precision": "float16", "backward": "activation_gradient"},
    ],
)
def test_the_code_on_screen_reproduces_the_state_on_screen(explorer, state, pin):
    explorer.pin.value = pin
    explorer.show_code.value = True
    explorer.set(**state)
    source = html.unescape(re.search(r"<pre[^>]*>(.*?)</pre>", explorer.code.value, re.S)[1])
    names = run(source)
    m = explorer.measurement
    assert_same(names["report"], m.report)
    assert names["verdict"] == m.verdict
    figure = eval(source[source.index("iv.plots.flow") :], names)
    shown = draw(explorer.picture.figure)
    for axes, other in zip(figure.axes, shown.axes, strict=True):
        assert axes.get_title(loc="left") == other.get_title(loc="left")
    for one, other in zip(figure.axes[4].lines, shown.axes[4].lines, strict=True):
        np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())


def test_the_code_follows_and_goes_away(explorer):
    assert explorer.code.value == ""
    explorer.show_code.value = True
    explorer.set(depth=9)
    assert "iv.mlp(9, 16" in explorer.code.value
    explorer.show_code.value = False
    assert explorer.code.value == ""


def test_a_saved_picture_is_a_png_beside_the_notebook_and_overwrites_none(explorer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    explorer.save.click()
    explorer.save.click()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["initviz-tanh-xavier_normal-4x16-2.png", "initviz-tanh-xavier_normal-4x16.png"]
    assert pixels((tmp_path / names[0]).read_bytes()).shape[:2] == (1128, 2560)
    assert names[0] in explorer.message.value


def test_a_picture_that_cannot_be_saved_says_so(explorer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full"))
    )
    explorer.save.click()
    assert explorer.message.value == "Not saved: disk full" and not list(tmp_path.iterdir())


def test_a_page_without_a_kernel_has_the_picture_and_the_words(explorer):
    bundle = explorer._repr_mimebundle_()
    still = pixels(base64.b64decode(bundle["image/png"]))
    assert still.shape == (564, 1280, 3) and still.std() > 10
    assert bundle["text/plain"] == "Explorer: tanh, Xavier (Glorot) normal, 4 layers of 16, digits, seed 0; stable"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    explorer.set(scale=9)
    assert explorer._repr_mimebundle_()["image/png"] != bundle["image/png"]


def test_no_png_is_painted_while_controls_move(explorer, monkeypatch):
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: 1 / 0)
    explorer.set(scale=2.0, depth=5)
    with pytest.raises(ZeroDivisionError):
        explorer.still()


def test_the_projector_switch_marks_the_app_for_its_style(explorer):
    spare = {name for name, widget in explorer.controls.items() if "initviz-spare" in widget._dom_classes}
    assert spare == {"bias_std", "seed", "normalization", "precision", "data", "skip", "forward", "backward"}
    assert "initviz-app" in explorer._dom_classes and "initviz-projector" not in explorer._dom_classes
    explorer.projector.value = True
    assert "initviz-projector" in explorer._dom_classes
    explorer.projector.value = False
    assert "initviz-projector" not in explorer._dom_classes


# Keywords ------------------------------------------------------------------------------------------------------------------


def test_every_control_is_a_keyword():
    explorer = iv.explore(**MOVES, forward="weight", backward="weight_gradient", batch=32)
    assert explorer.settings == Settings(**MOVES, batch=32)
    assert explorer.controls["forward"].value == "weight" and explorer.controls["backward"].value == "weight_gradient"


def test_a_preset_is_a_keyword_and_others_come_after_it():
    explorer = iv.explore(preset="zeros", width=16)
    assert explorer.settings == Settings(**(iv.widgets.PRESETS["zeros"].changes | {"width": 16}))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"depht": 3}, ValueError, "settings: 'depht' is unknown; did you mean 'depth'"),
        ({"depth": 0}, ValueError, "depth: got 0"),
        ({"depth": 201}, ValueError, "depth: got 201; the control takes 1 to 200"),
        ({"width": 4}, ValueError, "width: got 4; the control takes 8 to 1024"),
        ({"scale": 1e-3}, ValueError, "scale: got 0.001; the control takes 0.01 to 100"),
        ({"scale": math.inf}, ValueError, "scale: got inf"),
        ({"activation": "rely"}, ValueError, "activation: 'rely' is unknown; did you mean 'relu'"),
        ({"preset": "zero"}, ValueError, "preset: 'zero' is unknown; did you mean 'zeros'"),
        ({"forward": "weights"}, ValueError, "forward: 'weights' is unknown; did you mean 'weight'"),
        ({"backward": "weight"}, ValueError, "backward: 'weight' is unknown; did you mean 'weight_gradient'"),
        ({"batch": 2000}, ValueError, "size: got 2000; digits has 1437"),
    ],
)
def test_a_wrong_keyword_is_named(settings, error, words):
    with pytest.raises(error, match=words):
        iv.explore(**settings)


def test_a_width_between_the_steps_gets_a_place_on_the_slider():
    assert iv.explore(width=100, depth=2).measurement.settings.width == 100


# Nothing half changed, nothing left ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"depth": 9, "widht": 8}, "settings: 'widht' is unknown; did you mean 'width'"),
        ({"depth": 9, "width": 7}, "width: 7 is not a value of this control"),
        ({"width": 32, "depth": 500}, "depth: got 500; the control takes 1 to 200"),
        ({"width": 32, "scale": 1e6}, r"scale: got 1000000.0; the control takes 0.01 to 100"),
        ({"width": 32, "scale": math.nan}, "scale: "),
        ({"depth": 9, "activation": "rel"}, "activation: 'rel' is not a value of this control"),
        ({"depth": 9, "skip": "yes"}, "skip: 'yes' is not a value of this control"),
    ],
)
def test_a_wrong_value_moves_no_control(explorer, values, words):
    before = explorer.settings, explorer.picture.value, explorer.words.value
    with pytest.raises(ValueError, match=words):
        explorer.set(**values)
    assert (explorer.settings, explorer.picture.value, explorer.words.value) == before
    explorer.set(depth=5)  # and it goes on working
    assert explorer.measurement.settings.depth == 5


def test_an_error_while_measuring_moves_no_control_either():
    explorer = iv.explore(depth=3, width=16, data="mnist1d", batch=1500)
    before = explorer.settings, explorer.picture.value
    with pytest.raises(ValueError, match="size: got 1500; digits has 1437"):
        explorer.set(data="digits", depth=4)
    assert (explorer.settings, explorer.picture.value) == before
    assert explorer.measurement.settings == explorer.settings


def test_in_a_notebook_an_error_is_said_on_the_page_until_the_next_good_update():
    explorer = iv.explore(depth=3, width=16, data="mnist1d", batch=1500)
    picture = explorer.picture.value

    async def main():
        explorer.controls["data"].value = "digits"
        await explorer._latest._task
        assert "size: got 1500" in explorer.alarm.value and 'role="alert"' in explorer.alarm.value
        assert explorer.picture.value == picture
        explorer.controls["data"].value = "gaussian"
        await explorer._latest._task
        assert explorer.alarm.value == "" and explorer.measurement.settings.data == "gaussian"

    asyncio.run(main())


def test_once_the_seed_was_moved_the_next_one_is_drawn_while_the_kernel_is_idle(explorer, monkeypatch):
    drawn = []
    monkeypatch.setattr(_measure, "_cache", NetworkCache())
    noise = _draw_cache.unit_noise
    monkeypatch.setattr(_draw_cache, "unit_noise", lambda *key: (drawn.append(key[2]), noise(*key))[1])

    async def move(**values):
        for name, value in values.items():
            explorer.controls[name].value = value
        await explorer._latest._task

    asyncio.run(move(scale=1.5))
    assert drawn == [0] * 5  # a seed that no one has moved is not drawn ahead
    asyncio.run(move(seed=7))
    assert drawn[5:] == [7] * 5 + [8] * 5
    explorer.set(seed=8)
    assert len(drawn) == 15
    report = explorer.measurement.report
    asyncio.run(move(seed=7))
    assert drawn[15:] == [6] * 5  # the other way
    asyncio.run(move(seed=0))
    assert drawn[20:] == []
    monkeypatch.setattr(_measure, "_cache", NetworkCache())
    assert_same(report, measure(**SMALL, scale=1.5, seed=8, quantities=("activation",)).report)


def test_what_takes_more_than_half_of_the_room_is_not_drawn_ahead(monkeypatch):
    size = 4 * (64 * 16 + 3 * 16 * 16 + 16 * 10)  # bytes of the weights
    for room, steps in ((2 * size, 5), (2 * size - 4, 0)):
        monkeypatch.setattr(_measure, "_cache", NetworkCache(room / 1e6))
        measure(**SMALL)
        assert len([*draw_ahead(Settings(**SMALL, seed=1))]) == steps
    assert not [*draw_ahead(Settings(**SMALL, scheme="orthogonal"))]


def test_while_a_slider_is_dragged_only_the_newest_value_is_measured(explorer, monkeypatch):
    seen = []
    refresh = explorer.refresh
    monkeypatch.setattr(explorer, "refresh", lambda: (seen.append(explorer.controls["depth"].value), refresh()))

    async def drag():
        for depth in range(5, 35):
            explorer.controls["depth"].value = depth
        await explorer._latest._task

    asyncio.run(drag())
    assert seen == [34] and explorer.measurement.settings.depth == 34


def test_a_hundred_updates_leave_no_figure_hook_thread_or_artist_behind(explorer):
    import torch

    def state():
        gc.collect()
        return (
            threading.active_count(),
            sum(issubclass(type(o), matplotlib.figure.Figure) for o in gc.get_objects()),
            sum(issubclass(type(o), torch.nn.Linear) for o in gc.get_objects()),
        )

    counts = []
    for number in range(100):
        explorer.set(scale=1 + 0.01 * number, depth=4 + number % 2)
        if number in (9, 99):
            counts.append(state())
    assert counts[0] == counts[1]
    assert not pyplot.get_fignums()
    layers = [o for o in gc.get_objects() if issubclass(type(o), torch.nn.Linear)]
    assert not any(layer._forward_hooks or layer._backward_hooks for layer in layers)


@pytest.mark.parametrize(
    "state",
    [
        {"activation": "selu", "scheme": "he_normal", "scale": 100, "depth": 200},
        {"activation": "silu", "scheme": "constant", "scale": 5, "bias_std": 3, "depth": 60},
        {"activation": "relu", "scheme": "pytorch_default", "scale": 100, "bias_std": 3, "depth": 60, "precision": "float16"},
        {"activation": "softplus", "scheme": "small_normal", "scale": 0.01, "depth": 200, "skip": True},
    ],
)  # fmt: skip
def test_the_ends_of_the_sliders_give_a_picture_and_no_warning(explorer, state):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explorer.set(**state)
    assert pixels(explorer.picture.png()).std() > 10
    assert explorer.measurement.verdict.kind.upper() in explorer.words.value


def test_updates_leave_the_random_state_alone(explorer):
    import torch

    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(1)
    np.random.seed(1)
    explorer.set(depth=5, scheme="orthogonal", data="mnist1d")
    assert (torch.rand(1), np.random.rand()) == expected


# The frame -----------------------------------------------------------------------------------------------------------------


def test_a_frame_asks_its_subclass_for_a_picture_and_words():
    with pytest.raises(NotImplementedError):
        Frame().refresh()
    with pytest.raises(NotImplementedError):
        Frame().summary()
