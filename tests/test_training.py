"""Training: records are of the network as it is, nothing is disturbed, divergence is recorded, and a race is its plain loop."""

import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import initviz as iv
from initviz.training import Race, batch_index
from initviz.training._loop import Training

DATA = iv.digits()


def small(seed=0, **keywords):
    return iv.mlp(**({"depth": 3, "width": 16, "seed": seed} | keywords))


class WithDropout(nn.Module):
    def __init__(self, seed):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 10))
        iv.init_(self, "he_normal", seed=seed)

    def forward(self, x):
        return self.layers(x)


def same(a, b, rtol=0.0):
    for field in dataclasses.fields(iv.training.History):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if field.name == "snapshots":
            assert left.keys() == right.keys()
        elif isinstance(left, np.ndarray):
            np.testing.assert_allclose(left, right, rtol=rtol, atol=rtol, err_msg=field.name)
        else:
            assert left == right, field.name


# One network


def test_train_is_the_loop_by_hand():
    net, twin = small(), small()
    history = iv.train(net, DATA, steps=30, batch_size=64, lr=0.05, seed=3, every=7)
    start = [layer.weight.detach().clone() for layer in (*twin.hidden, twin.output)]
    rows, updates = {}, {}
    for step in range(31):
        index = batch_index(len(DATA.x_train), 64, 3, step)
        loss = F.cross_entropy(twin(DATA.x_train[index]), DATA.y_train[index])
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        layers = [g for g in gradients if g.dim() == 2]
        with torch.no_grad():
            right = (twin(DATA.x_test).argmax(1) == DATA.y_test).double().mean().item()
        moved = [layer.weight.detach() - w for layer, w in zip((*twin.hidden, twin.output), start)]
        rows[step] = (
            loss.item(),
            right,
            math.sqrt(sum(g.square().sum().item() for g in gradients)),
            [g.norm().item() for g in layers],
            [m.square().mean().sqrt().item() for m in moved],
        )
        updates[step] = [
            0.05 * (g.norm() / layer.weight.norm()).item() for g, layer in zip(layers, (*twin.hidden, twin.output))
        ]
        if step < 30:
            with torch.no_grad():
                for parameter, gradient in zip(twin.parameters(), gradients):
                    parameter -= 0.05 * gradient
    assert history.steps.tolist() == [0, 7, 14, 21, 28, 30]
    assert history.layers == ("hidden.0", "hidden.1", "hidden.2", "output")
    names = ("loss", "accuracy", "gradient_norm", "layer_gradient_norm", "layer_change")
    for name, expected in zip(names, zip(*(rows[step] for step in history.steps))):
        np.testing.assert_allclose(getattr(history, name), expected, rtol=1e-4, atol=1e-7, err_msg=name)
    np.testing.assert_allclose(history.layer_update[:-1], [updates[step] for step in history.steps[:-1]], rtol=1e-3)
    assert np.isnan(history.layer_update[-1]).all()
    assert history.train_accuracy == (twin(DATA.x_train).argmax(1) == DATA.y_train).double().mean().item()
    for trained, by_hand in zip(net.parameters(), twin.parameters()):
        torch.testing.assert_close(trained, by_hand, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "reference"),
    [
        ({"optimizer": "sgd", "momentum": 0.9, "lr": 0.02}, lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9)),
        ({"optimizer": "adam", "lr": 0.003}, lambda p: torch.optim.Adam(p, lr=0.003)),
    ],
)
def test_optimizers_are_those_of_torch(optimizer, reference):
    net, twin = small(), small()
    iv.train(net, DATA, steps=5, **optimizer)
    stepper = reference(twin.parameters())
    for step in range(5):
        index = batch_index(len(DATA.x_train), 128, 0, step)
        stepper.zero_grad()
        F.cross_entropy(twin(DATA.x_train[index]), DATA.y_train[index]).backward()
        stepper.step()
    for trained, by_hand in zip(net.parameters(), twin.parameters()):
        torch.testing.assert_close(trained, by_hand)


def test_adam_s_first_update_is_the_learning_rate_for_every_weight():
    net = small(dtype="float64")
    weights = [layer.weight.detach().clone() for layer in (*net.hidden, net.output)]
    history = iv.train(net, DATA, steps=1, optimizer="adam", lr=0.003)
    moved = [
        (layer.weight.detach() - w).square().mean().sqrt().item()
        for layer, w in zip((*net.hidden, net.output), weights)
    ]
    np.testing.assert_allclose(
        history.layer_update[0], [m / w.square().mean().sqrt().item() for m, w in zip(moved, weights)]
    )
    assert moved[-1] == pytest.approx(0.003, rel=1e-3)


def test_an_update_of_weights_that_were_zero_is_infinitely_large():
    history = iv.train(iv.mlp(1, 16, "sigmoid", "zeros"), DATA, steps=1)
    assert np.isinf(history.layer_update[0, 1]) and np.isnan(
        history.layer_update[0, 0]
    )  # the first layer stays at zero


def test_a_good_start_learns_digits():
    history = iv.train(small(width=32), DATA, steps=300, lr=0.1)
    assert history.final_accuracy > 0.9
    assert 0 < history.steps_to(0.8) <= history.steps_to(0.9) <= 300
    assert history.steps_to(1.0) == math.inf
    assert history.diverged_at is None


def test_batches_are_a_function_of_seed_and_step_and_cover_an_epoch():
    epoch = torch.cat([batch_index(100, 10, 5, step) for step in range(10)])
    assert sorted(epoch.tolist()) == list(range(100))
    assert not torch.equal(batch_index(100, 10, 5, 0), batch_index(100, 10, 5, 10))
    assert not torch.equal(batch_index(100, 10, 5, 0), batch_index(100, 10, 6, 0))
    assert torch.equal(batch_index(100, 10, 5, 37), batch_index(100, 10, 5, 37))


@pytest.mark.parametrize("build", [WithDropout, lambda seed: small(seed, normalization="batch")])
def test_snapshots_and_the_global_state_do_not_disturb_training(build):
    plain, net = iv.train(build(0), DATA, steps=20), build(0)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    watched = iv.train(net, DATA, steps=20, snapshots=(0, 7, 20))
    assert torch.equal(before, torch.get_rng_state())
    assert sorted(watched.snapshots) == [0, 7, 20]
    same(dataclasses.replace(plain, snapshots=watched.snapshots), watched)


def test_a_snapshot_is_a_probe_of_the_network_as_it_then_was():
    history = iv.train(small(), DATA, steps=12, every=4, snapshots=(0, 8))
    net = small()
    x, y = DATA.batch(256, seed=0)
    assert history.snapshots[0].loss == iv.probe(net, x, y).loss
    iv.train(net, DATA, steps=8)
    assert history.snapshots[8].loss == pytest.approx(iv.probe(net, x, y).loss, rel=1e-5)


def test_no_gradient_and_no_changed_mode_is_left():
    net = WithDropout(0)
    net.layers[2].eval()
    iv.train(net, DATA, steps=3)
    assert [module.training for module in net.modules()] == [True, True, True, True, False, True]
    assert all(parameter.grad is None for parameter in net.parameters())


def test_frozen_parameters_stay():
    net = small()
    net.hidden[0].weight.requires_grad_(False)
    before = net.hidden[0].weight.clone()
    history = iv.train(net, DATA, steps=5)
    assert torch.equal(before, net.hidden[0].weight)
    assert history.layers == ("hidden.1", "hidden.2", "output")


def test_it_trains_inside_no_grad_and_in_half_precision():
    with torch.no_grad():
        history = iv.train(small(dtype="bfloat16"), DATA, steps=60)
    assert history.loss[-1] < history.loss[0] / 2


# Divergence


class Noisy(nn.Module):
    """Draws from torch's random numbers, in eval mode too."""

    def __init__(self):
        super().__init__()
        self.layer = iv.init_(nn.Linear(64, 10), "he_normal")

    def forward(self, x):
        return self.layer(x) * (1 + torch.rand(()))


def test_what_is_random_in_a_model_is_seeded_and_leaves_the_global_state():
    first, again = Noisy(), Noisy()
    before = torch.get_rng_state()
    losses = [iv.train(net.eval(), DATA, steps=5, every=1).loss for net in (first, again)]
    np.testing.assert_array_equal(*losses)
    assert torch.equal(torch.get_rng_state(), before)


def exploding(seed=0):
    return small(seed, depth=8, scale=1.5)


def test_divergence_is_recorded_at_its_step():
    net = exploding()
    history = iv.train(net, DATA, steps=50, lr=1.0)
    at = history.diverged_at
    assert at is not None and 2 <= at < 50
    assert history.steps[-1] == at
    finite = np.isfinite(history.loss) & np.isfinite(history.gradient_norm)
    assert finite[:-1].all() and not finite[-1]
    again = iv.train(exploding(), DATA, steps=at - 1, lr=1.0)  # one step earlier all is finite
    assert again.diverged_at is None and np.isfinite(again.loss).all()


def test_a_gradient_that_overflows_is_divergence_before_the_update():
    class Overflow(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 10)

        def forward(self, x):
            return self.layer(x) * 1e-30 + (self.layer(x) * 1e30 - (self.layer(x) * 1e30).detach()) * 1e30

    net = Overflow()
    before = net.layer.weight.clone()
    history = iv.train(net, DATA, steps=5)
    assert history.diverged_at == 0
    assert np.isfinite(history.loss[0]) and not np.isfinite(history.gradient_norm[0])
    assert torch.equal(net.layer.weight, before)


def test_outputs_that_are_not_finite_count_as_wrong():
    net = small()
    with torch.no_grad():
        net.output.bias[int(DATA.y_test.mode().values)] = math.nan
    assert iv.train(net, DATA, steps=2).accuracy.tolist() == [0.0]


def test_tiny_gradients_do_not_read_zero():
    net = small(depth=8, scheme="small_normal", scale=1e-3)
    norms = iv.train(net, DATA, steps=1).layer_gradient_norm[0]
    assert (norms[:-1] > 0).all() and norms[1] < 1e-22  # its square is not a float32


# Races


def both_ways(racers, **settings):
    return [iv.race(racers, DATA, vectorize=way, **settings) for way in (False, True)]


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 0.03},
        {"lr": 0.003, "momentum": 0.9},
        {"lr": 0.002, "optimizer": "adam"},
    ],
)
def test_a_vectorized_race_is_its_plain_loop(settings):
    racers = {
        "he": {"scheme": "he_normal", "dtype": "float64"},
        "tanh": {"scheme": "xavier_normal", "activation": "tanh", "dtype": "float64"},
        "layer norm": {"scheme": "he_normal", "normalization": "layer", "dtype": "float64"},
    }
    common = {"depth": 4, "width": 16, "seeds": 3, "steps": 40, "every": 9, "snapshots": (0, 30)} | settings
    loop, stacked = both_ways(racers, **common)
    race = Race(racers, DATA, vectorize=True, **common)
    assert len(race.trainings) == 3  # one computation for each architecture
    for label in racers:
        for one, other in zip(loop.histories[label], stacked.histories[label], strict=True):
            same(one, other, rtol=1e-9)
            assert one.snapshots[30].loss == pytest.approx(other.snapshots[30].loss, rel=1e-9)


def test_a_vectorized_race_in_float32_starts_as_its_plain_loop():
    loop, stacked = both_ways({"he": "he_normal"}, depth=4, width=16, seeds=3, steps=5, every=1, lr=0.02)
    for one, other in zip(loop.histories["he"], stacked.histories["he"], strict=True):
        same(one, other, rtol=1e-4)


def test_racers_of_one_architecture_are_one_computation():
    racers = {"he": "he_normal", "small": {"scheme": "small_normal", "bias_std": 0.1}, "tanh": {"activation": "tanh"},
              "large": {"scale": 2.0}, "own": small}  # fmt: skip
    common = {"depth": 3, "width": 16, "seeds": 2, "steps": 8, "every": 3, "lr": 0.02}
    assert len(Race(racers, DATA, **common).trainings) == 3
    loop, stacked = both_ways(racers, **common)
    assert list(stacked.histories) == list(racers)
    for label in racers:
        for one, other in zip(loop.histories[label], stacked.histories[label], strict=True):
            same(one, other, rtol=1e-3)


def test_lsuv_races_from_a_batch():
    race = Race(
        {"lsuv": "lsuv", "half": {"scheme": "lsuv", "scale": 0.5}},
        DATA,
        depth=4,
        width=16,
        activation="tanh",
        seeds=1,
        steps=1,
    )
    for label, expected in (("lsuv", 1.0), ("half", 0.25)):
        variances = race.probe(label, quantities=["preactivation"]).values("preactivation", "std") ** 2
        assert variances[0] == pytest.approx(expected, rel=0.2)  # measured on a batch of its own


def test_runs_that_diverge_leave_the_others_alone():
    scales = {0: 1.0, 1: 4.0, 2: 1.0, 3: 7.0}

    def build(seed):
        return small(seed, depth=8, scale=scales[seed], dtype="float32")

    loop, stacked = both_ways({"mixed": build}, seeds=4, steps=40, lr=0.02, every=10, momentum=0.5)
    ends = [run.diverged_at for run in stacked.histories["mixed"]]
    assert [end is not None for end in ends] == [False, True, False, True]
    assert ends == [run.diverged_at for run in loop.histories["mixed"]]
    assert stacked.diverged("mixed") == 2
    assert np.isfinite(stacked.train_accuracy("mixed")).all()
    for run in stacked.histories["mixed"]:
        assert np.isfinite(run.layer_update[:-1]).all() and np.isnan(run.layer_update[-1]).all()
    assert [run.steps[-1] for run in stacked.histories["mixed"]] == [40, ends[1], 40, ends[3]]
    assert (
        np.isfinite(stacked.histories["mixed"][0].loss).all() and np.isfinite(stacked.histories["mixed"][2].loss).all()
    )


def test_a_model_that_vmap_cannot_run_races_seed_by_seed():
    race = Race({"dropout": WithDropout}, DATA, seeds=2, steps=4, vectorize=True)
    assert len(race.trainings) == 2
    loop, stacked = both_ways({"dropout": WithDropout}, seeds=2, steps=4)
    for one, other in zip(loop.histories["dropout"], stacked.histories["dropout"], strict=True):
        same(one, other)


@pytest.mark.parametrize(
    "build",
    [
        lambda seed: small(seed, activation=["relu", "tanh", "sine"][seed]),
        lambda seed: small(seed, depth=2 + seed),
        lambda seed: small(seed, depth=4 - seed),
        lambda seed: small(seed, width=8 + seed),
    ],
    ids=["activation", "deeper", "shallower", "wider"],
)
def test_networks_that_differ_by_more_than_their_numbers_do_not_run_as_one(build):
    together, apart = both_ways({"mine": build}, seeds=3, steps=5, every=5)
    for a, b in zip(together.histories["mine"], apart.histories["mine"], strict=True):
        same(a, b)


def test_one_network_for_all_seeds_is_refused():
    net = small()
    with pytest.raises(ValueError, match="^racers: .* a new one for each seed"):
        iv.race({"mine": lambda seed: net}, DATA, seeds=2, steps=1)
    with pytest.raises(ValueError, match="^racers: .* a new one for each seed"):
        iv.race({"a": lambda seed: net, "b": lambda seed: net}, DATA, seeds=1, steps=1)


def test_racers_of_a_seed_see_the_same_batches_and_are_trained_networks():
    nets = {}

    def build(seed):
        nets[seed] = small(seed)
        return nets[seed]

    result = iv.race({"builder": build, "name": "he_normal", "dict": {"scheme": "he_normal"}}, DATA, depth=3, width=16, seeds=[4, 7],
                     steps=15, lr=0.05)  # fmt: skip
    for racer in ("name", "dict"):
        for one, other in zip(result.histories["builder"], result.histories[racer], strict=True):
            same(one, other, rtol=1e-4)
    single = iv.train(small(7), DATA, steps=15, lr=0.05, seed=7)
    same(single, result.histories["builder"][1], rtol=1e-4)
    twin = small(7)
    iv.train(twin, DATA, steps=15, lr=0.05, seed=7)
    torch.testing.assert_close(nets[7].output.weight, twin.output.weight, rtol=1e-4, atol=1e-5)


def test_stopping_early_keeps_what_was_recorded():
    race = Race({"he": "he_normal"}, DATA, depth=3, width=16, seeds=2, steps=100, every=5)
    for step in race:
        if step == 23:
            break
    assert race.result().histories["he"][1].steps.tolist() == [0, 5, 10, 15, 20]
    assert not race.done and race.step == 23
    assert np.isnan(race.result().train_accuracy("he")).all()


# Results


def history(steps, accuracy, diverged_at=None):
    k = len(steps)
    loss = np.linspace(2, 1, k)
    return iv.training.History(
        np.array(steps),
        loss,
        np.array(accuracy),
        loss,
        (),
        *(np.zeros((k, 0)) for _ in range(3)),
        diverged_at=diverged_at,
    )


def test_table_and_curve():
    good = (history([0, 10, 20], [0.1, 0.9, 0.95]), history([0, 10, 20], [0.1, 0.6, 0.9]))
    bad = (history([0, 10, 20], [0.1, 0.2, 0.92]), history([0, 10, 13], [0.1, 0.1, 0.0], diverged_at=13))
    result = iv.training.RaceResult({"good": good, "bad": bad}, (0, 1))
    table = result.table(0.9)
    assert table.loc["good"].to_dict() == pytest.approx(
        {"steps_mean": 15, "steps_std": math.sqrt(50), "reached": 2, "accuracy_mean": 0.925, "accuracy_std": math.sqrt(0.00125),
         "diverged": 0, "runs": 2}
    )  # fmt: skip
    row = table.loc["bad"]
    assert (
        row["steps_mean"] == math.inf and math.isnan(row["steps_std"]) and row["reached"] == 1 and row["diverged"] == 1
    )
    steps, values = result.curve("bad", "accuracy")
    assert steps.tolist() == [0, 10, 20]
    np.testing.assert_array_equal(values, [[0.1, 0.2, 0.92], [0.1, 0.1, np.nan]])


# Bad input


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"model": "net"}, TypeError, "^model: got str; it takes a torch.nn.Module"),
        ({"model": nn.ReLU()}, ValueError, "^model: has no parameter to train"),
        ({"model": nn.LazyLinear(10)}, ValueError, "^model: has lazy parameters"),
        ({"model": nn.Linear(63, 10)}, ValueError, r"^model: can't take digits, a batch of shape \(2, 64\): "),
        (
            {"model": nn.Linear(64, 9)},
            ValueError,
            r"^model: gives \(2, 9\) for 2 samples of digits; it must give \(2, 10\)",
        ),
        ({"data": DATA.x_train}, TypeError, "^data: got Tensor; it takes a data set"),
        ({"steps": 0}, ValueError, "^steps: got 0"),
        ({"steps": 10.0}, TypeError, "^steps: got float"),
        ({"every": 0}, ValueError, "^every: got 0"),
        ({"batch_size": 2000}, ValueError, "^batch_size: got 2000; digits has 1437 training samples"),
        ({"lr": math.nan}, ValueError, "^lr: got nan"),
        ({"lr": "fast"}, TypeError, "^lr: got str"),
        ({"optimizer": "adamw"}, ValueError, "^optimizer: 'adamw' is unknown; did you mean 'adam'"),
        ({"momentum": 0.9, "optimizer": "adam"}, ValueError, "^momentum: got 0.9; only sgd takes it"),
        ({"momentum": -1}, ValueError, "^momentum: got -1"),
        ({"seed": -1}, ValueError, "^seed: got -1"),
        ({"snapshots": (3, 11)}, ValueError, "^snapshots: got 11; there are 10 steps"),
        ({"snapshots": (0.5,)}, TypeError, "^snapshots: got float"),
    ],
)
def test_bad_input_to_train(arguments, kind, message):
    arguments = {"model": nn.Linear(64, 10), "data": DATA, "steps": 10} | arguments
    with pytest.raises(kind, match=message):
        iv.train(arguments.pop("model"), arguments.pop("data"), **arguments)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"racers": {}}, ValueError, "^racers: got none"),
        ({"racers": ["he_normal"]}, TypeError, "^racers: got list; it takes a dict"),
        ({"racers": {"he": 3}}, TypeError, "^racers: got int; it takes a scheme, a dict of settings, or a function"),
        ({"racers": {"he": "he_norml"}}, ValueError, "^scheme: 'he_norml' is unknown; did you mean 'he_normal'"),
        ({"racers": {"he": {"scheme": "he_normal", "depht": 3}}}, TypeError, "depht"),
        ({"racers": {"net": lambda seed: "net"}}, TypeError, "^model: got str"),
        ({"seeds": 0}, ValueError, "^seeds: got 0"),
        ({"seeds": []}, ValueError, "^seeds: got none"),
        ({"seeds": [-1]}, ValueError, "^seeds: got -1"),
        ({"seeds": "five"}, TypeError, "^seeds: got str"),
        ({"steps": -1}, ValueError, "^steps: got -1"),
        ({"step": 10}, TypeError, "step"),
    ],
)
def test_bad_input_to_race(arguments, kind, message):
    arguments = {"racers": {"he": "he_normal"}, "depth": 2, "width": 8, "seeds": 2} | arguments
    with pytest.raises(kind, match=message):
        iv.race(arguments.pop("racers"), DATA, **arguments)


def test_bad_input_to_results():
    result = iv.training.RaceResult({"good": (history([0], [0.1]),)}, (0,))
    with pytest.raises(ValueError, match="^accuracy: got 90; it takes a share from 0 to 1"):
        result.table(90)
    with pytest.raises(ValueError, match="^label: 'god' is unknown; did you mean 'good'"):
        result.steps_to("god", 0.5)
    with pytest.raises(ValueError, match="^what: 'speed' is unknown"):
        result.curve("good", "speed")


def test_seeds_and_models_go_together():
    with pytest.raises(ValueError, match="^seeds: got 2 for 1 models"):
        Training([small()], DATA, seeds=[0, 1])


def test_progress_writes_a_bar_only_when_asked(capsys):
    iv.train(small(), DATA, steps=3)
    assert capsys.readouterr() == ("", "")
    iv.train(small(), DATA, steps=3, progress=True)
    assert "3/3" in capsys.readouterr().err
