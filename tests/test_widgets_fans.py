"""The fans and the rectifier explorer: each control moves the numbers and the picture, and words say what is seen."""

import pytest

import initviz as iv
from initviz.experiments import FAN_CHOICES, LAYERS, RECIPES

OTHER = {
    "fans": {"n_in": 512, "n_out": 16, "choice": "fan_out", "distribution": "normal", "activation": "tanh", "seed": 3},
    "relu": {
        "slope": 0.5, "scale": 1.2, "recipe": "xavier", "layer": "circular", "width": 16, "depth": 6, "seed": 3,
    },
}  # fmt: skip
APPS = {"fans": iv.explore_fans, "relu": lambda **s: iv.explore_relu(**({"width": 32, "depth": 5} | s))}


@pytest.mark.parametrize("app", APPS)
def test_every_control_has_a_tooltip_and_moves_the_picture(app):
    explorer = APPS[app]()
    assert set(explorer.controls) == set(OTHER[app])
    for name, value in OTHER[app].items():
        assert explorer.controls[name].tooltip and explorer.controls[name].description
        before, words = explorer.picture.value, explorer.summary()
        explorer.controls[name].value = value
        assert before != explorer.picture.value, name
        assert explorer.summary() != words


@pytest.mark.parametrize("app", APPS)
def test_the_same_settings_give_the_same_picture(app):
    first, moved = APPS[app](**OTHER[app]), APPS[app]()
    moved.set(**OTHER[app])
    assert first.picture.value == moved.picture.value and first.summary() == moved.summary()
    assert first._repr_mimebundle_()["image/png"] and first._repr_mimebundle_()["text/plain"] == first.summary()


@pytest.mark.parametrize("app", APPS)
def test_bad_settings(app):
    with pytest.raises(ValueError, match="^settings: 'sede' is unknown; did you mean 'seed'"):
        APPS[app](sede=1)
    with pytest.raises(ValueError, match="^seed: "):
        APPS[app](seed=-1)


def test_the_fans_explorer_measures_what_it_says():
    explorer = iv.explore_fans(n_in=64, n_out=1024, choice="fan_in")
    assert explorer.chosen.backward_theory == 16 and f"{explorer.chosen.backward:.3g}" in explorer.sentence
    assert [one.choice for one in explorer.factors] == list(FAN_CHOICES)
    explorer.set(n_in=1024, n_out=8)
    assert explorer.chosen.backward_theory == 1 / 128


def test_the_rectifier_explorer_measures_what_it_says():
    explorer = iv.explore_relu(slope=0.5, recipe="he_relu")
    assert explorer.run.forward_factors[1] == pytest.approx(1.25)
    assert "fan_in 256" in explorer.sentence and RECIPES["he_relu"][0] in explorer.summary()
    explorer.set(layer="zeros", width=16)
    assert "fan_in 144" in explorer.sentence and LAYERS["zeros"] in explorer.summary()
