"""The comparison: its sums against pandas by hand, the shipped runs against runs made anew, the heat map and its app."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pictures import mark, marks, pixels

import initviz as iv
from initviz.__main__ import main
from initviz.diagnosis import KINDS
from initviz.experiments import cells, heat_map, recommendations, remake
from initviz.experiments._compare import COLUMNS, GRID, TRAINED, shipped_runs
from initviz.initializers import ACTIVATIONS, SCHEMES
from initviz.plots import heat_map_figure, png
from initviz.plots._figure import Heat
from initviz.training._sweep import Run, expand, run


@pytest.fixture(scope="module")
def made():
    """A table of two schemes, two activations, two depths, two rates and three seeds, with numbers that can be summed by hand."""
    rows = []
    for scheme, good in (("xavier_normal", "tanh"), ("he_normal", "relu")):
        for activation in ("tanh", "relu"):
            for depth in (2, 5):
                for lr in (0.1, 0.01):
                    for seed in range(3):
                        accuracy = (0.9 if activation == good else 0.4) - 0.1 * (lr == 0.01) + 0.01 * seed
                        forward = 0.0 if scheme == "xavier_normal" and depth == 5 else 10.0 ** (seed - 1)
                        rows.append([scheme, activation, depth, lr, seed, forward, 0.1, "stable", accuracy, seed == 2])
    return pd.DataFrame(rows, columns=COLUMNS)


def test_cells_are_means_at_the_better_rate(made):
    table = cells(made).set_index(["scheme", "activation", "depth"])
    row = table.loc[("he_normal", "relu", 2)]
    assert row.lr == 0.1 and row.seeds == 3 and row.trained
    assert row.accuracy == pytest.approx(0.91) and row.accuracy_std == pytest.approx(0.01)
    assert row.forward == pytest.approx(0) and row.forward_std == pytest.approx(1)
    assert row.backward == pytest.approx(-1) and row.diverged == pytest.approx(1 / 3)
    dead = table.loc[("xavier_normal", "tanh", 5)]
    assert dead.forward == -np.inf and dead.forward_std == 0
    assert not table.loc[("he_normal", "tanh", 2)].trained


def test_the_map_marks_recommended_and_best(made):
    data = heat_map(made, "accuracy", 2)
    assert data.schemes == ("xavier_normal", "he_normal") and data.activations == ("tanh", "relu")
    np.testing.assert_allclose(data.mean, [[91, 41], [41, 91]])
    assert data.best.tolist() == data.recommended.tolist() == [[True, False], [False, True]]
    nothing_left = heat_map(made, "forward", 5)
    assert np.isneginf(nothing_left.mean[0]).all() and nothing_left.best.tolist() == [[False, False], [True, True]]


def test_recommendations_agree_within_their_error(made):
    table = recommendations(made)
    assert len(table) == 4 and table.agrees.all()
    worse = made.assign(accuracy=made.accuracy - 0.6 * ((made.scheme == "he_normal") & (made.activation == "relu")))
    differs = recommendations(worse).set_index(["activation", "depth"]).loc[("relu", 2)]
    assert not differs.agrees and differs.best == "xavier_normal" and differs.recommended == "he_normal"


def test_the_lecture_s_table(made):
    table = iv.compare(made)
    assert list(table.index) == ["xavier_normal", "he_normal"]
    assert table.loc["he_normal", "relu"] == 5 and table.loc["he_normal", "tanh"] == 0
    assert table.loc["he_normal", "variance"] == SCHEMES["he_normal"].latex
    assert table.loc["he_normal", "trained"] == 0.5


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda t: heat_map(t, "acuracy"), ValueError, "^quantity: 'acuracy' is unknown; did you mean 'accuracy'"),
        (lambda t: heat_map(t, depth=7), ValueError, "^depth: got 7; it takes one of 2, 5"),
        (lambda t: iv.compare(t.drop(columns="lr")), ValueError, "^runs: lacks lr"),
        (lambda t: iv.compare(t[:0]), ValueError, "^runs: has no rows"),
        (lambda t: cells([1]), TypeError, "^runs: got list"),
        (lambda t: iv.explore_comparison([1]), TypeError, "^runs: got list"),
    ],
)
def test_bad_input(made, call, kind, message):
    with pytest.raises(kind, match=message):
        call(made)


# The shipped runs ----------------------------------------------------------------------------------------------------------


def test_the_shipped_runs_are_the_whole_grid():
    runs = shipped_runs()
    assert list(runs.columns) == COLUMNS and len(runs) == len(expand(GRID))
    assert runs.scheme.nunique() >= 8 and runs.activation.nunique() >= 8 and runs.depth.nunique() >= 4
    assert not runs.duplicated(["scheme", "activation", "depth", "lr", "seed"]).any()
    assert (runs.groupby(["scheme", "activation", "depth", "lr"]).size() == 5).all()
    assert set(runs.verdict) <= set(KINDS)


@pytest.mark.parametrize("name", ["zeros", "xavier_normal", "he_normal", "lsuv"])
def test_a_shipped_start_is_measured_again(name):
    runs = shipped_runs()
    for activation in ("tanh", "relu"):
        old = runs[(runs.scheme == name) & (runs.activation == activation) & (runs.depth == 10)].iloc[0]
        new = run(Run(scheme=name, activation=activation, depth=10, width=GRID["width"], steps=0, seed=int(old.seed)))
        assert new["verdict"] == old.verdict
        for key in ("forward", "backward"):
            assert new[key] == pytest.approx(old[key], rel=5e-3, nan_ok=True)


def test_shipped_accuracies_are_remade_within_their_spread():
    table = cells().set_index(["scheme", "activation", "depth"])
    for key in (("xavier_normal", "tanh", 5), ("he_normal", "relu", 2), ("orthogonal", "selu", 2)):
        old = table.loc[key]
        grid = dict(zip(("scheme", "activation", "depth"), key)) | {
            "lr": old.lr,
            "steps": GRID["steps"],
            "width": GRID["width"],
            "seed": range(3),
        }
        new = iv.sweep(grid).accuracy.mean()
        assert abs(new - old.accuracy) < 3 * max(old.accuracy_std, 0.01), key


def test_remake_writes_the_table(tmp_path, monkeypatch):
    small = {
        "scheme": "zeros",
        "activation": ["tanh", "relu"],
        "depth": [2],
        "width": 8,
        "lr": 0.1,
        "steps": 2,
        "seed": range(2),
    }
    monkeypatch.setattr(sys.modules["initviz.experiments._compare"], "GRID", small)
    path = tmp_path / "new" / "table.csv"
    runs = remake(path, workers=1)
    assert len(runs) == 4
    pd.testing.assert_frame_equal(pd.read_csv(path), runs[COLUMNS], rtol=1e-3)


def test_the_command_writes_into_the_current_folder(made, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("initviz.__main__.remake", lambda *arguments: asked.append(arguments) or made)
    assert main(["compare"]) == 0 and "trained" in capsys.readouterr().out
    assert asked == [(Path("comparison.csv"), None, 2)]


# Picture and app -----------------------------------------------------------------------------------------------------------


def test_the_picture_says_the_numbers(made):
    figure = heat_map_figure(heat_map(made, "accuracy", 2))
    (panel,) = figure.panels
    (cells,) = marks(panel, Heat)
    assert cells.words == ("★ 91", "41", "41", "★ 91") and cells.bold == (True, False, False, True)
    assert panel.x.labels == tuple(ACTIVATIONS[a].label for a in ("tanh", "relu"))
    forward = mark(heat_map_figure(heat_map(made, "forward", 5)), Heat, "mean")
    assert forward.words[0] == "0" and forward.words[2] == "★ +0.0"
    assert pixels(png(figure)).shape == (580, 1280, 3)


def test_the_app_sorts_shows_and_saves(made, tmp_path, monkeypatch):
    app = iv.explore_comparison(made)
    assert app.map.depth == 5 and app.still()[:4] == b"\x89PNG"
    first = app.picture.value
    app.set(depth=2, sort="relu")
    assert app.map.schemes == ("he_normal", "xavier_normal") and app.picture.value != first
    assert app.map.recommended.tolist() == [[False, True], [True, False]]
    assert "test accuracy of 2 schemes at 2 layers" in app.summary()
    assert "91 ± 1 %" in app.table.value and "agrees" in app.table.value
    for order in ("accuracy", "gap to the best"):
        app.set(sort_table=order)
    monkeypatch.chdir(tmp_path)
    app.save.click()
    assert len(pd.read_csv(tmp_path / "initviz-comparison.csv")) == 8
    with pytest.raises(ValueError, match="^depth: 7"):
        app.set(depth=7)


def test_trained_is_far_from_chance():
    assert 0.1 < TRAINED < 1
