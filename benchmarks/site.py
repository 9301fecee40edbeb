"""`python -m benchmarks.site [FOLDER]`: of a built site (default build/site), what pages weigh, and when a slider first moves a picture.

Opened from the folder, as a reader opens it: on a desk, on a phone (390 pixels wide), and on one whose processor is slowed down four
times, as Lighthouse does; that one has no aim. Times count from the moment that the page is asked for. The seconds until a slider moves
include a key press.
"""

from __future__ import annotations

import re
import statistics
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from benchmarks.common import Table, machine, verdict
from tests.browser.servers import OPTIONS, chromium

SCREENS = {"desk": (1280, 844, 1), "phone": (390, 844, 1), "slow phone": (390, 844, 4)}
"""Name -> width, height, by how much the processor is slowed down."""
MOVING = ("00", "01", "04", "05", "06", "10")
"""Notebooks whose pages are opened, beside the first page."""
TRIES = 5
"""The best counts: what else runs on the machine can only hold a page up."""
SECONDS, MEGABYTES = 2.0, 8.0
"""The aims: until a slider moves, and for a page with all that it loads."""
WATCH = """
window.seen = {shift: 0, blocked: 0};
new PerformanceObserver(list => { for (const entry of list.getEntries()) if (!entry.hadRecentInput) seen.shift += entry.value; })
    .observe({type: 'layout-shift', buffered: true});
new PerformanceObserver(list => { for (const entry of list.getEntries()) seen.blocked += Math.max(0, entry.duration - 50); })
    .observe({type: 'longtask', buffered: true});
"""
READ = """() => ({...seen, paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN,
    now: performance.now()})"""


def files(page: Path) -> set[Path]:
    """A page and the files that it loads with itself."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r'<(?:script|img)[^>]*\ssrc="([^"#]+)"', text) + re.findall(r'<link[^>]*\shref="([^"#]+)"', text)
    local = [unquote(urlsplit(name).path) for name in named if not name.startswith(("data:", "http"))]
    return {page, *(path for name in local if (path := (page.parent / name).resolve()).is_file())}


def weights(site: Path) -> Table:
    pages = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    weighed = {path: sum(file.stat().st_size for file in files(path)) / 1e6 for path in pages}
    shown = [site / "index.html", *sorted(weighed, key=lambda path: -weighed[path])[:5]]
    rows = [(str(path.relative_to(site)), f"{weighed[path]:.1f}", len(files(path)), f"<= {MEGABYTES:g}",
             verdict(weighed[path], MEGABYTES)) for path in shown]  # fmt: skip
    middle = statistics.median(weighed.values())
    title = f"Weight of a page with all that it loads: the first and the five heaviest of {len(pages)}; median {middle:.1f} MB"
    return Table(title, ("page", "MB", "files", "target", ""), tuple(rows))


def moves(site: Path) -> Table:
    from playwright.sync_api import sync_playwright

    pages = [site / "index.html", *(path for number in MOVING for path in site.glob(f"course/{number}_*.html"))]
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        for path in pages:
            for name, (width, height, slowed) in SCREENS.items():
                tries = [_opened(browser, path, width, height, slowed) for _ in range(TRIES)]
                best = min(tries, key=lambda one: one["now"])
                moved = best["now"] / 1000
                aim = (f"<= {SECONDS:g} s", verdict(moved, SECONDS)) if slowed == 1 else ("-", "-")
                rows.append((path.stem, name, f"{best['paint'] / 1000:.2f}", f"{moved:.2f}", f"{best['blocked'] / 1000:.2f}",
                             f"{best['shift']:.3f}", *aim))  # fmt: skip
        browser.close()
    columns = ("page", "screen", "first words, s", "slider moves, s", "blocked, s", "jumps", "target", "")
    return Table(f"Until a page with a recorded app is of use; the best of {TRIES}", columns, tuple(rows))


def _opened(browser, path: Path, width: int, height: int, slowed: int) -> dict[str, float]:
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.add_init_script(WATCH)
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slowed})
    page.goto(path.as_uri(), wait_until="commit")
    app = page.locator(".initviz-recording").first
    app.locator("canvas[data-paints]").first.wait_for()
    before = app.locator("canvas").first.evaluate("canvas => +canvas.dataset.figures")
    control = app.locator("form :is(input, select)").last
    control.focus()
    page.keyboard.press("Home" if control.evaluate("one => one.value !== '0'") else "End")
    page.wait_for_function(
        "before => +document.querySelector('.initviz-recording canvas').dataset.figures > before", arg=before
    )
    found = page.evaluate(READ)
    context.close()
    return found


def main() -> int:
    site = Path(sys.argv[1] if len(sys.argv) > 1 else "build/site").resolve()
    if not (site / "index.html").exists():
        print(f"benchmarks.site: {site} has no index.html; build it first (initviz site)", file=sys.stderr)
        return 2
    print(f"Measured on {machine()}, from {site}.\n")
    for table in (weights(site), moves(site)):
        print(table.text(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
