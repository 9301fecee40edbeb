"""Every notebook as slides: none overflows a screen, letters are read from the last row, and the file needs no network."""

import base64
import io
import re

import matplotlib.figure
import nbformat
import pytest
from browser.pages import ROOT, burst, key, pointed, three

import initviz as iv
from initviz.tools._slides import deck

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SCREENS = ((1920, 1080), (1280, 720))
WIDTH, HEIGHT = SCREENS[0]
BODY, LEAST = 36, 24
"""Pixels of words, and of the smallest letters (a wide printed table), on the first of these screens."""
SLIDES = """() => {
    const visible = node => node.nodeType === 3 && node.data.trim() && node.parentElement.checkVisibility()
        && !node.parentElement.closest('mjx-container, aside.notes, script, style');
    const size = element => parseFloat(getComputedStyle(element).fontSize) * Reveal.getScale();
    return Reveal.getSlides().map(slide => {
        const {h, v} = Reveal.getIndices(slide);
        Reveal.slide(h, v, 99);
        const walker = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT), words = [];
        while (walker.nextNode()) if (visible(walker.currentNode)) words.push(walker.currentNode);
        const sizes = words.map(node => [size(node.parentElement), node.data.trim().slice(0, 40)]);
        const prose = words.filter(node => node.parentElement.closest('p, .initviz-block > :is(ul, ol)'));
        return {
            heading: slide.querySelector('h1, h2, h3')?.innerText.trim() ?? '', words: slide.innerText,
            more: slide.querySelectorAll('.initviz-block').length,
            notes: [...slide.querySelectorAll('aside.notes')].map(one => one.textContent).join(' '),
            smallest: sizes.sort((a, b) => a[0] - b[0])[0], prose: Math.min(...prose.map(node => size(node.parentElement))),
        };
    });
}"""
OVERFLOWS = """async ([width, height]) => {
    const found = [];
    for (const slide of Reveal.getSlides()) {
        const {h, v} = Reveal.getIndices(slide);
        Reveal.slide(h, v, 99);
        Reveal.layout();
        const all = [...slide.querySelectorAll('*')].filter(e => !e.closest('mjx-assistive-mml, aside.notes'));
        const answers = [...slide.querySelectorAll('details')];
        let bottom = 0, right = 0, shown = [];
        for (const answer of [...answers, null]) {  // each of them open, and in the end none
            answers.forEach(one => { one.open = one === answer; });
            shown = all.filter(e => e.checkVisibility());
            const boxes = shown.map(e => e.getBoundingClientRect()).filter(box => box.width && box.height);
            bottom = Math.max(bottom, ...boxes.map(box => box.bottom));
            right = Math.max(right, ...boxes.map(box => box.right));
        }
        const lines = shown.filter(e => e.matches('pre')).filter(pre => {
            const text = document.createRange();
            text.selectNodeContents(pre);
            const frame = pre.closest('.jp-InputArea-editor, .jp-OutputArea-output') || pre.parentElement;
            return text.getBoundingClientRect().right > frame.getBoundingClientRect().right + 1;
        });
        const title = `slide ${h}.${v} (${slide.innerText.trim().split('\\n')[0].slice(0, 50)})`;
        const number = document.querySelector('.slide-number').getBoundingClientRect();
        if (bottom > height + 1) found.push(`${title} is ${Math.round(bottom - height)} of ${height} pixels too high`);
        else if (bottom > number.top + 4) found.push(`${title} stands on its number`);
        if (right > width + 1 && !lines.length) found.push(`${title} is ${Math.round(right - width)} of ${width} pixels too wide`);
        for (const pre of lines) {
            const longest = pre.textContent.split('\\n').sort((a, b) => b.length - a.length)[0];
            found.push(`${title} cuts off a line of ${longest.length} characters: ${longest.trim()}`);
        }
    }
    return found;
}"""


@pytest.fixture
def screen(offline):
    """A page as wide as a projector, without a network."""
    offline.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    return offline


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
    for size in reversed(SCREENS):
        screen.set_viewport_size(dict(zip(("width", "height"), size)))
        overflows = screen.evaluate(OVERFLOWS, size)
        assert not overflows, "\n".join(overflows)
    assert screen.locator(".reveal img").count() == pictures, "each figure, and each app as its stored picture"
    assert (screen.locator("mjx-container").count() > 0) == formulas
    assert screen.asked == []

    for slide in screen.evaluate(SLIDES):
        assert slide["heading"] and slide["more"], slide
        assert slide["smallest"][0] >= LEAST and (slide["prose"] or BODY) >= BODY, slide
        assert "not answered yet" not in slide["words"] and not re.search(r"^\s*assert ", slide["words"], re.M), slide
        assert re.search(r"Minute [\d.]+ to", slide["notes"]), slide


def test_an_overflow_is_seen(screen, tmp_path):
    slide = {"slideshow": {"slide_type": "slide"}}
    cells = [
        nbformat.v4.new_markdown_cell("# Short\n\nSome $x^2$", metadata=slide),
        nbformat.v4.new_markdown_cell("# High", metadata=slide),
    ]
    show(screen, tmp_path / "deck.html", nbformat.v4.new_notebook(cells=cells))
    assert not screen.evaluate(OVERFLOWS, [WIDTH, HEIGHT])
    screen.evaluate("() => Reveal.getSlides()[1].insertAdjacentHTML('beforeend', '<p>paragraph</p>'.repeat(60))")
    (high,) = screen.evaluate(OVERFLOWS, [WIDTH, HEIGHT])
    assert "slide 1.0 (High) is" in high and "too high" in high


def test_what_does_not_fit_goes_on_under_its_heading(screen, tmp_path):
    """Paragraphs, a list and printed lines: each word is on one slide, in order; a long row of figures gets smaller letters."""
    slide = {"slideshow": {"slide_type": "slide"}}
    numbers = [f"number {number}" for number in range(60)]
    source = "# Much\n\n" + "\n\n".join(numbers[:20]) + "\n\n" + "\n".join(f"- {one}" for one in numbers[20:40])
    cells = [nbformat.v4.new_markdown_cell(source, metadata=slide), nbformat.v4.new_code_cell("show()", metadata=slide)]
    cells[1].outputs = [nbformat.v4.new_output("stream", text="\n".join([*numbers[40:], "0.125  " * 16]))]
    show(screen, tmp_path / "deck.html", nbformat.v4.new_notebook(cells=cells))
    slides = screen.evaluate(SLIDES)
    assert len(slides) > 3 and {one["heading"] for one in slides} == {"Much"}
    assert re.findall(r"number \d+", "\n".join(one["words"] for one in slides)) == numbers
    assert LEAST <= min(one["smallest"][0] for one in slides) < BODY <= slides[0]["smallest"][0]
    assert not screen.evaluate(OVERFLOWS, [WIDTH, HEIGHT])


def test_a_printed_sentence_is_broken_and_keeps_its_letters(screen, tmp_path):
    slide = {"slideshow": {"slide_type": "slide"}}
    cells = [nbformat.v4.new_markdown_cell("# Said\n\nwords", metadata=slide), nbformat.v4.new_code_cell("say()")]
    sentence = "a long sentence that is printed " * 5
    cells[1].outputs = [nbformat.v4.new_output("stream", text=f"{sentence}\nwidth   64   0.1\n")]
    show(screen, tmp_path / "deck.html", nbformat.v4.new_notebook(cells=cells))
    (only,) = screen.evaluate(SLIDES)
    assert only["smallest"][0] >= BODY and not screen.evaluate(OVERFLOWS, [WIDTH, HEIGHT])


def test_printed_lines_that_go_on_take_words_along(screen, tmp_path):
    slide = {"slideshow": {"slide_type": "slide"}}
    items = "\n".join(f"- point {number}" for number in range(14))
    cells = [
        nbformat.v4.new_markdown_cell(f"# Measured\n\n{items}", metadata=slide),
        nbformat.v4.new_code_cell("show()"),
    ]
    cells[1].outputs = [nbformat.v4.new_output("stream", text="\n".join(f"figure {number}" for number in range(8)))]
    show(screen, tmp_path / "deck.html", nbformat.v4.new_notebook(cells=cells))
    first, second = screen.evaluate(SLIDES)
    assert "point 12" in first["words"] and "point 13" not in first["words"]
    assert second["words"].index("point 13") < second["words"].index("figure 0")


def test_a_table_of_many_words_keeps_its_letters(screen, tmp_path):
    row = "| many words that fill a row | " * 2 + "and more of them, until it breaks |\n"
    cells = [
        nbformat.v4.new_markdown_cell(f"# Table\n\n| claim | here | there |\n|---|---|---|\n{row.replace('| |', '|')}")
    ]
    cells[0].metadata["slideshow"] = {"slide_type": "slide"}
    show(screen, tmp_path / "deck.html", nbformat.v4.new_notebook(cells=cells))
    (only,) = screen.evaluate(SLIDES)
    assert only["smallest"][0] >= BODY


def test_a_key_shows_the_code_without_its_asserts(screen, tmp_path):
    slide = {"slideshow": {"slide_type": "slide"}}
    cells = [
        nbformat.v4.new_markdown_cell("# Code\n\nwords", metadata=slide),
        nbformat.v4.new_code_cell("x = 1\nassert x < 2"),
    ]
    cells += [nbformat.v4.new_markdown_cell("# Exercise\n\nDo it.", metadata=slide)]
    cells += [nbformat.v4.new_code_cell('def f():\n    return ...\n\n\niv.check("05.f", f)')]
    cells[-1].outputs = [nbformat.v4.new_output("stream", text="○ 05.f: not answered yet. Fill in the dots.\n")]
    show(screen, tmp_path / "deck.html", nbformat.v4.new_notebook(cells=cells))
    assert "x = 1" not in screen.locator("section.present section.present").inner_text()
    screen.keyboard.press("c")
    assert screen.locator(".initviz-listing").inner_text().strip() == "x = 1"
    screen.keyboard.press("c")
    assert screen.locator(".initviz-listing").count() == 0
    screen.keyboard.press("ArrowRight")
    words = screen.locator("section.present section.present").inner_text()
    assert "return ..." in words and "check" not in words and "not answered" not in words


def test_it_prints_a_page_a_slide(screen, tmp_path):
    slide = {"slideshow": {"slide_type": "slide"}}
    cells = [nbformat.v4.new_markdown_cell(f"# Slide {number}\n\n$x^{number}$", metadata=slide) for number in range(3)]
    cells.append(nbformat.v4.new_markdown_cell("# More\n" + "\n\nparagraph" * 30, metadata=slide))
    show(screen, tmp_path / "deck.html", nbformat.v4.new_notebook(cells=cells))
    slides = screen.evaluate("() => Reveal.getTotalSlides()")
    screen.goto(f"{(tmp_path / 'deck.html').as_uri()}?print-pdf")
    screen.locator("body[data-ready]").wait_for()
    pages = re.findall(rb"/Type\s*/Page\b", screen.pdf(prefer_css_page_size=True))
    assert slides > 4 and len(pages) == slides


def test_a_picture_takes_the_room_that_its_slide_has(screen, tmp_path):
    """As high as it can be: alone up to the slide's width, beside words less, and never so that the slide overflows."""
    buffer = io.BytesIO()
    matplotlib.figure.Figure(figsize=(8, 4)).savefig(buffer, dpi=100)
    png = base64.b64encode(buffer.getvalue()).decode()
    pictures = [nbformat.v4.new_code_cell(source) for source in ("picture", "code\n" * 8)]
    pictures[1].metadata["tags"] = ["show-code"]
    slide = {"slideshow": {"slide_type": "slide"}}
    titles = [nbformat.v4.new_markdown_cell(f"## {words}", metadata=slide) for words in ("Alone", "With its code")]
    for cell in pictures:
        cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": png})]
    cells = [titles[0], pictures[0], titles[1], pictures[1]]
    show(screen, tmp_path / "deck.html", nbformat.v4.new_notebook(cells=cells))
    heights = []
    for number in range(2):
        screen.evaluate("number => Reveal.slide(number)", number)
        heights.append(screen.locator("section.present img").first.bounding_box()["height"])
    assert heights[0] > 0.75 * HEIGHT and 0.4 * HEIGHT < heights[1] < heights[0]
    assert screen.evaluate(OVERFLOWS, [WIDTH, HEIGHT]) == []


def test_an_app_moves_in_a_deck(screen, tmp_path, screenshots):
    """No kernel, no network: its sliders step through what was measured when the deck was made."""
    cell = nbformat.v4.new_code_cell(
        "iv.explore_fans(n_in=64, n_out=1024)", metadata={"slideshow": {"slide_type": "slide"}}
    )
    cells = [nbformat.v4.new_markdown_cell("# First\n\nTry it.", metadata={"slideshow": {"slide_type": "slide"}}), cell]
    (tmp_path / "deck.html").write_text(deck(nbformat.v4.new_notebook(cells=cells), record=True), encoding="utf-8")
    screen.goto((tmp_path / "deck.html").as_uri())
    screen.locator("body[data-ready]").wait_for(timeout=60_000)
    screen.evaluate("() => Reveal.slide(0, 1)")
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
    assert screen.evaluate("() => Reveal.getIndices().v") == 1, "arrow keys stay with the slider"

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
