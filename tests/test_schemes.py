"""Every scheme against its formula, against torch.nn.init, and in place on any model."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import initviz as iv
from initviz._core.layers import is_linear, layers_of
from initviz._core.parameters import weights_and_biases
from initviz.initializers import SCHEMES, fans, get_scheme, unit_noise
from initviz.initializers._draws import CUT_STD
from initviz.initializers._schemes import ALIASES

SHAPES = {"square": (400, 400), "wide": (100, 900), "tall": (900, 100), "conv": (64, 32, 5, 5), "conv1d": (96, 48, 7)}
RANDOM = [name for name, s in SCHEMES.items() if s.distribution != "constant"]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", RANDOM)
def test_empirical_variance_matches_the_formula_within_its_sampling_error(name, shape):
    rule = SCHEMES[name]
    weight = torch.empty(shape)
    variances = []
    for seed in range(5):
        rule.fill_(weight, seed=seed)
        values = weight.double().numpy(force=True)
        variances.append(np.mean(values**2))
        assert abs(values.mean()) < 5 * values.std() / math.sqrt(values.size)
    expected = rule.weight_std(weight) ** 2
    # the relative standard error of a variance estimate is sqrt((kurtosis - 1) / n): 2 for a normal, 0.8 for a uniform; an orthogonal
    # matrix's mean square is a constant
    excess = {"normal": 2.0, "truncated_normal": 1.37, "uniform": 0.8, "orthogonal": 2.0, "delta_orthogonal": 2.0}[
        rule.distribution
    ]
    error = math.sqrt(excess / (weight.numel() * len(variances)))
    assert np.mean(variances) == pytest.approx(expected, rel=5 * error)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_formulas_are_those_of_torch(shape):
    weight = torch.empty(shape)
    fan_in, fan_out = fans(weight)
    assert (fan_in, fan_out) == nn.init._calculate_fan_in_and_fan_out(weight)
    for name, call, distribution in [
        ("xavier_normal", nn.init.xavier_normal_, "normal"),
        ("xavier_uniform", nn.init.xavier_uniform_, "uniform"),
        ("he_normal", lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), "normal"),
        ("he_uniform", lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"), "uniform"),
        ("pytorch_default", lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5)), "uniform"),
    ]:
        torch.manual_seed(0)
        call(weight)
        std = SCHEMES[name].std(fan_in, fan_out)
        if distribution == "uniform":
            assert weight.abs().max().item() == pytest.approx(std * math.sqrt(3), rel=1e-3)
        assert weight.std().item() == pytest.approx(std, rel=0.01)
        assert SCHEMES[name].distribution == distribution


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("slope", [0, 0.2])
def test_modes_are_those_of_torch(mode, shape, slope):
    weight, ours = torch.empty(shape), torch.empty(shape)
    phi = iv.leaky_relu(slope)
    for name, call in [("he_normal", nn.init.kaiming_normal_), ("he_uniform", nn.init.kaiming_uniform_)]:
        call(
            weight,
            a=slope,
            mode=mode,
            nonlinearity="leaky_relu",
            generator=torch.Generator(torch.get_default_device()).manual_seed(0),
        )
        rule = SCHEMES[name]
        rule.fill_(ours, gain=rule.gain(phi), mode=mode)
        error = 5 * math.sqrt({"normal": 2, "uniform": 0.8}[rule.distribution] / weight.numel() / 2)
        assert ours.std().item() == pytest.approx(weight.std().item(), rel=error)
        assert rule.std(*fans(weight), rule.gain(phi), mode) == pytest.approx(weight.std().item(), rel=error)
        if name == "he_uniform":
            assert ours.abs().max().item() == pytest.approx(weight.abs().max().item(), rel=1e-3)


def test_fan_out_mode_counts_outputs_where_the_formula_counts_inputs():
    for name in ("he_normal", "lecun_uniform", "pytorch_default", "xavier_normal", "orthogonal", "small_normal"):
        assert SCHEMES[name].std(30, 70, mode="fan_out") == SCHEMES[name].std(70, 30)
    assert SCHEMES["he_normal"].std(30, 70, mode="fan_out") == pytest.approx(math.sqrt(2 / 70))
    assert SCHEMES["xavier_normal"].std(30, 70, mode="fan_out") == SCHEMES["xavier_normal"].std(30, 70)
    assert SCHEMES["constant"].value(30, 70, mode="fan_out") == 1 / 70
    net = iv.mlp(2, [300, 100], "relu", "pytorch_default", mode="fan_out")
    assert net.hidden[1].weight.abs().max().item() == pytest.approx(1 / math.sqrt(100), rel=1e-3)
    assert net.hidden[1].bias.abs().max().item() <= 1 / math.sqrt(300)  # the bias goes by the inputs
    model = iv.init_(nn.Conv2d(3, 64, 5), "he_normal", mode="fan_out")
    assert model.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 25)), rel=0.05)


@pytest.mark.parametrize(("mode", "back"), [("fan_in", False), ("fan_out", True)])
@pytest.mark.parametrize("layer", ["rectangle", "conv"])
def test_each_mode_keeps_its_own_direction(mode, back, layer):
    """The point of the two modes, measured: E[h^2] = E[x^2] one way, E[(W^T g)^2] = E[g^2] the other."""
    make = {"rectangle": lambda: nn.Linear(100, 900, bias=False), "conv": lambda: nn.Conv2d(12, 60, 3, bias=False)}[
        layer
    ]
    ratios = []
    for seed in range(8):
        net = iv.init_(make(), "lecun_normal", seed=seed, mode=mode)
        x = torch.randn(
            *((40, 100) if layer == "rectangle" else (8, 12, 20, 20)),
            generator=torch.Generator(torch.get_default_device()).manual_seed(seed),
        )
        x.requires_grad_()
        h = net(x)
        g = torch.randn(h.shape, generator=torch.Generator(torch.get_default_device()).manual_seed(100 + seed))
        h.backward(g)
        inner = (..., slice(2, -2), slice(2, -2)) if layer == "conv" else ...  # a border is seen by fewer units
        ratios.append([h.square().mean().item(), x.grad[inner].square().mean().item()])
    forward, backward = np.mean(ratios, axis=0)
    expected = {"rectangle": 9.0, "conv": 5.0}[layer]
    # weights: relative error of their mean square sqrt(2 / (entries x seeds)), 0.5 % and less; the inputs' own adds 1 %
    assert forward == pytest.approx(1 / expected if back else 1, rel=0.04)
    assert backward == pytest.approx(1 if back else expected, rel=0.04)


@pytest.mark.parametrize("slope", [0, 0.1, 0.5, 0.9])
def test_a_leaky_relu_of_any_slope(slope):
    phi = iv.leaky_relu(slope)
    z = torch.linspace(-3, 3, 101, dtype=torch.float64)
    torch.testing.assert_close(phi.function(z), z.clamp(min=0) + slope * z.clamp(max=0))
    assert SCHEMES["he_normal"].gain(phi) == phi.gain == pytest.approx(nn.init.calculate_gain("leaky_relu", slope))
    with pytest.raises(ValueError, match="^slope: got 1; it takes a number from 0 to below 1"):
        iv.leaky_relu(1)
    with pytest.raises(ValueError, match="^slope: got -0.1"):
        iv.leaky_relu(-0.1)


def test_known_values():
    assert SCHEMES["xavier_normal"].std(300, 100) == pytest.approx(math.sqrt(2 / 400))
    assert SCHEMES["he_normal"].std(50, 7) == pytest.approx(math.sqrt(2 / 50))
    assert SCHEMES["lecun_normal"].std(50, 7) == pytest.approx(math.sqrt(1 / 50))
    assert SCHEMES["pytorch_default"].std(12, 7) == pytest.approx(1 / 6)
    assert SCHEMES["he_normal"].gain("leaky_relu") == pytest.approx(nn.init.calculate_gain("leaky_relu", 0.01))
    assert SCHEMES["he_normal"].gain("prelu") == pytest.approx(math.sqrt(2 / (1 + 0.25**2)))
    assert SCHEMES["he_normal"].gain("tanh") == SCHEMES["he_normal"].gain() == math.sqrt(2)
    assert SCHEMES["xavier_normal"].std(4, 4, gain=5 / 3) == pytest.approx(5 / 3 / 2)
    assert SCHEMES["zeros"].std(4, 4) == SCHEMES["zeros"].value(4, 4) == SCHEMES["constant"].std(4, 4) == 0
    assert SCHEMES["constant"].value(8, 4) == 1 / 8


@pytest.mark.parametrize("shape", [(30, 30), (20, 50), (50, 20), (16, 3, 3, 3)])
def test_orthogonal_is_orthogonal(shape):
    weight = SCHEMES["orthogonal"].fill_(torch.empty(shape), seed=3, gain=2).flatten(1).double()
    rows, columns = weight.shape
    gram = weight @ weight.T if rows <= columns else weight.T @ weight
    torch.testing.assert_close(gram, 4 * torch.eye(len(gram), dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(16, 16, 3, 3), (24, 10, 5, 5), (10, 24, 7), (6, 4, 3, 3, 3), (8, 8, 2, 4)])
def test_a_delta_orthogonal_kernel_is_an_orthonormal_matrix_at_its_centre(shape):
    kernel = SCHEMES["delta_orthogonal"].fill_(torch.empty(shape), seed=3, gain=2).double()
    centre = tuple((side - 1) // 2 for side in shape[2:])
    matrix = kernel[(..., *centre)].clone()
    kernel[(..., *centre)] = 0
    assert (kernel == 0).all()
    gram = matrix @ matrix.T if shape[0] <= shape[1] else matrix.T @ matrix
    torch.testing.assert_close(gram, 4 * torch.eye(len(gram), dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
@pytest.mark.parametrize(("c_in", "c_out", "k"), [(8, 8, 3), (5, 12, 3), (12, 5, 5), (6, 6, 4)])
def test_delta_orthogonal_keeps_every_norm_forward_or_back_also_at_a_border(c_in, c_out, k, padding_mode):
    # in float64: GPUs take convolutions of float32 with ten bits after the point
    net = nn.Conv2d(c_in, c_out, k, padding="same", padding_mode=padding_mode, bias=False, dtype=torch.float64)
    iv.init_(net, "delta_orthogonal", seed=1)
    generator = torch.Generator(torch.get_default_device()).manual_seed(0)
    x = torch.randn(4, c_in, 6, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    h = net(x)
    g = torch.randn(h.shape, generator=generator, dtype=torch.float64)
    h.backward(g)
    before, after = (x.detach(), h.detach()) if c_out >= c_in else (g, x.grad)
    torch.testing.assert_close(
        after.square().sum(dim=1), before.square().sum(dim=1), rtol=1e-4, atol=0
    )  # at each place


def test_delta_orthogonal_of_a_matrix_is_orthogonal():
    for shape in ((20, 20), (30, 10), (10, 30)):
        ours, plain = (SCHEMES[n].fill_(torch.empty(shape), seed=2) for n in ("delta_orthogonal", "orthogonal"))
        assert torch.equal(ours, plain)


def test_a_truncated_normal_has_the_variance_that_was_asked_for_and_no_tail():
    from scipy.stats import truncnorm

    assert truncnorm.std(-2, 2) == pytest.approx(CUT_STD) == pytest.approx(0.8796, abs=5e-5)
    draw = unit_noise((1000, 1000), "truncated_normal", 0, 0)
    assert draw.std().item() == pytest.approx(1, rel=0.003)  # four standard errors
    assert 2 / CUT_STD * 0.999 < draw.abs().max() <= 2 / CUT_STD + 1e-6
    places = torch.linspace(-2, 2, 9, device="cpu")[1:-1]
    below = [(draw < place).double().mean().item() for place in places]
    expected = truncnorm.cdf(places.double().numpy() * CUT_STD, -2, 2)
    np.testing.assert_allclose(below, expected, atol=0.0025)  # five standard errors
    net = iv.mlp(2, 300, "tanh", "truncated_normal")
    assert net.hidden[1].weight.abs().max() <= 2 / CUT_STD / math.sqrt(300) + 1e-6


@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated_normal", "orthogonal", "delta_orthogonal"])
def test_draws_depend_on_seed_and_index_alone(distribution):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    draw = unit_noise((40, 40), distribution, 1, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(draw, unit_noise((40, 40), distribution, 1, 2))
    assert not torch.equal(draw, unit_noise((40, 40), distribution, 1, 3))
    assert not torch.equal(draw, unit_noise((40, 40), distribution, 2, 2))


@pytest.mark.parametrize("name", SCHEMES)
def test_entries_are_complete(name):
    entry = SCHEMES[name]
    assert entry.name == name
    assert entry.label and entry.latex and entry.best_for and entry.source
    if entry.data_driven:
        with pytest.raises(ValueError, match=f"^scheme: '{name}' takes its scale from a batch x; .* call iv.{name}_"):
            iv.mlp(2, 16, scheme=name)
        return
    net = iv.mlp(2, 16, scheme=name)
    assert all(torch.isfinite(p).all() for p in net.parameters())


def test_aliases_name_schemes():
    assert set(ALIASES.values()) <= set(SCHEMES)
    assert get_scheme("glorot_uniform") is SCHEMES["xavier_uniform"]
    assert get_scheme("kaiming_normal") is SCHEMES["he_normal"]


# init_ -------------------------------------------------------------------------------------------------------------------


def make_model():
    return nn.ModuleDict(
        {
            "conv": nn.Conv2d(3, 8, 3),
            "norm": nn.BatchNorm2d(8),
            "linear": nn.Linear(8, 16),
            "rnn": nn.LSTM(16, 16),
            "attention": nn.MultiheadAttention(16, 4),
            "embedding": nn.Embedding(5, 16),
        }
    )


def test_init_fills_every_layer_and_leaves_the_rest():
    model = make_model()
    kept = {n: p.clone() for n, p in model.named_parameters() if n.startswith(("norm", "embedding"))}
    assert iv.init_(model, "xavier_uniform", seed=1) is model
    state = dict(model.named_parameters())
    for name, value in kept.items():
        assert torch.equal(state[name], value), name
    for name, parameter in state.items():
        if name not in kept and "bias" in name:
            assert (parameter == 0).all(), name
    for name in (
        "conv.weight",
        "linear.weight",
        "rnn.weight_hh_l0",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
    ):
        weight = state[name]
        assert weight.std().item() == pytest.approx(SCHEMES["xavier_uniform"].weight_std(weight), rel=0.15), name
    other = iv.init_(make_model(), "xavier_uniform", seed=1)
    assert all(torch.equal(p, dict(other.named_parameters())[n]) for n, p in state.items() if n not in kept)


def test_init_leaves_the_global_random_state_and_trainability():
    model = make_model()
    model["linear"].weight.requires_grad_(False)
    before = torch.get_rng_state()
    iv.init_(model, "he_normal", bias_std=0.1)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model["linear"].weight.requires_grad and model["conv"].weight.requires_grad


def test_bias_rules():
    net = iv.mlp(3, 300, scheme="pytorch_default", n_in=300)
    assert net.hidden[1].bias.std().item() == pytest.approx(1 / math.sqrt(900), rel=0.1)
    assert net.hidden[1].bias.abs().max().item() <= 1 / math.sqrt(300)
    net = iv.mlp(3, 300, scheme="he_normal", bias_std=0.5)
    assert net.hidden[1].bias.std().item() == pytest.approx(0.5, rel=0.2)


def test_a_deeper_network_begins_as_the_shallower_one():
    shallow, deep = iv.mlp(3, 20, seed=5), iv.mlp(9, 20, seed=5)
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(shallow.hidden, deep.hidden))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda m: iv.init_(m, "xavir_normal"),
            ValueError,
            "^scheme: 'xavir_normal' is unknown; did you mean .*'xavier_normal'",
        ),
        (lambda m: iv.init_(m, "???"), ValueError, "^scheme: .*it takes one of zeros, constant"),
        (lambda m: iv.init_(m, 3), TypeError, "^scheme: got int 3"),
        (lambda m: iv.init_("net", "zeros"), TypeError, "^model: got str"),
        (lambda m: iv.init_(nn.ReLU(), "zeros"), ValueError, "^model: has no linear"),
        (lambda m: iv.init_(m, "zeros", scale=float("nan")), ValueError, "^scale: got nan"),
        (lambda m: iv.init_(m, "zeros", scale=float("inf")), ValueError, "^scale: got inf"),
        (lambda m: iv.init_(m, "zeros", scale="big"), TypeError, "^scale: got str"),
        (lambda m: iv.init_(m, "zeros", gain=-1), ValueError, "^gain: got -1"),
        (lambda m: iv.init_(m, "zeros", bias_std=-0.1), ValueError, "^bias_std: got -0.1"),
        (lambda m: iv.init_(m, "he", mode="fan_inn"), ValueError, "^mode: 'fan_inn' is unknown; did you mean 'fan_in'"),
        (lambda m: iv.init_(m, "zeros", seed=-1), ValueError, "^seed: got -1"),
        (lambda m: iv.init_(m, "zeros", seed=1.5), TypeError, "^seed: got float"),
        (
            lambda m: iv.init_(m, "zeros", activation="rulu"),
            ValueError,
            "^activation: 'rulu' is unknown; did you mean 'relu'",
        ),
        (
            lambda m: iv.init_(nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(2)), "zeros"),
            ValueError,
            "^model: LazyLinear is lazy",
        ),
        (
            lambda m: iv.init_(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta")), "zeros"),
            ValueError,
            "^model: weight of a Linear is on the meta device",
        ),
        (
            lambda m: iv.init_(nn.Linear(2, 2, dtype=torch.complex64), "zeros"),
            ValueError,
            "^model: weight .* is complex",
        ),
        (
            lambda m: iv.init_(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), "zeros"),
            ValueError,
            "computes its weight from others",
        ),
    ],
)
def test_bad_input_changes_nothing(call, kind, message):
    model = make_model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(kind, match=message):
        call(model)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("name", ["he_normal", "orthogonal", "delta_orthogonal", "zeros"])
def test_a_vector_has_no_fans(name):
    with pytest.raises(ValueError, match=r"^weight: got shape \(3,\)"):
        iv.SCHEMES[name].fill_(torch.empty(3))


def test_what_a_scheme_draws_is_measured_too():
    kinds = [
        nn.Linear(3, 4), nn.Conv1d(2, 3, 2), nn.Conv3d(2, 3, 2), nn.ConvTranspose2d(2, 3, 2), nn.LSTM(3, 4), nn.GRUCell(3, 4),
        nn.MultiheadAttention(4, 2), nn.Bilinear(2, 3, 4), nn.Embedding(5, 3), nn.BatchNorm1d(4), nn.LayerNorm((2, 3)),
    ]  # fmt: skip
    model = nn.ModuleList(kinds)
    drawn = {weight.layer for weight in weights_and_biases(model)[0]}
    measured = set(layers_of(model))
    assert drawn - measured == {kinds[6].out_proj}  # which is a part of the attention's own layer
    assert measured - drawn == {kinds[7], kinds[8]}
    assert {m for m in measured if is_linear(m)} == set(kinds[:4])
