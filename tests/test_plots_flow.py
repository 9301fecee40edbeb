"""The flow picture: its description holds the report's numbers, whatever they are, and matplotlib paints what it says."""

import gc
import io
import math
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from matplotlib import pyplot
from pictures import mark, pixels, words
from PIL import Image

import initviz as iv
from initviz._core.statistics import TensorStats, tensor_stats
from initviz.inspection import QUANTITIES, LayerStats, Report
from initviz.plots import draw, flow_figure, packed, png, power
from initviz.plots._figure import Axis, Band, Columns, Figure, Heat, Line
from initviz.plots._layers import LANE, STRIPS, density_panel, layer_axis
from initviz.plots._matplotlib import ROWS, masses
from initviz.plots._scale import ALIKE, layer_limit, log_limits, number, symmetric_axis

SMALL = {"depth": 6, "width": 32, "batch": 64}
BOX = {"left": 90, "right": 20, "top": 30, "bottom": 300}


@pytest.fixture(scope="module")
def tanh():
    return iv.measure(**SMALL)


@pytest.fixture(scope="module")
def exploding():
    return iv.measure(**SMALL, activation="relu", scheme="he_normal", scale=20)


def described(m, **options) -> Figure:
    return flow_figure(m.report, m.prediction, m.verdict, **options)


def spread_of(figure: Figure):
    return figure.panels[-1]


def rms_of(figure: Figure, quantity: str) -> Line:
    return mark(spread_of(figure), Line, f"{QUANTITIES[quantity]}: rms")


# The spread panel ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forward", ["activation", "preactivation", "weight"])
@pytest.mark.parametrize("backward", ["preactivation_gradient", "activation_gradient", "weight_gradient"])
def test_the_points_are_the_rms_of_the_chosen_quantities(tanh, forward, backward):
    figure = described(tanh, forward=forward, backward=backward)
    for quantity in (forward, backward):
        points = rms_of(figure, quantity)
        np.testing.assert_array_equal(points.x, np.arange(1, len(tanh.report.layers) + 1))
        np.testing.assert_array_equal(points.y, tanh.report.values(quantity, "rms"))


def test_the_line_and_the_band_are_the_theorys(tanh):
    spread = spread_of(described(tanh))
    bands = [m for m in spread.marks if isinstance(m, Band)]
    for band, quantity in zip(bands, ("activation", "preactivation_gradient"), strict=True):
        theory = getattr(tanh.prediction, quantity)
        known = np.isfinite(theory.mid) & (theory.mid > 0)
        line = mark(spread, Line, f"{QUANTITIES[quantity]}: theory")
        np.testing.assert_array_equal(line.y[known], theory.mid[known])
        assert np.isnan(line.y[~known]).all()
        np.testing.assert_array_equal(band.high, theory.high[known])
        np.testing.assert_array_equal(band.low, np.maximum(theory.low[known], band.low.min()))


def test_the_theory_is_drawn_over_the_points(tanh):
    spread = spread_of(described(tanh))
    points = [m for m in spread.marks if isinstance(m, Line) and m.name.endswith(": rms")]
    lines = [m for m in spread.marks if isinstance(m, Line) and m.name.endswith(": theory")]
    assert all(one.hollow for one in points)
    places = list(map(id, spread.marks))
    assert min(places.index(id(m)) for m in lines) > max(places.index(id(m)) for m in points)


def test_without_a_theory_there_is_no_line(tanh):
    spread = spread_of(flow_figure(tanh.report))
    assert not [m for m in spread.marks if isinstance(m, Band) or (isinstance(m, Line) and "theory" in m.name)]
    assert not any("theory" in one for one in words(spread))


def test_every_point_lies_within_the_axes_and_the_axes_within_the_figure(exploding):
    data = described(exploding)
    figure = draw(data)
    ax = figure.axes[-1]
    for quantity in ("activation", "preactivation_gradient"):
        points = rms_of(data, quantity)
        x, y = spread_of(data).x.place(points.x), spread_of(data).y.place(points.y)
        margin = points.size / 2 / ax.bbox.width
        assert (x > margin).all() and (x < 1 - margin).all()
        seen = np.isfinite(y)
        assert (y[seen] >= 0).all() and (y[seen] <= 1).all() and seen.any()
    assert ax.bbox.x1 < figure.bbox.x1 - 10


def test_no_measured_point_is_clipped_away_and_theory_goes_a_little_further():
    """float32 ends at 1e-45 and the theory goes on to 1e-120: it may leave the picture. In float64 the points go there too."""
    for precision, lowest in (("float32", -60), ("float64", -115)):
        m = iv.measure(depth=200, width=8, batch=8, activation="sigmoid", precision=precision, quantities=[])
        gradient = m.report.values("preactivation_gradient", "rms")
        low = spread_of(described(m)).y.low
        assert low < math.log10(gradient[gradient > 0].min())
        assert -140 < low < lowest


def lanes(spread, marker: str) -> list[Line]:
    return [m for m in spread.marks if isinstance(m, Line) and m.lane and m.marker == marker]


def test_layers_of_zeros_and_of_nan_are_marked_each_in_a_lane_of_its_own():
    zeros = iv.measure(**SMALL, activation="relu", scheme="zeros")
    spread = spread_of(described(zeros))
    below = lanes(spread, "v")
    for line, quantity in zip(below, ("activation", "preactivation_gradient"), strict=True):
        share = zeros.report.values(quantity, "zeros")
        np.testing.assert_array_equal(line.x, 1 + np.flatnonzero(share == 1))
    assert len(set(np.concatenate([line.y for line in below]))) == 2
    assert not lanes(spread, "^")
    assert "▼ exactly 0" in words(spread) and not any("NaN" in one for one in words(spread))

    broken = iv.measure(**SMALL, activation="relu", scheme="he_normal", scale=60, precision="float16")
    spread = spread_of(described(broken))
    for line, quantity in zip(lanes(spread, "^"), ("activation", "preactivation_gradient"), strict=True):
        shares = np.nan_to_num(broken.report.values(quantity, "nonfinite"))
        np.testing.assert_array_equal(line.x, 1 + np.flatnonzero(shares > 0))
    assert not lanes(spread, "v")  # half zeros, half NaN is no layer of zeros
    assert "▲ NaN or inf" in words(spread)


def test_the_lanes_are_clear_of_the_points():
    m = iv.measure(**SMALL, activation="relu", scheme="he_normal", scale=60, precision="float16")
    figure = described(m)
    finite = np.concatenate([rms_of(figure, q).y for q in ("activation", "preactivation_gradient")])
    top = spread_of(figure).y.place(finite[np.isfinite(finite)].max())
    assert top < min(line.y.min() for line in lanes(spread_of(figure), "^")) - LANE / 4


# The density panels and the strips -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1])
def test_a_column_is_the_histogram_of_its_layer_and_its_mass_lies_where_the_values_are(tanh, number):
    quantity = ("activation", "preactivation_gradient")[number]
    panel = described(tanh).blocks[number].panels[0]
    (columns,) = [m for m in panel.marks if isinstance(m, Columns)]
    known = [(n, s) for n, s in enumerate(tanh.report.stats(quantity), start=1) if s is not None]
    assert columns.x.tolist() == [n for n, _ in known]
    edges = panel.y.value(np.linspace(0, 1, ROWS + 1))
    found = masses(columns, edges)
    for column, (_, one) in enumerate(known):
        np.testing.assert_array_equal(columns.cells[column], one.hist)
        np.testing.assert_allclose(found[:, column], one.mass(edges), atol=1e-12)
        assert found[:, column].sum() == pytest.approx(1, abs=1e-9)


def test_a_painted_column_is_darkest_where_most_values_lie(tanh):
    panel = described(tanh).blocks[0].panels[0]
    (columns,) = [m for m in panel.marks if isinstance(m, Columns)]
    image = np.asarray(draw(described(tanh)).axes[0].images[0].get_array()).astype(int)
    shade = 3 * 247 - image.sum(axis=2)
    found = masses(columns, panel.y.value(np.linspace(0, 1, ROWS + 1)))
    for column in range(found.shape[1]):
        mass = found[:, column]
        seen = mass > 0.02 * mass.max()  # below that a colour is hardly one
        order = np.argsort(mass[seen], kind="stable")
        assert (np.diff(shade[seen, column][order]) >= -1).all()  # darker is more, to the rounding of a colour
        assert shade[mass == 0, column].max(initial=0) == 0


def test_masses_of_all_layers_at_once_are_those_of_each(tanh):
    import torch

    layers = [s for s in tanh.report.stats("preactivation_gradient") if s is not None]
    layers += [tensor_stats(torch.full((10,), 1e-4)), replace(layers[0], hist=np.zeros(100))]
    edges = np.linspace(-2e-3, 5e-3, 41)
    expected = np.stack([s.mass(edges) for s in layers], axis=1)
    low, high = (np.array([getattr(s, end) for s in layers]) for end in ("min", "max"))
    columns = Columns(np.arange(len(layers)), low, high, np.stack([s.hist for s in layers]), "blue")
    np.testing.assert_allclose(masses(columns, edges), expected, atol=1e-12)
    beyond = masses(replace(columns, clip=True), np.linspace(-1e-4, 1e-4, 5))
    np.testing.assert_allclose(beyond[:, :-1].sum(axis=0), 1, atol=1e-9)  # what lies beyond is at the ends


def test_a_symmetric_layer_looks_symmetric_on_a_log_axis():
    """Heavy tails: nearly all of a layer is in the one cell around 0, and 0 is not in its middle."""
    import torch

    z = torch.randn(4000, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    heavy = tensor_stats(torch.cat([z**9, torch.tensor([9e4])]))
    panel = density_panel([heavy, tensor_stats(z * 1e-3)], "", "orange", "", **BOX)
    (columns,) = [m for m in panel.marks if isinstance(m, Columns)]
    assert panel.y.scale == "symlog" and columns.split and heavy.hist.max() > 0.9
    found = masses(columns, panel.y.value(np.linspace(0, 1, ROWS + 1)))[:, 0]
    dark = (found / found.max()) ** 0.6 > 0.7
    up, down = dark[ROWS // 2 :], dark[: ROWS // 2][::-1]
    assert abs(up.sum() - down.sum()) <= 2


def test_no_value_is_clipped_away(tanh, exploding):
    for m in (tanh, exploding):
        figure = described(m)
        for place, quantity in enumerate(("activation", "preactivation_gradient")):
            axis = figure.blocks[place].panels[0].y
            known = [s for s in m.report.stats(quantity) if s is not None]
            assert axis.high >= max(s.max for s in known) and axis.low <= min(s.min for s in known)


@pytest.mark.parametrize("change", [{}, {"activation": "relu", "scheme": "zeros"},
                                    {"activation": "relu", "scale": 60, "precision": "float16"}])  # fmt: skip
def test_the_strips_hold_the_shares_and_the_largest_in_words(change):
    m = iv.measure(**(SMALL | change))
    figure = described(m)
    for place, quantity in enumerate(("activation", "preactivation_gradient")):
        strip = figure.blocks[place].panels[1]
        rows = [one for one in strip.marks if isinstance(one, Heat)]
        names = [next(name for name, (label, _) in STRIPS.items() if label == one) for one in strip.y.labels]
        for row, name, note in zip(rows, names, words(strip), strict=False):
            shares = m.report.values(quantity, name)
            np.testing.assert_array_equal(row.values[0], np.nan_to_num(shares))
            assert row.least > 0 and row.percent  # a small share is still seen
            largest = np.nanmax(shares)
            note = note.replace("\N{THIN SPACE}", " ")
            if largest == 0:
                assert note == "0 %"
            elif largest < 0.01:
                assert note == "< 1 %"
            else:
                assert note.removeprefix("≤ ") == f"{100 * largest:.0f} %"
                assert note.startswith("≤") == (f"{np.nanmin(shares):.0%}" != f"{largest:.0%}")


def test_an_empty_panel_says_why():
    zeros = iv.measure(**SMALL, activation="relu", scheme="zeros")
    assert described(zeros).blocks[0].panels[0].note == "all exactly 0"
    broken = iv.measure(**SMALL, activation="relu", scheme="he_normal", scale=60, precision="float16")
    panel = described(broken).blocks[1].panels[0]
    assert not any(s.hist.any() for s in broken.report.stats("preactivation_gradient"))
    assert panel.note == "no finite value other than 0" and not panel.y.ticks
    part = iv.measure(**SMALL, quantities=[])
    assert described(part, forward="weight").blocks[0].panels[0].note == "not measured"


def test_the_three_panels_share_the_layer_axis_which_names_the_output_layer(tanh):
    figure = described(tanh)
    assert len({(panel.x.low, panel.x.high, panel.x.name) for panel in figure.panels}) == 1
    assert spread_of(figure).x == layer_axis(layer_limit(7), 7)
    assert spread_of(figure).x.labels[-1] == "out"
    headless = replace(tanh.report, layers=tanh.report.layers[:-1])
    assert spread_of(flow_figure(headless)).x.labels[-1] == "6"


# Ghost, words, pixels ------------------------------------------------------------------------------------------------------


def test_a_pinned_run_is_a_ghost_with_its_own_numbers(tanh, exploding):
    figure = described(exploding, pinned=(tanh.report, "the first"))
    for quantity in ("activation", "preactivation_gradient"):
        ghost = mark(spread_of(figure), Line, f"{QUANTITIES[quantity]}: pinned rms")
        np.testing.assert_array_equal(ghost.y, tanh.report.values(quantity, "rms"))
    dashed = [m for m in figure.panels[0].marks if isinstance(m, Line)]
    for line, share in zip(dashed, (0.05, 0.95), strict=True):
        known = [one for one in tanh.report.stats("activation") if one is not None]
        for value, one in zip(line.y, known, strict=True):
            assert one.mass(np.array([one.min - 1, value])).sum() == pytest.approx(share, abs=1e-6)
    assert figure.caption == "pinned (dashed: its 5 % and 95 %, right: grey): the first"
    assert "grey: pinned" in words(spread_of(figure))
    long = described(
        exploding, pinned=(tanh.report, "a label of seventy characters" + "." * 41), title="another" + "." * 63
    )
    drawn = draw(long)
    drawn.canvas.draw()
    caption = next(text for text in drawn.texts if "pinned" in text.get_text())
    assert caption.get_window_extent().x1 < drawn.bbox.x1, "cut off"
    assert not [m for m in described(exploding).panels[0].marks if isinstance(m, Line)]


def test_a_deeper_ghost_has_room(tanh):
    deep = iv.measure(**(SMALL | {"depth": 20}))
    figure = described(tanh, pinned=(deep.report, "deep"))
    assert all(panel.x.high > 21 for panel in figure.panels)
    assert next(m for m in figure.panels[0].marks if isinstance(m, Columns)).x[-1] <= 7


@pytest.mark.parametrize("name", ["healthy_tanh", "vanishing_sigmoid", "zeros", "float16_overflow"])
def test_the_verdict_stands_above_in_words_and_colour_and_they_do_not_touch(name):
    m = iv.measure(**(iv.widgets.PRESETS[name].changes | {"width": 64}), quantities=[])
    data = described(m, title="a title")
    assert m.verdict.kind.upper() in data.headline and data.caption == "a title"
    figure = draw(data)
    figure.canvas.draw()
    headline, reason, caption = figure.texts
    assert headline.get_text() == data.headline and caption.get_text() == "a title"
    assert " ".join(reason.get_text().split()) == f"{m.verdict.why} {m.verdict.remedy}".strip()
    headline, reason = (text.get_window_extent() for text in (headline, reason))
    assert 5 < reason.x0 - headline.x1 < 40
    assert reason.x1 < figure.bbox.x1 and reason.y0 > figure.axes[0].bbox.y1 + 20


def test_a_picture_without_words_is_cut_to_its_panels(tanh):
    bare = pixels(png(flow_figure(tanh.report, tanh.prediction)))
    whole = pixels(png(flow_figure(tanh.report, tanh.prediction, tanh.verdict, title="title")))
    assert whole.shape == (564, 1280, 3) and bare.shape == (564 - 100 - 28, 1280, 3)
    different = abs(bare[:, 400:].astype(int) - whole[100:-28, 400:]).max(axis=2) > 60
    assert different.mean() < 0.002


def test_a_figure_is_frozen_and_the_same_report_gives_the_same_picture(tanh):
    figure = described(tanh, title="t")
    with pytest.raises(FrozenInstanceError):
        figure.caption = "another"
    assert png(figure) == png(described(tanh, title="t"))


def test_the_figure_has_a_stable_repr_and_pyplot_does_not_know_it(tanh):
    assert repr(iv.plots.flow(tanh.report)) == "<Figure size 1280x436 with 5 Axes>"
    assert repr(iv.plots.flow(tanh.report, None, tanh.verdict, title="t")) == "<Figure size 1280x564 with 5 Axes>"
    assert not pyplot.get_fignums()


def test_letters_are_large_enough_for_the_last_row(tanh):
    """At least a 75th of the picture's width: on a screen of 1920 points a text of 25 points."""
    figure = iv.plots.flow(tanh.report, tanh.prediction, tanh.verdict, title="t")
    figure.canvas.draw()
    texts = [t for axes in figure.axes for t in [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]]
    sizes = [t.get_fontsize() for t in [*figure.texts, *texts] if t.get_text()]
    assert min(sizes) / 72 * 100 >= 1280 / 75


def test_a_hundred_figures_leave_nothing_behind(tanh, exploding):
    import matplotlib.figure

    for number_ in range(100):
        m = (tanh, exploding)[number_ % 2]
        figure = described(m, pinned=(tanh.report, "a") if number_ % 3 else None)
        if number_ % 25 == 0:
            png(figure)
    gc.collect()
    assert not [one for one in gc.get_objects() if isinstance(one, matplotlib.figure.Figure)]
    assert not pyplot.get_fignums()


@pytest.mark.parametrize("change", [{}, {"activation": "relu", "scale": 0.75}, {"activation": "sigmoid"}])
def test_the_anatomy_is_the_picture_with_a_number_on_each_part(change):
    m = iv.measure(**(SMALL | change))
    figure = iv.plots.anatomy(m.report, m.prediction, m.verdict)
    figure.canvas.draw()
    discs = [t for axes in figure.axes for t in axes.texts if t.get_text() in set("❶❷❸❹❺❻❼")]
    assert sorted(t.get_text() for t in discs) == list("❶❷❸❹❺❻❼")
    boxes = [t.get_window_extent() for t in discs]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 < box.x0 and box.x1 < figure.bbox.x1 and box.y1 < figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_a_page_gets_few_bytes_of_it():
    m = iv.measure(depth=30)
    size = len(packed(flow_figure(m.report, m.prediction)))
    assert size <= 12_500  # some 12,000: its numbers are written with more or fewer digits


# Reports of any kind -------------------------------------------------------------------------------------------------------


def test_a_report_with_odd_layers_is_drawn():
    import torch

    one = tensor_stats(torch.full((10,), 3.0))
    nothing = tensor_stats(torch.full((10,), math.nan))
    tiny = tensor_stats(torch.full((10,), 1e-30) * torch.linspace(-1, 1, 10))
    layers = tuple(
        LayerStats("l", "Linear", (2, 2), 2, 2, activation_name="relu", activation=a, preactivation_gradient=g)
        for a, g in ((one, tiny), (nothing, one), (None, None), (tiny, nothing))
    )
    report = Report(layers, math.nan, 10, "float32", "cpu")
    figure = flow_figure(report, None, iv.verdict(report))
    assert pixels(png(figure)).std() > 0
    np.testing.assert_array_equal(np.isfinite(rms_of(figure, "activation").y), [True, False, False, True])
    assert [line.x.tolist() for line in lanes(spread_of(figure), "^") if line.role == "orange"] == [[4]]


def test_one_layer_and_a_thousand():
    m = iv.measure(depth=1, width=8, batch=8)
    assert pixels(png(described(m))).std() > 0
    layer = m.report.layers[0]
    figure = flow_figure(Report((layer,) * 1000, 1.0, 8, "float32", "cpu"))
    assert pixels(png(figure)).std() > 0
    assert len(rms_of(figure, "activation").x) == 1000


def test_an_unknown_quantity_is_named(tanh):
    with pytest.raises(ValueError, match="quantity: 'weights' is unknown"):
        described(tanh, forward="weights")
    with pytest.raises(ValueError, match="quantity"):
        described(tanh, backward="slope")


def test_what_is_no_report_and_what_is_no_verdict(tanh):
    with pytest.raises(TypeError, match=r"^report: got str; it takes what initviz.probe returns"):
        iv.plots.flow("tanh")
    with pytest.raises(TypeError, match=r"^verdict: got str"):
        iv.plots.flow(tanh.report, None, "stable")


# Axes ----------------------------------------------------------------------------------------------------------------------


def gaussian(rms: float) -> TensorStats:
    hist = np.full(10, 0.1)
    return TensorStats(100, 0.0, rms, rms**2, -3 * rms, 3 * rms, 0.0, 0.0, 0.0, hist)


def test_layers_alike_share_a_linear_axis_and_others_a_logarithmic_one():
    assert symmetric_axis([gaussian(1), gaussian(ALIKE * 0.9)]).scale == "linear"
    assert symmetric_axis([gaussian(1), gaussian(ALIKE * 1.1)]).scale == "symlog"
    assert symmetric_axis([]) == symmetric_axis([None])


@pytest.mark.parametrize("axis", [Axis(-5.0, 5.0), Axis(-1e4, 1e4, "symlog", 1e-9), Axis(0.0, 1.0, "symlog", 1e-30)])
def test_a_place_on_the_axis_and_its_value_are_inverse(axis):
    values = np.array([-1.0, -1e-3, 0, 1e-12, 0.5, 1]) * axis.high
    np.testing.assert_allclose(axis.value(axis.place(values)), values, rtol=1e-9, atol=1e-15 * axis.high)
    assert axis.place(axis.high) == 1 and axis.place(axis.low) == 0


def test_a_log_axis_has_its_ends_in_powers_of_ten_and_no_place_for_zero():
    axis = Axis(-320, 2, "log", ticks=(-300.0, 0.0))
    np.testing.assert_allclose(axis.place([100, 1]), [1, 320 / 322])
    assert np.isnan(axis.place([0.0, -1.0])).all()
    np.testing.assert_allclose(axis.tick_places(), [20 / 322, 320 / 322])
    assert axis.value(1.0) == pytest.approx(100)


@pytest.mark.parametrize("rms", [(1.0, 2.0), (1e-9, 1e4), (1e-30, 1.0)])
def test_ticks_lie_on_the_axis(rms):
    axis = symmetric_axis([gaussian(one) for one in rms])
    assert len(axis.ticks) == len(axis.labels) >= 3
    assert axis.tick_places().min() >= 0 and axis.tick_places().max() <= 1 + 1e-12


def test_limits_of_a_log_axis_hold_all_positive_values():
    low, high = log_limits(np.array([1e-23, 0.4, math.nan, 0.0]))
    assert low <= -23 and high >= 0
    assert log_limits(np.array([0.0, math.nan])) == (-2, 0)


@pytest.mark.parametrize(("value", "written"), [(0, "0"), (0.5, "0.5"), (-2, "−2"), (2e-4, "2·10⁻⁴"), (1e20, "10²⁰")])
def test_short_numbers(value, written):
    assert number(value) == written
    assert power(0) == "1" and power(-12) == "10⁻¹²"


def test_the_png_is_opaque(tanh):
    image = Image.open(io.BytesIO(png(described(tanh))))
    assert image.mode == "RGB" or np.asarray(image)[..., 3].min() == 255
