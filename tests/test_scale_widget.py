"""Scale x width: controls move the picture and the words, and the first state is steady."""

import pytest

from initviz.widgets import explore_scale


@pytest.fixture(scope="module")
def explorer():
    return explore_scale(depth=4)


def test_it_starts_as_it_is_told(explorer):
    assert explorer.spread.measured.shape == (6, 4)
    assert repr(explorer) == explorer.summary()
    assert "relu, depth 4, the same std at every width, seed 0" in explorer.summary()


def test_the_words_are_the_numbers(explorer):
    explorer.set(std=0.1, width=64, rule="fixed", way="activation", activation="relu")
    s = explorer.spread
    assert (
        f"Std 0.1 at width 64: the activations change by {s.factor[1]:.2f}x per layer (theory {s.factor_theory[1]:.2f})"
        in explorer.sentence
    )
    assert f"Std 0.1 at width 1024: {s.factor[-1]:.2f}x per layer" in explorer.sentence
    explorer.set(rule="fan_in", width=1024)
    assert "Std 0.1 at width 1024:" in explorer.sentence and "Std 0.566 at width 32:" in explorer.sentence
    assert explorer.sentence in explorer.words.value and 'role="status"' in explorer.words.value


def test_every_control_changes_what_is_shown(explorer):
    for change in (
        {"std": 0.3}, {"width": 256}, {"rule": "fixed"}, {"activation": "tanh"}, {"depth": 3}, {"way": "preactivation_gradient"},
        {"distribution": "uniform"}, {"seed": 1},
    ):  # fmt: skip
        before = explorer.picture.value
        explorer.set(**change)
        assert explorer.picture.value != before, change


def test_every_control_has_a_tooltip(explorer):
    assert all(widget.tooltip and widget.description for widget in explorer.controls.values())


def test_the_page_without_a_kernel_has_picture_and_words(explorer):
    bundle = explorer._repr_mimebundle_()
    assert bundle["image/png"] and bundle["text/plain"] == explorer.summary()
    assert explorer.still() == explorer.still()


@pytest.mark.parametrize("settings", [{"std": 5.0}, {"width": 100}, {"depth": 1000}, {"widht": 64}])
def test_a_wrong_setting_is_named(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        explore_scale(**settings)
