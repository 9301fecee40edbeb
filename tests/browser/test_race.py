"""The live race in a browser, by keyboard: start, watch it grow, stop, replay. Served by Voila."""

import nbformat
import pytest
from browser.pages import ERRORS, HANDLE, PICTURE, changed, count_pictures, key, pictures_shown, settled, slider
from nbformat.v4 import new_code_cell, new_notebook


@pytest.fixture
def race(page, serve, tmp_path):
    """The race's picture, on its start line."""
    notebook = new_notebook(cells=[new_code_cell("import initviz as iv\niv.explore_race(step=0)")])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, tmp_path / "race.ipynb")
    page.goto(f"{serve(['voila', '.', '--no-browser'], tmp_path)}/voila/render/race.ipynb", timeout=240_000)
    picture = page.locator(PICTURE).first
    picture.wait_for(timeout=120_000)
    settled(page, picture, quiet=1)
    return picture


def press(page, words):
    page.locator(f"button:has-text('{words}')").first.focus()
    page.keyboard.press("Enter")


def test_the_race_runs_stops_and_is_replayed(page, race, screenshots):
    count_pictures(race)
    press(page, "Start")
    page.wait_for_function("() => document.body.innerText.includes('Step 50 of 400')", timeout=120_000)
    assert pictures_shown(race) >= 3, "the picture grows while it trains"
    press(page, "Stop")
    page.wait_for_function("() => document.body.innerText.includes('paused')")
    stopped = settled(page, race, quiet=2)
    page.screenshot(path=screenshots / "race.png", full_page=True)

    slider(page, "Step").locator(HANDLE).focus()
    page.keyboard.press("Home")  # back to the first histograms, while the curves stay
    assert changed(page, race, stopped)
    replayed = settled(page, race, quiet=1)
    assert key(race) == replayed != stopped
    assert page.locator(ERRORS).count() == 0
