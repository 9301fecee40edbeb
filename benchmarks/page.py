"""What a new picture costs beyond its measurement: describing and packing it in the kernel, its bytes, and its frame in the page."""

from __future__ import annotations

import base64
import json
import shutil
import statistics
import time

import initviz as iv
from benchmarks.common import Table, median, run_alone, verdict
from initviz.plots import flow_figure, packed
from initviz.widgets._picture import script

DEPTH, MS, KILOBYTES, FRAME_MS = 30, 2.0, 12.0, 16.0
"""Depth of the explorer at its start, and the aims for a picture: kernel, bytes, script in the page."""

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


def tables(quick: bool = False) -> list[Table]:
    runs = [iv.measure(depth=DEPTH, scale=1 + 0.02 * n) for n in range(4 if quick else 10)]
    kernel, states = [], []
    for number in range(20 if quick else 100):
        run = runs[number % len(runs)]
        start = time.perf_counter()
        data = packed(flow_figure(run.report, run.prediction))
        kernel.append(1000 * (time.perf_counter() - start))
        states.append(base64.b64encode(data).decode())
    size = len(base64.b64decode(states[0])) / 1000
    rows = [
        (
            "described and packed in the kernel",
            f"{median(kernel):.1f} ms",
            f"<= {MS:g} ms",
            verdict(median(kernel), MS),
        ),
        ("bytes", f"{size:.1f} kB", f"<= {KILOBYTES:g} kB", verdict(size, KILOBYTES)),
    ]
    path = shutil.which("chromium") or shutil.which("google-chrome")
    for width in (1280, 1920) if path else ():
        scripts, frames = _page(path, width, states[: len(runs)])
        rows.append(
            (
                f"unpacked and painted at {width} px",
                f"{scripts:.1f} ms",
                f"<= {FRAME_MS:g} ms",
                verdict(scripts, FRAME_MS),
            )
        )
        rows.append((f"new numbers to painted frame at {width} px", f"{frames:.1f} ms", "-", "-"))
    return [Table(f"A picture of the explorer (depth {DEPTH})", ("what", "measured", "aim", ""), tuple(rows))]


def _page(path: str, width: int, states: list[str]) -> tuple[float, float]:
    """Medians in headless Chromium without a GPU: (milliseconds of script, from new numbers to the painted frame)."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.set_content("<!doctype html><body></body>")
        page.add_script_tag(content=script("paint.js", "widget.js"))
        scripts, frames = page.evaluate(f"data => ({TIMES})(JSON.parse(data))", json.dumps(states))
        browser.close()
    return statistics.median(scripts), statistics.median(frames)


if __name__ == "__main__":
    run_alone(tables)
