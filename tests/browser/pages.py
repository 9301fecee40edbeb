"""What the browser tests do on a page: find an app, move its controls by keyboard, read its picture."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page

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


def slider(page: Page, label: str) -> Locator:
    """The slider with this label."""
    return page.locator(".widget-slider", has=page.locator(".widget-label", has_text=label)).first
