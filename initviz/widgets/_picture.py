"""The picture in the browser: gets a `Figure`'s numbers and paints them on a canvas, at the size and sharpness of its window."""

from __future__ import annotations

import json
from pathlib import Path

import anywidget
import traitlets

from initviz.plots import RAMPS, ROLES, Figure, defaults, packed, png

HERE = Path(__file__).parent


def script(*files: str) -> str:
    """The page's code: the palette and the defaults as data, then `files`, one behind the other."""
    look = json.dumps({"defaults": defaults(), "roles": ROLES, "ramps": RAMPS}, ensure_ascii=False)
    return f"const LOOK = {look};\n" + "".join((HERE / name).read_text(encoding="utf-8") for name in files)


class Picture(anywidget.AnyWidget):
    """A canvas that shows the last `Figure` of `show`.

    Attributes:
        value: what the page gets, the figure as `initviz.plots.packed` packs it.
        figure: the `Figure` itself.
    """

    _esm = script("paint.js", "widget.js") + "\nexport default { render({model, el}) { return mount(el, model); } };\n"
    _css = (HERE / "widget.css").read_text(encoding="utf-8")
    value = traitlets.Bytes().tag(sync=True)

    def __init__(self) -> None:
        super().__init__(layout={"width": "100%"})
        self.figure: Figure | None = None

    def show(self, figure: Figure) -> None:
        """Put a figure on the canvas."""
        self.figure, self.value = figure, packed(figure)

    def png(self) -> bytes:
        """What is shown, as matplotlib paints it."""
        assert self.figure is not None, "nothing was shown yet"
        return png(self.figure)
