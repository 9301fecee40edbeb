"""Remedies, applied: what the sentence says is done, and the network is then stable; and no sentence blames what is innocent."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import initviz as iv
from initviz.diagnosis import verdict
from initviz.diagnosis._remedies import Change

BASE = {"depth": 40, "width": 128, "batch": 64}


def measured(**changes):
    return iv.measure(**(BASE | changes))


def x_and_y(n=64):
    return iv.digits().batch(n)


# The weights are to blame: the scheme that the sentence names is applied --------------------------------------------------

SCHEMES = {"He": "he_normal", "Xavier": "xavier_normal", "LeCun": "lecun_normal"}
BLAMED = [
    {"activation": "relu", "scheme": "xavier_normal"},
    {"activation": "relu", "scheme": "he_normal", "scale": 1.5},
    {"activation": "relu", "scheme": "he_normal", "scale": 1.15, "depth": 100},
    {"activation": "relu", "scheme": "pytorch_default"},
    {"activation": "relu", "scheme": "orthogonal"},
    {"activation": "leaky_relu", "scheme": "lecun_normal"},
    {"activation": "prelu", "scheme": "he_normal", "scale": 2.0},
    {"activation": "tanh", "scheme": "small_normal"},
    {"activation": "tanh", "scheme": "pytorch_default"},
    {"activation": "softsign", "scheme": "small_normal"},
    {"activation": "linear", "scheme": "he_normal"},
    {"activation": "sine", "scheme": "xavier_normal", "scale": 3.0},
    {"activation": "selu", "scheme": "small_normal"},
    {"activation": "softplus", "scheme": "lecun_normal"},
    {"activation": "relu", "scheme": "xavier_normal", "precision": "float16", "depth": 50},
    {"activation": "relu", "scheme": "small_normal", "depth": 200},
]


@pytest.mark.parametrize("changes", BLAMED, ids=lambda c: "-".join(str(v) for v in c.values()))
def test_the_scheme_that_is_named_cures(changes):
    ill = measured(**changes)
    words = re.fullmatch(
        r"Use (larger|smaller) weights: (\w+), variance .+, keeps the scale with .+; these have (.+) times that\.",
        ill.verdict.remedy,
    )
    assert words, ill.verdict
    assert words[1] == {"vanishing": "larger", "exploding": "smaller"}[ill.verdict.kind]
    cured = measured(**(changes | {"scheme": SCHEMES[words[2]], "scale": 1.0}))
    assert cured.verdict.kind == "stable", cured.verdict
    # the number is right: dividing by it gives the scheme's variance
    mine, theirs = (m.report.layers[5].weight_rms ** 2 for m in (ill, cured))
    assert float(words[3]) == pytest.approx(mine / theirs, rel=0.1)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "elu"])
def test_where_no_formula_is_known_lsuv_and_layer_normalization_cure(name):
    ill = measured(activation=name, scheme="small_normal")
    assert ill.verdict.kind == "vanishing" and "LSUV" in ill.verdict.remedy and "normalization" in ill.verdict.remedy
    for cure in ({"scheme": "lsuv"}, {"normalization": "layer"}):
        assert measured(**({"activation": name, "scheme": "small_normal"} | cure)).verdict.kind == "stable", cure


@pytest.mark.parametrize("scheme", ["xavier_normal", "he_normal", "small_normal"])
def test_sigmoid_is_blamed_and_not_its_weights(scheme):
    ill = measured(activation="sigmoid", scheme=scheme)
    assert ill.verdict.kind == "vanishing" and "batch normalization" in ill.verdict.remedy
    larger = [measured(activation="sigmoid", scheme="xavier_normal", scale=scale).verdict.kind for scale in (4.0, 12.0)]
    assert larger == ["vanishing", "saturated"]  # as it says
    assert measured(activation="sigmoid", scheme="xavier_normal", normalization="batch").verdict.kind == "stable"
    assert measured(activation="tanh", scheme="xavier_normal").verdict.kind == "stable"


# The weights are innocent ------------------------------------------------------------------------------------------------


def test_skip_connections_that_add_up():
    ill = measured(activation="relu", scheme="he_normal", skip=True, depth=50)
    assert ill.verdict.kind == "exploding" and "Use smaller weights" not in ill.verdict.remedy
    assert "skip connections" in ill.verdict.remedy and "1/sqrt(number of blocks)" in ill.verdict.remedy
    scaled = measured(activation="relu", scheme="he_normal", skip=True, depth=50, scale=50**-0.5)
    normed = measured(activation="relu", scheme="he_normal", skip=True, depth=50, normalization="layer")
    assert scaled.verdict.kind == normed.verdict.kind == "stable"


@pytest.mark.parametrize(("activation", "normalization"), [("relu", "batch"), ("sine", "layer")])
def test_behind_a_normalization_the_scale_of_the_weights_is_not_blamed(activation, normalization):
    ill = measured(activation=activation, normalization=normalization, scheme="he_normal", depth=60)
    assert ill.verdict.kind == "exploding" and "normalization" in ill.verdict.remedy
    assert "weights:" not in ill.verdict.remedy
    rescaled = measured(activation=activation, normalization=normalization, scheme="he_normal", depth=60, scale=0.5)
    assert rescaled.verdict.kind == "exploding"  # as it says
    skips = measured(activation=activation, normalization=normalization, scheme="he_normal", depth=60, skip=True)
    assert skips.verdict.kind == "stable"


def test_a_normalization_is_named_where_pre_activations_were_not_measured():
    """As in the explorer, which then cannot tell that they have an rms of 1."""
    ill = iv.measure(activation="relu", normalization="batch", depth=60, width=64, quantities=())
    assert ill.verdict.kind == "exploding" and "If every layer is normalized" in ill.verdict.remedy


def test_float16_that_loses_gradients_wants_its_loss_scaled():
    x, y = x_and_y()
    net = iv.mlp(10, 128, "relu", "he_normal", dtype="float16")
    tiny = lambda scale: lambda output, target: scale * 1e-6 * F.cross_entropy(output.float(), target)  # noqa: E731
    ill = verdict(iv.probe(net, x, y, loss=tiny(1.0)))
    assert ill.kind == "vanishing" and "loss scaling" in ill.remedy and "bfloat16" in ill.remedy
    assert verdict(iv.probe(net, x, y, loss=tiny(1e5))).kind == "stable"
    assert verdict(iv.probe(net.bfloat16(), x, y, loss=tiny(1.0))).kind == "stable"


@pytest.mark.parametrize("scale", [1e20, 1e30, 1e36])
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_inputs_whose_squares_are_no_numbers(normalization, scale):
    """Their variance is infinite, and a normalization makes 0 or NaN of them: not symmetric units, and no division by 0."""
    x, y = iv.digits().batch(64)
    net = iv.mlp(5, 32, "relu", normalization=normalization)
    found = iv.verdict(iv.probe(net, scale * x, y))
    assert found.kind in ("off-scale", "non-finite") and found.layers[0] == 1
    assert found.remedy == "Bring the inputs to order 1: x = (x - x.mean()) / x.std()."
    assert iv.verdict(iv.probe(net, 1e10 * x, y)).kind == "stable"


def test_weights_whose_outputs_have_no_squares():
    x, y = iv.digits().batch(64)
    net = iv.mlp(5, 32, "relu", normalization="batch")
    with torch.no_grad():
        net.hidden[2].weight.mul_(1e22)
    found = iv.verdict(iv.probe(net, x, y))
    assert found.kind == "off-scale" and found.layers == (3,) and "by the scheme of the others" in found.remedy
    net.norms[2].weight.data.zero_()  # zeros that were meant
    net.hidden[2].weight.data.mul_(1e-22)
    assert iv.verdict(iv.probe(net, x, y)).kind != "off-scale"


def test_float16_that_overflows():
    ill = measured(activation="relu", scheme="he_normal", scale=1.5, precision="float16", depth=50)
    assert (
        ill.verdict.kind == "non-finite" and "65504" in ill.verdict.remedy and "smaller weights" in ill.verdict.remedy
    )
    assert measured(activation="relu", scheme="he_normal", precision="float16", depth=50).verdict.kind == "stable"


def test_saturated_by_weights_or_by_skips():
    ill = measured(activation="tanh", scale=4.0, depth=10)
    assert ill.verdict.kind == "saturated" and "smaller weights" in ill.verdict.remedy
    assert measured(activation="tanh", depth=10).verdict.kind == "stable"
    skips = measured(activation="tanh", skip=True, depth=50)
    assert skips.verdict.kind == "saturated" and "The weights are not large" in skips.verdict.remedy
    assert measured(activation="tanh", skip=True, depth=50, normalization="layer").verdict.kind == "stable"


def test_chance_in_a_narrow_and_deep_network():
    found = [measured(activation="relu", scheme="he_normal", width=8, depth=200, seed=s).verdict for s in range(6)]
    ill = [v for v in found if v.kind == "vanishing"]
    assert ill and all("chance" in v.remedy or "symmetric" in v.kind for v in ill)
    assert measured(activation="relu", scheme="he_normal", width=512, depth=60).verdict.kind == "stable"


class Reader(nn.Module):
    """A recurrent network read at its last step."""

    def __init__(self, gain):
        super().__init__()
        self.words, self.rnn, self.out = nn.Linear(8, 64), nn.RNN(64, 64, batch_first=True), nn.Linear(64, 3)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain)
        nn.init.constant_(self.rnn.bias_hh_l0, 0.0), nn.init.constant_(self.rnn.bias_ih_l0, 0.0)
        nn.init.normal_(self.rnn.weight_ih_l0, 0, 1e-5)  # hardly anything gets through the input

    def forward(self, x):
        return self.out(self.rnn(self.words(x))[0][:, -1])


def test_recurrent_networks_get_advice_of_their_own():
    v = verdict(
        iv.probe(
            Reader(0.1), torch.randn(4, 30, 8, generator=torch.Generator(torch.get_default_device()).manual_seed(0))
        )
    )
    assert v.kind == "vanishing" and "recurrent weights orthogonal" in v.remedy


class Unrolled(nn.Module):
    """The same without a recurrent module: linear layers that are called at each step."""

    def __init__(self):
        super().__init__()
        self.inputs, self.hidden, self.head = nn.Linear(8, 32), nn.Linear(32, 32), nn.Linear(32, 4)

    def forward(self, x):
        h = x.new_zeros(len(x), 32)
        for step in x.unbind(1):
            h = torch.tanh(self.inputs(step) + self.hidden(h))
        return self.head(h)


def test_a_layer_that_is_called_at_each_step_is_recurrent():
    v = iv.verdict(iv.probe(Unrolled(), torch.randn(16, 40, 8)))
    assert v.kind == "vanishing" and "recurrent weights orthogonal" in v.remedy


def test_units_that_died_of_their_biases_live_without():
    net = iv.init_(
        nn.Sequential(nn.Linear(64, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 10)), "he_normal"
    )
    nn.init.constant_(net[0].bias, -30.0)
    x, y = x_and_y()
    ill = verdict(iv.probe(net, x, y))
    assert ill.kind == "dead" and "He initialization with zero biases" in ill.remedy
    assert verdict(iv.probe(iv.init_(net, "he_normal"), x, y)).kind == "stable"


def test_symmetric_units_differ_once_drawn():
    net = iv.mlp(5, 32, "tanh", "constant")
    x, y = x_and_y()
    assert "draw the weights at random" in verdict(iv.probe(net, x, y)).remedy
    assert verdict(iv.probe(iv.init_(net, "xavier_normal"), x, y)).kind == "stable"


# What explains a change --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "decades", "layers", "ratio", "explained"),
    [
        ("exploding", 8.6, 49, 2.25, True),  # He x 1.5: a variance 2.25 times too large, over 49 layers 8.6 decades
        ("exploding", 8.6, 49, 1.0, False),
        ("exploding", 8.6, 49, 0.5, False),
        ("exploding", 8.6, 49, 1.1, False),  # it would make 1.0 of them
        ("vanishing", -7.4, 49, 0.5, True),
        ("vanishing", -7.4, 49, 2.0, False),
        ("vanishing", float("-inf"), 49, 0.5, True),
        ("vanishing", float("-inf"), 49, 0.99, False),
        ("vanishing", -7.4, 49, 0.0, False),  # not measured
    ],
)
def test_weights_are_blamed_for_what_they_can_do(kind, decades, layers, ratio, explained):
    assert Change(kind, "gradients", decades, layers).explained_by(ratio) == explained
