"""Residual networks: the remedies as their papers have them, the stream against theory, training at a hundred blocks, the picture."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pictures import mark

import initviz as iv
from initviz.models import BRANCH_REMEDIES
from initviz.models._branches import stream_limit
from initviz.models._residual import ScalarBias
from initviz.plots import streams, streams_figure
from initviz.plots._figure import Line, Words

DATA = iv.digits()
X, Y = DATA.batch(64)
REMEDIES = [name for name, remedy in BRANCH_REMEDIES.items() if not remedy.needs_post_norm]
CURES = [name for name in REMEDIES if name != "none"]
CLOSED = ["zero_last", "rezero", "fixup"]
"""Remedies under which every branch gives 0 at the start."""


def test_the_network_is_the_formula():
    net = iv.residual(2, 16, "tanh", "lecun_normal", layers_per_branch=3, seed=4)
    x = F.linear(X, net.first.weight, net.first.bias)
    for layers in net.branches():
        assert len(layers) == 3
        f = x
        for layer in layers:
            f = F.linear(torch.tanh(f), layer.weight, layer.bias)
        x = x + f
    torch.testing.assert_close(net(X), net.output(torch.tanh(x)))
    torch.testing.assert_close(list(net.streams(X))[-1], x)


@pytest.mark.parametrize("remedy", REMEDIES)
def test_each_remedy_is_its_rule(remedy):
    blocks, plain, net = 9, iv.residual(9, 24, seed=1), iv.residual(9, 24, remedy=remedy, seed=1)
    last = {"gpt2": 1 / 3, "zero_last": 0, "fixup": 0}.get(remedy, 1)
    inner = {"fixup": blocks ** (-1 / 2)}.get(remedy, 1)  # L^(-1/(2m - 2)) with m = 2
    for ours, theirs in zip(net.branches(), plain.branches()):
        torch.testing.assert_close(ours[0].weight, inner * theirs[0].weight)
        torch.testing.assert_close(ours[1].weight, last * theirs[1].weight)
    torch.testing.assert_close(net.output.weight, plain.output.weight * (remedy != "fixup"))
    assert torch.equal(net.first.weight, plain.first.weight)
    block = net.shortcuts()[0]
    assert block.branch == pytest.approx(1 / 3 if remedy == "branch_scale" else 1)
    assert {"rezero": 0, "fixup": 1}.get(remedy) == (None if block.alpha is None else block.alpha.item())
    biases = [part for part in block.modules() if isinstance(part, ScalarBias)]
    assert len(biases) == (4 if remedy == "fixup" else 0)  # before each of two activations and two layers
    assert all(bias.bias.item() == 0 for bias in biases)


def test_fixup_with_longer_branches():
    net, plain = (iv.residual(16, 8, remedy=r, layers_per_branch=3) for r in ("fixup", "none"))
    for ours, theirs in zip(net.branches(), plain.branches()):
        torch.testing.assert_close(ours[1].weight, 16**-0.25 * theirs[1].weight)
        assert not ours[2].weight.any()


def test_drawn_anew_and_rescaled_it_is_as_built():
    for remedy in REMEDIES:
        net = iv.residual(4, 16, remedy=remedy, seed=3)
        again = iv.init_(iv.residual(4, 16, remedy=remedy, seed=0), "he_normal", seed=3).rescale_()
        for a, b in zip(net.parameters(), again.parameters()):
            assert torch.equal(a, b)


def test_deterministic_and_global_random_state_untouched():
    state = torch.get_rng_state()
    one, two, other = (iv.residual(3, 8, seed=seed)(X) for seed in (5, 5, 6))
    both = iv.experiments.stream_growth(lambda seed: iv.residual(3, 8, seed=seed), X, seeds=2)
    second = iv.experiments.stream_growth(lambda seed: iv.residual(3, 8, seed=seed), X, seeds=[1])
    np.testing.assert_array_equal(second.forward, both.forward[1:])
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_precisions(dtype):
    net = iv.residual(3, 8, remedy="fixup", dtype=dtype)
    assert {str(p.dtype) for p in net.parameters()} == {f"torch.{dtype}"}
    assert net(X).isfinite().all()


def test_the_probe_sees_the_stream():
    """The pre-activation of a branch's last layer is x_{l+1}."""
    net = iv.residual(6, 32, remedy="branch_scale")
    report = iv.probe(net, X, Y)
    seen = {layer.name: layer.preactivation.second_moment for layer in report.reached}
    expected = [stream.double().square().mean().item() for stream in net.streams(X)]
    names = ["first", *(f"blocks.{block}.body.3" for block in range(6))]
    assert [seen[name] for name in names] == pytest.approx(expected, rel=1e-5)


# A hundred blocks ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hundred():
    return {
        r: iv.experiments.stream_growth(lambda seed, r=r: iv.residual(100, 96, remedy=r, seed=seed), X, seeds=5)
        for r in REMEDIES
    }


def test_unscaled_the_stream_doubles_a_block_both_ways(hundred):
    """log2 of a block's factor has a standard deviation of about log2(e) sqrt(3.5 / n) = 0.28; a slope over 100 of them about 0.03, and
    a mean of -0.5 of its variance in nats: -0.03."""
    one = hundred["none"]
    for slopes in (one.forward_slopes, one.backward_slopes):
        assert slopes.mean() == pytest.approx(1, abs=0.06)
    np.testing.assert_allclose(one.forward_theory, 2.0 ** np.arange(101), rtol=0.2)  # the draw's own weights are in it
    np.testing.assert_allclose(one.backward_theory, one.forward_theory[::-1], rtol=0.1)


@pytest.mark.parametrize("remedy", ["branch_scale", "gpt2"])
def test_a_scaled_branch_lets_it_grow_to_e(hundred, remedy):
    one = hundred[remedy]
    assert one.forward_theory[-1] == pytest.approx(1.01**100, rel=0.01)
    assert one.forward[:, -1].mean() == pytest.approx(math.e, rel=0.5)
    assert one.backward[:, 0].mean() == pytest.approx(math.e, rel=0.25)
    assert stream_limit(100) == pytest.approx(1.01**100) and stream_limit(10**6) == pytest.approx(math.e, rel=1e-5)


def test_the_bound_does_not_depend_on_the_depth():
    for blocks in (10, 40, 160):
        one = iv.experiments.stream_growth(
            lambda seed, b=blocks: iv.residual(b, 64, remedy="gpt2", seed=seed), X, seeds=4
        )
        assert one.forward_theory[-1] == pytest.approx(stream_limit(blocks), rel=0.02)
        assert 1.5 < one.forward[:, -1].mean() < 4.5
        assert 1.5 < one.backward[:, 0].mean() < 4.5


@pytest.mark.parametrize("remedy", CLOSED)
def test_a_closed_branch_keeps_the_stream_exactly(hundred, remedy):
    one = hundred[remedy]
    assert (one.forward == 1).all() and (one.backward == 1).all()
    assert (one.forward_theory == 1).all() and (one.backward_theory == 1).all()
    assert (one.forward_slopes == 0).all()


@pytest.mark.parametrize("activation", ["tanh", "gelu", "selu"])
@pytest.mark.parametrize("remedy", ["none", "branch_scale"])
def test_theory_for_other_activations(activation, remedy):
    one = iv.experiments.stream_growth(
        lambda seed: iv.residual(30, 200, activation, "lecun_normal", remedy=remedy, seed=seed), X
    )
    assert np.log(one.forward[:, -1]).mean() == pytest.approx(math.log(one.forward_theory[-1]), abs=0.35)
    assert np.log(one.backward[:, 0]).mean() == pytest.approx(math.log(one.backward_theory[0]), abs=0.35)


@pytest.mark.parametrize("remedy", REMEDIES)
def test_verdict_before_and_after_training(remedy):
    """Before: unscaled explodes, each remedy is stable. After 40 steps of Adam: each remedy has learned and is stable still.

    Over three seeds their accuracies were 0.77 to 0.94, and chance is 0.1.
    """
    net = iv.residual(100, 48, remedy=remedy, seed=0)
    before = iv.verdict(iv.probe(net, X, Y))
    history = iv.train(net, DATA, steps=40, lr=0.001, optimizer="adam", every=40)
    if remedy == "none":
        assert before.kind == "exploding" and "scale the branches" in before.remedy
        assert history.diverged_at is not None or history.final_accuracy < 0.5
        return
    assert before.kind == "stable"
    assert history.diverged_at is None and history.final_accuracy > 0.6
    streams = [stream.square().mean().item() for stream in net.streams(X)]
    assert max(streams) < 1e3 * streams[0]
    assert iv.verdict(iv.probe(net, X, Y)).kind == "stable"


def test_unscaled_under_sgd_diverges_at_once():
    history = iv.train(iv.residual(100, 48), DATA, steps=5, lr=0.01)
    assert history.diverged_at is not None and history.diverged_at <= 2


# Bad input and the picture --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": 0}, "^blocks: got 0"),
        ({"width": 2.5}, "^width: got float"),
        ({"layers_per_branch": 0}, "^layers_per_branch: got 0"),
        ({"layers_per_branch": 1, "remedy": "fixup"}, "^layers_per_branch: got 1; 'fixup' takes at least 2"),
        ({"remedy": "fixupp"}, "^remedy: 'fixupp' is unknown; did you mean 'fixup'"),
        ({"remedy": None}, "^remedy: got NoneType"),
        ({"remedy": "deepnorm"}, "^remedy: 'deepnorm' is for a normalization"),
        ({"activation": "relo"}, "^activation: 'relo' is unknown"),
        ({"scheme": "hee"}, "^scheme: 'hee' is unknown"),
        ({"n_in": 0}, "^n_in: got 0"),
        ({"n_out": -1}, "^n_out: got -1"),
        ({"dtype": "float8"}, "^dtype: 'float8' is unknown"),
        ({"seed": -1}, "^seed: got -1"),
        ({"scale": math.nan}, "^scale: got nan"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        iv.residual(**({"blocks": 2, "width": 8} | arguments))


def test_bad_input_to_stream_growth():
    with pytest.raises(TypeError, match="^build: gave MLP"):
        iv.experiments.stream_growth(lambda seed: iv.mlp(2, 8), X)
    with pytest.raises(ValueError, match="^build: gave 1 blocks, then 2"):
        iv.experiments.stream_growth(lambda seed: iv.residual(seed + 1, 8), X)
    with pytest.raises(ValueError, match="^seeds: got 0"):
        iv.experiments.stream_growth(lambda seed: iv.residual(2, 8), X, seeds=0)
    with pytest.raises(ValueError, match="^build: gave a network with frozen weights"):
        iv.experiments.stream_growth(lambda seed: iv.residual(2, 8).requires_grad_(False), X)


def test_the_picture_shows_the_numbers(hundred):
    figure = streams_figure({BRANCH_REMEDIES[r].label: one for r, one in hundred.items()})
    left, right = figure.panels
    for panel, way in ((left, "forward"), (right, "backward")):
        for remedy, one in hundred.items():
            expected = 0.5 * np.log10(getattr(one, way)).mean(axis=0)
            label = BRANCH_REMEDIES[remedy].label
            np.testing.assert_allclose(np.log10(mark(panel, Line, f"{label}: measured").y), expected, atol=1e-12)
            theory = mark(panel, Line, f"{label}: theory")
            assert theory.dash
            np.testing.assert_allclose(theory.y**2, getattr(one, f"{way}_theory"))
    assert (
        -0.3 < left.y.low < 0 and 0.3 < left.y.high < 0.7
    )  # the remedies fill the picture, and the unscaled line leaves it
    names = [one for one in left.marks if isinstance(one, Words)]
    said = [one.words[0] for one in names]
    assert any("Unscaled, 10¹" in text for text in said)
    for remedy in CURES:
        assert any(text.endswith(BRANCH_REMEDIES[remedy].label) for text in said)
    places = sorted(float(one.y[0]) for one in names)
    assert np.diff(places).min() > 0.09 and places[-1] < 1 and places[0] >= 0
    assert repr(streams({"it": hundred["none"]})) == "<Figure size 1280x560 with 2 Axes>"


def test_alone_a_tall_line_has_the_picture_to_itself(hundred):
    axis = streams_figure({"it": hundred["none"]}).panels[0].y
    assert axis.low < 0 and axis.high > 12
