"""Recorded measurements: what is in the file is what was measured, and the app is as it was. (How it plays: tests/browser.)"""

import base64
import json
import re
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import ipywidgets as widgets
import pytest
import torch

import initviz as iv
from initviz.plots import packed
from initviz.widgets import record, recording

SMALL = {"width": 8, "seed": 1}
GRID = {"depth": [2, 3], "scale": [0.5, 1.0, 2.0], "activation": ["tanh", "relu", "sigmoid"]}


def states(page: str) -> list[bytes]:
    """All that stands one behind the other in a page's chunks."""
    found = []
    for chunk in re.findall(r'class="initviz-chunk">([^<]*)<', page):
        data = zlib.decompress(base64.b64decode(chunk))
        at = 0
        while at < len(data):
            (size,) = struct.unpack_from("<I", data, at)
            found.append(data[at + 4 : at + 4 + size])
            at += 4 + size
    return found


def test_every_state_is_in_the_file_as_it_was_measured(tmp_path):
    path = record(iv.explore, tmp_path / "a.html", progress=False, **SMALL, **GRID)
    assert path == tmp_path / "a.html"
    page = path.read_text(encoding="utf-8")
    parts = states(page)
    assert len(parts) == 2 * 2 * 3 * 3 and page.count("initviz-chunk") == 2 + page.count(".initviz-chunk")
    app = iv.explore(**SMALL, depth=3, scale=2.0, activation="relu")
    assert parts[2 * (9 + 6 + 1)].decode() == app.said() and parts[2 * (9 + 6 + 1) + 1] == packed(app.describe())
    settings = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])["settings"]
    assert [one["name"] for one in settings] == list(GRID) and [one["label"] for one in settings] == [
        "Depth",
        "Scale",
        "Activation",
    ]
    assert settings[2]["values"] == ["tanh", "ReLU", "Sigmoid"] and not settings[2]["slider"] and settings[1]["slider"]
    assert "http" not in page.replace("http://www.w3.org", "")


def test_an_app_is_recorded_from_where_it_stands_and_left_there():
    app = iv.explore(**SMALL, depth=2, scale=3.0)
    before, shown = {name: widget.value for name, widget in app.controls.items()}, app.picture.value
    parts = states(recording(app, depth=[2, 4]))
    assert {name: widget.value for name, widget in app.controls.items()} == before and app.picture.value == shown
    assert parts[1] == shown and parts[3] == packed(iv.explore(**SMALL, depth=4, scale=3.0).describe())


def alive() -> int:
    """How many widgets there are, under ipywidgets of today or of 8.0.2."""
    return len(widgets.widget._instances if hasattr(widgets.widget, "_instances") else widgets.Widget._active_widgets)


def test_an_executor_gives_the_same_file_and_leaves_no_widget():
    here = states(recording(iv.explore, **SMALL, depth=[2, 3], scale=[1.0, 2.0]))
    before = alive()
    with ThreadPoolExecutor(1, "", torch.set_default_device, [torch.get_default_device()]) as pool:
        assert states(recording(iv.explore, executor=pool, **SMALL, depth=[2, 3], scale=[1.0, 2.0])) == here
    assert alive() - before < 200, "an app's widgets, a few, with their layouts and styles"


@pytest.mark.parametrize(
    "make",
    [
        iv.explore_fans,
        iv.explore_layer,
        iv.explore_transfer,
        iv.explore_comparison,
        iv.explore_rates,
        lambda: iv.explore_race(step=20),
        lambda: iv.explore_lsuv(depth=3),
    ],
)
def test_every_app_says_what_a_deck_records_of_it(make):
    app = make()
    grid = app.grid()
    one = {name: values[:1] if number else values[-2:] for number, (name, values) in enumerate(grid.items())}
    parts = states(recording(app, **one))
    assert len(parts) == 2 * (1 + len(app.figures()))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"app": 3, "depth": [1]}, TypeError, "app: got int"),
        ({"depth": 3}, ValueError, "settings: got no list of values"),
        ({"depth": []}, ValueError, "depth: got no value"),
        ({"depht": [1, 2]}, ValueError, "settings: 'depht' is unknown; did you mean 'depth'"),
        ({"depth": [1, 2000]}, ValueError, "depth: got 2000; the control takes 1 to 200"),
        ({"depth": [1, 2], "activation": "tahn"}, ValueError, "activation: 'tahn' is not a value"),
        ({"depth": [1], "executor": 4}, TypeError, "executor: got int"),
        (
            {"app": "made", "depth": [1], "executor": ThreadPoolExecutor(1)},
            TypeError,
            "app: got an app; with an executor",
        ),
    ],
)
def test_bad_input_is_named_before_anything_is_measured(arguments, error, words, monkeypatch):
    app = iv.explore(depth=2, width=8)
    before = {name: widget.value for name, widget in app.controls.items()}
    arguments = {"app": app} | arguments
    if arguments["app"] == "made":
        arguments["app"] = app
    monkeypatch.setattr("initviz.widgets._record._measured", lambda *_: pytest.fail("measured"))
    with pytest.raises(error, match=words):
        recording(**arguments)
    assert {name: widget.value for name, widget in app.controls.items()} == before
