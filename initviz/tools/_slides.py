"""`python -m initviz slides notebook ...`: each notebook as slides, in one HTML file that needs neither a network nor a server.

It is what `jupyter nbconvert --to slides` makes, with reveal.js and MathJax written into the file instead of being fetched, and a
widget shown as the picture that its notebook stores. The apps are measured anew, at a grid of their settings, and move in the deck.
NN_name.ipynb becomes NN_name.slides.html beside it.
Needs the extra "slides": `pip install 'initviz[slides]'`.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter

from initviz.tools._stored import is_app, is_question, package_folder, record_app, show_pictures

SIZE = (1244, 700)
"""Of a slide, in its own pixels: as high as nbconvert's, and as wide as a screen of 16:9. reveal.js enlarges it to the screen."""

LAYOUT = """\
:root { --jp-code-font-size: 16px; }
.reveal h1 { font-size: 46px; }
.reveal .jp-RenderedHTML :is(ol, ul) { display: block; } /* reveal.js sets lists beside the words before them */
.reveal .jp-RenderedImage img { max-width: 900px; max-height: 410px; }
.reveal ol[type=A] { display: block; list-style-type: upper-alpha; }
.reveal .jp-OutputArea-output pre { word-break: normal; overflow-wrap: anywhere; }
.reveal .initviz-recording { text-align: left; }
.reveal .initviz-canvas { margin: 0 auto; }
.reveal .initviz-recording :is(canvas, img) { margin: 0; max-width: none; max-height: none; }
.reveal .slide-number { right: auto; left: 8px; } /* where no arrow covers it */
"""
"""Style of a slide beyond nbconvert's: 120 characters of code side by side, and room for words beside a picture."""

GROW = """\
function grow() {
    const slide = Reveal.getCurrentSlide(), pictures = [...slide.querySelectorAll('.jp-RenderedImage img')];
    pictures.forEach(picture => { picture.style = ''; });
    const room = Reveal.getSlidesElement().offsetHeight - slide.scrollHeight - 8;
    for (const picture of room > 0 ? pictures : []) {
        const height = picture.offsetHeight + room / pictures.length;
        const most = picture.closest('.jp-OutputArea-output').clientWidth;
        const width = Math.min(most, height * picture.naturalWidth / picture.naturalHeight);
        picture.style = `max-width: none; max-height: none; width: ${Math.max(width, picture.offsetWidth)}px`;
    }
    const app = slide.querySelector('.initviz-recording');
    if (app) fit(app, slide);
    Reveal.layout();
}
async function fit(app, slide) {  // its pictures as wide as the slide, or as its height has room for
    const pictures = [...app.querySelectorAll('.initviz-canvas')];
    let share = 1;
    for (let turn = 0; turn < 3; turn++) {
        pictures.forEach(picture => { picture.style.width = `${100 * share}%`; });
        await new Promise(done => setTimeout(done, 100));  // until they are painted
        const over = slide.scrollHeight - Reveal.getSlidesElement().offsetHeight + 4;
        const high = pictures.reduce((sum, picture) => sum + picture.offsetHeight, 0);
        if (over <= 4 || !high) break;
        share = Math.max(0.6, share * (1 - over / high));  // narrower, its panels would stand under each other
    }
    Reveal.layout();
}
Reveal.on('slidechanged', grow);
"""
"""Script that enlarges the pictures of a slide into the room that it has left, for the last row."""

_TEMPLATE = """\
{%- extends 'index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_css -%}<style>{{ resources.layout }}</style>{%- endblock -%}
{%- block html_head_js_mathjax -%}
<script>
MathJax = {tex: {inlineMath: [['$', '$'], ['\\\\(', '\\\\)']], processEscapes: true}, options: {enableMenu: false}};
</script>
<script src="FILES/mathjax/tex-svg-full.js"></script>
{%- endblock -%}
{%- block footer_js -%}
<script src="FILES/dist/reveal.js"></script>
<script src="FILES/plugin/notes/notes.js"></script>
<script>
Reveal.initialize({
    width: {{ resources.reveal.width }}, height: {{ resources.reveal.height }}, hash: true, slideNumber: 'c/t',
    transition: 'none', plugins: [RevealNotes]
}).then(() => MathJax.startup.promise).then(grow).then(() => { document.body.dataset.ready = 'yes'; });
{{ resources.grow }}</script>
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
    for cell in notebook.cells:
        if is_app(cell) or is_question(cell):
            cell.metadata["transient"] = {"remove_source": True}  # what the line shows is enough, and needs the room
        if record and is_app(cell):
            record_app(cell)
    show_pictures(notebook)
    exporter = SlidesExporter(raw_template=_TEMPLATE, reveal_url_prefix="FILES")
    exporter.reveal_width, exporter.reveal_height = map(str, SIZE)
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    resources = {"metadata": {"name": name}, "layout": LAYOUT, "grow": GROW}
    page, _ = exporter.from_notebook_node(notebook, resources=resources)
    page = _STYLE.sub(lambda link: f"<style>\n{_css(_read(link[1], files))}\n</style>", page)
    return _SCRIPT.sub(lambda link: f"<script>\n{_script(_read(link[1], files))}\n</script>", page)


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
