"""One layer, one slider: the picture and the words are those of a probed layer."""

import pytest

import initviz as iv


def test_the_words_are_the_numbers():
    app = iv.explore_layer(scale=2.0)
    report = iv.measure(depth=1, width=256, activation="tanh", scheme="lecun_normal", scale=2.0).report
    h, a = (report.stats(quantity)[0] for quantity in ("preactivation", "activation"))
    assert f"h has an rms of {h.rms:.2g}, and tanh makes {a.rms:.2g} of it. {a.saturated:.0%}" in app.sentence
    assert 1.5 < h.rms < 2.5 and app.sentence in app.words.value and repr(app) == app.summary()


def test_the_slider_moves_picture_and_words_over_its_whole_range():
    app = iv.explore_layer()
    before = app.picture.value, app.sentence
    for scale in (0.01, 0.3, 10.0):
        app.set(scale=scale)
        assert (app.picture.value, app.sentence) != before
        assert f"Weights of std {scale:.3g}/√64:" in app.sentence
        before = app.picture.value, app.sentence
    assert app.controls["scale"].tooltip
    bundle = app._repr_mimebundle_()
    assert bundle["image/png"] and bundle["text/plain"] == app.summary()


@pytest.mark.parametrize("settings", [{"scale": 100.0}, {"depth": 3}])
def test_a_wrong_setting_is_named(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        iv.explore_layer(**settings)
