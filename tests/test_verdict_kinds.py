"""Each kind of mistake that people report, on small networks rebuilt from such reports, beside sound ones that look alike.

Every line of code that a diagnosis prints runs on the batch as it is and makes a fresh copy stable.
"""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from healthy_models import draw
from models import Net
from restoring import assert_same, snapshot
from torch import nn

import initviz as iv
from initviz.inspection._first_loss import _rows_alike

X, TEN = draw(99, 64), torch.randint(0, 10, (99,), generator=torch.Generator(torch.get_default_device()).manual_seed(1))
UNIT = X / X.square().mean().sqrt()
STEPS = draw(8, 200, 8)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def linear(*sizes, activation=nn.ReLU):
    """Linear layers with an activation between them."""
    parts = [part for n_in, n_out in itertools.pairwise(sizes) for part in (nn.Linear(n_in, n_out), activation())]
    return nn.Sequential(*parts[:-1])


def he(*sizes):
    return iv.init_(linear(*sizes), "he_normal")


def judged(model, x, y=None, loss=None):
    """The verdict; a diagnosis says the same, and a line that it prints cures a fresh copy of the model."""
    before = snapshot(model)
    found = iv.verdict(iv.probe(model, x, y, loss=loss))
    page = iv.diagnose(model, x, y, loss=loss)
    assert_same(before, snapshot(model))
    assert page.verdict == found
    if page.remedy:
        names = {"iv": iv, "torch": torch, "model": copy.deepcopy(model), "x": x, "y": y}
        exec(page.remedy, names)
        again = iv.verdict(iv.probe(names["model"], names["x"], names["y"], loss=loss))
        assert again.kind == page.after_verdict.kind == "stable"
    return found, page


# Parameters that never learn ---------------------------------------------------------------------------------------------


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        return self.c(torch.relu(self.b(torch.relu(self.a(x)).detach())))


class Adapter(nn.Module):
    """Low-rank factors beside a frozen layer, bare or within linear layers."""

    def __init__(self, a_std, b_std, modules=False):
        super().__init__()
        self.base, self.head = nn.Linear(64, 64).requires_grad_(False), nn.Linear(64, 10)
        if modules:
            self.a, self.b = nn.Linear(64, 4, bias=False), nn.Linear(4, 64, bias=False)
            self.a.weight.data, self.b.weight.data = a_std * torch.randn(4, 64), b_std * torch.randn(64, 4)
        else:
            self.a, self.b = nn.Parameter(a_std * torch.randn(4, 64)), nn.Parameter(b_std * torch.randn(64, 4))

    def forward(self, x):
        low = self.b(self.a(x)) if isinstance(self.a, nn.Module) else x @ self.a.T @ self.b.T
        return self.head(torch.relu(self.base(x) + low))


def rounded(self, x):
    return self.head(torch.relu(self.body(torch.round(self.first(x)))))


def no_grad(self, x):
    with torch.no_grad():
        h = torch.relu(self.first(x))
    return self.head(h)


def towers(self, x):
    return self.head(torch.relu(self.a(x)) + torch.relu(self.b(x)))


def twins():
    tower = nn.Linear(64, 64)
    return Net(towers, a=tower, b=copy.deepcopy(tower), head=nn.Linear(64, 10))


NEVER = {
    "detached": (Detached, ("a.weight", "a.bias"), (1,)),
    "no_grad": (lambda: Net(no_grad, first=nn.Linear(64, 64), head=nn.Linear(64, 10)), ("first.weight", "first.bias"), (1,)),
    "rounded": (
        lambda: Net(rounded, first=nn.Linear(64, 64), body=nn.Linear(64, 64), head=nn.Linear(64, 10)),
        ("first.weight", "first.bias"), (1,),
    ),
    "both factors zero": (lambda: Adapter(0, 0), ("a", "b"), ()),
    "both factors zero, as layers": (lambda: Adapter(0, 0, modules=True), ("a.weight", "b.weight"), (1, 2)),
    "read at the last step": (
        lambda: Net(lambda m, x: m.head(m.r(x.unflatten(-1, (8, 8)))[0][:, -1]),
                    r=nn.GRU(8, 16, batch_first=True, bidirectional=True), head=nn.Linear(32, 10)),
        ("r.weight_hh_l0_reverse",), (1,),
    ),
    "never called": (
        lambda: Net(lambda m, x: m.head(x), head=nn.Linear(64, 10), spare=nn.Linear(64, 10)), ("spare.weight", "spare.bias"), (),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NEVER)
def test_parameters_that_never_learn_are_named(name):
    make, names, layers = NEVER[name]
    found, page = judged(make(), X, TEN)
    assert (found.kind, found.layers) == ("untrainable", layers), found
    assert all(name in found.why for name in names)
    assert bool(page.remedy) == ("Of two factors" in found.remedy) == name.startswith("both factors")
    assert ("only zeros enter" in found.remedy) == (name in ("rounded", "read at the last step"))


class Unlisted(Net):
    """A layer in a plain list, a tensor that is no parameter, and a layer that is listed."""

    def __init__(self, learns=True):
        super().__init__(lambda m, x: m.head(torch.relu(m.hidden[0](x)) * m.scale), head=nn.Linear(64, 10))
        self.hidden, self.scale = [nn.Linear(64, 64).requires_grad_(learns)], torch.ones(64, requires_grad=learns)


def test_layers_and_tensors_that_no_optimizer_sees_are_named():
    model = Unlisted()
    found, _ = judged(model, X, TEN)
    assert found.kind == "untrainable" and "nn.ModuleList" in found.remedy
    assert found.why.startswith(
        "hidden[0].bias, hidden[0].weight and scale are used, but model.parameters() leaves them out"
    )
    assert all(p.grad is None for p in [*model.hidden[0].parameters(), model.scale])


def test_what_is_kept_out_of_the_list_and_takes_no_gradient_is_sound():
    assert judged(Unlisted(learns=False), X, TEN)[0].kind == "stable"
    asked = X.clone().requires_grad_()  # an input is no parameter
    assert judged(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), asked, TEN)[0].kind == "stable"


@pytest.mark.parametrize("modules", [False, True])
def test_several_products_of_zeros_are_opened_together(modules):
    model = nn.Sequential(*[Adapter(0, 0, modules) for _ in range(3)])
    model[0].head, model[1].head = nn.Linear(64, 64), nn.Linear(64, 64)
    found, page = judged(model, X, TEN)
    assert found.kind == "untrainable" and page.remedy.count("normal_") == 3, page


@pytest.mark.parametrize("modules", [False, True])
def test_one_factor_of_zeros_is_sound(modules):
    found, _ = judged(Adapter(0.125, 0, modules), X, TEN)
    assert found.kind == "stable" and "closed until" in found.why


def test_a_layer_that_is_used_by_chance_or_by_another_output_is_sound():
    two = Net(lambda m, x: (m.a(x), torch.tanh(m.b(x))), a=nn.Linear(64, 10), b=nn.Linear(64, 10))
    assert judged(two, X)[0].kind == "stable"
    experts = nn.ModuleList([nn.Linear(64, 10) for _ in range(4)])
    assert judged(Net(lambda m, x: m.experts[2](x), experts=experts), X, TEN)[0].kind == "stable"


def test_whole_modules_that_are_copies():
    found, page = judged(twins(), X, TEN)
    assert found.kind == "symmetric" and found.layers == (1, 2) and "a and b have the same weights" in found.why
    assert page.remedy == 'iv.init_(model.get_submodule("b"), "he_normal", seed=1)'
    apart = Net(lambda m, x: m.a(x) * m.b(x.flip(-1)), a=nn.Linear(64, 10), b=nn.Linear(64, 10))
    apart.b.load_state_dict(apart.a.state_dict())
    assert judged(apart, X, TEN)[0].kind == "stable"  # their gradients differ
    shared = nn.Linear(64, 64)
    assert judged(Net(towers, a=shared, b=shared, head=nn.Linear(64, 10)), X, TEN)[0].kind == "stable"


def test_copies_are_found_whatever_the_rounding_of_their_gradients():
    def towers_rounded_otherwise(m, x):
        return m.head(torch.relu(m.a(x)) + torch.relu(m.b(x * (1 + 2**-22))))

    for seed in range(60):
        torch.manual_seed(seed)
        tower = nn.Linear(64, 64)
        model = Net(towers_rounded_otherwise, a=tower, b=copy.deepcopy(tower), head=nn.Linear(64, 10))
        assert iv.probe(model, X, TEN).copies == (("a", "b"),), seed


# The first loss -----------------------------------------------------------------------------------------------------------


class Tied(nn.Module):
    """A language model whose output layer is its table of words, as nn.Embedding draws it."""

    def __init__(self, std):
        super().__init__()
        self.words, self.body, self.norm = nn.Embedding(100, 256), nn.Linear(256, 256), nn.LayerNorm(256)
        self.out = nn.Linear(256, 100, bias=False)
        nn.init.normal_(self.words.weight, std=std)
        self.out.weight = self.words.weight

    def forward(self, words):
        h = self.words(words)
        return self.out(self.norm(h + torch.relu(self.body(h))))


class TiedByProduct(Tied):
    """The same without a module for the output layer."""

    def __init__(self, std, product):
        super().__init__(std)
        del self.out
        self.product = product

    def forward(self, words):
        h = self.words(words)
        return self.product(self.norm(h + torch.relu(self.body(h))), self.words.weight)


IDS = torch.randint(100, (16, 12), generator=torch.Generator(torch.get_default_device()).manual_seed(0))


@pytest.mark.parametrize(
    ("make", "x", "y", "words", "remedy"),
    [
        (lambda: _scaled(he(64, 64, 10), 300), X, TEN, "output layer 2", 'get_submodule("2")'),
        (lambda: he(64, 64, 10), 255 * X.abs(), TEN, "the inputs' rms is", "x = (x - x.mean()) / x.std()"),
        (lambda: he(64, 64, 10), 1e-3 * UNIT, TEN, "The inputs' rms is 0.001", "x = (x - x.mean()) / x.std()"),
        (lambda: linear(64, 64, 10), 1e-4 * UNIT, TEN, "The inputs' rms is 0.0001", "x = (x - x.mean()) / x.std()"),
        (lambda: Tied(1.0), IDS, IDS.flip(1), "shares the weight of words", "std=0.02"),
        (lambda: _scaled(he(64, 64, 1), 300), X, draw(99, 1), "The output's rms", 'get_submodule("2")'),
        (lambda: he(64, 64, 1), X, 5000 + 1000 * draw(99, 1), "The target's rms", "y = (y - y.mean())"),
    ],
    ids=["head", "images", "faint inputs", "faint inputs, biases", "tied", "regression", "targets"],
)  # fmt: skip
def test_an_absolute_scale_that_is_off(make, x, y, words, remedy):
    found, page = judged(make(), x, y)
    assert found.kind == "off-scale" and words in found.why and remedy in page.remedy, page
    with pytest.raises(AssertionError):
        iv.assert_stable(make(), x, y)


@pytest.mark.parametrize(
    "product",
    [lambda h, table: h @ table.T, F.linear, lambda h, table: torch.einsum("btd,vd->btv", h, table)],
    ids=["matmul", "linear", "einsum"],
)
def test_a_tied_embedding_without_an_output_layer_is_named(product):
    found, page = judged(TiedByProduct(1.0, product), IDS, IDS.flip(1))
    assert found.kind == "off-scale" and found.layers == (1,) and "products with the weight of words" in found.why
    assert page.remedy == 'torch.nn.init.normal_(model.get_submodule("words").weight, std=0.02)'
    assert page.after_verdict.kind == "stable"
    assert judged(TiedByProduct(0.02, product), IDS, IDS.flip(1))[0].kind == "stable"


def cosine(self, x):
    return self.scale * F.normalize(self.body(x)) @ F.normalize(self.table.weight).T


def with_bias(place, value):
    model = he(64, 64, 10)
    nn.init.constant_(model[place].bias[3:4], value)
    return model


LARGE = {
    "bias of the output": (lambda: with_bias(2, 50.0), X, TEN, "2.bias is large", (2,), "Set 2.bias to 0", "2.bias"),
    "bias of a hidden layer": (lambda: with_bias(0, 400.0), X, TEN, "0.bias is large", (1,), "Set 0.bias to 0", "0.bias"),
    "temperature": (
        lambda: Net(cosine, body=nn.Linear(64, 64), table=nn.Linear(64, 10, bias=False), scale=nn.Parameter(torch.tensor([100.0]))),
        X, TEN, "scale is large, and behind layer 1", (), "Set scale to 1", "scale",
    ),
    "factor in the code": (
        lambda: Net(lambda m, x: 100 * m.body(x), body=he(64, 64, 10)), X, TEN, "behind layer 2 it grows 100x", (),
        "behind body.2", "",
    ),
    "targets that are small": (
        lambda: he(64, 64, 1), X, 1e-3 * draw(99, 1), "and the target's 0.00", (), "Scale the targets", "y = (y",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_what_makes_the_first_loss_large_is_named(name):
    make, x, y, why, layers, remedy, line = LARGE[name]
    found, page = judged(make(), x, y)
    assert found.kind == "off-scale" and found.layers == layers and why in found.why and remedy in found.remedy, found
    assert line in page.remedy and bool(line) == bool(page.remedy), page


@torch.no_grad()
def _scaled(model, factor):
    model[-1].weight *= factor
    return model


def test_the_first_loss_is_told_from_chance():
    report = iv.probe(_scaled(he(64, 64, 10), 300), X, TEN)
    assert report.first_loss.classes == 10 and report.first_loss.chance == pytest.approx(math.log(10))
    assert f"The first loss is {report.loss:.3g}" in iv.verdict(report).why
    assert f"ln 10 = {math.log(10):.3g}" in iv.verdict(report).why


@pytest.mark.parametrize(
    ("make", "x", "y", "loss"),
    [
        (lambda: he(64, 64, 10), X, TEN, None),
        (lambda: Tied(0.02), IDS, IDS.flip(1), None),
        (lambda: nn.Sequential(nn.LayerNorm(64), *he(64, 64, 10)), 0.02 * X, TEN, None),
        (lambda: nn.Sequential(nn.LayerNorm(64, eps=1e-12), *he(64, 64, 10)), 1e-4 * X, TEN, None),
        (lambda: Net(lambda m, x: m.body(1e3 * x), body=he(64, 64, 10)), 1e-3 * X, TEN, None),
        (lambda: he(64, 64, 1), X, draw(99, 1), None),
        (lambda: he(64, 64, 1), X, torch.ones(99, 1), F.binary_cross_entropy_with_logits),
        (lambda: he(64, 64, 10), X, TEN, lambda o, y: 1000 * F.cross_entropy(o, y)),  # another unit of the same loss
    ],
)
def test_a_sound_first_loss(make, x, y, loss):
    assert judged(make(), x, y, loss)[0].kind == "stable"


# Cures --------------------------------------------------------------------------------------------------------------------


class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.h, self.t = nn.Linear(64, 64), nn.Linear(64, 64)
        nn.init.constant_(self.t.bias, -5.0)

    def forward(self, x):
        gate = torch.sigmoid(self.t(x))
        return gate * torch.relu(self.h(x)) + (1 - gate) * x


def test_gates_that_their_bias_shuts_are_meant():
    highway = nn.Sequential(*[Highway() for _ in range(6)], nn.Linear(64, 10))
    assert judged(highway, X, TEN)[0].kind == "stable"
    prior = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3), nn.Sigmoid())
    nn.init.constant_(prior[2].bias, -4.6)
    rare = (draw(99, 3) > 2.3).float()
    assert judged(prior, X, rare, F.binary_cross_entropy)[0].kind == "stable"


def test_a_cure_keeps_a_bias_that_was_meant():
    layers = [part for _ in range(30) for part in (nn.Linear(64, 64), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(64, 3))
    nn.init.constant_(model[-1].bias, -4.6)
    found, page = judged(model, X)
    assert found.kind == "vanishing" and "he_normal" in page.remedy
    names = {"iv": iv, "torch": torch, "model": model, "x": X}
    exec(page.remedy, names)
    assert (names["model"][-1].bias == -4.6).all()


def test_a_norm_weight_of_1e30_is_what_is_cured():
    model = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU(), nn.Linear(64, 10))
    nn.init.constant_(model[1].weight, 1e30)
    found, page = judged(model, X, TEN)
    assert found.kind == "off-scale" and "1.weight" in found.why
    assert page.remedy == 'torch.nn.init.ones_(model.get_parameter("1.weight"))'
    assert judged(model, X)[0].kind == "off-scale"  # without a target, too


def odd(activation, scheme, place, factor):
    """Six hidden layers, of which one has weights out of scale with the others'."""
    model = iv.init_(linear(*[64] * 7, 10, activation=activation), scheme)
    with torch.no_grad():
        model[place].weight *= factor
    return model


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (lambda: odd(nn.ReLU, "he_normal", 4, 1e-4), "vanishing"), (lambda: odd(nn.ReLU, "he_normal", 4, 1e4), "exploding"),
        (lambda: odd(nn.Tanh, "xavier_normal", 4, 1e3), "saturated"), (lambda: odd(nn.ReLU, "pytorch_default", 4, 1e-5), "vanishing"),
    ],
)  # fmt: skip
def test_one_layer_out_of_scale_is_named(model, kind):
    found, page = judged(model(), X)
    assert found.kind == kind and page.cause.startswith("The weights of layer 3 have") and page.remedy, page
    assert "layer 3" in found.remedy if kind != "saturated" else "smaller weights" in found.remedy


def test_any_of_several_inputs_may_be_raw():
    add = Net(
        lambda m, x, more: m.head(torch.tanh(m.a(x) + m.b(more))),
        a=nn.Linear(64, 64),
        b=nn.Linear(8, 64),
        head=nn.Linear(64, 10),
    )
    page = iv.diagnose(add, (X, 5000 * draw(99, 8)))
    assert "e+03." in page.cause and page.remedy.startswith("x = tuple("), page


def test_features_of_a_table_are_brought_to_order_1_one_by_one():
    x = X * torch.logspace(0, 4, 64)
    found, page = judged(he(64, 64, 10), x, TEN)
    assert found.kind == "off-scale" and page.remedy == "x = (x - x.mean(0)) / x.std(0)"
    x[:, 3] = 5.0  # a feature that is constant has no standard deviation
    assert judged(he(64, 64, 10), x, TEN)[1].remedy == "x = (x - x.mean()) / x.std()"


def test_a_model_in_float16_is_cured_with_a_target_too():
    model = linear(*[64] * 21, 10).half()
    page = iv.diagnose(model, X.half(), TEN)
    assert page.verdict.kind == "vanishing" and "he_normal" in page.remedy, page


# Over time ----------------------------------------------------------------------------------------------------------------


class Last(nn.Module):
    """A recurrent part, read at its last step (or by its last state)."""

    def __init__(self, kind, scale=1.0, by_state=False, every=False, **how):
        super().__init__()
        self.r = kind(8, 32, batch_first=True, **how)
        self.o, self.by_state, self.every = nn.Linear(64 if how.get("bidirectional") else 32, 4), by_state, every
        with torch.no_grad():
            for name, p in self.r.named_parameters():
                p.mul_(scale if name.startswith("weight") else 1.0)

    def forward(self, x):
        outputs, state = self.r(x)
        if isinstance(outputs, nn.utils.rnn.PackedSequence):
            return self.o((state[0] if isinstance(state, tuple) else state)[-1])
        if self.every:
            return self.o(outputs)
        return self.o(outputs[:, -1])


def packed():
    texts = [draw(n, 8) for n in (200, 150, 120)]
    with torch.device("cpu"):  # where torch wants the lengths that it makes
        return nn.utils.rnn.pack_sequence(texts)


@pytest.mark.parametrize("seed", range(6))
def test_the_cure_of_a_signal_over_time_does_not_hang_on_its_draw(seed):
    torch.manual_seed(seed)
    judged(Last(nn.RNN), torch.randn(8, 200, 8))


@pytest.mark.parametrize(
    ("make", "x", "kind"),
    [
        (lambda: Last(nn.RNN), STEPS, "vanishing"),
        (lambda: Last(nn.LSTM), STEPS, "vanishing"),
        (lambda: Last(nn.GRU, num_layers=2), STEPS, "vanishing"),
        (lambda: Last(nn.GRU), packed(), "vanishing"),
        (lambda: Last(nn.RNN, 6.0), STEPS, "exploding"),
        (lambda: Last(nn.RNN, 3.0, nonlinearity="relu"), STEPS[:, :60], "exploding"),
    ],
    ids=["RNN", "LSTM", "GRU of two layers", "GRU, packed", "RNN x 6", "RNN of ReLU x 3"],
)
def test_a_signal_over_time(make, x, kind):
    found, page = judged(make(), x)
    assert found.kind == kind and found.layers == (1,) and "steps" in found.why, found
    if kind == "vanishing":
        assert found.why.startswith("Of 200 steps the gradient in layer 1 reaches back ")
        assert page.remedy


@pytest.mark.parametrize(
    "make",
    [
        lambda: Last(nn.RNN, every=True),
        lambda: Last(nn.LSTM, every=True, bidirectional=True),
        lambda: _remembering(Last(nn.LSTM)),
    ],
    ids=["read at every step", "both ways", "forget gates open"],
)
def test_recurrent_networks_that_are_sound(make):
    assert judged(make(), STEPS)[0].kind == "stable"


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_weights_stay_where_they_are_if_a_recurrent_layer_puts_its_own_together(kind, monkeypatch):
    """As on a GPU, where cuDNN moves the weights of a layer that finds new ones into one piece of memory."""

    def moved(module):
        for weight in module._flat_weights:
            weight.data = weight.data.clone()

    model = Last(kind, num_layers=2)
    monkeypatch.setattr(nn.RNNBase, "flatten_parameters", moved)
    judged(model, STEPS[:, :20])


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_recurrent_network_whose_output_starts_at_zero_is_sound(kind):
    model = Last(kind)
    nn.init.zeros_(model.o.weight)
    found, _ = judged(model, STEPS[:, :8])
    assert found.kind == "stable" and "the output layer's weights are, until its first step" in found.why


def _remembering(model):
    nn.init.constant_(model.r.bias_hh_l0.data[32:64], math.log(200))
    return model


def test_the_horizon_is_right():
    """Of a linear recurrence that halves the gradient at each step, 1/1000 is reached after 9 steps."""
    model = Last(nn.RNN, nonlinearity="relu")
    with torch.no_grad():
        model.r.weight_hh_l0.copy_(0.5 * torch.eye(32))
        model.r.weight_ih_l0.abs_(), model.r.bias_hh_l0.fill_(1.0), model.r.bias_ih_l0.zero_()
    time = iv.probe(model, STEPS.abs()).reached[0].over_time
    assert time.gradient[-20:] / time.gradient[-21:-1] == pytest.approx(2.0, rel=1e-4)
    assert "reaches back 10:" in iv.verdict(iv.probe(model, STEPS.abs())).why  # the last step, and 9 more


@pytest.mark.parametrize("how", [{"num_layers": 2}, {"bidirectional": True}, {"bias": False}, {"proj_size": 16}])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_stuck_gates_of_every_form(kind, how):
    if kind is nn.GRU and "proj_size" in how:
        pytest.skip("a GRU has none")
    torch.manual_seed(0)
    for scale, stuck in ((1.0, False), (40.0, True)):
        model = kind(8, 32, batch_first=True, **how)
        for p in model.parameters():
            p.data *= scale
        share = iv.probe(model, STEPS[:, :20]).reached[0].saturated_gates
        assert (share > 0.25) == stuck, share


# Closed branches ----------------------------------------------------------------------------------------------------------


def gated(self, x):
    return self.o(self.g * torch.relu(self.f(torch.relu(self.e(x)))) + torch.relu(self.a(x)))


def controlled(self, x):
    """An adapter whose last layer is zero, fed from an input of its own, as in ControlNet."""
    hint = self.zero(torch.relu(self.hint(x[..., :32])))
    return self.o(torch.relu(self.a(x) + hint))


def parts(**more):
    return {"e": nn.Linear(64, 64), "f": nn.Linear(64, 64), "a": nn.Linear(64, 64), "o": nn.Linear(64, 10)} | more


def zeros(layer):
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer


def test_branches_that_are_closed_at_the_start():
    gate = Net(gated, **parts(g=nn.Parameter(torch.zeros(()))))
    found, _ = judged(gate, X, TEN)
    assert found.kind == "stable" and "closed until" in found.why and "e.weight" in found.why
    control = Net(
        controlled, hint=nn.Linear(32, 32), zero=zeros(nn.Linear(32, 64)), a=nn.Linear(64, 64), o=nn.Linear(64, 10)
    )
    assert judged(control, X, TEN)[0].kind == "stable"
    never = Net(gated, **parts(g=nn.Parameter(torch.zeros(()))))
    zeros(never.f)
    assert judged(never, X, TEN)[0].kind == "dead"  # gate and branch are zero both


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
@pytest.mark.parametrize("depth", [2, 4])
def test_a_plain_hidden_layer_of_zeros_is_named_itself(activation, depth):
    model = linear(*[64] * (depth + 1), 10, activation=activation)
    zeros(model[2])
    found, page = judged(model, X, TEN)
    assert found.kind in ("symmetric", "vanishing") and found.layers == (2,), found
    assert 'get_submodule("2")' in page.remedy


class LastRowsRoundedOtherwise(nn.Module):
    """As a matrix product may do that takes eight rows at a time, and the rest by other instructions."""

    def forward(self, x):
        return torch.cat([x[:-3], torch.nextafter(x[-3:], 2 * x[-3:])])


def test_rounding_does_not_tell_samples_apart():
    model = linear(*[64] * 5, 10)
    zeros(model[2])
    found, page = judged(nn.Sequential(*model, LastRowsRoundedOtherwise()), X, TEN)
    assert found.kind in ("symmetric", "vanishing") and found.layers == (2,), found
    assert page.remedy
    assert not _rows_alike(np.array([[1.0, 1.0], [1.0, 1.001]]), 1e-6)
    assert not _rows_alike(np.array([[math.nan], [math.nan]]), 1e-6)


# Where NaN begins ---------------------------------------------------------------------------------------------------------


def masked(self, x):
    mask = torch.zeros(99, 99)
    mask[0] = -math.inf
    return self.o(torch.softmax(self.q(x) @ self.k(x).T / 8 + mask, -1) @ self.v(x))


def between(function):
    return lambda: Net(lambda m, x: m.b(function(m.a(x))), a=nn.Linear(64, 64), b=nn.Linear(64, 10))


def with_nan(model, name, value=math.nan):
    tensor = dict([*model.named_parameters(), *model.named_buffers()])[name]
    with torch.no_grad():
        tensor.view(-1)[0] = value
    return model


def normed(**how):
    return nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10))


ORIGINS = {
    "norm weight": (lambda: with_nan(nn.Sequential(nn.LayerNorm(64), *he(64, 64, 10)), "0.weight"), X, "0.weight", "0.weight"),
    "bias": (lambda: with_nan(he(64, 64, 10), "2.bias"), X, "2.bias", "2.bias"),
    "buffer": (lambda: with_nan(normed().eval(), "1.running_mean"), X, "1.running_mean", "buffer"),
    "bare parameter": (
        lambda: with_nan(Net(lambda m, x: m.a(x * m.scale), a=nn.Linear(64, 10), scale=nn.Parameter(torch.ones(64))), "scale"),
        X, "of scale are NaN", "scale",
    ),
    "masked row": (
        lambda: Net(masked, q=nn.Linear(64, 64), k=nn.Linear(64, 64), v=nn.Linear(64, 64), o=nn.Linear(64, 10)),
        X, "a row that is all -inf", "at least one place",
    ),
    "exp": (between(lambda h: torch.exp(300 * h)), X, "Exp in Net", "Subtract the largest"),
    "log": (between(lambda h: torch.log(torch.relu(h))), X, "Log in Net", "away from 0"),
    "square root": (between(torch.sqrt), X, "Sqrt in Net", "sqrt(x + 1e-6)"),
    "0 times infinity": (between(lambda h: h + (h > 0).float() * -math.inf), X, "Mul in Net", "masked_fill"),
    "input": (lambda: he(64, 64, 10), torch.where(X > 2.5, math.nan, X), "of the inputs are NaN", "Check the inputs"),
    "gradient": (between(lambda h: torch.sqrt(torch.relu(h))), X, "gradient", ""),
    "log in place": (between(lambda h: (h * 1).log_()), X, "Log in Net", "away from 0"),
    "division in place": (between(lambda h: (h * 1).div_((h - h).detach())), X, "Div in Net", "add 1e-6"),
    "power": (between(lambda h: h**0.5), X, "Pow in Net", "clamp(min=1e-6)"),
    "weight of -inf": (lambda: with_nan(normed(), "0.weight", -math.inf), X, "0.weight are infinite", "0.weight"),
    "bias of -inf before a ReLU": (lambda: with_nan(he(64, 64, 10), "0.bias", -math.inf), X, "0.bias are infinite", "0.bias"),
    "input of -inf": (lambda: he(64, 64, 10), torch.where(X > 2.5, -math.inf, X), "of the inputs are infinite", "Check the inputs"),
}  # fmt: skip


@pytest.mark.parametrize("name", ORIGINS)
def test_where_nan_begins_is_said(name):
    make, x, why, remedy = ORIGINS[name]
    model = make()
    found = iv.verdict(iv.probe(model, x, TEN))
    page = iv.diagnose(model, x, TEN)
    assert found.kind == "non-finite" and why in found.why and remedy in found.remedy, found
    assert "variance" not in str(page)
    if name in ("norm weight", "bias", "input", "buffer", "bare parameter") or "of -inf" in name:
        assert page.remedy, page


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_target_that_is_not_finite_is_said(value):
    y = torch.randn(99, 10)
    y[3, 4] = value
    found = iv.verdict(iv.probe(he(64, 64, 10), X, y))
    assert found.kind == "non-finite" and "of the targets are" in found.why and "Check the targets" in found.remedy


def test_a_mask_of_minus_infinity_is_no_fault():
    attend = Net(
        lambda m, x: m.o(torch.softmax((m.q(x) @ x.T / 8).masked_fill(torch.ones(99, 99).triu(1) > 0, -math.inf), -1) @ x),
        q=nn.Linear(64, 64), o=nn.Linear(64, 10),
    )  # fmt: skip
    assert iv.probe(attend, X, TEN).origin is None and judged(attend, X, TEN)[0].kind == "stable"
    mask = torch.full((99, 99), -math.inf).triu(1)
    given = Net(
        lambda m, x, mask: m.o(torch.softmax(m.q(x) @ x.T / 8 + mask, -1) @ x).log(), **dict(attend.named_children())
    )
    assert iv.probe(given, (X, mask), TEN).origin.name == "log"  # and not the mask


# Every kind of input ------------------------------------------------------------------------------------------------------


def deep(first=None, width=64):
    layers = [part for _ in range(30) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*([first] if first is not None else []), *layers, nn.Linear(width, 10))


class Batch(nn.Module):
    """The body on a batch that comes in pieces."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x, mask=None):
        return self.body(x)


@pytest.mark.parametrize("kind", ["tensor", "tuple", "dict", "tokens"])
@pytest.mark.parametrize("illness", ["deep", "large", "half", "inputs"])
def test_the_printed_line_runs_on_every_kind_of_batch(kind, illness):
    if kind == "tokens" and illness == "inputs":
        pytest.skip("they have no scale")
    body = deep(nn.Embedding(100, 64) if kind == "tokens" else None) if illness == "deep" else he(64, 64, 64, 10)
    if kind == "tokens" and illness != "deep":
        body = nn.Sequential(nn.Embedding(100, 64), *body)
    if illness == "large":
        _scaled(body, 300)
    x = IDS[:, 0] if kind == "tokens" else X[:16]
    x = 255 * x.abs() if illness == "inputs" else x
    y = TEN[:16]
    if illness == "half":  # sound but for the type, whose largest number is 65504
        body, y = body.half(), None
        if kind == "tokens":
            body[0].weight.data *= 3e4
        else:
            x = 3e4 * x.clamp(-2, 2).half()
    model = Batch(body) if kind in ("tuple", "dict") else body
    x = {"tuple": (x, None), "dict": {"x": x, "mask": None}}.get(kind, x)
    found, page = judged(model, x, y)
    assert found.kind != "stable" and page.remedy, page


# Factors in the code ------------------------------------------------------------------------------------------------------


class Sine(nn.Module):
    def __init__(self, n_in, n_out, first=False, own_rule=True):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        bound = 1 / n_in if first else (6 / n_in) ** 0.5 / 30
        if own_rule:
            nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x):
        return torch.sin(30 * self.linear(x))


def siren(own_rule):
    layers = [Sine(2, 128, True, own_rule), *[Sine(128, 128, False, own_rule) for _ in range(4)]]
    return nn.Sequential(*layers, nn.Linear(128, 1))


def test_a_factor_between_layer_and_activation():
    places = 2 * torch.rand(256, 2, generator=torch.Generator(torch.get_default_device()).manual_seed(0)) - 1
    found, page = judged(siren(True), places)
    assert found.kind == "stable" and not page.remedy
    found, page = judged(siren(False), places)
    assert found.kind == "exploding" and "A factor of 30 stands between" in found.remedy
    assert "scale=0.0333" in page.remedy
    graph = torch.ones(99, 99)  # an adjacency that is not divided by the degree
    layers = nn.ModuleList([nn.Linear(64, 64) for _ in range(4)])

    def convolve(self, x):
        for layer in self.layers:
            x = torch.relu(graph @ layer(x))
        return self.head(x)

    report = iv.probe(Net(convolve, layers=layers, head=nn.Linear(64, 10)), X.abs(), TEN)
    assert report.reached[1].factor > 30
    assert iv.verdict(report).kind == "exploding" and "factor of" in str(iv.verdict(report))


# Shares below the threshold, and false alarms -----------------------------------------------------------------------------


def test_shares_below_the_threshold_are_mentioned():
    model = he(64, 50, 50, 10)
    model[2].bias.data[:39] = -50.0
    found, _ = judged(model, X, TEN)
    assert found.kind == "stable" and "78% of layer 2's units are zero for every sample" in found.why
    output = nn.Sequential(*he(64, 50, 10), nn.ReLU())
    output[2].bias.data[3] = -50.0
    found, _ = judged(output, X)
    assert found.kind == "stable" and "10% of layer 2's units are zero" in found.why


class Direct(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        return self.b.forward(self.a.forward(x).relu())


def test_modules_that_are_called_past_their_hooks_are_said_to_be_unmeasured():
    found, _ = judged(Direct(), X, TEN)
    assert found.kind == "stable" and "unmeasured" in found.why and "a and b" in found.why
    mixed = Net(lambda m, x: m.b(m.a.forward(x).relu()), a=nn.Linear(64, 64), b=nn.Linear(64, 10))
    assert judged(mixed, X, TEN)[0].kind == "stable"


def test_an_output_behind_a_cap_is_no_hidden_layer():
    model = he(64, 64, 64, 10)
    capped = Net(lambda m, x: 3000 * torch.tanh(m.body(x) / 3000), body=model)
    assert judged(capped, X, TEN)[0].kind == "stable"


def test_an_untrained_batch_normalization_in_eval_mode():
    layers = [part for _ in range(30) for part in (nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(64, 10)).eval()
    found, page = judged(model, X, TEN)
    assert found.kind == "vanishing" and "model.train()" in found.remedy and page.remedy == "model.train()"


def test_a_branch_that_a_factor_nearly_closes_is_sound():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.up, self.down = nn.LayerNorm(64), nn.Linear(64, 64), nn.Linear(64, 64)
            self.scale = nn.Parameter(1e-5 * torch.ones(64))

        def forward(self, x):
            return x + self.scale * self.down(F.gelu(self.up(self.norm(x))))

    model = nn.Sequential(nn.Linear(64, 64), *[Block() for _ in range(6)], nn.LayerNorm(64), nn.Linear(64, 10))
    assert judged(model, X, TEN)[0].kind == "stable"
    mixed = nn.Sequential(
        nn.Linear(64, 64), nn.GELU(), *[Block() for _ in range(6)], nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10)
    )
    assert judged(mixed, X, TEN)[0].kind == "stable"


def test_a_first_call_outside_autograd_is_not_called_symmetric():
    class Weighted(nn.Module):
        """As DoRA: the norm of the low-rank part is first taken without a graph, when it is still 0."""

        def __init__(self):
            super().__init__()
            self.base, self.a, self.b, self.head = (
                nn.Linear(64, 64),
                nn.Linear(64, 4, False),
                zeros(nn.Linear(4, 64, False)),
                nn.Linear(64, 10),
            )

        def forward(self, x):
            with torch.no_grad():
                norm = 1 + self.b(self.a(x)).abs().mean()
            return self.head(torch.relu(self.base(x) + self.b(self.a(x)) / norm))

    assert judged(Weighted(), X, TEN)[0].kind == "stable"


def test_every_kind_says_what_its_layers_at_fault_are():
    from initviz.diagnosis._diagnose import _AT_FAULT
    from initviz.diagnosis._kinds import KINDS

    assert {*_AT_FAULT, "stable"} == set(KINDS)


# One verdict, one table ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", iv.ACTIVATIONS)
def test_the_table_of_variances_is_right(name):
    """Over 50 layers of mean-field theory, from pre-activations of variance 1/2, 1 and 2."""
    import numpy as np

    from initviz.theory._averages import moments

    phi = iv.ACTIVATIONS[name]
    variance, kept = iv.SCHEMES[phi.best_scheme].gain(phi) ** 2, True
    for start in (0.5, 1.0, 2.0):
        q, back = start, 0.0
        for _ in range(50):
            found = moments(phi, np.array([q]))
            back += math.log10(variance * float(found.slope2[0])) / 2
            q = variance * float(found.value2[0])
        kept &= -3 < math.log10(q / start) / 2 < 1 and -3 < back < 1
    assert kept == phi.keeps_scale
