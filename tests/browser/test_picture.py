"""The picture in a page of its own, opened from a file: what is painted, read and told, without a kernel and without a network."""

import json

import numpy as np
import pytest
from browser.pages import PICTURE, TOLD, burst, check_values, key, pointed, three
from pictures import marks

import initviz as iv
from initviz.inspection import QUANTITIES
from initviz.plots import flow_figure, packed
from initviz.plots._figure import Axis, Columns
from initviz.plots._matplotlib import ROWS, masses
from initviz.widgets._picture import HERE, script

PAGE = """<!doctype html><meta charset="utf-8"><style>{style}
body {{ margin: 0; {more} }}</style><div id="here"></div><script type="module">
{script}
const bytes = Uint8Array.from(atob("{data}"), letter => letter.charCodeAt(0)), readers = [];
window.model = {{value: new DataView(bytes.buffer, 3), get: () => model.value, on: (_, read) => readers.push(read), off: () => {{}}}};
window.api = {{unpack, layout, paint, placer, valueAt, tickPlace, masses, told, readers}};
window.leave = mount(document.getElementById('here'), model);
</script>"""


@pytest.fixture(scope="module")
def run():
    return iv.measure(depth=12, width=32, batch=64, activation="relu", scheme="xavier_normal")


def open_figure(page, figure, tmp_path, more=""):
    """Show a figure in a page; its bytes begin at an odd place, as a kernel's may."""
    import base64

    data = base64.b64encode(b"odd" + packed(figure)).decode()
    style = (HERE / "widget.css").read_text()
    path = tmp_path / "picture.html"
    path.write_text(PAGE.format(style=style, more=more, script=script("paint.js", "widget.js"), data=data))
    page.goto(path.as_uri())
    page.locator(f"{PICTURE}[data-paints]").wait_for()
    return page.locator(PICTURE)


# The painter ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [Axis(-5.0, 5.0), Axis(9.5, 0.5), Axis(-7, 2, "log"), Axis(-1e4, 1e4, "symlog", 1e-9)])
def test_a_page_places_values_as_python_does(page, run, tmp_path, axis):
    open_figure(page, flow_figure(run.report), tmp_path)
    words = {"low": axis.low, "high": axis.high, "scale": axis.scale, "threshold": axis.threshold}
    values = np.concatenate([np.linspace(-4, 4, 9), [1e-6, 3e-3, 99.0]])
    places = page.evaluate("([axis, values]) => values.map(api.placer(axis))", [words, values.tolist()])
    np.testing.assert_allclose(
        np.array([np.nan if p is None else p for p in places], float), axis.place(values), atol=1e-12
    )
    shares = [0.0, 0.2, 0.5, 1.0]
    back = page.evaluate("([axis, shares]) => shares.map(share => api.valueAt(axis, share))", [words, shares])
    np.testing.assert_allclose(back, axis.value(shares), rtol=1e-9, atol=1e-12)


def test_a_page_bins_histograms_as_python_does(page, run, tmp_path):
    figure = flow_figure(run.report)
    open_figure(page, figure, tmp_path)
    for number in (0, 2):
        (columns,) = marks(figure.panels[number], Columns)
        edges = figure.panels[number].y.value(np.linspace(0, 1, ROWS + 1))
        expected = masses(columns, edges)
        found = page.evaluate(
            """([number, edges]) => {
                const panel = api.unpack(model.value).blocks.flatMap(block => block.panels)[number];
                const mark = panel.marks.find(mark => mark.kind === 'Columns');
                return Array.from(mark.x, (_, column) => Array.from(api.masses(mark, column, edges)));
            }""",
            [number, edges.tolist()],
        )  # fmt: skip
        np.testing.assert_allclose(np.array(found).T, expected, atol=0.03 * expected.max())
        assert (abs(np.array(found).sum(axis=1) - 1) < 1e-9).all()


def test_what_arrives_is_what_was_sent(page, run, tmp_path):
    open_figure(page, flow_figure(run.report, run.prediction), tmp_path)
    lines = page.evaluate(
        """() => api.unpack(model.value).blocks.flatMap(block => block.panels).flatMap(panel => panel.marks)
            .filter(mark => mark.kind === 'Line' && mark.name).map(mark => [mark.name, Array.from(mark.x), Array.from(mark.y)])"""
    )
    sent = {name: (x, y) for name, x, y in lines}
    for quantity in ("activation", "preactivation_gradient"):
        x, y = sent[f"{QUANTITIES[quantity]}: rms"]
        values = run.report.values(quantity, "rms")
        np.testing.assert_array_equal(x, np.arange(1, len(values) + 1))
        np.testing.assert_allclose([np.nan if v is None else v for v in np.array(y, dtype=object)], values, rtol=2e-6)


OVERLAPS = """width => {
    const canvas = new OffscreenCanvas(width, 10), context = canvas.getContext('2d'), boxes = [];
    const write = context.fillText.bind(context);
    context.fillText = (words, x, y) => {
        const size = context.measureText(words), matrix = context.getTransform(), scale = Math.hypot(matrix.a, matrix.b);
        if (Math.abs(matrix.b) < 1e-9) boxes.push({
            words, size: parseFloat(context.font.replace('bold ', '')) * scale,
            left: matrix.a * (x - size.actualBoundingBoxLeft) + matrix.e, right: matrix.a * (x + size.actualBoundingBoxRight) + matrix.e,
            top: matrix.d * (y - size.actualBoundingBoxAscent) + matrix.f,
            bottom: matrix.d * (y + size.actualBoundingBoxDescent) + matrix.f,
        });
        write(words, x, y);
    };
    const figure = api.unpack(model.value), plan = api.layout(context, figure, width);
    api.paint(context, figure, plan);
    const found = [];
    boxes.forEach((a, i) => boxes.slice(0, i).forEach(b => {
        if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) found.push([a.words, b.words]);
    }));
    const outside = boxes.filter(box => box.left < -1 || box.right > width + 1 || box.bottom > plan.height + 1);
    return {overlaps: found, outside: outside.map(box => box.words), least: Math.min(...boxes.map(box => box.size)), high: plan.height};
}"""
"""Paints at a width and says which words touch or leave the picture, and how high the smallest letters are."""


def apps():
    small = {"depth": 12, "width": 32}
    return {
        "explore": lambda: iv.explore(**small, batch=64),
        "overflow": lambda: iv.explore(preset="float16_overflow", width=32),
        "race": lambda: iv.explore_race(step=20),
        "symmetry": lambda: iv.explore_symmetry(noise=1e-2, steps=100, depth=2),
        "scale": lambda: iv.explore_scale(depth=4),
        "fans": iv.explore_fans,
        "attention": lambda: iv.explore_attention(seeds=1, norm="pre"),
        "layer": iv.explore_layer,
        "rates": iv.explore_rates,
        "relu": lambda: iv.explore_relu(width=32),
        "lsuv": lambda: iv.explore_lsuv(step=3),
        "transfer": iv.explore_transfer,
        "comparison": iv.explore_comparison,
    }


@pytest.mark.parametrize("name", apps())
def test_words_keep_apart_and_grow_with_the_width(page, tmp_path, screenshots, name):
    figure = apps()[name]().picture.figure
    canvas = open_figure(page, figure, tmp_path)
    for width, least in ((390, 8), (1280, 14), (1920, 22)):
        seen = page.evaluate(OVERLAPS, width)
        assert not seen["overlaps"], (width, seen["overlaps"])
        assert not seen["outside"], (width, seen["outside"])
        assert seen["least"] >= least, width
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 800})
            page.evaluate("scheme => { document.documentElement.style.colorScheme = scheme; }", scheme)
            page.wait_for_function(
                "dark => document.querySelector('canvas').dataset.dark === dark", arg=str(scheme == "dark").lower()
            )
            canvas.screenshot(path=screenshots / f"picture-{name}-{width}-{scheme}.png")


def still_pictures():
    """Those that no app shows, from records of little cost."""
    from initviz.experiments import Growth
    from initviz.training import TransferResult

    draw = np.random.default_rng(0)
    x = np.arange(1, 13)
    lines = {
        name: 10.0 ** (rate * x + 0.1 * draw.normal(size=(3, 12))) for name, rate in (("falls", -0.5), ("rises", 0.3))
    }
    grown = {name: Growth(values, values[:, ::-1]) for name, values in lines.items()}
    shares = {task: {way: draw.uniform(size=5) for way in ("He", "Xavier", "LSUV")} for task in ("tanh", "ReLU")}
    stray = iv.experiments.finite_width("relu", width=16, ratios=[0.5, 1], draws=20)
    trace = iv.experiments.train_symmetric([1e-3, 1e-2], seeds=2, steps=60)
    blocks = iv.experiments.stream_growth(
        lambda seed: iv.residual(6, 16, "tanh", seed=seed), iv.digits().batch(32)[0], seeds=2
    )
    run = iv.measure(depth=6, width=32, batch=64)
    accuracy = np.linspace(0.1, 0.9, 2 * 3 * 4).reshape(2, 1, 3, 4)
    study = TransferResult("Own", "digits", ("random", "frozen"), (5,), (0, 1, 2), np.array([0, 10, 20, 25]), accuracy)
    values = [draw.uniform(size=(2, 8)) * (draw.uniform(size=(2, 8)) > 0.2) for _ in range(3)]
    plots = iv.plots
    return {
        "anatomy": plots.anatomy_figure(run.report, run.prediction, run.verdict),
        "curves": plots.curves_figure(x, lines, predicted={"falls": lines["falls"][0]}, title="height", xlabel="layer", log_y=True),
        "filters": plots.filters_figure({"one": draw.normal(size=(8, 64)), "another": draw.normal(size=(6, 64))}),
        "finite_width": plots.finite_width_figure({"ReLU": stray}),
        "groups": plots.groups_figure(shares, title="Test accuracy", percent=True, chance=0.1),
        "growth": plots.growth_figure(grown, {"falls": (0.5, 0.5)}, np.full(12, 100)),
        "overlay": plots.overlay_figure({"tanh": run.report, "again": run.report}),
        "parting": plots.parting_figure({"tanh": trace}),
        "signals": plots.signals_figure({"one": draw.normal(size=(6, 40)), "another": draw.normal(size=(6, 40))}),
        "singular_values": plots.singular_values_figure([1, 4, 16], {"linear": {"Gaussian": values}, "ReLU": {"Gaussian": values}}),
        "streams": plots.streams_figure({"Unscaled": blocks, "the same": blocks}),
        "transfer_curves": plots.transfer_curves_figure(study, 5),
        "weight_shapes": plots.weight_shapes_figure(iv.experiments.weight_shapes(iv.models.pretrained("curves-cnn"))),
    }  # fmt: skip


def test_the_pictures_without_an_app_are_painted_too(page, tmp_path, screenshots):
    for name, figure in still_pictures().items():
        canvas = open_figure(page, figure, tmp_path)
        for width in (390, 1280):
            seen = page.evaluate(OVERLAPS, width)
            assert not seen["overlaps"], (name, width, seen["overlaps"])
            assert not seen["outside"], (name, width, seen["outside"])
            page.set_viewport_size({"width": width, "height": 800})
            page.wait_for_timeout(100)
            canvas.screenshot(path=screenshots / f"picture-{name}-{width}.png")


# Values --------------------------------------------------------------------------------------------------------------------


def test_the_value_under_the_pointer_is_the_records(page, run, tmp_path):
    canvas = open_figure(page, flow_figure(run.report, run.prediction), tmp_path)
    box = canvas.bounding_box()
    for layer in (1, 5, 12):
        place = page.evaluate(
            """layer => {
                const plan = api.layout(document.querySelector('canvas').getContext('2d'), api.unpack(model.value), innerWidth);
                const box = plan.panels.at(-1);
                return [plan.scale * (box.x + box.w * api.placer(box.panel.x)(layer)), plan.scale * (box.y + box.h / 2)];
            }""",
            layer,
        )  # fmt: skip
        page.mouse.move(box["x"] + place[0] + 2, box["y"] + place[1])
        page.wait_for_function(f"() => document.querySelector('{TOLD}').textContent.startsWith('layer {layer};')")
        told = page.locator(TOLD).text_content()
        for quantity in ("activation", "preactivation_gradient"):
            stats = run.report.stats(quantity)[layer - 1]
            part = next(one for one in told.split("; ") if one.startswith(QUANTITIES[quantity] + ":"))
            theory = getattr(run.prediction, quantity).mid[layer - 1]
            assert f"rms {three(stats.rms)}" in part and f"theory {three(theory)}" in part
            assert f"zeros {100 * stats.zeros:.3g} %" in part
    page.mouse.move(1, 790)
    page.wait_for_function(f"() => document.querySelector('{TOLD}').textContent === ''")


def test_arrow_keys_move_a_cursor_that_is_read_aloud(page, run, tmp_path):
    canvas = open_figure(page, flow_figure(run.report, run.prediction), tmp_path)
    before = key(canvas)
    page.keyboard.press("Tab")
    assert canvas.evaluate("canvas => canvas === document.activeElement")
    told = page.locator(TOLD)
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => document.querySelector('{TOLD}').textContent.startsWith('layer 1;')")
    assert told.get_attribute("aria-live") == "polite" and key(canvas) != before
    for strokes, words in (("ArrowRight ArrowRight", "layer 3;"), ("End", "layer out;"), ("ArrowLeft", "layer 12;")):
        for stroke in strokes.split():
            page.keyboard.press(stroke)
        page.wait_for_function(
            "([told, words]) => document.querySelector(told).textContent.startsWith(words)", arg=[TOLD, words]
        )
    rms = run.report.values("activation", "rms")[11]
    assert f"rms {three(rms)}" in told.text_content()
    page.keyboard.press("Escape")
    page.wait_for_function(f"() => document.querySelector('{TOLD}').textContent === ''")
    assert key(canvas) == before


def test_the_box_of_values_stays_inside_the_picture(page, run, tmp_path):
    canvas = open_figure(page, flow_figure(run.report, run.prediction), tmp_path)
    page.set_viewport_size({"width": 390, "height": 844})
    canvas.focus()
    for stroke in ("ArrowRight", "End"):
        page.keyboard.press(stroke)
        page.wait_for_timeout(100)
        rows = page.evaluate(
            """() => {
                const canvas = document.querySelector('canvas'), context = canvas.getContext('2d');
                const edge = [...context.getImageData(canvas.width - 1, 0, 1, canvas.height).data];
                return edge.filter((value, i) => i % 4 === 0 && value < 128).length;
            }"""
        )
        assert rows == 0, "something dark is at the right edge"


# The page around it --------------------------------------------------------------------------------------------------------


def test_dark_pages_get_dark_pictures_and_white_ones_do_not(browser, run, tmp_path):
    figure = flow_figure(run.report)
    context = browser.new_context(color_scheme="dark")  # the system's preference
    page = context.new_page()
    corner = "() => [...document.querySelector('canvas').getContext('2d').getImageData(0, 0, 1, 1).data].slice(0, 3)"
    open_figure(page, figure, tmp_path)
    assert page.evaluate(corner) == [255, 255, 255], "a page without a word about it is white"
    open_figure(page, figure, tmp_path, more="} :root { color-scheme: light dark;")
    assert max(page.evaluate(corner)) < 40
    page.evaluate("() => { document.body.dataset.jpThemeLight = 'true'; }")  # what JupyterLab says comes first
    page.wait_for_function("() => document.querySelector('canvas').dataset.dark === 'false'")
    page.evaluate("() => { document.body.dataset.jpThemeLight = 'false'; }")
    page.wait_for_function("() => document.querySelector('canvas').dataset.dark === 'true'")
    context.close()


def test_it_is_sharp_at_any_pixel_ratio(browser, run, tmp_path):
    for ratio in (1, 1.5, 2):
        context = browser.new_context(device_scale_factor=ratio, viewport={"width": 1000, "height": 700})
        page = context.new_page()
        canvas = open_figure(page, flow_figure(run.report), tmp_path)
        assert canvas.evaluate("canvas => canvas.width") == 1000 * ratio
        context.close()


def test_new_numbers_are_painted_once_a_frame_and_a_closed_picture_listens_no_more(page, run, tmp_path):
    canvas = open_figure(page, flow_figure(run.report), tmp_path)
    paints = page.evaluate(
        """async () => {
            const canvas = document.querySelector('canvas'), before = +canvas.dataset.paints;
            for (let i = 0; i < 40; i++) api.readers.forEach(read => read());
            await new Promise(done => setTimeout(done, 300));
            return canvas.dataset.paints - before;
        }"""
    )
    assert paints == 1
    page.evaluate("() => leave()")
    assert page.locator(PICTURE).count() == 0 and canvas.count() == 0


# Recorded measurements -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "recorded.html"
    return iv.record(
        iv.explore, path, depth=range(3, 24), scale=[0.5, 1.0, 2.0], activation=["tanh", "relu"], width=16, progress=False
    )  # fmt: skip


@pytest.mark.parametrize("width", [390, 1920])
def test_the_sliders_of_a_recording_step_through_what_was_measured(page, recorded, screenshots, width):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_viewport_size({"width": width, "height": 1080})
    page.goto(recorded.as_uri())
    root = page.locator(".initviz-recording[data-state]")
    root.wait_for()
    canvas, said = page.locator(PICTURE), page.locator(".initviz-said")
    depth, scale = page.locator("[name=depth]"), page.locator("[name=scale]")
    before = key(canvas)
    scale.focus()
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelector('[name=scale]').value === '2'")
    page.locator("[name=activation]").select_option(label="ReLU")
    depth.focus()
    page.keyboard.press("Home")
    for _ in range(19):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.initviz-recording').dataset.state === '119'")
    m = iv.measure(depth=22, width=16, scale=2.0, activation="relu")
    assert said.inner_text().split() == [m.verdict.kind.upper(), *m.verdict.why.split(), *m.verdict.remedy.split()]
    page.wait_for_timeout(100)
    assert key(canvas) != before
    box = depth.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 9, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2, steps=20)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('.initviz-recording').dataset.state === '5'")
    page.screenshot(path=screenshots / f"recorded-{width}.png", full_page=True)
    assert asked == [recorded.as_uri()]
    assert page.locator("output").first.inner_text() == "3"


def test_the_values_of_a_recording_are_the_records(page, recorded):
    page.goto(recorded.as_uri())
    page.locator(".initviz-recording[data-state]").wait_for()
    canvas = page.locator(PICTURE)
    canvas.focus()
    for stroke in ("ArrowRight", "ArrowRight"):
        page.keyboard.press(stroke)
    page.wait_for_function(f"() => document.querySelector('{TOLD}').textContent.startsWith('layer 2;')")
    m = iv.measure(depth=3, width=16, scale=1.0, activation="tanh")
    told = page.locator(TOLD).text_content()
    settings = json.loads(page.locator('.initviz-recording script[type="application/json"]').text_content())["settings"]
    assert [one["values"][one["at"]] for one in settings] == ["3", "1", "tanh"]
    assert f"rms {three(m.report.values('activation', 'rms')[1])}" in told


def test_a_burst_of_keys_in_a_recording_ends_on_the_last_value(page, recorded):
    page.goto(recorded.as_uri())
    page.locator(".initviz-recording[data-state]").wait_for()
    canvas, depth = page.locator(PICTURE), page.locator("[name=depth]")
    depth.focus()
    strokes = ["ArrowRight"] * 20 + ["ArrowLeft"] * 15 + ["ArrowRight"] * 5
    assert burst(page, canvas, strokes, lambda: page.keyboard.press("Home")) <= 2
    assert page.locator("output").first.inner_text() == "13"
    check_values(pointed(page, canvas, 0.87, 0.35), iv.measure(depth=13, width=16, scale=1.0, activation="tanh").report)
