"""Every notebook as slides: no slide overflows a screen of 1920 x 1080, and the file needs no network."""

import base64
import io

import matplotlib.figure
import nbformat
import pytest
from browser.pages import ROOT, burst, key, pointed, three

import initviz as iv
from initviz.tools._slides import deck

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
WIDTH, HEIGHT = 1920, 1080
OVERFLOWS = """async ([width, height]) => {
    const found = [];
    for (const slide of Reveal.getSlides()) {
        const {h, v} = Reveal.getIndices(slide);
        Reveal.slide(h, v, 99);
        Reveal.layout();
        const shown = [...slide.querySelectorAll('*')].filter(e => !e.closest('mjx-assistive-mml, aside.notes'));
        const boxes = shown.map(e => e.getBoundingClientRect()).filter(box => box.width && box.height);
        const bottom = Math.max(...boxes.map(box => box.bottom)), right = Math.max(...boxes.map(box => box.right));
        const lines = shown.filter(e => e.matches('pre')).filter(pre => {
            const text = document.createRange();
            text.selectNodeContents(pre);
            const frame = pre.closest('.jp-InputArea-editor, .jp-OutputArea-output') || pre.parentElement;
            return text.getBoundingClientRect().right > frame.getBoundingClientRect().right + 1;
        });
        const title = `slide ${h}.${v} (${slide.innerText.trim().split('\\n')[0].slice(0, 50)})`;
        if (bottom > height + 1) found.push(`${title} is ${Math.round(bottom - height)} of ${height} pixels too high`);
        if (right > width + 1 && !lines.length) found.push(`${title} is ${Math.round(right - width)} of ${width} pixels too wide`);
        for (const pre of lines) {
            const longest = pre.textContent.split('\\n').sort((a, b) => b.length - a.length)[0];
            found.push(`${title} cuts off a line of ${longest.length} characters: ${longest.trim()}`);
        }
    }
    return found;
}"""


@pytest.fixture
def screen(page):
    """A page as wide as a projector, without a network; `screen.asked` is what it asked for in vain."""
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.asked = []

    def refuse(route):
        page.asked.append(route.request.url)
        route.abort()

    page.route(lambda url: not url.startswith(("file:", "data:", "blob:")), refuse)
    return page


def show(screen, path, notebook) -> None:
    path.write_text(deck(notebook), encoding="utf-8")
    screen.goto(path.as_uri())
    screen.locator("body[data-ready]").wait_for(timeout=60_000)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_slide_overflows_and_nothing_is_fetched(screen, screenshots, tmp_path, path):
    notebook = nbformat.read(path, as_version=4)
    shown = [cell for cell in notebook.cells if cell.metadata.slideshow.slide_type not in ("skip", "notes")]
    pictures = sum("image/png" in output.get("data", {}) for cell in shown for output in cell.get("outputs", []))
    formulas = any("$" in cell.source for cell in shown if cell.cell_type == "markdown")
    show(screen, tmp_path / "deck.html", notebook)
    screen.screenshot(path=screenshots / f"{path.stem}-slide.png")
    overflows = screen.evaluate(OVERFLOWS, [WIDTH, HEIGHT])
    assert not overflows, "\n".join(overflows)
    assert screen.locator(".reveal img").count() == pictures, "each figure, and each app as its stored picture"
    assert (screen.locator("mjx-container").count() > 0) == formulas
    assert screen.asked == []


def test_an_overflow_is_seen(screen, tmp_path):
    slide = {"slideshow": {"slide_type": "slide"}}
    cells = [
        nbformat.v4.new_markdown_cell("# Short\n\nSome $x^2$", metadata=slide),
        nbformat.v4.new_markdown_cell("# High\n" + "\n\nparagraph" * 30, metadata=slide),
        nbformat.v4.new_code_cell("long = " + "1 + " * 60 + "1", metadata=slide),
    ]
    show(screen, tmp_path / "deck.html", nbformat.v4.new_notebook(cells=cells))
    high, wide = screen.evaluate(OVERFLOWS, [WIDTH, HEIGHT])
    assert "slide 1.0 (High) is" in high and "too high" in high
    assert "slide 2.0" in wide and "cuts off a line of 248 characters: long = 1 + 1" in wide


def test_a_picture_takes_the_room_that_its_slide_has(screen, tmp_path):
    """As high as it can be: alone up to the slide's width, beside words less, and never so that the slide overflows."""
    buffer = io.BytesIO()
    matplotlib.figure.Figure(figsize=(8, 4)).savefig(buffer, dpi=100)
    png = base64.b64encode(buffer.getvalue()).decode()
    pictures = [nbformat.v4.new_code_cell(source) for source in ("picture", "code\n" * 8)]
    for cell in pictures:
        cell.metadata["slideshow"] = {"slide_type": "slide"}
        cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": png})]
    show(screen, tmp_path / "deck.html", nbformat.v4.new_notebook(cells=pictures))
    heights = []
    for number in range(2):
        screen.evaluate("number => Reveal.slide(number)", number)
        heights.append(screen.locator("section.present img").first.bounding_box()["height"])
    assert heights[0] > 0.75 * HEIGHT and 0.5 * HEIGHT < heights[1] < heights[0]
    assert screen.evaluate(OVERFLOWS, [WIDTH, HEIGHT]) == []


def test_an_app_moves_in_a_deck(screen, tmp_path, screenshots):
    """No kernel, no network: its sliders step through what was measured when the deck was made."""
    cell = nbformat.v4.new_code_cell(
        "iv.explore_fans(n_in=64, n_out=1024)", metadata={"slideshow": {"slide_type": "slide"}}
    )
    cells = [nbformat.v4.new_markdown_cell("# First", metadata={"slideshow": {"slide_type": "slide"}}), cell]
    (tmp_path / "deck.html").write_text(deck(nbformat.v4.new_notebook(cells=cells), record=True), encoding="utf-8")
    screen.goto((tmp_path / "deck.html").as_uri())
    screen.locator("body[data-ready]").wait_for(timeout=60_000)
    screen.evaluate("() => Reveal.slide(1)")
    canvas = screen.locator("section.present canvas")
    screen.locator("section.present .initviz-recording[data-state]").wait_for()
    screen.wait_for_timeout(700)
    assert canvas.evaluate("canvas => canvas.width") == pytest.approx(canvas.bounding_box()["width"], abs=2), "sharp"
    before = key(canvas)
    screen.locator("[name=n_out]").focus()
    for _ in range(3):
        screen.keyboard.press("ArrowLeft")
    screen.wait_for_function(
        "() => document.querySelector('.initviz-said').innerText.includes('64 inputs and 16 outputs')"
    )
    screen.wait_for_timeout(200)
    assert key(canvas) != before
    assert screen.evaluate("() => Reveal.getIndices().h") == 1, "arrow keys stay with the slider"

    told = pointed(screen, canvas, 0.17, 0.5)  # the slide is enlarged, and the pointer with it
    chosen = next(one for one in iv.experiments.layer_factors(64, 16) if one.choice == "xavier")
    middles = (chosen.edges[1:] + chosen.edges[:-1]) / 2
    assert told in [f"weight {three(x)}; density {three(height)}" for x, height in zip(middles, chosen.hist)]
    screen.mouse.move(2, 2)
    screen.locator("[name=n_out]").focus()
    strokes = ["ArrowRight", "ArrowLeft"] * 19 + ["ArrowRight"] * 2
    assert burst(screen, canvas, strokes, lambda: screen.keyboard.press("Home")) <= 2
    assert "64 inputs and 256 outputs" in screen.locator(".initviz-said").inner_text()
    screen.screenshot(path=screenshots / "deck-app.png")
    assert screen.evaluate(OVERFLOWS, [WIDTH, HEIGHT]) == [] and screen.asked == []
    screen.set_viewport_size({"width": 1280, "height": 720})
    screen.wait_for_timeout(700)
    assert canvas.evaluate("canvas => canvas.width") == pytest.approx(canvas.bounding_box()["width"], abs=2), "sharp"
    screen.screenshot(path=screenshots / "deck-app-1280.png")
