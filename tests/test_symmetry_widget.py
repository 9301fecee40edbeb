"""The symmetry explorer: controls move the picture and the words, the first state is steady, and steps are looked up."""

import numpy as np
import pytest
from pictures import mark

from initviz.experiments import _symmetry as symmetry
from initviz.plots._figure import Heat
from initviz.widgets import _symmetry as app
from initviz.widgets import explore_symmetry


@pytest.fixture(scope="module")
def explorer():
    return explore_symmetry(noise=1e-2, width=8)


def test_it_starts_as_it_is_told(explorer):
    assert explorer.trace.noise == [1e-2] and explorer.trace.distinct.shape == (1, 1, app.STEPS // app.EVERY + 1, 1)
    assert repr(explorer) == explorer.summary()
    assert "tanh, 1 x 8 neurons, noise 10⁻², seed 0" in explorer.summary()


def test_steps_are_looked_up_and_seen(explorer, monkeypatch):
    explorer.set(steps=0)
    before = explorer.picture.value
    monkeypatch.setattr(symmetry, "train_symmetric", None)
    monkeypatch.setattr(symmetry, "train_one_neuron", None)
    explorer.set(steps=300)
    assert explorer.picture.value != before
    shown = mark(explorer.picture.figure, Heat, "weight").values
    np.testing.assert_array_equal(shown, explorer.trace.weights[0][0, 0, 300 // app.EVERY])
    assert "Step 300: " in explorer.words.value and 'role="status"' in explorer.words.value


def test_the_words_are_those_of_the_trace(explorer):
    explorer.set(steps=0, noise=1e-2)
    assert "Step 0: 1 of 8 neurons distinct; the two losses are " in explorer.sentence
    parted = explorer.trace.parted[0, 0, 0]
    assert f"Layer 1 parts at step {parted:g}." in explorer.sentence
    explorer.set(noise=0.0)
    explorer.set(steps=400)
    assert "the two losses are the same so far" in explorer.sentence


def test_every_control_changes_what_is_shown(explorer):
    explorer.set(noise=1e-2, steps=200)
    for change in ({"noise": 1e-1}, {"activation": "relu"}, {"width": 4}, {"depth": 2}, {"seed": 1}):
        before = explorer.picture.value
        explorer.set(**change)
        assert explorer.picture.value != before, change


def test_every_control_has_a_tooltip(explorer):
    assert all(widget.tooltip and widget.description for widget in explorer.controls.values())


def test_the_page_without_a_kernel_has_picture_and_words(explorer):
    bundle = explorer._repr_mimebundle_()
    assert bundle["image/png"] and bundle["text/plain"] == explorer.summary()
    assert explorer.still() == explorer.still()


@pytest.mark.parametrize("settings", [{"noise": 0.5}, {"width": 1000}, {"steps": 10**6}, {"nois": 0.0}])
def test_a_wrong_setting_is_named(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        explore_symmetry(**settings)
