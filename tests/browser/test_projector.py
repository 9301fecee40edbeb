"""On a lecture hall's screen of 1920 x 1080, and on a dark page: all of an explorer is there, in words of 20 pixels. Served by Voila."""

import nbformat
import pytest
from browser.pages import ERRORS, HANDLE, PICTURE, burst, changed, check_values, key, pointed, settled, slider
from nbformat.v4 import new_code_cell, new_notebook

import initviz as iv


@pytest.fixture(scope="module")
def voila(serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("projector")
    notebook = new_notebook(cells=[new_code_cell("import initviz as iv\niv.explore(width=64)")])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, folder / "explorer.ipynb")
    return serve(["voila", str(folder), "--no-browser"], folder)


@pytest.fixture
def explorer(page, voila):
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.goto(f"{voila}/voila/render/explorer.ipynb", timeout=240_000)
    picture = page.locator(PICTURE).first
    picture.wait_for(timeout=120_000)
    settled(page, picture, quiet=1)
    return picture


SIZES = """app => [...app.querySelectorAll('.widget-label, .widget-readout, select, input, button, .initviz-verdict')]
    .filter(part => part.checkVisibility() && part.getBoundingClientRect().width > 5 && (part.innerText || part.value))
    .map(part => parseFloat(getComputedStyle(part).fontSize))"""


def test_everything_is_on_the_screen_and_the_switch_keeps_what_a_lecture_needs(page, explorer, screenshots):
    app = page.locator(".initviz-app")
    box = app.bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 1080 and box["x"] + box["width"] <= 1920
    assert min(app.evaluate(SIZES)) >= 20
    page.screenshot(path=screenshots / "projector-off.png")
    precision = page.locator(".widget-dropdown", has_text="Precision")
    assert precision.is_visible()
    page.locator("button", has_text="Projector").focus()
    page.keyboard.press("Enter")
    precision.wait_for(state="hidden")
    page.wait_for_function("() => document.querySelector('.initviz-app').getBoundingClientRect().bottom <= innerHeight")
    assert slider(page, "Depth").is_visible() and slider(page, "Scale").is_visible()
    assert min(app.evaluate(SIZES)) >= 24
    page.screenshot(path=screenshots / "projector-on.png")


def test_a_burst_of_key_presses_ends_on_the_last_value_with_few_pictures(page, explorer):
    depth = slider(page, "Depth")
    depth.locator(HANDLE).focus()
    assert burst(page, explorer, ["ArrowRight"] * 69, lambda: page.keyboard.press("Home")) <= 2
    last = key(explorer)
    assert depth.locator(".widget-readout").inner_text() == "70"
    page.keyboard.press("ArrowLeft")
    assert changed(page, explorer, last)
    page.keyboard.press("ArrowRight")
    assert settled(page, explorer, quiet=2) == last == key(explorer)
    check_values(pointed(page, explorer, 0.87, 0.35), iv.measure(depth=70, width=64).report)
    assert page.locator(ERRORS).count() == 0


def test_a_narrow_page_has_the_panels_under_each_other(page, explorer, screenshots):
    page.set_viewport_size({"width": 390, "height": 844})
    settled(page, explorer, quiet=1)
    box = explorer.bounding_box()
    assert box["width"] <= 390 and box["height"] > 2 * box["width"]
    page.screenshot(path=screenshots / "narrow.png", full_page=True)
