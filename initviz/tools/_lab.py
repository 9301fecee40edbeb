"""`initviz lab [folder]`: the course's notebooks in a folder of one's own, opened in JupyterLab.

`setup.py` packs the notebooks by `write_notebooks` too: at its top, this file imports nothing but Python's own modules.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

PACKED = Path(__file__).parent.parent / "course" / "notebooks"
"""Where an installed package has them."""
CHECKOUT = Path(__file__).parent.parent.parent / "notebooks"
"""Where the repository has them."""
FIRST = "00_start_here.ipynb"


def without_outputs(text: str) -> str:
    """A notebook's JSON as nobody has run it yet."""
    notebook = json.loads(text)
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def write_notebooks(folder: Path, source: Path, overwrite: bool = False) -> tuple[list[str], list[str]]:
    """Write the notebooks of `source` into `folder`, without outputs, and the pages that they link to (`*.md`). What is there and
    differs is kept, unless `overwrite`.

    Returns:
        The names of the notebooks written and of those kept.
    Raises:
        OSError: the folder can't be made or written; FileNotFoundError: no notebooks in `source`.
    """
    paths = sorted(source.glob("*.ipynb"))
    if not paths:
        raise FileNotFoundError(f"no notebooks in {source}")
    folder.mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    kept: list[str] = []
    for path in paths + sorted(source.glob("*.md")):
        target, text = folder / path.name, path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            text = without_outputs(text)
        differs = target.exists() and not overwrite and target.read_text(encoding="utf-8") != text
        if not differs:
            target.write_text(text, encoding="utf-8", newline="\n")
        if path.suffix == ".ipynb":
            (kept if differs else written).append(path.name)
    return written, kept


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="initviz lab",
        description="Write the course's notebooks into a folder, and open JupyterLab.",
        epilog="Other options go to JupyterLab, such as --no-browser.",
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("initviz-notebooks"), help="default: %(default)s")
    parser.add_argument("--overwrite", action="store_true", help="write the originals over notebooks that were changed")
    parser.add_argument("--only-write", action="store_true", help="do not open JupyterLab")
    options, others = parser.parse_known_args(arguments)
    if not options.only_write and importlib.util.find_spec("jupyterlab") is None:
        from initviz._core.extras import MissingExtra

        print(f"initviz: {MissingExtra('jupyterlab')}", file=sys.stderr)
        return 2
    try:
        written, kept = write_notebooks(options.folder, PACKED if PACKED.is_dir() else CHECKOUT, options.overwrite)
    except OSError as error:
        print(f"initviz: folder: {error}", file=sys.stderr)
        return 2
    print(f"{len(written)} notebooks written to {options.folder.resolve()}")
    if kept:
        print(f"Kept, since they were changed: {', '.join(kept)}. (--overwrite writes the originals over them.)")
    if options.only_write:
        return 0
    return subprocess.call([sys.executable, "-m", "jupyterlab", str(options.folder / FIRST), *others])
