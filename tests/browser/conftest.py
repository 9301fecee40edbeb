"""A headless Chromium a file, and one server a session. Without Chromium the browser tests are skipped here and fail in CI."""

import os
from pathlib import Path

import pytest
from browser.servers import OPTIONS, chromium, end, start
from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser():
    """Chromium, started once a file: while Playwright runs, other tests would find its event loop running."""
    path = chromium()
    if path is None:
        reason = "no Chromium on the path: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser):
    """A fresh page of 1280 x 800 pixels, whose JavaScript errors fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(60_000)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors


@pytest.fixture
def offline(page):
    """A page that reaches files only; `offline.asked` is what it asked for in vain."""
    page.asked = []

    def refuse(route):
        page.asked.append(route.request.url)
        route.abort()

    page.route(lambda url: not url.startswith(("file:", "data:", "blob:")), refuse)
    return page


@pytest.fixture(scope="session")
def screenshots():
    """The folder that keeps them; git ignores it."""
    folder = HERE / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def serve(tmp_path_factory):
    """serve(command, folder) -> its address: starts `python -m COMMAND` there on a free port, ends it after the session."""
    started = []

    def serve(command: list[str], folder: Path) -> str:
        try:
            server, address = start(command, folder, tmp_path_factory.mktemp("jupyter"))
        except RuntimeError as error:
            pytest.fail(str(error))
        started.append(server)
        return address

    yield serve
    for server in started:
        end(server)
