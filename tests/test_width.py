"""muP's weights and learning rates, the coordinate check, and the powers of the width that theory gives for them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import initviz as iv
from initviz._core.scaling import Scaling, scalings
from initviz.initializers import SCHEMES
from initviz.theory import spectral_scale, width_exponents
from initviz.training import mup_groups

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
GENERATOR = torch.Generator(torch.get_default_device()).manual_seed(0)
X = torch.randn(64, 8, generator=GENERATOR)  # 8 features: widths of 64 and more are wide beside them
Y = torch.randint(10, (64,), generator=GENERATOR)


def mlp(width, seed=0, **options):
    return iv.mlp(3, width, "tanh", "lecun_normal", n_in=8, seed=seed, **options)


def transformer(width, seed=0):
    """Wider by more heads of 16."""
    return iv.transformer(1, width, width // 16, n_in=64, seed=seed)


def by_name(model, base):
    found = scalings(model, base)
    return {name: found[p] for name, p in model.named_parameters() if p in found}


# Scalings, weights, learning rates ---------------------------------------------------------------------------------------


def test_muP_is_table_3():
    """Fans (4, 8, ...) times as large: variance, SGD's rate and Adam's, of input weights, hidden weights and output weights."""
    rows = {"input": Scaling(1, 4), "hidden": Scaling(4, 4), "output": Scaling(4, 1), "fixed": Scaling(1, 1)}
    assert all(one.role == role for role, one in rows.items())
    assert [one.std**2 for one in rows.values()] == pytest.approx([1, 1 / 4, 1 / 16, 1])
    assert [one.rate("sgd") for one in rows.values()] == pytest.approx([4, 1, 1 / 4, 1])
    assert [one.rate("adam") for one in rows.values()] == pytest.approx([1, 1 / 4, 1 / 4, 1])


class Kinds(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.table = nn.Embedding(7, n)
        self.places = nn.Parameter(torch.zeros(5, n))
        self.first = nn.Conv2d(3, n, 3)
        self.depthwise = nn.Conv2d(n, n, 3, groups=n)
        self.grouped = nn.Conv2d(n, n, 3, groups=2)
        self.up = nn.ConvTranspose2d(n, 2 * n, 2, stride=2)
        self.norm = nn.LayerNorm(n)
        self.attend = nn.MultiheadAttention(n, 4)
        self.recur = nn.LSTM(6, n)
        self.head = nn.Linear(n, 10)


def test_every_kind_of_parameter_has_its_fans():
    found = {name: tuple(one) for name, one in by_name(Kinds(24), Kinds(8)).items()}
    inputs = "table.weight places first.weight first.bias depthwise.weight norm.weight attend.in_proj_bias recur.weight_ih_l0"
    hidden = "grouped.weight up.weight attend.in_proj_weight attend.out_proj.weight recur.weight_hh_l0"
    assert all(found[name] == (1, 3) for name in inputs.split())
    assert all(found[name] == (3, 3) for name in hidden.split())
    assert found["head.weight"] == (3, 1) and found["head.bias"] == (1, 1)
    assert all(tuple(one) == (1, 1) for one in by_name(Kinds(8), Kinds(8)).values())


def test_what_cannot_be_told_is_refused():
    class Own(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.first, self.weight = nn.Linear(3, n), nn.Parameter(torch.zeros(n, 10))

    class Tied(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.table, self.head = nn.Embedding(9, n), nn.Linear(n, 9, bias=False)
            self.head.weight = self.table.weight

    with pytest.raises(ValueError, match="^model: weight, of a Own, is of no layer whose fans are known"):
        scalings(Own(8), Own(4))
    own = Own(8)
    own.weight.requires_grad_(False)
    assert len(scalings(own, Own(4))) == 2
    with pytest.raises(ValueError, match="^model: head.weight is the weight of an embedding too"):
        mup_groups(Tied(8), Tied(4), 0.1)
    with pytest.raises(ValueError, match="^base: is another network than the model"):
        mup_groups(mlp(16), iv.mlp(4, 16, n_in=8), 0.1)
    with pytest.raises(TypeError, match="^base: got int"):
        mup_groups(mlp(16), 64, 0.1)
    with pytest.raises(ValueError, match="^mup_base: is another network"):
        iv.init_(mlp(16), "he_normal", mup_base=iv.mlp(4, 16, n_in=8))
    with pytest.raises(ValueError, match="^optimizer: 'adamw' is unknown"):
        mup_groups(mlp(16), mlp(8), 0.1, "adamw")
    with pytest.raises(ValueError, match="^model: has no parameter to train"):
        mup_groups(mlp(16).requires_grad_(False), mlp(8), 0.1)


@pytest.mark.parametrize("scheme", [name for name, one in SCHEMES.items() if not one.data_driven])
def test_at_the_bases_width_the_weights_are_the_schemes(scheme):
    plain, mup = (iv.init_(mlp(16), scheme, seed=3, mup_base=base) for base in (None, mlp(16)))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), mup.parameters()))


@pytest.mark.parametrize(
    "scheme", ["he_normal", "xavier_uniform", "small_normal", "orthogonal", "pytorch_default", "constant"]
)
def test_beyond_it_they_go_on_as_muP_says_whatever_the_scheme(scheme):
    """Input layer, hidden layer and output layer four times as wide: 1, 1/2 and 1/4 times the base's size; biases keep it."""
    rms = lambda net: [float(p.detach().square().mean().sqrt()) for p in net.parameters()]  # noqa: E731
    base = mlp(100)
    small, large = (np.array(rms(iv.init_(mlp(n), scheme, seed=1, mup_base=base))) for n in (100, 400))
    weights, biases = (large / np.where(small, small, 1))[::2], (large / np.where(small, small, 1))[1::2]
    np.testing.assert_allclose(weights, [1, 0.5, 0.5, 0.25], rtol=0.12)  # of 1,000 draws or more
    np.testing.assert_allclose(biases[:3], 1 if scheme == "pytorch_default" else 0, rtol=0.2)


def test_a_layer_with_a_default_of_its_own_is_refused_and_the_model_is_as_it_was():
    net = Kinds(24)
    before = {name: p.clone() for name, p in net.named_parameters()}
    with pytest.raises(
        ValueError, match="^scheme: 'pytorch_default' gives a (ConvTranspose2d|MultiheadAttention|LSTM) its own default"
    ):
        iv.init_(net, "pytorch_default", mup_base=Kinds(8))
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())


def test_groups_hold_every_trained_parameter_once_at_its_rate():
    net, base = transformer(64), transformer(16)
    groups = mup_groups(net, base, lr=0.1, optimizer="sgd")
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(rates) == len(list(net.parameters())) == sum(len(group["params"]) for group in groups)
    of = lambda p: rates[id(p)] / 0.1  # noqa: E731
    assert of(net.embed.weight) == of(net.positions) == of(net.final.weight) == pytest.approx(4)
    assert of(net.branches[0].body.query.weight) == of(net.output.bias) == pytest.approx(1)
    assert of(net.output.weight) == pytest.approx(1 / 4)
    net.positions.requires_grad_(False)
    assert not any(p is net.positions for group in mup_groups(net, base, 0.1) for p in group["params"])
    with torch.device("meta"):
        shapes = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 10))
    wide = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 10))
    assert {group["lr"] for group in mup_groups(wide, shapes, 1.0, "adam")} == {1.0, 0.25}


# The package `mup` -------------------------------------------------------------------------------------------------------


class Readout(nn.Linear):
    """What mup.MuReadout does: W is as in the base, and its input is divided by the growth of the width."""

    growth = 1.0

    def forward(self, x):
        return super().forward(x / self.growth)


def as_the_package_has_it(width, base, seed, optimizer, lr):
    """A network and its optimizer by table 8, as the package `mup` 1.0.0 writes muP (mup/layer.py, mup/optim.py)."""
    ours = iv.init_(mlp(width), "lecun_normal", mup_base=mlp(base), seed=seed)
    growth = width / base
    net = nn.Sequential(*(nn.Sequential(layer, nn.Tanh()) for layer in ours.hidden), Readout(width, 10))
    head = net[-1]
    head.growth = growth
    head.load_state_dict({"weight": ours.output.weight * growth, "bias": ours.output.bias})
    hidden = [net[1][0].weight, net[2][0].weight]
    vectors = [net[0][0].weight, head.weight, *(net[i][0].bias for i in range(3))]
    if optimizer == "sgd":
        rates = [(hidden, lr), (vectors, lr * growth), ([head.bias], lr)]
    else:
        rates = [(hidden, lr / growth), ([*vectors, head.bias], lr)]
    return net, OPTIMIZERS[optimizer]([{"params": p, "lr": rate} for p, rate in rates])


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.1), ("adam", 0.003)])
def test_it_trains_as_the_packages_form_of_muP_does_and_the_check_is_its_check(optimizer, lr):
    """mup.coord_check's l1 is x.abs().mean() of each module's output in the step's forward pass, on the same batch at each step. (The
    package itself wants torchvision and seaborn. Run by hand, version 1.0.0 gave these numbers for this network, to 3e-7.)"""
    base, widths, steps = mlp(32), (32, 128), 4
    found = iv.coord_check(
        lambda width, seed: iv.init_(mlp(width), "lecun_normal", mup_base=base, seed=seed), X, Y,
        widths=widths, steps=steps, seeds=2, optimizer=lambda net: OPTIMIZERS[optimizer](mup_groups(net, base, lr, optimizer)),
    )  # fmt: skip
    l1 = np.zeros_like(found.size)
    for seed in range(2):
        for place, width in enumerate(widths):
            net, updates = as_the_package_has_it(width, 32, seed, optimizer, lr)
            layers = [net[0][0], net[1][0], net[2][0], net[3]]
            for step in range(steps + 1):
                outputs = []
                handles = [layer.register_forward_hook(lambda m, i, out: outputs.append(out)) for layer in layers]
                loss = F.cross_entropy(net(X), Y)
                l1[seed, place, step] = [float(out.detach().abs().mean()) for out in outputs]
                updates.zero_grad()
                loss.backward()
                updates.step()
                for handle in handles:
                    handle.remove()
    np.testing.assert_allclose(found.size, l1, rtol=1e-5)


# The coordinate check ----------------------------------------------------------------------------------------------------


def check(make, optimizer, lr, base=None, x=X, y=Y, **options):
    def updates(net):
        groups = net.parameters() if base is None else mup_groups(net, base, lr, optimizer)
        return OPTIMIZERS[optimizer](groups, lr=lr)

    def build(width, seed):
        net = make(width, seed)
        return net if base is None else iv.init_(net, "lecun_normal", mup_base=base, seed=seed)

    return iv.coord_check(build, x, y, optimizer=updates, **options)


CASES = {
    "mlp": (mlp, X, Y, {"widths": (64, 128, 256, 512)}),
    "transformer": (transformer, *iv.digits().batch(32), {"widths": (64, 128, 256), "seeds": 3}),
}


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize(("optimizer", "small", "large"), [("sgd", 1e-4, 0.05), ("adam", 1e-6, 0.003)])
def test_slopes_are_flat_under_muP_and_those_of_theory_under_the_standard_parametrization(
    kind, optimizer, small, large
):
    make, x, y, options = CASES[kind]
    theory = width_exponents("standard", optimizer)
    plain = check(make, optimizer, small, x=x, y=y, steps=1, **options)
    error = {"sgd": 0.15, "adam": 0.2}[optimizer]  # the powers are those of widths far beyond the 8 inputs
    spread = 2 * plain.slopes().std(axis=0, ddof=1) / math.sqrt(len(plain.seeds))
    for name, role, slope, more in zip(plain.layers, plain.roles, plain.slopes().mean(axis=0), spread):
        if not name.endswith(
            ("query", "key")
        ):  # the first attention is all but uniform: what they change is as small as that
            assert slope == pytest.approx(theory.change[role], abs=error + more), name
    mup = check(make, optimizer, large, make(options["widths"][0]), x=x, y=y, steps=4, **options)
    assert abs(mup.slopes().mean(axis=0)).max() < 0.2 and str(mup).startswith("FLAT: every layer")
    assert (mup.loss[..., -1] < mup.loss[..., 0]).all()
    assert mup.slopes("size", 0).mean(axis=0)[-1] == pytest.approx(
        width_exponents("mup", optimizer).size["output"], abs=0.15
    )
    assert not str(check(make, optimizer, large, x=x, y=y, **options)).startswith("FLAT")


def test_a_verdict_in_words():
    found = check(mlp, "sgd", 1e-4, steps=2, widths=(64, 256, 1024), seeds=3)
    lines = str(found).splitlines()
    assert lines[0].startswith("NOT FLAT: ") and lines[0].endswith(
        "of 4 layers go with the width (widths 64 to 1024, 2 steps, 3 seeds)."
    )
    assert lines[1].startswith("hidden.0: what 2 steps change in it shrinks as width^-0.") and lines[1].endswith(
        "the wider it is."
    )
    assert lines[-1].startswith("output: what 2 steps change in it grows as width^")
    fixed = iv.coord_check(
        lambda width, seed: iv.init_(mlp(width), "small_normal", seed=seed), X, Y, widths=(64, 256), lr=1e-4
    )
    assert any("grows as width^0.5" in line and "at the start" in line for line in fixed.findings)
    dead = iv.coord_check(lambda width, seed: iv.init_(mlp(width), "zeros"), X, Y, widths=(64, 256), steps=1)
    assert dead.findings[0] == "hidden.0: 1 step changes nothing in it."
    wild = iv.coord_check(lambda width, seed: iv.mlp(3, width, n_in=8, scale=1e20), X, Y, widths=(64, 256), seeds=1)
    assert any("not finite" in line for line in wild.findings)


def test_what_it_records():
    x, y = X[:16], Y[:16]
    found = iv.coord_check(
        lambda width, seed: mlp(width, seed), x, y, widths=(32, 8, 16), steps=3, lr=0.3, seeds=[4, 1]
    )
    assert found.widths.tolist() == [8, 16, 32] and found.seeds == (4, 1) and found.steps == 3
    assert found.layers == ("hidden.0", "hidden.1", "hidden.2", "output") and found.roles == (
        "input",
        "hidden",
        "hidden",
        "output",
    )
    assert found.size.shape == found.change.shape == (2, 3, 4, 4) and found.loss.shape == (2, 3, 4)
    net = mlp(16, 1)
    h = [net(x).detach()]
    updates = torch.optim.SGD(net.parameters(), lr=0.3)
    for _ in range(3):
        updates.zero_grad()
        F.cross_entropy(net(x), y).backward()
        updates.step()
        h.append(net(x).detach())
    np.testing.assert_allclose(found.size[1, 1, :, -1], [float(one.abs().mean()) for one in h], rtol=1e-4)
    np.testing.assert_allclose(found.change[1, 1, :, -1], [float((one - h[0]).abs().mean()) for one in h], rtol=1e-4)
    np.testing.assert_allclose(found.slopes("size", 2)[0], np.polyfit([3, 4, 5], np.log2(found.size[0, :, 2]), 1)[0])
    assert np.isnan(found.slopes("change", 0)).all()
    with pytest.raises(ValueError, match="^step: got 4; there are 3"):
        found.slopes(step=4)


def test_a_layer_that_is_called_twice_and_dropout():
    class Twice(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.first, self.again, self.last = nn.Linear(8, n), nn.Linear(n, n), nn.Linear(n, 10)
            self.drop = nn.Dropout()

        def forward(self, x):
            h = self.again(F.relu(self.first(x)))
            return self.last(self.drop(self.again(F.relu(h))))

    found = iv.coord_check(lambda width, seed: Twice(width), X, Y, widths=(16, 32), steps=1, lr=0.0)
    assert found.layers == ("first", "again", "again#2", "last") and found.roles == (
        "input",
        "hidden",
        "hidden",
        "output",
    )
    assert not found.change.any()  # the same units are dropped at each step
    assert len({float(value) for value in found.size[:, 0, 0, 0]}) == 5  # seeds draw the weights


def test_random_states_are_left_alone_and_bad_arguments_say_so():
    before = torch.get_rng_state()
    iv.coord_check(
        lambda width, seed: nn.Sequential(nn.Linear(8, width), nn.Linear(width, 10)), X, Y, widths=(4, 8), seeds=1
    )
    assert torch.equal(torch.get_rng_state(), before)
    one, make = mlp(8), lambda width, seed: mlp(width, seed)
    for bad, options, error, words in (
        (5, {}, TypeError, "^make_model: got int"),
        (lambda width, seed: 3, {}, TypeError, "^make_model: gave int"),
        (lambda width, seed: one, {}, ValueError, "^make_model: gave a network that it gave before"),
        (
            lambda width, seed: iv.mlp(width, 8, n_in=8),
            {"widths": (2, 3)},
            ValueError,
            "^make_model: gives other layers at width 3",
        ),
        (make, {"widths": (8, 8)}, ValueError, "^widths: got 1; a slope takes two"),
        (make, {"steps": 0}, ValueError, "^steps: got 0"),
        (make, {"optimizer": "lion"}, ValueError, "^optimizer: 'lion' is unknown"),
        (make, {"optimizer": lambda net: None, "lr": 1.0}, ValueError, "^lr: got 1"),
    ):
        with pytest.raises(error, match=words):
            iv.coord_check(bad, X, Y, **options)


# Theory ------------------------------------------------------------------------------------------------------------------


def test_the_powers_of_the_width():
    plain, mup = width_exponents("standard", "sgd"), width_exponents("mup", "adam")
    assert plain.std == {"input": 0, "hidden": -0.5, "output": -0.5} and set(plain.rate.values()) == {0}
    assert plain.change == {"input": -0.5, "hidden": 0.5, "output": 1}
    assert width_exponents("standard", "adam").change == {"input": 0, "hidden": 1, "output": 1.5}
    assert mup.std == {"input": 0, "hidden": -0.5, "output": -1} and mup.rate == {
        "input": 0,
        "hidden": -1,
        "output": -1,
    }
    assert width_exponents("mup", "sgd").rate == {"input": 1, "hidden": 0, "output": -1}
    for optimizer in OPTIMIZERS:
        assert set(width_exponents("mup", optimizer).change.values()) == {0}
    with pytest.raises(ValueError, match="^parametrization: 'ntk' is unknown"):
        width_exponents("ntk")
    with pytest.raises(ValueError, match="^fan_in: got 0"):
        spectral_scale(0, 3)


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.1), ("adam", 0.003)])
def test_the_spectral_condition_holds_under_muP_for_weights_and_updates(optimizer, lr):
    """Largest singular values over sqrt(fan_out/fan_in): no power of the width in them. A single learning rate leaves one."""
    base, widths = mlp(64), (64, 128, 256, 512)

    def norms(mup):
        rows = []
        for width in widths:
            net = mlp(width) if not mup else iv.init_(mlp(width), "lecun_normal", mup_base=base)
            layers = [*net.hidden, net.output]
            start = [layer.weight.detach().clone() for layer in layers]
            groups = mup_groups(net, base, lr, optimizer) if mup else net.parameters()
            updates = OPTIMIZERS[optimizer](groups, lr=lr)
            F.cross_entropy(net(X), Y).backward()
            updates.step()
            pairs = [(w, layer.weight.detach() - w) for w, layer in zip(start, layers)]
            rows.append(
                [
                    [float(torch.linalg.matrix_norm(m, 2)) / spectral_scale(*reversed(m.shape)) for m in pair]
                    for pair in pairs
                ]
            )
        return [np.polyfit(np.log2(widths), np.log2(np.array(rows)[:, layer]), 1)[0] for layer in range(4)]

    flat = np.array(norms(mup=True))
    assert abs(flat[:, 1]).max() < 0.12 and abs(flat[:-1, 0]).max() < 0.2
    assert flat[-1, 0] == pytest.approx(0, abs=0.2)
    plain = np.array(norms(mup=False))
    assert plain[-1, 0] == pytest.approx(0.5, abs=0.15)  # the output's weights are too large by sqrt(n)
    assert plain[:, 1] == pytest.approx([width_exponents("standard", optimizer).change[r] for r in ("input", "hidden", "hidden")]
                                        + [1], abs=0.2)  # fmt: skip
    assert math.isclose(spectral_scale(64, 256), 2)


# The picture -------------------------------------------------------------------------------------------------------------


def test_the_picture_holds_the_numbers():
    found = check(mlp, "sgd", 1e-4, steps=1, widths=(64, 128, 256), seeds=3)
    theory = width_exponents("standard", "sgd")
    left, right = iv.plots.coord_check_figure(found, theory).panels
    lines = {mark.name: mark for mark in right.marks if getattr(mark, "name", "")}
    np.testing.assert_allclose(lines["output"].y, np.exp(np.log(found.change[:, :, 1, 3]).mean(axis=0)))
    np.testing.assert_allclose(np.diff(np.log2(lines["output: theory"].y)), 1)
    np.testing.assert_allclose(np.diff(np.log2(lines["input: theory"].y)), -0.5)
    words = right.marks[-1].words
    power = found.slopes().mean(axis=0)[3]
    assert words[-1] == f"▲ output {power:+.2f}" and words[1].startswith("■ hidden +0.") and " … +0." in words[1]
    assert left.title == "Outputs at the start: mean |h|" and right.title == "What 1 step changed: mean |Δh|"
    figure = iv.plots.coord_check(found)
    figure.canvas.draw()
