"""`initviz site [OUT]`: the course, the reference of the package and the pages of `docs/` as a web site, in a folder.

Sphinx makes it from the notebooks as they are stored; nothing of them is run. The apps are measured anew on a grid of their settings,
as for slides, and move in the page. The site opens from a disk and asks nothing of a network: MathJax, fonts and search are in it.
Works in a checkout, and needs the extra "site": `python -m pip install -c constraints.txt -e ".[site]"`.

`--pages FOLDER` puts the site into a checkout of the branch that GitHub Pages serves: that of the main branch at its root, with
`--release` in a folder of its version. A menu on each page leads from version to version.
"""

from __future__ import annotations

import argparse
import html
import importlib
import json
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterator
from inspect import isclass, isfunction, ismodule
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import nbformat

import initviz
from initviz._core.extras import from_extra
from initviz.tools._handout import handout
from initviz.tools._lab import CHECKOUT, without_outputs
from initviz.tools._stored import is_app, is_question, package_folder, record_app, says_unanswered, show_pictures
from initviz.widgets import recording

with from_extra("site"):
    from sphinx.cmd.build import build_main
    from sphinx.pycode import ModuleAnalyzer

ROOT = CHECKOUT.parent
GITHUB = "https://github.com/"
BRANCH = "gh-pages"
"""Where a workflow puts the site (.github/workflows/site.yml): Colab opens its notebooks, which install initviz themselves."""
MAIN, VERSIONS = "main", "versions.json"
"""What the version of that branch is called, and the file there that lists all."""
DOCS = ROOT / "docs"
MATHJAX = "tex-svg-full.js"
"""One file with its fonts inside, which works from a disk."""
ROOMS = (
    "inspection", "diagnosis", "initializers", "models", "training", "theory", "experiments", "datasets", "plots", "widgets", "course",
)  # fmt: skip
"""The rooms with public names, in the order of the reference."""
HANDOUTS = {".questions.md": "sheet", ".gift": "GIFT", ".qti.zip": "QTI"}
"""Ends of the files of a handout that the site offers, and their words."""
RECORDED = (
    '<p class="initviz-recorded">Recorded: each control steps through what was measured when this page was made. '
    "In the running notebook there are more controls, and they take every value.</p>"
)
FRONT: dict[str, Any] = {
    "activation": ["tanh", "relu", "sigmoid"],
    "scheme": ["xavier_normal", "he_normal"],
    "depth": [10, 30, 50],
    "scale": [0.5, 1.0, 2.0],
}
"""What the explorer on the first page can be set to."""


def build(out: Path, record: Collection[str] | None = None, tags: Collection[str] = ()) -> int:
    """Write the site into the folder `out`; returns the exit status of Sphinx. A warning, such as a broken link, is an error.

    Args:
        record: numbers of the notebooks ("05") whose apps move, with that of the first page; None: all; empty: none.
        tags: "pages": with a menu of versions, "release": this is one of them; see docs/conf.py.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "site"
        shutil.copytree(DOCS, source)
        (source / "_static").mkdir(exist_ok=True)
        shutil.copy(
            package_folder("sphinx-mathjax-offline", "site") / "static" / "mathjax" / MATHJAX, source / "_static"
        )
        contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        (source / "contributing.md").write_text(contributing.replace("](docs/", "]("), encoding="utf-8")
        for page in source.glob("*.md"):
            text = page.read_text(encoding="utf-8")
            page.write_text(text.replace("](../notebooks/", "](course/"), encoding="utf-8")
        _write_course(source, record)
        _write_front(source, record is None or bool(record))
        _write_reference(source / "reference")
        options = [part for tag in tags for part in ("-t", tag)]
        options += ["-q", "-W", "--keep-going", "-b", "html", "-d", f"{folder}/doctrees"]
        return build_main([*options, str(source), str(out)])


def repository() -> str | None:
    """The repository's address, which stands in pyproject.toml alone; None as long as that is a placeholder."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project["urls"]["Source"].rstrip("/")
    return None if "//example." in address else address


# Versions ------------------------------------------------------------------------------------------------------------------


def pages_address() -> str:
    """Where GitHub Pages serves the site of this repository.

    Raises:
        ValueError: the repository has no address on github.com yet.
    """
    address = repository() or ""
    if not address.startswith(GITHUB):
        raise ValueError("pages: pyproject.toml has no address on github.com under [project.urls]; it takes one there")
    owner, name = address.removeprefix(GITHUB).split("/")
    return f"https://{owner}.github.io/{name}"


def publish(site: Path, pages: Path, release: bool) -> None:
    """Put a built site into a checkout of the branch: a release in a folder of its version, another at the root; older versions stay."""

    def is_version(path: Path) -> bool:
        return bool(re.fullmatch(r"\d+\.\d+\.\d+", path.name))

    place = pages / initviz.__version__ if release else pages
    for old in (
        [place] if release else [path for path in pages.iterdir() if path.name != ".git" and not is_version(path)]
    ):
        shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
    shutil.copytree(site, place, dirs_exist_ok=True)
    found = sorted(
        (path.name for path in pages.iterdir() if is_version(path)), key=lambda name: [*map(int, name.split("."))]
    )
    address = pages_address()
    versions = [{"version": MAIN, "url": f"{address}/"}]
    versions += [{"version": name, "url": f"{address}/{name}/"} for name in reversed(found)]
    (pages / VERSIONS).write_text(json.dumps(versions, indent=1) + "\n", encoding="utf-8")


# The course ----------------------------------------------------------------------------------------------------------------


def _write_course(source: Path, record: Collection[str] | None) -> None:
    course, files, handouts = source / "course", source / "_files" / "notebooks", source / "_files" / "handouts"
    for folder in (course, files, handouts):
        folder.mkdir(parents=True)
    for path in CHECKOUT.glob("*.md"):  # pages that notebooks link to
        shutil.copy(path, course)
    for path in sorted(CHECKOUT.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        _as_page(notebook, path.name, record is None or path.name[:2] in record)
        nbformat.write(notebook, course / path.name)
        (files / path.name).write_text(to_download(path.read_text(encoding="utf-8")), encoding="utf-8")
        for name, text in handout(path).items():
            if name.endswith(tuple(HANDOUTS)):
                (handouts / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def handouts_table() -> str:
    """Each notebook's questions as files, as a table in Markdown."""
    rows = []
    for path in sorted(CHECKOUT.glob("[0-9][0-9]_*.ipynb")):
        links = [f'<a href="handouts/{path.stem}{end}" download>{words}</a>' for end, words in HANDOUTS.items()]
        rows.append(f"| {path.stem.replace('_', ' ')} | {' | '.join(links)} |")
    return "\n".join(["| notebook | on paper | Moodle | Canvas |", "|---|---|---|---|", *rows])


def _write_front(source: Path, record: bool) -> None:
    """The list of notebooks as the README has it, and the explorer on the first page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d\d .*?)\]\(notebooks/(\S+?)\.ipynb\) \| (.*) \|$", readme, re.M)
    rows = [row for row in rows if (CHECKOUT / f"{row[1]}.ipynb").exists()]
    table = ["| notebook | in it you see |", "|---|---|"]
    table += [f"| [{title}](course/{name}.ipynb) | {words} |" for title, name, words in rows]
    entries = [f"{title} <course/{name}>" for title, name, _ in rows]
    entries += [f"course/{page.stem}" for page in sorted(CHECKOUT.glob("*.md"))]
    tree = ["```{toctree}", ":hidden:", "", *entries, "```"]
    with (source / "course.md").open("a", encoding="utf-8") as page:
        page.write("\n".join(["", *table, "", *tree, ""]))
    shown = '<img src="_static/explorer.png" alt="The explorer: a picture of all layers of a network, and its verdict">'
    shutil.copy(DOCS / "explorer.png", source / "_static")
    if record:
        shown = recording(initviz.explore, **FRONT)
    (source / "explorer.html").write_text(f'<div class="initviz-front">{shown}</div>\n', encoding="utf-8")


def _as_page(notebook: nbformat.NotebookNode, name: str, record: bool) -> None:
    """Make of a stored notebook what the site shows of it."""
    for cell in notebook.cells:
        if is_app(cell) or is_question(cell):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "remove-input"]
        if record and is_app(cell):
            record_app(cell)
            cell.outputs.append(nbformat.v4.new_output("display_data", {"text/html": RECORDED}))
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not says_unanswered(output)]
    show_pictures(notebook)
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ (.*)$", cell.source, re.M) or [heading])[-1]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if is_question(cell) and "text/html" in data:
                data["text/html"] = f'<div class="initviz-quiz mathjax_process">{data["text/html"]}</div>'
            if "image/png" in data:
                words = data.get("text/plain", "<")  # of an app its summary, of a figure only <Figure size ...>
                alt = f"Picture: {heading}" if words.startswith("<") else words
                cell.metadata.setdefault("mystnb", {})["image"] = {"alt": alt}
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell(_ways_to_open(name)))


def _ways_to_open(name: str) -> str:
    """A line of links: the notebook as a file and, once the repository has an address, where it runs without an installation."""
    links = [f'<a href="../notebooks/{name}" download>Download this notebook</a> to run it and to check your answers']
    address = repository()
    if address and address.startswith(GITHUB):
        place = address.removeprefix(GITHUB)
        colab = f"https://colab.research.google.com/github/{place}/blob/{BRANCH}/notebooks/{name}"
        links.append(f'<a href="{colab}">open it in Colab</a>')
        binder = f"https://mybinder.org/v2/gh/{place}/HEAD?urlpath=lab/tree/notebooks/{name}"
        links.append(f'<a href="{binder}">in Binder</a>')
        links.append(f'<a href="vscode://vscode.git/clone?url={quote(address, safe="")}">or clone all in VS Code</a>')
    return f'<p class="initviz-open">{", ".join(links)}.</p>'


def to_download(text: str) -> str:
    """A notebook's JSON without outputs and, once the repository has an address, with a first cell that installs initviz."""
    notebook = nbformat.reads(without_outputs(text), as_version=4)
    if address := repository():
        code = (
            "# Where initviz is missing (on Colab) this installs it. torch and what else is there stays as it is.\n"
            "import importlib.util\n\n"
            'if importlib.util.find_spec("initviz") is None:\n'
            f'    %pip install -q "initviz[widgets] @ git+{address}"'
        )
        skipped = {"slideshow": {"slide_type": "skip"}}
        notebook.cells.insert(1, nbformat.v4.new_code_cell(code, id="install", metadata=skipped))
    return nbformat.writes(notebook) + "\n"


# The reference -------------------------------------------------------------------------------------------------------------


def public_names() -> dict[str, dict[str, Any]]:
    """Module -> its public names and what they are: `initviz` first, then each room with what stands there alone."""
    top = {name: getattr(initviz, name) for name in initviz.__all__}
    found = {"initviz": {name: thing for name, thing in top.items() if not ismodule(thing)}}
    for room in ROOMS:
        module = importlib.import_module(f"initviz.{room}")
        found[module.__name__] = {
            name: getattr(module, name) for name in module.__all__ if top.get(name) is not getattr(module, name)
        }
    return found


def _write_reference(folder: Path) -> None:
    """A page for each module, from its docstrings."""
    folder.mkdir()
    pages = public_names()
    for module, names in pages.items():
        lines = [
            *_heading(f"iv.{module.removeprefix('initviz.')}" if "." in module else "iv"),
            f".. py:module:: {module}",
            "",
        ]
        lines += [_escaped((importlib.import_module(module).__doc__ or "").split("\n\n")[0]), ""]
        lines += [line for name, thing in names.items() for line in _entry(module, name, thing)]
        (folder / f"{module.rpartition('.')[2]}.rst").write_text("\n".join(lines) + "\n", encoding="utf-8")
    index = [
        *_heading("Reference"),
        "Everyday names, as ``iv.probe`` after ``import initviz as iv``; then each room of the package.",
        "",
    ]
    index += [".. toctree::", "   :maxdepth: 1", "", *(f"   {module.rpartition('.')[2]}" for module in pages), ""]
    (folder / "index.rst").write_text("\n".join(index), encoding="utf-8")


def _heading(words: str) -> list[str]:
    return [words, "=" * len(words), ""]


def _entry(module: str, name: str, thing: Any) -> list[str]:
    if isclass(thing):
        return [f".. autoclass:: {module}.{name}", "   :members:", ""]
    if isfunction(thing):
        return [f".. autofunction:: {module}.{name}", ""]
    words = "\n\n".join(_escaped(part) for part in _words_of(module, name).split("\n\n"))
    return [f".. py:data:: {name}", "", *(f"   {line}" for line in words.splitlines()), ""]


def _words_of(module: str, name: str) -> str:
    """The string below a constant, in the file of the room that defines it."""
    for file in _files_below(importlib.import_module(module)):
        if doc := ModuleAnalyzer.for_module(file).find_attr_docs().get(("", name)):
            return "\n".join(doc).strip()
    return ""


def _files_below(module: ModuleType) -> Iterator[str]:
    """Names of the loaded modules that stand in a room, or anywhere in the package."""
    yield from (
        name for name in sorted(sys.modules) if name.startswith(f"{module.__name__}.") and not name.endswith("__main__")
    )


_CODE = re.compile(r"(`+[^`]+`+)")


def _escaped(words: str) -> str:
    """Plain words of a docstring, such that reStructuredText reads nothing into them; code between backticks stays."""
    parts = _CODE.split(words)
    return "".join(part if i % 2 else re.sub(r"([*|\\]|_(?!\w))", r"\\\1", part) for i, part in enumerate(parts))


def sources() -> dict[str, str]:
    """Papers as docstrings name them ("He et al. 2015") -> their address, from docs/papers.md."""
    return dict(re.findall(r"^- \*\*(.+?)\*\*.*?\]\((\S+)\)", (DOCS / "papers.md").read_text(encoding="utf-8"), re.M))


def linked(lines: list[str]) -> list[str]:
    """A docstring's lines with plain words escaped, its source papers linked, and what is set in as text that stays as it is."""
    papers = sources()
    named = re.compile("|".join(re.escape(name) for name in sorted(papers, key=len, reverse=True)))
    found: list[str] = []
    set_in = False
    for number, line in enumerate(lines):
        indented = line.startswith("    ")
        if indented and not set_in and number > 1 and not lines[number - 1].strip() and lines[number - 2][:1].strip():
            found += ["::", ""]
            set_in = True
        set_in = set_in and (indented or not line.strip())
        found.append(line if set_in else named.sub(lambda m: f"`{m[0]} <{papers[m[0]]}>`__", _escaped(line)))
    return found


def schemes_table() -> str:
    """The schemes with their variance and source, as a table in Markdown."""
    papers = sources()
    rows = []
    for scheme in initviz.SCHEMES.values():
        source = html.escape(scheme.source)
        for name, address in papers.items():
            source = source.replace(name, f"[{name}]({address})")
        rows.append(f"| `{scheme.name}` | {scheme.label} | ${scheme.latex}$ | {scheme.best_for} | {source} |")
    return "\n".join(["| name | scheme | variance of a weight | made for | source |", "|---|---|---|---|---|", *rows])


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="initviz site", description="Write the course and the reference as a web site."
    )
    parser.add_argument("out", nargs="?", type=Path, default=Path("build/site"), help="folder (default: %(default)s)")
    parser.add_argument(
        "--still", action="store_true", help="apps as pictures, not as recorded measurements with sliders"
    )
    parser.add_argument(
        "--pages", type=Path, help="folder with a checkout of the branch of GitHub Pages to put it into"
    )
    parser.add_argument("--release", action="store_true", help="there it is that of a version, and stays")
    options = parser.parse_args(arguments)
    if not (DOCS / "conf.py").exists():
        print("initviz site: works in a checkout of the repository, where docs/ and notebooks/ are", file=sys.stderr)
        return 2
    tags = [name for name in ("pages", "release") if getattr(options, name)]
    try:
        if options.pages:
            pages_address()
        elif options.release:
            raise ValueError("release: got no --pages; it takes the folder of that branch")
    except ValueError as error:
        print(f"initviz site: {error}", file=sys.stderr)
        return 2
    failed = build(options.out, record=() if options.still else None, tags=tags)
    if options.pages and not failed:
        publish(options.out, options.pages, options.release)
    print(options.out / "index.html")
    return failed
