"""The flow picture: what is drawn equals the report's numbers, whatever they are, and nothing is left behind."""

import gc
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

import initviz as iv
from initviz._core.statistics import TensorStats
from initviz.inspection import QUANTITIES, LayerStats, Report
from initviz.plots import FlowFigure, power
from initviz.plots._blit import paint
from initviz.plots._panels import ROWS, _masses, layer_limits
from initviz.plots._png import encode
from initviz.plots._scale import ALIKE, Scale, layer_limit, log_limits, number, symmetric_scale

SMALL = {"depth": 6, "width": 32, "batch": 64}


def stats(values) -> TensorStats:
    from initviz._core.statistics import tensor_stats

    return tensor_stats(values)


@pytest.fixture(scope="module")
def tanh():
    return iv.measure(**SMALL)


@pytest.fixture(scope="module")
def exploding():
    return iv.measure(**SMALL, activation="relu", scheme="he_normal", scale=20)


def drawn(m, **options) -> FlowFigure:
    figure = FlowFigure()
    figure.update(m.report, m.prediction, m.verdict, **options)
    figure.draw()
    return figure


def log10(values):
    return np.log10(np.where(np.asarray(values) > 0, values, np.nan))


# The spread panel ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forward", ["activation", "preactivation", "weight"])
@pytest.mark.parametrize("backward", ["preactivation_gradient", "activation_gradient", "weight_gradient"])
def test_the_points_are_the_rms_of_the_chosen_quantities(tanh, forward, backward):
    spread = drawn(tanh, forward=forward, backward=backward).spread
    for points, quantity in zip(spread.points, (forward, backward)):
        x, y = points.get_data()
        np.testing.assert_array_equal(x, np.arange(1, len(tanh.report.layers) + 1))
        np.testing.assert_allclose(y, log10(tanh.report.values(quantity, "rms")))


def test_the_line_and_the_band_are_the_theorys(tanh):
    spread = drawn(tanh).spread
    for line, band, quantity in zip(spread.lines, spread.bands, ("activation", "preactivation_gradient")):
        theory = getattr(tanh.prediction, quantity)
        np.testing.assert_allclose(line.get_ydata(), log10(theory.mid))
        known = np.isfinite(theory.mid)
        low, high = spread.still[2:4]
        corners = band.get_paths()[0].vertices[: 2 * known.sum()]
        bottom, top = corners[: known.sum(), 1], corners[known.sum() :, 1][::-1]
        np.testing.assert_allclose(bottom, np.clip(log10(theory.low[known]), low - 1, high + 1))
        np.testing.assert_allclose(top, np.clip(log10(theory.high[known]), low - 1, high + 1))


def test_the_theory_is_drawn_over_the_points(tanh):
    spread = drawn(tanh).spread
    assert all(points.get_markerfacecolor() == "white" for points in spread.points)
    artists = spread.artists
    assert min(map(artists.index, spread.lines)) > max(map(artists.index, spread.points))


def test_without_a_theory_there_is_no_line(tanh):
    figure = FlowFigure()
    figure.update(tanh.report)
    assert not any(line.get_xdata() for line in figure.spread.lines)
    assert not any(band.get_paths() for band in figure.spread.bands)


def test_every_point_lies_within_the_axes_and_the_axes_within_the_figure(exploding):
    figure = drawn(exploding)
    spread = figure.spread
    size = spread.points[0].get_markersize() / 72 * figure.figure.dpi / 2
    for points in spread.points:
        x, y = points.get_data()
        seen = np.isfinite(y)
        places = spread.ax.transData.transform(np.column_stack([x, y])[seen])
        box = spread.ax.bbox
        assert (places[:, 0] > box.x0 + size).all() and (places[:, 0] < box.x1 - size).all()
        assert (places[:, 1] >= box.y0).all() and (places[:, 1] <= box.y1).all()
    assert spread.ax.bbox.x1 < figure.figure.bbox.x1 - 10


def test_no_measured_point_is_clipped_away_and_theory_goes_a_little_further():
    """float32 ends at 1e-45 and the theory goes on to 1e-120: it may leave the picture. In float64 the points go there too."""
    for precision, lowest in (("float32", -60), ("float64", -115)):
        m = iv.measure(depth=200, width=8, batch=8, activation="sigmoid", precision=precision, quantities=[])
        gradient = m.report.values("preactivation_gradient", "rms")
        low, _ = drawn(m).spread.ax.get_ylim()
        assert low < math.log10(gradient[gradient > 0].min())
        assert -140 < low < lowest


def test_layers_of_zeros_and_of_nan_are_marked_each_in_a_lane_of_its_own():
    zeros = iv.measure(**SMALL, activation="relu", scheme="zeros")
    spread = drawn(zeros).spread
    for marks, quantity in zip(spread.zeros, ("activation", "preactivation_gradient")):
        share = zeros.report.values(quantity, "zeros")
        np.testing.assert_array_equal(marks.get_xdata(), 1 + np.flatnonzero(share == 1))
    assert len(set(np.concatenate([marks.get_ydata() for marks in spread.zeros]))) == 2
    assert not any(len(marks.get_xdata()) for marks in spread.infinite)
    words = " ".join(text.get_text() for text in spread.ax.texts)
    assert "▼ exactly 0" in words and "NaN" not in words

    broken = iv.measure(**SMALL, activation="relu", scheme="he_normal", scale=60, precision="float16")
    spread = drawn(broken).spread
    for marks, quantity in zip(spread.infinite, ("activation", "preactivation_gradient")):
        shares = np.nan_to_num(broken.report.values(quantity, "nonfinite"))
        np.testing.assert_array_equal(marks.get_xdata(), 1 + np.flatnonzero(shares > 0))
        assert len(marks.get_xdata())
    assert not any(len(marks.get_xdata()) for marks in spread.zeros)  # half zeros, half NaN is no layer of zeros
    assert "▲ NaN or inf" in " ".join(text.get_text() for text in spread.ax.texts)


def test_the_lanes_are_clear_of_the_points():
    m = iv.measure(**SMALL, activation="relu", scheme="he_normal", scale=60, precision="float16")
    spread = drawn(m).spread
    finite = np.concatenate([points.get_ydata() for points in spread.points])
    top = spread.ax.transLimits.transform([(1, finite[np.isfinite(finite)].max())])[0, 1]
    lowest = min(marks.get_ydata().min() for marks in spread.infinite if len(marks.get_ydata()))
    assert top < lowest


# The density panels and the strips -----------------------------------------------------------------------------------------


def shade_of(panel, layer: int) -> np.ndarray:
    """Darkness of a column, shape (ROWS,), 0 where nothing is drawn."""
    rgb = np.asarray(panel.image.get_array())[:, layer - 1, :3].astype(float)
    return 247 * 3 - rgb.sum(axis=1)


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_a_column_is_darkest_where_most_values_lie(tanh, name):
    figure = drawn(tanh)
    panel = getattr(figure, name)
    quantity = {"forward": "activation", "backward": "preactivation_gradient"}[name]
    edges = panel.scale.value(np.linspace(panel.scale.bottom, 1, ROWS + 1))
    for layer, one in enumerate(tanh.report.stats(quantity), start=1):
        shade = shade_of(panel, layer)
        if one is None:
            assert not shade.any()
            continue
        mass = one.mass(edges)
        seen = mass > 0.02 * mass.max()  # below that a colour is hardly one
        order = np.argsort(mass[seen], kind="stable")
        assert (np.diff(shade[seen][order]) >= -1).all()  # darker is more, to the rounding of a colour
        assert shade[mass == 0].max(initial=0) == 0 and mass.sum() == pytest.approx(1, abs=1e-9)


def test_masses_of_all_layers_at_once_are_those_of_each(tanh):
    import torch

    layers = [s for s in tanh.report.stats("preactivation_gradient") if s is not None]
    layers += [stats(torch.full((10,), 1e-4)), replace(layers[0], hist=np.zeros(100))]
    edges = np.linspace(-2e-3, 5e-3, 41)
    expected = np.stack([s.mass(edges) for s in layers], axis=1)
    np.testing.assert_allclose(_masses(layers, edges, centred=False), expected, atol=1e-12)


def test_a_symmetric_layer_looks_symmetric_on_a_log_axis():
    """Heavy tails: nearly all of a layer is in the one cell around 0, and 0 is not in its middle."""
    import torch

    z = torch.randn(4000, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
    heavy = stats(torch.cat([z**9, torch.tensor([9e4])]))
    panel = FlowFigure().backward
    panel.update([heavy, stats(z * 1e-3)], "", None)
    assert panel.scale.threshold and heavy.hist.max() > 0.9
    shade = shade_of(panel, 1)
    up, down = shade[ROWS // 2 :], shade[: ROWS // 2][::-1]
    dark = 0.7 * shade.max()
    assert abs((up > dark).sum() - (down > dark).sum()) <= 2


def test_no_value_is_clipped_away(tanh, exploding):
    for m in (tanh, exploding):
        figure = drawn(m)
        for panel, quantity in ((figure.forward, "activation"), (figure.backward, "preactivation_gradient")):
            largest = max(max(-s.min, s.max) for s in m.report.stats(quantity) if s is not None)
            assert panel.scale.limit >= largest
            assert panel.image.get_extent()[2:] == pytest.approx(panel.ax.get_ylim(), abs=1e-12)


@pytest.mark.parametrize("change", [{}, {"activation": "relu", "scheme": "zeros"},
                                    {"activation": "relu", "scale": 60, "precision": "float16"}])  # fmt: skip
def test_the_strips_hold_the_shares_and_the_largest_in_words(change):
    m = iv.measure(**(SMALL | change))
    figure = drawn(m)
    for strip, quantity in ((figure.forward_strip, "activation"), (figure.backward_strip, "preactivation_gradient")):
        for row, name in enumerate(strip._shares):
            shares = m.report.values(quantity, name)
            dark = 3 * 255 - strip.image.get_array()[row, :, :3].astype(float).sum(axis=1)
            blank = 3 * (255 - 247)
            assert ((dark > blank) == (np.nan_to_num(shares) > 0)).all()
            largest = np.nanmax(shares)
            words = strip.notes[row].get_text().replace("\N{THIN SPACE}", " ")
            if largest == 0:
                assert words == "0 %"
            elif largest < 0.01:
                assert words == "< 1 %"
            else:
                assert words.removeprefix("≤ ") == f"{100 * largest:.0f} %"
                assert words.startswith("≤") == (f"{np.nanmin(shares):.0%}" != f"{largest:.0%}")


def test_an_empty_panel_says_why():
    zeros = iv.measure(**SMALL, activation="relu", scheme="zeros")
    assert drawn(zeros).forward.note.get_text() == "all exactly 0"
    broken = iv.measure(**SMALL, activation="relu", scheme="he_normal", scale=60, precision="float16")
    figure = drawn(broken)
    assert not any(s.hist.any() for s in broken.report.stats("preactivation_gradient"))
    assert figure.backward.note.get_text() == "no finite value other than 0"
    assert list(figure.backward.ax.get_yticks()) == []
    part = iv.measure(**SMALL, quantities=[])
    assert drawn(part, forward="weight").forward.note.get_text() == "not measured"


def test_the_three_panels_share_the_layer_axis_which_names_the_output_layer(tanh):
    figure = drawn(tanh)
    assert len({panel.ax.get_xlim() for panel in figure._panels}) == 1
    assert figure.spread.ax.get_xlim() == layer_limits(layer_limit(7))
    assert [text.get_text() for text in figure.spread.ax.get_xticklabels()][-1] == "out"
    headless = replace(tanh.report, layers=tanh.report.layers[:-1])
    figure.update(headless)
    figure.draw()
    assert [text.get_text() for text in figure.spread.ax.get_xticklabels()][-1] == "6"


# Ghost, words, pixels ------------------------------------------------------------------------------------------------------


def test_a_pinned_run_is_a_ghost_with_its_own_numbers(tanh, exploding):
    figure = drawn(exploding, pinned=(tanh.report, "the first"))
    for ghost, quantity in zip(figure.spread.ghosts, ("activation", "preactivation_gradient")):
        np.testing.assert_allclose(ghost.get_ydata(), log10(tanh.report.values(quantity, "rms")))
    for line, share in zip(figure.forward.ghosts, (0.05, 0.95)):
        values = figure.forward.scale.value(np.array(line.get_ydata()))
        for value, one in zip(values, tanh.report.stats("activation")):
            assert one.mass(np.array([one.min - 1, value])).sum() == pytest.approx(share, abs=1e-6)
    assert figure.caption.get_text() == "pinned (dashed: its 5 % and 95 %, right: grey): the first"
    figure.update(
        exploding.report, pinned=(tanh.report, "a label of seventy characters" + "." * 41), title="another" + "." * 63
    )
    assert figure.caption.get_window_extent().x1 < figure.figure.bbox.x1, "cut off"
    words = " ".join(text.get_text() for text in figure.spread.ax.texts)
    assert "grey: pinned" in words
    figure.update(exploding.report)
    assert not any(len(line.get_xdata()) for line in [*figure.spread.ghosts, *figure.forward.ghosts])


def test_a_deeper_ghost_has_room(tanh):
    deep = iv.measure(**(SMALL | {"depth": 20}))
    figure = drawn(tanh, pinned=(deep.report, "deep"))
    assert figure.spread.ax.get_xlim()[1] > 21
    assert figure.forward.image.get_extent()[1] == 7.5


@pytest.mark.parametrize("name", ["healthy_tanh", "vanishing_sigmoid", "zeros", "float16_overflow"])
def test_the_verdict_stands_above_in_words_and_colour_and_they_do_not_touch(name):
    m = iv.measure(**(iv.PRESETS[name].changes | {"width": 64}), quantities=[])
    figure = drawn(m, title="a title")
    assert m.verdict.kind.upper() in figure.headline.get_text()
    assert " ".join(figure.reason.get_text().split()) == f"{m.verdict.why} {m.verdict.remedy}".strip()
    renderer = figure._canvas.get_renderer()
    headline, reason = (text.get_window_extent(renderer) for text in (figure.headline, figure.reason))
    assert 5 < reason.x0 - headline.x1 < 40
    assert reason.x1 < figure.figure.bbox.x1 and reason.y0 > figure.forward.ax.bbox.y1 + 20
    assert figure.caption.get_text() == "a title"


def opened(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert image.mode == "RGB" or np.asarray(image)[..., 3].min() == 255
    return np.asarray(image.convert("RGB"))


def test_a_picture_without_words_is_cut_to_its_panels(tanh):
    figure = FlowFigure()
    figure.update(tanh.report, tanh.prediction)
    bare = opened(figure.png())
    figure.update(tanh.report, tanh.prediction, tanh.verdict, title="title")
    whole = opened(figure.png())
    assert whole.shape == (564, 1280, 3) and bare.shape == (564 - 100 - 28, 1280, 3)
    np.testing.assert_array_equal(bare[:, 400:], whole[100:-28, 400:])


def test_moving_the_picture_gives_the_pixels_of_a_new_one(tanh, exploding):
    """The saved background and the moved artists add up to what a figure drawn once shows."""
    figure = drawn(exploding, pinned=(tanh.report, "a"))
    for m in (tanh, exploding, tanh):
        figure.update(m.report, m.prediction, m.verdict, title=m.settings.label)
        fresh = drawn(m, title=m.settings.label)
        np.testing.assert_array_equal(opened(figure.png()), opened(fresh.png()))


def test_the_figure_for_a_paper_shows_what_the_moved_one_shows(tanh):
    figure = iv.plots.flow(tanh.report, tanh.prediction, tanh.verdict, title="t")
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    paper = np.asarray(Image.open(buffer).convert("RGB")).astype(int)
    moved = opened(drawn(tanh, title="t").png()).astype(int)
    different = (abs(paper - moved).max(axis=2) > 60).mean()
    assert different < 0.01  # grid lines lie below in one and in the background of the other


def test_the_figure_has_a_stable_repr_and_pyplot_does_not_know_it(tanh):
    assert repr(iv.plots.flow(tanh.report)) == "<Figure size 1280x564 with 5 Axes>"
    assert not pyplot.get_fignums()


def test_letters_are_large_enough_for_the_last_row(tanh):
    """At least a 75th of the picture's width: on a screen of 1920 points a text of 25 points."""
    figure = iv.plots.flow(tanh.report, tanh.prediction, tanh.verdict, title="t")
    figure.canvas.draw()
    texts = [t for axes in figure.axes for t in [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]]
    sizes = [t.get_fontsize() for t in [*figure.texts, *texts] if t.get_text()]
    assert min(sizes) / 72 * 100 >= 1280 / 75


def test_a_hundred_updates_leave_nothing_behind(tanh, exploding):
    figure = FlowFigure()
    counts = []
    for number_ in range(100):
        m = (tanh, exploding)[number_ % 2]
        figure.update(m.report, m.prediction, m.verdict, pinned=(tanh.report, "a") if number_ % 3 else None)
        figure.png()
        if number_ in (9, 99):
            gc.collect()
            axes = [child for axes in figure.figure.axes for child in axes.get_children()]
            counts.append((len(axes), len(figure.figure.get_children()), len(figure._store)))
    assert counts[0] == counts[1]
    assert not pyplot.get_fignums()


@pytest.mark.parametrize("change", [{}, {"activation": "relu", "scale": 0.75}, {"activation": "sigmoid"}])
def test_the_anatomy_is_the_picture_with_a_number_on_each_part(change):
    m = iv.measure(**(SMALL | change))
    figure = iv.plots.anatomy(m.report, m.prediction, m.verdict)
    figure.canvas.draw()
    discs = [t for axes in figure.axes for t in axes.texts if t.get_bbox_patch() is not None]
    assert sorted(t.get_text() for t in discs) == list("1234567")
    boxes = [t.get_bbox_patch().get_window_extent() for t in discs]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 < box.x0 and box.x1 < figure.bbox.x1 and box.y1 < figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:i])


# Reports of any kind -------------------------------------------------------------------------------------------------------


def test_a_report_with_odd_layers_is_drawn():
    import torch

    one = stats(torch.full((10,), 3.0))
    nothing = stats(torch.full((10,), math.nan))
    tiny = stats(torch.full((10,), 1e-30) * torch.linspace(-1, 1, 10))
    layers = tuple(
        LayerStats("l", "Linear", (2, 2), 2, 2, activation_name="relu", activation=a, preactivation_gradient=g)
        for a, g in ((one, tiny), (nothing, one), (None, None), (tiny, nothing))
    )
    report = Report(layers, math.nan, 10, "float32", "cpu")
    figure = FlowFigure()
    figure.update(report, None, iv.verdict(report))
    assert opened(figure.png()).std() > 0
    np.testing.assert_array_equal(np.isfinite(figure.spread.points[0].get_ydata()), [True, False, False, True])
    np.testing.assert_array_equal(figure.spread.infinite[1].get_xdata(), [4])


def test_one_layer_and_a_thousand():
    m = iv.measure(depth=1, width=8, batch=8)
    assert opened(drawn(m).png()).std() > 0
    layer = m.report.layers[0]
    figure = FlowFigure()
    figure.update(Report((layer,) * 1000, 1.0, 8, "float32", "cpu"))
    assert opened(figure.png()).std() > 0
    assert len(figure.spread.points[0].get_xdata()) == 1000


def test_an_unknown_quantity_changes_nothing(tanh, exploding):
    figure = drawn(tanh)
    before = figure.png()
    with pytest.raises(ValueError, match="quantity: 'weights' is unknown"):
        figure.update(exploding.report, forward="weights")
    with pytest.raises(ValueError, match="quantity"):
        figure.update(exploding.report, backward="slope")
    assert figure.png() == before
    assert set(QUANTITIES) >= {"weight"}


# Axes and bytes ------------------------------------------------------------------------------------------------------------


def gaussian(rms: float) -> TensorStats:
    hist = np.full(10, 0.1)
    return TensorStats(100, 0.0, rms, rms**2, -3 * rms, 3 * rms, 0.0, 0.0, 0.0, hist)


def test_layers_alike_share_a_linear_axis_and_others_a_logarithmic_one():
    assert symmetric_scale([gaussian(1), gaussian(ALIKE * 0.9)]).threshold == 0
    assert symmetric_scale([gaussian(1), gaussian(ALIKE * 1.1)]).threshold > 0
    assert symmetric_scale([]) == symmetric_scale([None]) == Scale(1.0, 0.0)


@pytest.mark.parametrize("scale", [Scale(5.0, 0.0), Scale(1e4, 1e-9), Scale(1.0, 1e-30, 0)])
def test_a_place_on_the_axis_and_its_value_are_inverse(scale):
    values = np.array([-1.0, -1e-3, 0, 1e-12, 0.5, 1]) * scale.limit
    np.testing.assert_allclose(scale.value(scale.place(values)), values, rtol=1e-9)
    assert scale.place(np.array([scale.limit])) == 1
    places, labels = scale.ticks()
    assert len(places) == len(labels) and min(places) >= scale.bottom and max(places) <= 1 + 1e-12


def test_limits_of_a_log_axis_hold_all_positive_values():
    low, high = log_limits(np.array([1e-23, 0.4, math.nan, 0.0]))
    assert low <= -23 and high >= 0
    assert log_limits(np.array([0.0, math.nan])) == (-2, 0)


@pytest.mark.parametrize(("value", "words"), [(0, "0"), (0.5, "0.5"), (-2, "−2"), (2e-4, "2·10⁻⁴"), (1e20, "10²⁰")])
def test_short_numbers(value, words):
    assert number(value) == words
    assert power(0) == "1" and power(-12) == "10⁻¹²"


@pytest.mark.parametrize("channels", [3, 4])
def test_the_png_holds_the_pixels(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 11, channels), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode(pixels)))), pixels)


@pytest.mark.parametrize("origin", ["lower", "upper"])
@pytest.mark.parametrize("limits", [(0, 5, 0, 3), (-1, 7, -0.5, 4), (1.2, 4.1, 0.4, 2.2)])
def test_painting_gives_the_pixels_that_matplotlib_draws(origin, limits):
    figure = Figure(figsize=(2, 1.5), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    ax = figure.add_axes((0.113, 0.127, 0.711, 0.803))
    ax.set_axis_off()
    cells = np.random.default_rng(1).integers(0, 256, (3, 5, 4), np.uint8)
    cells[..., 3] = 255
    extent = (0, 5, 0, 3) if origin == "lower" else (0, 5, 3, 0)
    image = ax.imshow(cells, aspect="auto", origin=origin, interpolation="nearest", extent=extent)
    low, high = limits[2:] if origin == "lower" else limits[:1:-1]
    ax.set(xlim=limits[:2], ylim=(low, high))
    canvas.draw()
    expected = np.asarray(canvas.buffer_rgba()).copy()
    painted = np.full_like(expected, 255)
    paint(painted, image)
    assert (painted != expected).any(axis=2).mean() < 0.02  # the edges of cells may differ by a pixel


def test_words_are_stamped_as_they_would_be_drawn(tanh, exploding):
    figure = drawn(exploding)
    figure.update(tanh.report)
    for _ in range(2):
        figure.draw()
        stamped = figure._pixels.copy()
        figure._pixels[...] = figure._background
        for artist in figure._artists:
            if isinstance(artist, AxesImage):
                paint(figure._pixels, artist)
            else:
                figure.figure.draw_artist(artist)
        np.testing.assert_array_equal(stamped, figure._pixels)
