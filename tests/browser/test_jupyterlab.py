"""The main job, as a user does it: JupyterLab opens the first notebook, runs it, and the explorer follows its sliders."""

import shutil

import pytest
from browser.pages import (
    APP,
    ERRORS,
    HANDLE,
    PICTURE,
    ROOT,
    becomes,
    burst,
    changed,
    check_values,
    count_pictures,
    key,
    pictures_shown,
    pointed,
    settled,
    slider,
)
from browser.servers import LAB, RUN_ALL

import initviz as iv

NAME = "00_start_here.ipynb"
EXPLORER = ".jp-OutputArea-output:has(.initviz-verdict)"
"""The app of the notebook that has a verdict: before it stands one of one layer."""


@pytest.fixture(scope="module")
def lab(serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(ROOT / "notebooks" / NAME, folder)
    return serve(LAB, folder)


@pytest.fixture
def explorer(page, lab):
    """The explorer's picture in the notebook, all cells run."""
    page.goto(f"{lab}/lab/tree/{NAME}?reset")
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()
    page.evaluate(RUN_ALL)
    image = page.locator(EXPLORER).locator(PICTURE)
    image.wait_for()
    image.scroll_into_view_if_needed()
    return image


def test_sliders_move_the_picture_and_the_verdict(page, explorer, screenshots):
    verdict = page.locator(".initviz-verdict").first
    depth, scale = slider(page, "Depth"), slider(page, "Scale")
    for width, height in ((1280, 800), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        depth.scroll_into_view_if_needed()
        page.screenshot(path=screenshots / f"explorer-{width}.png")
        assert scale.locator(".noUi-target").bounding_box()["width"] > 60, "too short to drag"

    picture, words, readout = key(explorer), verdict.inner_text(), depth.locator(".widget-readout").inner_text()
    depth.locator(HANDLE).focus()
    page.keyboard.press("ArrowRight")
    assert changed(page, explorer, picture)
    assert int(depth.locator(".widget-readout").inner_text()) == int(readout) + 1
    page.wait_for_function("words => document.querySelector('.initviz-verdict').innerText != words", arg=words)

    assert verdict.locator("b").inner_text() == "STABLE"
    scale.locator(HANDLE).focus()
    page.keyboard.press("End")  # the largest scale
    page.wait_for_function("() => document.querySelector('.initviz-verdict b').innerText != 'STABLE'")
    settled(page, explorer)
    page.screenshot(path=screenshots / "explorer-scaled.png")

    page.locator(".widget-dropdown", has_text="Preset").locator("select").select_option(label="ReLU under Xavier")
    page.wait_for_function("() => document.querySelector('.initviz-verdict b').innerText == 'VANISHING'")
    page.set_viewport_size({"width": 1600, "height": 1000})
    settled(page, explorer)
    page.mouse.move(0, 0)
    explorer.locator(APP).screenshot(path=screenshots / "readme.png")
    assert page.locator(ERRORS).count() == 0


def test_a_fast_slider_skips_to_its_newest_value(page, explorer):
    depth = slider(page, "Depth")
    handle, readout = depth.locator(HANDLE), depth.locator(".widget-readout")
    handle.scroll_into_view_if_needed()
    before = settled(page, explorer)
    box, track = handle.bounding_box(), depth.locator(".noUi-target").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(track["x"] + 0.9 * track["width"], box["y"] + box["height"] / 2, steps=40)
    page.mouse.up()
    assert changed(page, explorer, before)
    settled(page, explorer)
    deep = int(readout.inner_text())
    assert deep > 150

    count_pictures(explorer)
    handle.focus()
    for _ in range(60):
        page.keyboard.press("ArrowLeft")
    settled(page, explorer)
    assert int(readout.inner_text()) == deep - 60
    assert 0 < pictures_shown(explorer) < 30, "most of the 60 values were skipped"

    assert burst(page, explorer, ["ArrowRight"] * 40, lambda: page.keyboard.press("Home")) <= 2
    last = key(explorer)
    assert int(readout.inner_text()) == 41
    check_values(pointed(page, explorer, 0.87, 0.35), iv.measure(depth=41).report)
    page.mouse.move(0, 0)
    assert becomes(page, explorer, last)

    page.keyboard.press("ArrowRight")  # the picture is the last value's: away from it and back gives the same one
    assert changed(page, explorer, last)
    page.keyboard.press("ArrowLeft")
    assert becomes(page, explorer, last)
    assert page.locator(ERRORS).count() == 0
