"""Transformers: the formula, the rules of GPT-2 and DeepNorm, pre- and post-norm streams against theory, and training."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import initviz as iv
from initviz.models import Attention
from initviz.models._transformer import NORMS

DATA = iv.digits()
X, Y = DATA.batch(64)
TOKENS = torch.randint(0, 30, (16, 12), generator=torch.Generator(torch.get_default_device()).manual_seed(0))


def first_perceptron(net):
    return net.branches[1].body[0], net.branches[1].body[2]


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_torchs(causal):
    ours = iv.transformer(1, 24, 3, causal=causal).branches[0].body
    theirs = nn.MultiheadAttention(24, 3, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.zero_()
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.zero_()
    x = torch.randn(4, 7, 24, generator=torch.Generator(torch.get_default_device()).manual_seed(1))
    mask = nn.Transformer.generate_square_subsequent_mask(7) if causal else None
    torch.testing.assert_close(ours(x), theirs(x, x, x, attn_mask=mask, need_weights=False)[0])


@pytest.mark.parametrize("norm", NORMS)
def test_a_block_is_torchs_encoder_layer(norm):
    """With the same weights nn.TransformerEncoderLayer computes the same, normalization before or behind; without, by hand."""
    net = iv.transformer(1, 16, 2, "relu", norm=norm, mlp_ratio=2)
    start, end = net.streams(X)
    attention, (first, last) = net.branches[0].body, first_perceptron(net)
    if norm == "none":
        h = start + attention(start)
        torch.testing.assert_close(end, h + last(F.relu(first(h))))
        return
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=norm == "pre")
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(
            torch.cat([getattr(attention, w).weight for w in ("query", "key", "value")])
        )
        for theirs, ours in ((layer.self_attn.out_proj, attention.out), (layer.linear1, first), (layer.linear2, last)):
            theirs.weight.copy_(ours.weight)
            theirs.bias.zero_()
    torch.testing.assert_close(end, layer(start))


def test_causal_places_do_not_see_what_follows():
    net = iv.transformer(2, 16, 2, vocabulary=30, length=12, causal=True)
    other = TOKENS.clone()
    other[:, 8:] = (other[:, 8:] + 1) % 30
    one, two = list(net.streams(TOKENS))[-1], list(net.streams(other))[-1]
    torch.testing.assert_close(one[:, :8], two[:, :8])
    assert not torch.allclose(one[:, 8:], two[:, 8:])
    assert net(TOKENS).shape == (16, 10) and net(TOKENS[:, :5]).shape == (16, 10)


def test_std_of_gpt2_and_its_residual_projections():
    """Every matrix has standard deviation 0.02, but the last of a branch: 0.02/sqrt(2 N)."""
    net = iv.transformer(8, 128, 4, scheme="normal", std=0.02, remedy="gpt2", vocabulary=200, length=64)
    for branch in net.shortcuts():
        linears = [part for part in branch.modules() if isinstance(part, nn.Linear)]
        for layer in linears:
            expected = 0.02 / math.sqrt(16) if layer is linears[-1] else 0.02
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.03)
            assert not layer.bias.any()
    assert net.embed.weight.std().item() == pytest.approx(0.02, rel=0.03)
    assert net.positions.std().item() == pytest.approx(0.02, rel=0.05)


def test_truncated_normal_has_the_std_it_names_and_no_outliers():
    net = iv.transformer(2, 128, 4, std=0.02)
    weights = torch.cat([part.weight.flatten() for part in net.branches.modules() if isinstance(part, nn.Linear)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    assert weights.abs().max().item() <= 0.02 * 2 / 0.8796 * 1.0001
    net = iv.transformer(2, 128, 4)  # without std: 1/sqrt(fan_in)
    assert net.branches[0].body.query.weight.std().item() == pytest.approx(1 / math.sqrt(128), rel=0.02)
    assert first_perceptron(net)[1].weight.std().item() == pytest.approx(1 / math.sqrt(512), rel=0.02)


def test_deepnorm_is_its_rule():
    """alpha = (2N)^(1/4) on the stream; beta = (8N)^(-1/4) on values, output projection and both of the perceptron."""
    net, plain = (iv.transformer(3, 16, 2, scheme="xavier_normal", norm="post", remedy=r) for r in ("deepnorm", "none"))
    beta = 24**-0.25
    for ours, theirs in zip(net.shortcuts(), plain.shortcuts()):
        assert ours.skip == pytest.approx(6**0.25) and ours.branch == 1 and ours.alpha is None
        for (name, a), (_, b) in zip(ours.body.named_parameters(), theirs.body.named_parameters()):
            if name.endswith("weight"):
                factor = 1 if name.startswith(("query", "key")) else beta
                torch.testing.assert_close(a, factor * b)
    x = next(net.streams(X))
    h = F.layer_norm(6**0.25 * x + net.branches[0].body(x), (16,))
    torch.testing.assert_close(net.branches[0](x), h)


def test_drawn_anew_and_rescaled_it_is_as_built():
    net = iv.transformer(2, 16, 2, remedy="gpt2", seed=3)
    again = iv.init_(iv.transformer(2, 16, 2, remedy="gpt2"), "truncated_normal", seed=3).rescale_()
    for (name, a), (_, b) in zip(net.named_parameters(), again.named_parameters()):
        assert torch.equal(a, b) or name == "positions"


def test_deterministic_and_global_random_state_untouched():
    state = torch.get_rng_state()
    one, two, other = (iv.transformer(1, 16, 2, vocabulary=30, length=12, seed=s)(TOKENS) for s in (5, 5, 6))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(state, torch.get_rng_state())


# Streams -------------------------------------------------------------------------------------------------------------------


def streams(blocks, **settings):
    return iv.experiments.stream_growth(lambda seed: iv.transformer(blocks, 64, 4, seed=seed, **settings), X)


def test_a_pre_norm_stream_grows_by_the_same_amount_a_block():
    """A straight line explains its second moment, not an exponential; the slope is the theory's for places that are alike."""
    one = streams(24)
    mean, blocks = one.forward.mean(axis=0), np.arange(25)
    slope, start = np.polyfit(blocks[2:], mean[2:], 1)
    residue = mean[2:] - slope * blocks[2:] - start
    assert residue.std() < 0.05 * np.ptp(mean)
    assert slope == pytest.approx(np.diff(one.forward_theory)[4:].mean(), rel=0.3)
    assert one.backward[:, 0].min() > 20  # the gradient grows on its way back, but not exponentially:
    late, early = one.backward[:, 12].mean(), one.backward[:, 0].mean() / one.backward[:, 12].mean()
    assert 1.5 < late < 5 and early > 4 * late


def test_gpt2_bounds_the_stream_at_every_depth():
    ends = []
    for blocks in (6, 24, 48):
        one = streams(blocks, remedy="gpt2")
        ends.append(one.forward[:, -1].mean())
        assert one.forward_theory[-1] == pytest.approx(1.75, abs=0.15)
        assert 1 < ends[-1] < one.forward_theory[-1] * 1.1
        assert 1 < one.backward[:, 0].mean() < 4
    assert max(ends) / min(ends) < 1.4


def test_a_post_norm_stream_is_one_at_every_block():
    for settings in ({}, {"remedy": "deepnorm", "scheme": "xavier_normal"}):
        one = streams(12, norm="post", **settings)
        ratio = one.forward[:, 1:] / one.forward[:, -1:]
        np.testing.assert_allclose(ratio, 1, rtol=1e-3)


def test_deepnorm_keeps_the_gradient_of_each_block_and_post_norm_spreads_more():
    deep, post = (streams(24, norm="post", scheme="xavier_normal", remedy=r) for r in ("deepnorm", "none"))
    np.testing.assert_allclose(deep.backward[:, 1:], 1, atol=0.15)
    assert np.log(post.backward[:, 1:]).std() > 5 * np.log(deep.backward[:, 1:]).std()


def test_without_normalization_and_remedy_the_stream_explodes():
    one = streams(24, norm="none")
    assert one.forward[:, -1].min() > 1e8 and one.forward_slopes.mean() == pytest.approx(1.5, abs=0.25)
    for remedy in ("rezero", "zero_last"):
        closed = streams(24, norm="none", remedy=remedy)
        assert (closed.forward == 1).all() and (closed.backward == 1).all()


# Everything else -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, "stable"),
        ({"remedy": "gpt2"}, "stable"),
        ({"norm": "post"}, "stable"),
        ({"norm": "post", "remedy": "deepnorm", "scheme": "xavier_normal"}, "stable"),
        ({"norm": "none", "remedy": "rezero"}, "stable"),
        ({"norm": "none"}, "exploding"),
        ({"std": 0.02, "remedy": "gpt2", "dtype": "bfloat16"}, "stable"),
    ],
)
def test_verdict(settings, kind):
    net = iv.transformer(12, 32, 4, **settings)
    report = iv.probe(net, X, Y)
    assert iv.verdict(report).kind == kind
    assert len(report.reached) == 12 * 6 + 2  # four of attention, two of the perceptron; the embedding and the output


@pytest.mark.parametrize(("norm", "remedy"), [("pre", "gpt2"), ("none", "rezero")])
def test_it_learns(norm, remedy):
    net = iv.transformer(4, 32, 4, norm=norm, remedy=remedy)
    history = iv.train(net, DATA, steps=80, lr=0.003, optimizer="adam", every=80)
    assert history.diverged_at is None and history.final_accuracy > 0.8
    assert iv.verdict(iv.probe(net, X, Y)).kind == "stable"


def test_several_seeds_train_as_one_without_a_warning(recwarn):
    result = iv.race({"it": lambda seed: iv.transformer(1, 16, 2, seed=seed)}, data=DATA, seeds=2, steps=2)
    assert result.diverged("it") == 0 and not recwarn.list


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": 0}, "^blocks: got 0"),
        ({"heads": 3}, "^heads: got 3; the width, 16, must be a multiple"),
        ({"norm": "mid"}, "^norm: 'mid' is unknown"),
        ({"remedy": "gpt3"}, "^remedy: 'gpt3' is unknown; did you mean 'gpt2'"),
        ({"remedy": "deepnorm"}, "^norm: got 'pre'; 'deepnorm' takes 'post'"),
        ({"remedy": "fixup", "norm": "none"}, "^remedy: 'fixup' is for iv.residual"),
        ({"std": -0.1}, "^std: got -0.1"),
        ({"std": "small"}, "^std: got str"),
        ({"vocabulary": 0}, "^vocabulary: got 0"),
        ({"length": 7}, "^length: got 7; n_in, 64, must be a multiple"),
        ({"mlp_ratio": 0.5}, "^mlp_ratio: got float"),
        ({"n_out": 0}, "^n_out: got 0"),
        ({"scheme": "hee"}, "^scheme: 'hee' is unknown"),
        ({"scheme": "lsuv"}, "^scheme: 'lsuv' takes its scale from a batch"),
        ({"activation": "relo"}, "^activation: 'relo' is unknown"),
        ({"seed": -1}, "^seed: got -1"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        iv.transformer(**({"blocks": 1, "width": 16, "heads": 2} | arguments))


def test_attention_brings_places_together():
    """Places do differ at the start, and attention mixes them: what comes out is closer together than what goes in."""
    net = iv.transformer(1, 32, 4, norm="none")
    x = next(net.streams(X))
    body = net.branches[0].body
    assert isinstance(body, Attention)
    spread = [t.var(dim=1).mean().item() / t.square().mean().item() for t in (x, body(x))]
    assert spread[1] < 0.5 * spread[0]
