"""`python -m initviz slides notebook ...`: each notebook as slides, in one HTML file that needs neither a network nor a server.

It is what `jupyter nbconvert --to slides` makes, with reveal.js and MathJax written into the file instead of being fetched, and a
widget shown as the picture that its notebook stores. The apps are measured anew, at a grid of their settings, and move in the deck.
NN_name.ipynb becomes NN_name.slides.html beside it.

Words have 36 pixels on a screen of 1920 x 1080. A slide that would overflow goes on on a next one with its heading. The key C shows the
slide's code, S the speaker's notes; with ?print-pdf behind the address a browser prints one page a slide.
Needs the extra "slides": `pip install 'initviz[slides]'`.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from initviz.tools._stored import is_app, is_question, package_folder, record_app, says_unanswered, show_pictures

HERE = Path(__file__).parent
SIZE = (1244, 700)
"""Of a slide, in its own pixels: as high as nbconvert's, and as wide as a screen of 16:9. reveal.js enlarges it to the screen."""

BODY = 24
"""Size of words in those pixels: 36 on a screen of 1920 x 1080."""
SHOWS_CODE = "show-code"
"""Tag of a cell whose code is on its slide. That of all others comes by a key; of an exercise, what is to be filled in is shown."""
SPOKEN = 110
"""Words a minute, formulas and pauses included."""

_TEMPLATE = """\
{%- extends 'index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_css -%}<style>:root { --letters: {{ resources.body }}px; --wide: {{ resources.reveal.width }}px; }
{{ resources.layout }}</style>{%- endblock -%}
{%- block html_head_js_mathjax -%}
<script>
MathJax = {tex: {inlineMath: [['$', '$'], ['\\\\(', '\\\\)']], processEscapes: true}, options: {enableMenu: false}};
</script>
{%- endblock -%}
{%- block footer_js -%}
<script>document.body.classList.add('initviz-measuring');</script>
<script src="FILES/mathjax/tex-svg-full.js"></script>
<script src="FILES/dist/reveal.js"></script>
<script src="FILES/plugin/notes/notes.js"></script>
<script>
const SIZE = [{{ resources.reveal.width }}, {{ resources.reveal.height }}], BODY = {{ resources.body }};
{{ resources.script }}</script>
{%- endblock -%}
"""
_STYLE = re.compile(r'<link [^>]*href="FILES/([^"]*)"[^>]*>')
_SCRIPT = re.compile(r'<script src="FILES/([^"]*)"></script>')


def deck(notebook: nbformat.NotebookNode, name: str = "slides", record: bool = False) -> str:
    """The HTML of a notebook's slides, self-contained. `notebook` is changed: its widgets become their pictures.

    Args:
        name: the page's title.
        record: measure each app (a cell of the form `iv.explore...(...)`) on its `grid`, and let its sliders move in the deck.
    Raises:
        ModuleNotFoundError: the packages of the extra "slides" are missing.
    """
    files = [
        package_folder("sphinx_revealjs") / "_static" / "revealjs",
        package_folder("sphinx-mathjax-offline") / "static",
    ]
    notebook.cells = _slides_of(notebook.cells, record)
    show_pictures(notebook)
    exporter = SlidesExporter(raw_template=_TEMPLATE, reveal_url_prefix="FILES")
    exporter.reveal_width, exporter.reveal_height = map(str, SIZE)
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    layout, code = ((HERE / name).read_text(encoding="utf-8") for name in ("slides.css", "slides.js"))
    resources = {"metadata": {"name": name}, "layout": layout, "body": BODY, "script": code}
    page, _ = exporter.from_notebook_node(notebook, resources=resources)
    page = _STYLE.sub(lambda link: f"<style>\n{_css(_read(link[1], files))}\n</style>", page)
    return _SCRIPT.sub(lambda link: f"<script>\n{_script(_read(link[1], files))}\n</script>", page)


# From cells to slides -----------------------------------------------------------------------------------------------------------


def _slides_of(cells: list[NotebookNode], record: bool) -> list[NotebookNode]:
    """The cells of a deck: each slide begins with a heading and shows something; no assert, and no unsolved exercise's complaint.

    A cell that begins a slide without a heading goes on with the one before, as far as there is room; the page sees to that (slides.js).
    What there is to say of a slide's code, time and questions is added to it.
    """
    found: list[NotebookNode] = []
    slide: list[NotebookNode] = []  # the cells of the one that is being made
    minute = 0.0
    for cell in cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        if kind == "skip":
            continue
        if kind == "notes":
            found.append(cell)
            continue
        code = _for_a_slide(cell, record) if cell.cell_type == "code" else ""
        if (
            cell.cell_type == "markdown"
            and (kind in ("slide", "subslide") or not slide)
            and cell.source.startswith("#")
        ):
            minute = _close(found, slide, minute)
            _kind(cell, kind if slide else "slide")
            slide = []
        else:
            _kind(cell, "fragment" if kind == "fragment" else "-")
        slide.append(cell)
        if cell.cell_type != "code" or _is_seen(cell):
            found.append(cell)
        if code:
            found.append(_markdown(f'<script type="text/plain" class="initviz-code">\n{_script(code)}\n</script>', "-"))
    _close(found, slide, minute)
    return found


def _markdown(source: str, kind: str) -> NotebookNode:
    return new_markdown_cell(source, metadata={"slideshow": {"slide_type": kind}})


def _kind(cell: NotebookNode, kind: str) -> None:
    cell.metadata["slideshow"] = {**cell.metadata.get("slideshow", {}), "slide_type": kind}


def _for_a_slide(cell: NotebookNode, record: bool) -> str:
    """Make of a code cell what a slide shows of it. Returns the code that a key shows."""
    if record and is_app(cell):
        record_app(cell)
    cell.outputs = [output for output in cell.outputs if not says_unanswered(output)]
    if is_app(cell) or is_question(cell):  # what the line shows is enough
        cell.metadata["transient"] = {"remove_source": True}
        return ""
    code, exercise = _without_asserts(cell.source), "iv.check(" in cell.source
    cell.source = re.sub(r"^iv\.check\(.*\)\n?", "", code, flags=re.M).strip() if exercise else code
    cell.metadata["transient"] = {"remove_source": not (exercise or SHOWS_CODE in cell.metadata.get("tags", []))}
    return code


def _is_seen(cell: NotebookNode) -> bool:
    return bool(cell.outputs) or not cell.metadata["transient"]["remove_source"]


def _without_asserts(code: str) -> str:
    """The code without its assert statements; as it is, where it can't be read (a magic)."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return code
    blocks = [getattr(node, name, None) for node in ast.walk(tree) for name in ("body", "orelse")]
    only = {
        block[0]
        for block in blocks
        if isinstance(block, list) and block and all(isinstance(n, ast.Assert) for n in block)
    }
    lines = code.splitlines()
    for node in sorted((n for n in ast.walk(tree) if isinstance(n, ast.Assert)), key=lambda n: -n.lineno):
        lines[node.lineno - 1 : node.end_lineno] = (
            [" " * node.col_offset + "..."] if node in only and node.col_offset else []
        )
    return "\n".join(lines).rstrip()


def _close(found: list[NotebookNode], slide: list[NotebookNode], minute: float) -> float:
    """Add the speaker's notes to a slide: its time, and what to ask. Returns the minute at which the next one begins."""
    if not slide:
        return minute
    words = "\n".join(cell.source for cell in slide if cell.cell_type == "markdown")
    hidden = [cell for cell in slide if cell.cell_type == "code" and not _is_seen(cell)]
    if len(words.splitlines()) == 1 and len(slide) == 1 + len(hidden):  # a heading over nothing but code
        for cell in hidden:
            cell.metadata["transient"] = {"remove_source": False}
            found.append(cell)
    prose = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|[#*]", " x ", words, flags=re.S)
    takes = len(prose.split()) / SPOKEN
    asked = [part.strip() for part in re.findall(r"[A-Z][^.!?:\n]*(?:\n[^.!?:\n]+)*\?", prose) if " x " not in part]
    for cell in slide:
        if is_question(cell):
            takes += 2
            asked.append("for a show of hands, A, B, C or D, before you open an answer.")
        elif is_app(cell):
            takes += 3
            asked.append("what will change when a slider moves, before you move it.")
        elif cell.cell_type == "code":
            takes += 3 if "iv.check(" in cell.source else 1 if cell.outputs else 0
    end = minute + max(0.5, round(2 * takes) / 2)
    lines = [f"**Minute {minute:g} to {end:g}.**", *(f"Ask: {one}" for one in asked)]
    found.append(_markdown("\n\n".join(lines), "notes"))
    return end


def _read(name: str, folders: list[Path]) -> str:
    return next(folder / name for folder in folders if (folder / name).exists()).read_text(encoding="utf-8")


def _script(code: str) -> str:
    """JavaScript such that it can stand between <script> and </script>."""
    return code.replace("</script", "<\\/script")


def _css(rules: str) -> str:
    """A style sheet without the fonts that it would fetch."""
    return re.sub(r"@import [^;]*;", "", rules)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m initviz slides", description="Make slides of notebooks.")
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument(
        "--still", action="store_true", help="apps as pictures, not as recorded measurements with sliders"
    )
    options = parser.parse_args(arguments)
    for path in options.notebooks:
        try:
            page = deck(nbformat.read(path, as_version=4), path.stem, record=not options.still)
        except (OSError, nbformat.reader.NotJSONError, ModuleNotFoundError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 2
        target = path.with_suffix(".slides.html")
        target.write_text(page, encoding="utf-8", newline="\n")
        print(target)
    return 0
