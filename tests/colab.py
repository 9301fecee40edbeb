"""`python tests/colab.py`: a stranger's way from the site's download to a moving explorer. By hand: it installs for minutes.

In a fresh environment that has torch and IPython's kernel, as Colab's has, and nothing of ours, the downloaded notebook 00 is run in
JupyterLab up to its explorer. Its first cell installs initviz from this checkout's last commit (in place of the repository's address),
and leaves torch as it is; then a slider is moved. Needs the extra "test", Chromium, and a package index.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import nbformat
from browser.pages import ERRORS, PICTURE, ROOT, changed, key, slider
from browser.servers import LAB, OPTIONS, RUN_ALL, chromium, end, start
from playwright.sync_api import sync_playwright

from initviz.tools import _site as site

INSTALLED = (
    "import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
)
MINUTES = 20
"""How long the notebook's first cell may install."""


def packages(python: Path) -> dict[str, str]:
    return json.loads(subprocess.run([python, "-c", INSTALLED], check=True, capture_output=True, text=True).stdout)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        pip = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", "torch", "ipykernel"]
        subprocess.run(pip, check=True)
        before = packages(python)
        assert not {"initviz", "ipywidgets", "anywidget", "matplotlib"} & set(before), before
        spec = folder / "data" / "kernels" / "stranger"
        spec.mkdir(parents=True)
        argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel = {"argv": argv, "display_name": "Stranger", "language": "python", "env": {"PYTHONPATH": ""}}
        (spec / "kernel.json").write_text(json.dumps(kernel))
        os.environ["JUPYTER_PATH"] = str(folder / "data")
        site.repository = lambda: f"file://localhost{ROOT.as_posix()}"  # older versions of pip want a host
        notebook = nbformat.reads(
            site.to_download((ROOT / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf-8")), as_version=4
        )
        explorer = next(i for i, cell in enumerate(notebook.cells) if cell.source.startswith("iv.explore()"))
        notebook.cells = notebook.cells[: explorer + 1]
        notebook.metadata["kernelspec"] = {"name": "stranger", "display_name": "Stranger", "language": "python"}
        (folder / "work").mkdir()
        nbformat.write(notebook, folder / "work" / "00.ipynb")
        (folder / "home").mkdir()
        server, address = start(LAB, folder / "work", folder / "home")
        try:
            with sync_playwright() as playwright:
                page = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS).new_page()
                page.goto(f"{address}/lab/tree/00.ipynb?reset")
                page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for()
                began = time.monotonic()
                page.set_default_timeout(MINUTES * 60_000)
                page.evaluate(RUN_ALL)
                picture = page.locator(f".jp-OutputArea-output:has(.initviz-verdict) {PICTURE}[data-paints]")
                picture.or_(page.locator(ERRORS)).first.wait_for()
                if errors := page.locator(ERRORS).all_text_contents():
                    print("\n".join(errors), file=sys.stderr)
                    return 1
                took = time.monotonic() - began
                was = key(picture)
                slider(page, "Depth").locator(".noUi-handle").focus()
                page.keyboard.press("ArrowLeft")
                moved = changed(page, picture, was)
        finally:
            end(server)
        after = packages(python)
        print(
            f"torch {before['torch']} before, {after['torch']} after; initviz {after['initviz']}; {len(after) - len(before)} new"
        )
        print(
            f"picture {took:.0f} s after Run All; the slider {'moves' if moved else 'DOES NOT MOVE'} it; errors: {errors or 'none'}"
        )
        return int(not moved or before["torch"] != after["torch"])


if __name__ == "__main__":
    sys.exit(main())
