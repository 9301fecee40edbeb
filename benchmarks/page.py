"""What a new picture costs: describing and packing it in the kernel, its bytes, its frame in the page, and in JupyterLab the time from a
key to the painted picture and the page's memory."""

from __future__ import annotations

import base64
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import initviz as iv
from benchmarks.common import Table, bare, median, network, run_alone, verdict
from initviz.plots import flow_figure, packed
from initviz.widgets._picture import script
from tests.browser.servers import LAB, OPTIONS, RUN_ALL, chromium, end, start

DEPTH, MS, KILOBYTES, FRAME_MS = 30, 2.0, 12.0, 16.0
"""Depth of the explorer at its start, and the aims for a picture: kernel, bytes, script in the page."""
KEY_MS = {30: 80.0, 70: 150.0}
"""Depth -> the aim from a key to the painted picture in JupyterLab."""
MEGABYTES = 50.0
"""How much the page may grow over `UPDATES` updates."""
UPDATES = 500

TIMES = """async data => {
    const states = data.map(text => new DataView(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer));
    const model = {value: states[0], get: () => model.value, on: (_, read) => { model.read = read; }, off: () => {}};
    mount(document.body, model);
    const canvas = document.querySelector('canvas'), scripts = [], frames = [];
    for (let i = 0; i < 60; i++) {
        await new Promise(requestAnimationFrame);
        const start = performance.now();
        model.value = states[i % states.length];
        model.read();
        await new Promise(requestAnimationFrame);
        await new Promise(done => setTimeout(done));  // the frame is painted
        frames.push(performance.now() - start);
        scripts.push(+canvas.dataset.milliseconds);
    }
    return [scripts, frames];
}"""

FOLLOW = """canvas => {
    let pressed = 0;
    window.keys = [];
    document.addEventListener('keydown', () => { pressed = performance.now(); }, true);
    new MutationObserver(() => setTimeout(() => {  // the frame is painted
        keys.push([performance.now() - pressed, +canvas.dataset.milliseconds]);
    })).observe(canvas, {attributes: true, attributeFilter: ['data-figures']});
}"""
"""Notes for every new picture on the canvas the milliseconds since the last key, and those of its script."""


def tables(quick: bool = False) -> list[Table]:
    some = [_alone(quick)]
    if chromium():
        some.append(_in_jupyterlab(quick))
    return some


def _alone(quick: bool) -> Table:
    """A picture in a page of its own."""
    runs = [iv.measure(depth=DEPTH, scale=1 + 0.02 * n) for n in range(4 if quick else 10)]
    kernel, states = [], []
    for number in range(20 if quick else 100):
        run = runs[number % len(runs)]
        began = time.perf_counter()
        data = packed(flow_figure(run.report, run.prediction))
        kernel.append(1000 * (time.perf_counter() - began))
        states.append(base64.b64encode(data).decode())
    size = max(len(base64.b64decode(state)) for state in states) / 1000
    rows = [
        _row("described and packed in the kernel", median(kernel), "ms", MS),
        _row("bytes", size, "kB", KILOBYTES),
    ]
    for width in (1280, 1920) if chromium() else ():
        with _page(width) as page:
            page.set_content("<!doctype html><body></body>")
            page.add_script_tag(content=script("paint.js", "widget.js"))
            scripts, frames = page.evaluate(f"data => ({TIMES})(JSON.parse(data))", json.dumps(states[: len(runs)]))
        rows.append(_row(f"unpacked and painted at {width} px", statistics.median(scripts), "ms", FRAME_MS))
        rows.append(_row(f"new numbers to painted frame at {width} px", statistics.median(frames), "ms"))
    return Table(f"A picture of the explorer (depth {DEPTH})", ("what", "measured", "aim", ""), tuple(rows))


def _in_jupyterlab(quick: bool) -> Table:
    """The explorer in JupyterLab, its scale moved by keys; after each picture one bare pass of the same network here."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        notebook, home = Path(folder) / "notebook", Path(folder) / "home"
        notebook.mkdir()
        home.mkdir()
        server, address = start(LAB, notebook, home)
        try:
            for depth, aim in KEY_MS.items():
                net, x, y = network(depth=depth)
                with _page(1280) as page, _explorer(page, address, notebook, depth) as press:
                    passes = []

                    def bare_pass(net: Any = net, x: Any = x, y: Any = y, passes: list[float] = passes) -> None:
                        began = time.perf_counter()
                        bare(net, x, y)
                        passes.append(1000 * (time.perf_counter() - began))

                    for _ in range(5):  # until everything is warm
                        press()
                    keys, scripts = zip(*(press(bare_pass) for _ in range(10 if quick else 60)))
                    rows.append(_row(f"key to painted picture, {depth} layers", median(list(keys)), "ms", aim))
                    rows.append(_row("    of it the page's script", median(list(scripts)), "ms"))
                    rows.append(_row("    a bare pass at the same time", median(passes), "ms"))
                    if depth == DEPTH:
                        count = 50 if quick else UPDATES
                        before = _memory(page)
                        for _ in range(count):
                            press()
                        heap, process = (after - b for after, b in zip(_memory(page), before))
                        rows.append(_row(f"JavaScript heap after {count} more updates", heap, "MB"))
                        rows.append(_row(f"process of the page after {count} more updates", process, "MB", MEGABYTES))
        finally:
            end(server)
    return Table("The explorer in JupyterLab (width 256, batch 256)", ("what", "measured", "aim", ""), tuple(rows))


@contextmanager
def _page(width: int) -> Iterator[Any]:
    """A page of headless Chromium, without a GPU."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.set_default_timeout(120_000)
        yield page
        browser.close()


@contextmanager
def _explorer(page: Any, address: str, folder: Path, depth: int) -> Iterator[Callable[..., tuple[float, float]]]:
    """An explorer in a notebook: a function that moves its scale by a key and gives (milliseconds to the painted picture, of its script);
    its argument runs after that."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    notebook = new_notebook(cells=[new_code_cell(f"import initviz as iv\niv.explore(depth={depth})")])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, folder / f"{depth}.ipynb")
    page.goto(f"{address}/lab/tree/{depth}.ipynb?reset")
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()
    page.evaluate(RUN_ALL)
    canvas = page.locator("canvas.initviz-picture[data-figures]").first
    canvas.wait_for()
    page.wait_for_timeout(2000)
    canvas.evaluate(FOLLOW)
    scale = page.locator(".widget-slider", has=page.locator(".widget-label", has_text="Scale")).first
    scale.locator(".noUi-handle").focus()
    presses = 0

    def press(then: Callable[[], None] = lambda: None) -> tuple[float, float]:
        nonlocal presses
        page.evaluate("() => { keys.length = 0; }")
        page.keyboard.press(("ArrowLeft", "ArrowRight")[presses % 2])
        presses += 1
        page.wait_for_function("() => keys.length", polling=20)
        milliseconds, script = page.evaluate("() => keys[0]")
        then()
        page.wait_for_timeout(
            150
        )  # a person's keys come apart; a key within a tenth of a second would wait for a newer one
        return milliseconds, script

    yield press
    page.evaluate("() => jupyterapp.commands.execute('kernelmenu:shutdown').catch(() => {})")


def _memory(page: Any) -> tuple[float, float]:
    """(JavaScript heap, all of the page's process) in MB, after a collection of garbage."""
    import psutil

    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    processes = page.context.browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    sizes = [psutil.Process(one["id"]).memory_info().rss for one in processes if one["type"] == "renderer"]
    return used / 1e6, max(sizes) / 1e6


def _row(what: str, measured: float, unit: str, aim: float | None = None) -> tuple[str, str, str, str]:
    if aim is None:
        return what, f"{measured:.1f} {unit}", "-", "-"
    return what, f"{measured:.1f} {unit}", f"<= {aim:g} {unit}", verdict(measured, aim)


if __name__ == "__main__":
    run_alone(tables)
