"""What the browser tests do on a page: find an app, move its controls by keyboard, read its picture."""

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from playwright.sync_api import Locator, Page

from initviz.inspection import QUANTITIES, Report

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURE = "canvas.initviz-picture"
APP = "xpath=ancestor::div[contains(@class, 'jupyter-widgets') and contains(@class, 'widget-vbox')][last()]"
"""From a picture to the whole app."""
HANDLE = ".noUi-handle"
ERRORS = '[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'
SECONDS = 30
"""How long a picture may take to follow."""

TOLD = ".initviz-told"
"""What is read under the pointer or the cursor."""

_COUNT = "canvas => { canvas.seen = +canvas.dataset.figures; }"


def key(image: Locator) -> str:
    """A picture's fingerprint: of the pixels on its canvas."""
    pixels = image.evaluate("canvas => canvas.dataset.paints ? canvas.toDataURL() : ''")
    return hashlib.sha256(pixels.encode()).hexdigest()


def changed(page: Page, image: Locator, before: str, seconds: float = SECONDS) -> bool:
    """Whether the picture is another than `before` within so many seconds."""
    return _within(page, seconds, lambda: key(image) != before)


def becomes(page: Page, image: Locator, after: str, seconds: float = SECONDS) -> bool:
    """Whether the picture is `after` within so many seconds."""
    return _within(page, seconds, lambda: key(image) == after)


def _within(page: Page, seconds: float, true: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        page.wait_for_timeout(100)
    return True


def settled(page: Page, image: Locator, quiet: float = 3) -> str:
    """The fingerprint of the picture once it has stood still for `quiet` seconds."""
    last, since = key(image), time.monotonic()
    while time.monotonic() - since < quiet:
        page.wait_for_timeout(100)
        if (now := key(image)) != last:
            last, since = now, time.monotonic()
    return last


def count_pictures(image: Locator) -> None:
    """From now on the pictures that `image` shows are counted."""
    image.evaluate(_COUNT)


def pictures_shown(image: Locator) -> int:
    """How many there were since."""
    return image.evaluate("canvas => canvas.dataset.figures - canvas.seen")


def burst(page: Page, image: Locator, strokes: list[str], again: Callable[[], None]) -> int:
    """Press keys as quickly as they go; how many pictures came after the last. `again` is what comes before each of at most three
    tries: once with few pictures is enough, since another program on the machine can hold the page up.
    """
    shown = 99
    for _ in range(3):
        again()
        settled(page, image, quiet=1)
        for stroke in strokes:
            page.keyboard.press(stroke)
        count_pictures(image)
        settled(page, image, quiet=1.5)
        shown = min(shown, pictures_shown(image))
        if shown <= 2:
            break
    return shown


def three(value: float) -> str:
    """A number with three digits, as the page writes it."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return np.format_float_positional(float(f"{value:.3g}"), trim="-").replace("-", "−")
    digits, power = f"{value:.2e}".split("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{float(digits):g}·10{raised}"


def pointed(page: Page, image: Locator, across: float, down: float) -> str:
    """What is told with the pointer at these shares of the picture's width and height."""
    box = image.bounding_box()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
    told = page.locator(TOLD)  # of all apps on the page: only the one under the pointer tells anything
    assert _within(page, SECONDS, lambda: any(told.all_text_contents()))
    return "".join(told.all_text_contents())


def check_values(told: str, report: Report) -> None:
    """What is told of a layer by the explorer's picture is what its record has."""
    place = re.match(r"layer (\d+|out);", told)
    assert place, told
    layer = len(report.reached) if place[1] == "out" else int(place[1])
    for quantity in ("activation", "preactivation_gradient"):
        stats = report.stats(quantity)[layer - 1]
        part = next(one for one in told.split("; ") if one.startswith(QUANTITIES[quantity] + ":"))
        assert f"rms {three(stats.rms)}" in part and f"zeros {100 * stats.zeros:.3g} %" in part


def slider(page: Page, label: str) -> Locator:
    """The slider with this label."""
    return page.locator(".widget-slider", has=page.locator(".widget-label", has_text=label)).first
