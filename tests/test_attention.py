"""Attention's two failures: theory against draws, the stack against theory, the picture and the app."""

import math

import numpy as np
import pytest
import torch
from pictures import mark, marks, words

import initviz as iv
from initviz.experiments import attention_run
from initviz.experiments._attention import AttentionStack
from initviz.plots import attention_figure
from initviz.plots._figure import Heat, Line
from initviz.theory import attention_plane, normal_softmax, predict_attention, predict_first_loss

SMALL = {"layers": 4, "places": 16, "width": 64}


@pytest.mark.parametrize(("std", "number"), [(0.3, 8), (1.0, 32), (3.0, 32), (6.0, 1000), (28.0, 500)])
def test_the_softmax_of_normal_logits_is_that_of_draws(std, number):
    logits = std * np.random.default_rng(0).standard_normal((200_000 // number, number))
    top = logits.max(axis=1, keepdims=True)
    e = np.exp(logits - top)
    p = e / e.sum(axis=1, keepdims=True)
    entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
    exact = normal_softmax(std, number)
    for measured, predicted in (
        (np.log(e.sum(axis=1)) + top[:, 0], exact.log_sum),
        (entropy, exact.entropy),
        ((p**2).sum(axis=1), exact.squares),
    ):
        error = measured.std() / math.sqrt(len(measured))
        assert predicted == pytest.approx(measured.mean(), abs=4 * error + 1e-3)


def test_the_softmax_at_its_ends():
    flat, sharp = normal_softmax(0.0, 50), normal_softmax(1e4, 50)
    assert (flat.log_sum, flat.entropy, flat.squares) == (math.log(50), math.log(50), 1 / 50)
    assert sharp.entropy < 0.01 and sharp.squares == pytest.approx(1, abs=0.01)
    assert normal_softmax(3.0, 1).squares == 1
    near, beyond = normal_softmax(99.9, 32), normal_softmax(100.1, 32)
    assert beyond.log_sum == pytest.approx(near.log_sum * 1.002, rel=1e-3)
    assert beyond.entropy == pytest.approx(near.entropy, rel=0.01)
    small = normal_softmax(0.2, 1000)
    assert small.entropy == pytest.approx(math.log(1000) - 0.2**2 / 2, abs=1e-3)  # ln T - v/2


def test_the_first_loss_and_its_limit():
    for variance, classes, simulated in ((4, 50_257, 12.82), (9, 50_257, 15.32), (100, 50_257, 42.5), (25, 1000, 17.2)):
        assert predict_first_loss(variance, classes) == pytest.approx(simulated, rel=0.02)
    assert predict_first_loss(1, 1000, wide=True) == pytest.approx(math.log(1000) + 0.5)
    assert predict_first_loss(2 * math.log(1000), 1000, wide=True) == pytest.approx(2 * math.log(1000))
    assert predict_first_loss(1e4, 1000) == pytest.approx(predict_first_loss(1e4, 1000, wide=True), rel=0.15)
    with pytest.raises(ValueError, match="^classes: got 0"):
        predict_first_loss(1, 0)
    with pytest.raises(ValueError, match="^variance: got -1"):
        predict_first_loss(-1, 10)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize(("logit_std", "residual"), [(0.2, 0.3), (1.0, 1.0), (1.0, 3.0), (4.0, 1.0)])
def test_a_stack_does_what_theory_says(logit_std, residual, norm):
    run = attention_run(logit_std, residual, norm=norm, layers=6, places=32)
    assert run.entropy.shape == run.similarity.shape == run.query_gradient.shape == (5, 6)
    np.testing.assert_allclose(run.entropy.mean(axis=0), run.entropy_theory, atol=0.05)
    np.testing.assert_allclose(run.similarity.mean(axis=0), run.similarity_theory, atol=0.06)


def test_small_logits_collapse_the_rank_and_large_ones_the_entropy():
    rank, entropy, sound = attention_run(0.2, 0.1), attention_run(10.0, 3.0), attention_run(1.0, 4.0)
    assert rank.similarity[:, -1].min() > 0.999 and rank.entropy.min() > 0.98
    assert rank.query_gradient[:, -1].max() < 1e-3, "the queries get no gradient"
    assert entropy.entropy.max() < 0.2 and entropy.similarity.max() < 0.1
    assert sound.entropy.min() > 0.8 and sound.similarity.max() < 0.1 and sound.query_gradient.min() > 0.3
    for kind, beta, residual in (("rank-collapsed", 0.2, 0.1), ("saturated", 10.0, 3.0), ("stable", 1.0, 4.0)):
        stack = AttentionStack(beta, residual, 12, 128, 2, "post", False, seed=0)
        tokens = torch.randn(4, 32, 128, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
        assert iv.verdict(iv.probe(stack, tokens, quantities=())).kind == kind


def test_qk_norm_takes_the_logits_back():
    plain, cured = attention_run(20.0, 1.0, **SMALL), attention_run(20.0, 1.0, qk_norm=True, **SMALL)
    assert plain.entropy[:, 0].max() < 0.2 and cured.entropy[:, 0].min() > 0.8
    np.testing.assert_allclose(cured.entropy, attention_run(1.0, 1.0, qk_norm=True, **SMALL).entropy, rtol=0.02)
    assert cured.logit_std == 1 and plain.logit_std == 20
    net = iv.transformer(2, 32, 4, qk_norm=True)
    assert net.branches[0].body.query_norm.weight.shape == (8,)
    with torch.no_grad():
        for branch in (net.branches[0], net.branches[2]):
            branch.body.query.weight.mul_(1e3)
    x, y = iv.digits().batch(16)
    assert min(one.entropy for one in iv.probe(net, x, y).attention) > 0.5


def test_one_layer_of_uniform_attention_makes_all_tokens_one():
    entropy, alike = predict_attention(0.0, 0.0, layers=2, places=16)
    assert entropy.tolist() == [1, 1] and alike.tolist() == [0, 1, 1]
    _, alike = predict_attention(0.0, 2.0, layers=1, places=16)
    assert alike[1] == pytest.approx((1 / 16) / (4 + 1 / 16))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="^norm: 'before' is unknown"):
        attention_run(norm="before")
    with pytest.raises(ValueError, match="^heads: got 3; the width, 128"):
        attention_run(heads=3)
    with pytest.raises(ValueError, match="^places: got 1"):
        attention_run(places=1)
    with pytest.raises(ValueError, match="^residual: got -1"):
        predict_attention(1.0, np.array([-1.0, 2.0]), layers=2, places=8)
    with pytest.raises(ValueError, match="^cosine: got 2; it takes a number from 0 to 1"):
        predict_attention(1.0, 1.0, layers=2, places=8, cosine=2)
    with pytest.raises(ValueError, match="^logit_std: is empty"):
        predict_attention([], 1.0, layers=2, places=8)
    with pytest.raises(ValueError, match="^std: got nan"):
        normal_softmax(math.nan, 8)


def test_the_picture_is_the_plane_and_the_run():
    plane, run = attention_plane(4, 16, "pre"), attention_run(1.0, 2.0, norm="pre", seeds=2, **SMALL)
    assert plane.similarity.shape == (len(plane.residual), len(plane.logit_std))
    assert (np.diff(plane.entropy) < 0).all() and (np.diff(plane.similarity[:, 0]) < 0).all()
    figure = attention_figure(plane, run, (1.0, 2.0), "words")
    np.testing.assert_array_equal(mark(figure, Heat, "cosine of two tokens").values, plane.similarity)
    (point,) = [line for line in marks(figure, Line) if line.hollow]
    assert (point.x.item(), point.y.item()) == (1.0, 2.0)
    np.testing.assert_allclose(mark(figure, Line, "cosine of two tokens").y, run.similarity.mean(axis=0))
    np.testing.assert_array_equal(marks(figure, Line, "theory")[0].y, run.entropy_theory)
    assert "rank collapse:\nall tokens alike" in words(figure.panels[0])
    assert iv.plots.attention(plane, run, (1.0, 2.0)).axes


def test_the_app_follows_its_controls():
    app = iv.explore_attention(seeds=1, layers=4, places=16)
    first = app.picture.value
    app.set(logit_std=10.0, residual=0.5)
    assert app.picture.value != first and app.run.entropy[0, 0] < 0.3
    assert app.summary().startswith(
        "Attention: logit std 10, residual 0.5, post-norm, 4 layers, 16 tokens. First layer: entropy 0.1"
    )
    app.set(qk_norm=True)
    assert app.run.entropy[0, 0] > 0.8 and "QK-norm" in app.summary()
    assert app._repr_mimebundle_()["image/png"]
    with pytest.raises(ValueError, match="^logit_std: got 100"):
        app.set(logit_std=100)
    with pytest.raises(ValueError, match="^settings: 'scale' is unknown"):
        iv.explore_attention(scale=1)
