"""Recorded measurements: an app measured on a grid of settings, as one file in which its sliders move without a kernel or a network."""

from __future__ import annotations

import base64
import html
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import product
from numbers import Number
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
from tqdm.auto import tqdm

from initviz._core.arguments import look_up, switch
from initviz._core.threads import one_thread
from initviz.plots import packed
from initviz.widgets._frame import Frame
from initviz.widgets._picture import HERE, script

CHUNK = 16
"""States that are compressed together: a page unpacks so many when it needs one of them."""
State = dict[str, Any]


def record(
    app: Frame | Callable[..., Frame],
    path: str | Path = "recorded.html",
    *,
    executor: Executor | None = None,
    progress: bool = True,
    **settings: Any,
) -> Path:
    """Measure an app at every combination of some settings, and write them to a page whose controls step through what was measured.

    `iv.record(iv.explore, depth=[10, 30, 50], activation=["tanh", "relu"], scale=[0.5, 1, 2])` writes a file that opens from a disk
    or a server, without a kernel and without a network.

    Args:
        app: a function that makes an app, such as `iv.explore`, or an app: then settings that are not named stay as they are.
        path: the file. One that is there is replaced.
        executor: where the states are measured: None does it here; else any `concurrent.futures.Executor`, as in `iv.sweep`, and
            `app` is a function then.
        progress: show a progress bar.
        **settings: name of a control -> a list of its values, which becomes a slider or a menu of the page, or one value.
    Returns:
        `path`.
    Raises:
        TypeError, ValueError: no such app, control or value, found before the first state is measured.
    """
    Path(path).write_text(page(recording(app, executor=executor, progress=progress, **settings)), encoding="utf-8")
    return Path(path)


def recording(
    app: Frame | Callable[..., Frame], *, executor: Executor | None = None, progress: bool = False, **settings: Any
) -> str:
    """The part of a page that `record` writes, as HTML that may stand in another page. Arguments and errors as `record`."""
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(f"executor: got {type(executor).__name__}; it takes None or a concurrent.futures.Executor")
    if not (callable(app) or isinstance(app, Frame)):
        raise TypeError(
            f"app: got {type(app).__name__}; it takes an app, or a function that makes one, such as iv.explore"
        )
    if executor is not None and isinstance(app, Frame):
        raise TypeError("app: got an app; with an executor it takes the function that makes one, such as iv.explore")
    progress = switch("progress", progress)
    shown = app if isinstance(app, Frame) else app()
    grid = {name: list(values) for name, values in settings.items() if _several(values)}
    fixed = {name: value for name, value in settings.items() if name not in grid}
    _check(shown, fixed, grid)
    states = [dict(zip(grid, values)) for values in product(*grid.values())]
    chunks = [states[i : i + CHUNK] for i in range(0, len(states), CHUNK)]
    before = {name: widget.value for name, widget in shown.controls.items()}
    found = []
    with tqdm(total=len(states), disable=not progress, unit="state") as bar:
        if executor is None:
            shown.set(**fixed)
            results: Iterator[bytes] = (_measured(shown, chunk) for chunk in chunks)
        else:
            results = executor.map(_measured_there, [app] * len(chunks), [fixed] * len(chunks), chunks)
        for chunk, data in zip(chunks, results):
            found.append(data)
            bar.update(len(chunk))
    shown.set(**(before | fixed))
    widths = [figure.width for figure in shown.figures()]
    words = {"settings": [_setting(shown, name, values) for name, values in grid.items()], "chunk": CHUNK}
    fixed_words = html.escape(shown.summary().split(":")[0])
    if isinstance(app, Frame):
        shown.set(**before)
    else:
        _close(shown)
    return _html(words, found, widths, fixed_words)


def page(part: str) -> str:
    """A whole page around a recording."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Recorded measurements</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<style>:root { color-scheme: light dark; background: light-dark(#FFFFFF, #111111); color: light-dark(#222222, #ECECEC); }\n"
        "body { margin: 1vw; font-family: system-ui, sans-serif; }</style></head>\n"
        f"<body>{part}</body></html>\n"
    )


def _several(values: Any) -> bool:
    return isinstance(values, Sequence | range | np.ndarray) and not isinstance(values, str)


def _check(app: Frame, fixed: State, grid: dict[str, list]) -> None:
    """Whether the controls take every value; they are left as they were."""
    if not grid:
        raise ValueError("settings: got no list of values; it takes one for each slider, such as depth=[10, 30, 50]")
    for name, values in grid.items():
        look_up("settings", name, app.controls)
        if not values:
            raise ValueError(f"{name}: got no value; it takes at least one")
    before = {name: widget.value for name, widget in app.controls.items()}
    with app._latest.together():
        try:
            for name, value in [*fixed.items(), *((name, value) for name, values in grid.items() for value in values)]:
                app.choose({name: value})
        finally:
            for name, value in before.items():
                app.controls[name].value = value


def _measured(app: Frame, states: list[State]) -> bytes:
    """The states of an app, one behind the other, compressed: of each its words and its pictures, with their lengths before them."""
    parts = []
    for state in states:
        app.set(**state)
        blobs = [app.said().encode(), *map(packed, app.figures())]
        parts += [struct.pack("<I", len(blob)) + blob for blob in blobs]
    return zlib.compress(b"".join(parts), 9)


def _measured_there(make: Callable[..., Frame], fixed: State, states: list[State]) -> bytes:
    """`_measured` in a worker, with an app of its own."""
    with one_thread():
        app = make()
        app.set(**fixed)
        try:
            return _measured(app, states)
        finally:
            _close(app)


def _close(widget: widgets.Widget) -> None:
    for child in getattr(widget, "children", ()):
        _close(child)
    widget.close()


def _setting(app: Frame, name: str, values: list) -> dict[str, Any]:
    """What a page shows of a control: its label, the words of its values, and whether they are numbers, for a slider."""
    widget = app.controls[name]
    known = dict(zip(getattr(widget, "_options_values", ()), getattr(widget, "_options_labels", ())))
    words = [str(known.get(v, f"{v:g}" if isinstance(v, Number) and not isinstance(v, bool) else v)) for v in values]
    at = values.index(widget.value) if widget.value in values else 0
    return {
        "name": name, "label": re.sub("<[^>]*>", "", widget.description), "values": words, "at": at,
        "slider": all(isinstance(v, Number) and not isinstance(v, bool) for v in values),
    }  # fmt: skip


def _html(words: dict, chunks: list[bytes], widths: list[float], title: str) -> str:
    data = "".join(
        f'<script type="text/plain" class="initviz-chunk">{base64.b64encode(chunk).decode()}</script>\n'
        for chunk in chunks
    )
    style = (HERE / "widget.css").read_text(encoding="utf-8")
    settings = json.dumps(words, ensure_ascii=False).replace("</", "<\\/")
    return (
        f'<div class="initviz-app initviz-recording" role="group" aria-label="{title}, recorded">\n<style>\n{style}</style>\n'
        f'<form class="initviz-settings"></form>\n<div class="initviz-said"></div>\n'
        + "".join(
            f'<div class="initviz-canvas" style="max-width: max(360px, {100 * width / 1280:g}%)"></div>\n'
            for width in widths
        )
        + f'<script type="application/json">{settings}</script>\n{data}'
        + f'<script type="module">\n{script("paint.js", "widget.js", "record.js")}</script>\n</div>\n'
    )
