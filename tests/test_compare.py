"""The comparison: its sums against pandas by hand, the shipped runs against runs made anew, the heat map and its app."""

import gzip
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pretend
import pytest
from pictures import mark, marks, pixels

import initviz as iv
from initviz.__main__ import main
from initviz.diagnosis import KINDS
from initviz.experiments import cells, heat_map, recommendations, remake
from initviz.experiments._compare import CELL, COLUMNS, FOUND, GRID, GRIDS, TRAINED, shipped_runs
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
                        start = [forward, 0.1, "stable"]
                        end = [accuracy, accuracy, seed == 2 and lr == 0.01]  # validation, test, diverged
                        rows.append([scheme, activation, depth, "sgd", lr, seed, *start, *end])
    return pd.DataFrame(rows, columns=COLUMNS)


def test_cells_are_means_at_the_better_rate(made):
    table = cells(made).set_index(["scheme", "activation", "depth"])
    row = table.loc[("he_normal", "relu", 2)]
    assert row.lr == 0.1 and row.seeds == 3 and row.trained
    assert row.accuracy == pytest.approx(0.91) and row.accuracy_std == pytest.approx(0.01)
    assert row.forward == pytest.approx(0) and row.forward_std == pytest.approx(1)
    assert row.backward == pytest.approx(-1)
    assert row.diverged == pytest.approx(1 / 6)  # one seed at the other rate counts too
    dead = table.loc[("xavier_normal", "tanh", 5)]
    assert dead.forward == -np.inf and dead.forward_std == 0
    assert not table.loc[("he_normal", "tanh", 2)].trained


def test_the_rate_and_the_winner_are_chosen_by_validation_and_judged_by_test(made):
    """The test accuracies of the lower rate, and of the scheme that is not good, are the higher ones: nothing may choose by them."""
    flattered = made.assign(accuracy=1 - made.accuracy)
    row = cells(flattered).set_index(["scheme", "activation", "depth"]).loc[("he_normal", "relu", 2)]
    assert row.lr == 0.1 and row.validation == pytest.approx(0.91) and row.accuracy == pytest.approx(0.09)
    best = recommendations(flattered).set_index(["activation", "depth"])
    assert best.best[("relu", 2)] == "he_normal" and best.best_accuracy[("relu", 2)] == pytest.approx(0.09)


def test_a_rate_at_the_edge_of_several_is_flagged(made):
    assert cells(made).at_edge.all()  # the higher of two
    assert not cells(made[made.lr == 0.1]).at_edge.any()
    higher = made[made.lr == 0.1].assign(lr=1.0, validation=0.0)
    assert not cells(pd.concat([made, higher])).at_edge.any()


def test_what_is_within_two_paired_standard_errors_is_starred_and_agrees(made):
    """He is behind by 0.02 +- its spread, seed by seed; how far the seeds lie apart does not count."""
    seeds = {"xavier_normal": [0.80, 0.90, 0.85], "he_normal": [0.79, 0.86, 0.84]}  # behind by 0.01, 0.04, 0.01
    here = made[(made.activation == "relu") & (made.lr == 0.1) & (made.depth == 2)]
    accuracy = [seeds[s][n] for s, n in zip(here.scheme, here.seed)]
    runs = here.assign(accuracy=accuracy, validation=here.scheme.map({"xavier_normal": 0.9, "he_normal": 0.5}))
    assert heat_map(runs, depth=2).best.tolist() == [[True], [True]]
    (row,) = recommendations(runs).itertuples()
    assert (row.recommended, row.best, row.agrees) == ("he_normal", "xavier_normal", True)
    runs.loc[runs.scheme == "he_normal", "accuracy"] = [0.78, 0.88, 0.83]  # behind by 0.02 in each
    assert heat_map(runs, depth=2).best.tolist() == [[True], [False]]
    assert not recommendations(runs).agrees.any()


def test_optimizers_are_told_apart(made):
    both = pd.concat([made, made.assign(optimizer="adam", accuracy=0.85, validation=0.85)])
    assert len(cells(both)) == 2 * len(cells(made))
    assert iv.compare(both, "adam").trained.tolist() == [1, 1] and iv.compare(both).trained.tolist() == [0.5, 0.5]
    assert heat_map(both, depth=2, optimizer="adam").best.all() and heat_map(both, depth=2).optimizer == "sgd"
    assert recommendations(both, "adam").agrees.all()


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
    drop = 0.6 * ((made.scheme == "he_normal") & (made.activation == "relu"))
    worse = made.assign(accuracy=made.accuracy - drop, validation=made.validation - drop)
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
        (
            lambda t: iv.compare(pd.concat([t.assign(width=8), t.assign(width=16)])),
            ValueError,
            "^runs: differ in width; it takes",
        ),
        (lambda t: iv.compare(pd.concat([t.assign(new=8), t])), ValueError, "^runs: differ in new; it takes"),
        (lambda t: iv.compare(pd.concat([t, t])), ValueError, "^runs: has a run twice"),
        (
            lambda t: iv.compare(iv.sweep({"depth": 2, "steps": 0})),
            ValueError,
            "^runs: some have no accuracy; .* at least 1$",
        ),
        (lambda t: iv.compare(t, "adam"), ValueError, "^optimizer: 'adam' is unknown; it takes one of sgd"),
        (lambda t: heat_map(t, depth=2, optimizer="adm"), ValueError, "^optimizer: 'adm' is unknown"),
        (lambda t: shipped_runs("bach"), ValueError, "^normalization: 'bach' is unknown; did you mean 'batch'"),
        (lambda t: cells([1]), TypeError, "^runs: got list"),
        (lambda t: iv.explore_comparison([1]), TypeError, "^runs: got list"),
    ],
)
def test_bad_input(made, call, kind, message):
    with pytest.raises(kind, match=message):
        call(made)


# The shipped runs ----------------------------------------------------------------------------------------------------------


def test_the_shipped_runs_are_the_whole_grid():
    for normalization in ("none", "batch"):
        runs, grids = shipped_runs(normalization), [g for g in GRIDS if g.get("normalization", "none") == normalization]
        fields = [name for name in COLUMNS if name not in FOUND]
        asked = [tuple(getattr(one, name) for name in fields) for one in expand(grids)]
        assert list(runs.columns) == COLUMNS
        assert sorted(asked) == sorted(runs[fields].itertuples(index=False, name=None))
        assert set(runs.verdict) <= set(KINDS) and runs.groupby([*CELL, "lr"]).size().unique().tolist() == [5]
    assert runs.scheme.nunique() == 2 and shipped_runs().scheme.nunique() >= 8


@pytest.mark.parametrize("name", ["zeros", "xavier_normal", "he_normal", "lsuv"])
def test_a_shipped_start_is_measured_again(name):
    runs = shipped_runs()
    for activation in ("tanh", "relu"):
        old = runs[(runs.scheme == name) & (runs.activation == activation) & (runs.depth == 5)].iloc[0]
        new = run(Run(scheme=name, activation=activation, depth=5, width=GRID["width"], steps=0, seed=int(old.seed)))
        assert new["verdict"] == old.verdict
        for key in ("forward", "backward"):
            assert new[key] == pytest.approx(old[key], rel=5e-3, nan_ok=True)


def test_shipped_accuracies_are_remade_within_their_spread():
    table = cells().set_index(CELL)
    for key in (
        ("xavier_normal", "tanh", 5, "sgd"),
        ("he_normal", "relu", 2, "adam"),
        ("orthogonal", "sine", 2, "sgd"),
    ):
        old = table.loc[key]
        grid = dict(zip(CELL, key)) | {
            "lr": old.lr,
            "steps": GRID["steps"],
            "width": GRID["width"],
            "seed": range(3),
        }
        new = iv.sweep(grid).accuracy.mean()
        assert abs(new - old.accuracy) < 3 * max(old.accuracy_std, 0.01), key


@pretend.lacks("other processes that know it")
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
    normalized = small | {"activation": "relu", "normalization": "batch"}
    monkeypatch.setattr(sys.modules["initviz.experiments._compare"], "GRIDS", [small, normalized])
    path = tmp_path / "new" / "table.csv"
    runs = remake(path, workers=1)
    assert len(runs) == 4
    written = pd.read_csv(path)
    assert written.normalization.tolist() == 4 * ["none"] + 2 * ["batch"]
    pd.testing.assert_frame_equal(written[COLUMNS][:4], runs, rtol=1e-3)
    packed = path.with_suffix(".csv.gz")
    remake(packed, workers=1)
    assert gzip.decompress(packed.read_bytes()) == path.read_bytes()
    assert packed.read_bytes()[4:8] == bytes(4)  # no time of day: the same runs give the same file


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
    assert not app.controls["optimizer"].options[1:]  # there is one
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


def test_the_app_shows_each_optimizer_s_networks(made):
    both = pd.concat([made, made.assign(optimizer="adam", accuracy=0.85, validation=0.85)])
    app = iv.explore_comparison(both)
    app.set(depth=2)
    assert app.map.optimizer == "sgd" and "under SGD" in app.summary() and "91 ± 1 %" in app.table.value
    app.set(optimizer="adam")
    assert app.map.optimizer == "adam" and app.map.best.all() and "under Adam" in app.summary()
    assert "85 ± 0 %" in app.table.value and "91 ± 1 %" not in app.table.value
    app.set(quantity="forward")
    assert "under" not in app.summary()  # a start has no optimizer
    shallow = iv.explore_comparison(both[(both.optimizer == "sgd") | (both.depth == 2)])
    shallow.set(depth=5)
    assert shallow.map.depth == 5 and not shallow.message.value
    shallow.set(optimizer="adam")
    assert shallow.map.depth == 2 and "Not run at 5 layers under Adam; shown is 2." in shallow.message.value


def test_trained_is_far_from_chance():
    assert 0.1 < TRAINED < 1
