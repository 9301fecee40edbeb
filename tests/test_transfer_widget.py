"""The transfer explorer and its pictures: controls move what is shown, everything is looked up, and bad input is named."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from pictures import mark, marks, words

import initviz as iv
from initviz.experiments._transfer_study import LABELS
from initviz.plots import png, transfer_figure
from initviz.plots._figure import Band, Line
from initviz.plots._transfer import LOOKS
from initviz.training import STRATEGIES, TransferResult, in_words
from initviz.widgets import explore_transfer

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def explorer():
    return explore_transfer()


@pytest.fixture
def own():
    accuracy = np.linspace(0.1, 0.9, 2 * 2 * 3 * 4).reshape(2, 2, 3, 4)
    return TransferResult(
        "Own", "digits", ("random", "frozen"), (5, 50), (0, 1, 2), np.array([0, 10, 20, 25]), accuracy
    )


def test_it_starts_with_five_labels_fine_tuned_from_the_related_source(explorer):
    study = iv.experiments.transfer_study("curves-cnn")
    assert explorer.result is study and explorer.still().startswith(PNG)
    assert repr(explorer) == explorer.summary() == f"Transfer explorer: {in_words(study, 5, 'fine_tuned')}"
    assert explorer.summary().endswith(f"({len(study.seeds)} seeds).")


def test_every_control_changes_the_picture_and_the_words(explorer):
    explorer.set(labels=5, strategy="fine_tuned", source="curves-cnn")
    for change in ({"labels": 50}, {"strategy": "frozen"}, {"source": "textures-cnn"}):
        picture, words = explorer.picture.value, explorer.words.value
        explorer.set(**change)
        assert explorer.picture.value != picture and explorer.words.value != words, change
        assert 'role="status"' in explorer.words.value
    assert explorer.result is iv.experiments.transfer_study("textures-cnn")


def test_the_curves_are_the_means_of_the_study(explorer):
    explorer.set(labels=50, strategy="frozen", source="curves-cnn")
    study = explorer.result
    by_labels, by_step = explorer.picture.figure.panels
    assert set(STRATEGIES) == set(LOOKS)
    lines = {name: f"{STRATEGIES[name].label}: accuracy" for name in LOOKS}
    for name in ("frozen", "random"):
        np.testing.assert_allclose(mark(by_step, Line, lines[name]).y, study.curve(name, 50).mean(axis=0))
    assert not marks(by_step, Line, lines["fine_tuned"])
    for name in study.strategies:
        expected = [study.final(name, labels).mean() for labels in LABELS]
        np.testing.assert_allclose(mark(by_labels, Line, lines[name]).y, expected)
    band = next(m for m in by_step.marks if isinstance(m, Band) and m.role == LOOKS["frozen"][0])
    np.testing.assert_allclose(band.high - band.low, 2 * study.curve("frozen", 50).std(axis=0, ddof=1), atol=1e-12)


def test_a_frozen_body_stands_beside_its_control(explorer):
    control = f"{STRATEGIES['frozen_random'].label}: accuracy"
    for strategy, lines in (("frozen", 1), ("fine_tuned", 0)):
        explorer.set(strategy=strategy, labels=50, source="textures-cnn")
        assert len(marks(explorer.picture.figure.panels[1], Line, control)) == lines


def test_the_axis_by_labels_begins_below_the_lowest_line(explorer, own):
    explorer.set(labels=5, strategy="frozen", source="curves-cnn")
    assert explorer.picture.figure.panels[0].y.low == 0.3
    for accuracy, low in ((own.accuracy, 0.1), (0 * own.accuracy, 0), (0 * own.accuracy + 1, 0.9)):
        assert transfer_figure(replace(own, accuracy=accuracy), 5, "frozen").panels[0].y.low == low


def test_nothing_is_trained_while_a_control_moves(explorer, monkeypatch):
    monkeypatch.setattr(import_module("initviz.training._transfer"), "train", None)
    for labels in LABELS:
        explorer.set(labels=labels)


def test_every_control_has_a_tooltip_and_a_label(explorer):
    assert all(widget.tooltip and widget.description for widget in explorer.controls.values())


def test_the_page_without_a_kernel_has_picture_and_words(explorer):
    bundle = explorer._repr_mimebundle_()
    assert bundle["image/png"] and bundle["text/plain"] == explorer.summary()
    assert explorer.still() == explorer.still() != explorer.picture.png()  # it has the sentence too


def test_a_result_of_ones_own(own):
    explorer = explore_transfer(50, "frozen", result=own)
    assert explorer.result is own and "frozen from Own" in explorer.summary()
    assert [name for _, name in explorer.controls["strategy"].options] == ["random", "frozen"]
    explorer.set(strategy="random", labels=5)
    assert "above" not in explorer.summary()


def test_pictures_for_a_notebook(own):
    figure = iv.plots.transfer(own, 5, "frozen", "A title.")
    assert repr(figure) == "<Figure size 1280x517 with 2 Axes>" and "A title." in [t.get_text() for t in figure.texts]
    figure = iv.plots.transfer_curves(own, 50)
    np.testing.assert_allclose(
        mark(iv.plots.transfer_curves_figure(own, 50), Line, STRATEGIES["frozen"].label).y,
        own.curve("frozen", 50).mean(axis=0),
    )
    assert repr(figure) == "<Figure size 1280x460 with 1 Axes>" and "50 labels" in figure.axes[0].get_title("left")
    shapes = iv.experiments.weight_shapes(iv.models.pretrained("curves-cnn"))
    figure = iv.plots.weight_shapes(shapes)
    assert len(figure.axes) == 4
    assert f"{shapes[1].std / shapes[1].fresh_std:.1f} × as wide" in figure.axes[1].texts[0].get_text()
    rows = {"a": np.ones((3, 8)), "b": np.zeros((3, 8)) + 1}
    assert len(iv.plots.signals(rows).axes) == 6
    np.testing.assert_array_equal(marks(iv.plots.signals_figure(rows).panels[0], Line)[0].y, np.ones(8))


def test_a_strategy_that_was_not_measured_has_no_line(own):
    figure = transfer_figure(own, 5, "frozen")
    labels = " ".join(words(figure.panels[0]))
    assert STRATEGIES["head_first"].label not in labels and STRATEGIES["random"].label in labels
    assert png(figure).startswith(PNG)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda own: explore_transfer(labels=6), ValueError, "labels: got 6; measured were 5, 20, 50, 500"),
        (
            lambda own: explore_transfer(strategy="fine-tuned"),
            ValueError,
            "strategy: got 'fine-tuned'; measured were random",
        ),
        (
            lambda own: explore_transfer(strategy="fine_tuned_he"),
            ValueError,
            "strategy: got 'fine_tuned_he'; measured were random",
        ),
        (lambda own: explore_transfer(source="imagenet"), ValueError, "source: 'imagenet' is unknown"),
        (lambda own: explore_transfer(result="study"), TypeError, "result: got str"),
        (lambda own: explore_transfer(result=own, strategy="fine_tuned"), ValueError, "strategy: got 'fine_tuned'"),
        (lambda own: explore_transfer().set(labels=7), ValueError, "labels: 7 is not a value of this control"),
        (lambda own: explore_transfer().set(epochs=7), ValueError, "settings: 'epochs' is unknown"),
        (lambda own: iv.plots.transfer(own, 5, "head_first"), ValueError, "strategy: got 'head_first'"),
        (lambda own: iv.plots.transfer_curves(own, 6), ValueError, "labels: got 6"),
        (lambda own: iv.plots.weight_shapes([]), ValueError, "shapes: got 0"),
        (lambda own: iv.plots.signals({"a": np.ones((2, 4)), "b": np.ones((3, 4))}), ValueError, "rows: got 2 rows of"),
        (lambda own: iv.plots.signals({}), ValueError, "rows: got 0 rows"),
    ],
)
def test_bad_input_is_refused_by_name(own, call, error, words):
    with pytest.raises(error, match=words):
        call(own)
