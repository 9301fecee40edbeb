"""What the browser tests do on a page: find an app, move its controls by keyboard, read its picture."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURE = "img.widget-image"
APP = "xpath=ancestor::div[contains(@class, 'jupyter-widgets') and contains(@class, 'widget-vbox')][last()]"
"""From a picture to the whole app."""
HANDLE = ".noUi-handle"
ERRORS = '[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'
SECONDS = 30
"""How long a picture may take to follow."""

_BYTES = """async image => {
    const bytes = await (await fetch(image.src)).arrayBuffer();
    return Array.from(new Uint8Array(bytes));
}"""
_COUNT = """image => {
    image.seen = new Set([image.src]);
    new MutationObserver(() => image.seen.add(image.src)).observe(image, {attributes: true, attributeFilter: ['src']});
}"""


def png(image: Locator) -> bytes:
    """The bytes of the picture on screen."""
    return bytes(image.evaluate(_BYTES))


def key(image: Locator) -> str:
    """A picture's fingerprint."""
    return hashlib.sha256(png(image)).hexdigest()


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
    """From now on `image` notes every picture that it shows."""
    image.evaluate(_COUNT)


def pictures_shown(image: Locator) -> int:
    """How many it noted, beyond the first."""
    return image.evaluate("image => image.seen.size - 1")


def slider(page: Page, label: str) -> Locator:
    """The slider with this label."""
    return page.locator(".widget-slider", has=page.locator(".widget-label", has_text=label)).first
