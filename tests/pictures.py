"""What the tests read in a picture that is data: its marks by kind and name, its words, and the pixels of its PNG."""

import io

import numpy as np
from PIL import Image

from initviz.plots._figure import Figure, Panel, Words


def marks(picture: Figure | Panel, kind: type, name: str = "") -> list:
    """The marks of a kind in a figure or a panel whose name begins with `name`."""
    panels = [picture] if isinstance(picture, Panel) else picture.panels
    return [mark for panel in panels for mark in panel.marks if isinstance(mark, kind) and mark.name.startswith(name)]


def mark(picture: Figure | Panel, kind: type, name: str):
    """The one mark of that kind and name."""
    (found,) = [one for one in marks(picture, kind, name) if one.name == name]
    return found


def words(panel: Panel) -> list[str]:
    """All words in and below a panel."""
    written = [one for mark in panel.marks if isinstance(mark, Words) for one in mark.words]
    return [*written, *(one for key in panel.key for one, _ in key)]


def pixels(png: bytes) -> np.ndarray:
    """The pixels of a PNG, RGB."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
