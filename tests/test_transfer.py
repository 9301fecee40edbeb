"""Transfer learning: the shipped weights and their cards, few labels, the strategies, and what the study says."""

import copy
import json
import math
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import initviz as iv
from initviz._core.statistics import sample_std
from initviz.datasets import curves, mnist1d_large, mnist1d_sheared, textures
from initviz.datasets._source_tasks import random_curves
from initviz.models import FOLDER, signal_cnn
from initviz.models._checkpoint import load_safetensors_
from initviz.tools import _pretrain as pretrain
from initviz.training import TransferResult, evaluating, in_words
from initviz.training._transfer import ENDS, features

study_module = import_module("initviz.experiments._transfer_study")  # the package has a function of this name


def accuracy(net, data):
    with torch.no_grad(), evaluating(net):
        return (net(data.x_test).argmax(1) == data.y_test).double().mean().item()


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Own(nn.Module):
    """A network that no one here wrote: norms, dropout, a head with a name of its own and something after it."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2))
        self.classifier = nn.ModuleDict({"last": nn.Linear(32, 7)})
        self.eval()

    def forward(self, x):
        return self.classifier["last"](self.body(x))


@pytest.fixture
def own():
    torch.manual_seed(0)
    return Own()


# The shipped networks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", iv.models.PRETRAINED)
def test_a_card_says_what_its_file_holds(name):
    card, net = iv.models.card(name), iv.models.pretrained(name)
    assert card.name == name and card.command == f"python -m initviz pretrain {name}"
    assert sum(p.numel() for p in net.parameters()) == card.parameters
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 200_000
    assert f"{card.accuracy:.0%}" in str(card) and card.task in str(card)
    assert not net.training


@pytest.mark.parametrize("name", iv.models.PRETRAINED)
def test_the_accuracy_on_the_card_is_measured_again(name):
    data = iv.models.PRETRAINED[name].data()
    again = accuracy(iv.models.pretrained(name), data)
    assert again == pytest.approx(
        iv.models.card(name).accuracy, abs=0.005
    )  # sums in another order flip a few signals of 1,600 or 3,000
    assert again > 5 / iv.models.card(name).n_classes


def test_the_command_makes_the_same_file_twice(tmp_path, monkeypatch, capsys):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "b")
    with torch.device("cpu"):  # a GPU's sums may differ in their last digits from one run to the next
        pretrain.main(["textures-cnn", "--steps", "4", "--folder", str(tmp_path / "a")])
        pretrain.main(["textures-cnn", "--steps", "4"])  # here, never into the package
    for name in ("textures-cnn.safetensors", "textures-cnn.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    card = json.loads((tmp_path / "a" / "textures-cnn.json").read_text())
    assert card["accuracy"] == pytest.approx(
        accuracy(load_safetensors_(signal_cnn(10), tmp_path / "a" / "textures-cnn.safetensors"), textures()), abs=1e-4
    )
    assert "textures-cnn: " in capsys.readouterr().out


def test_source_tasks_are_what_they_say():
    walks = random_curves(50, seed=1)
    assert walks.shape == (50, 12) and np.abs(walks[:, [0, -1]]).max() < 1e-12
    assert walks.std(axis=1) == pytest.approx(np.ones(50))
    small = curves(n_classes=4, per_class=10, seed=2)
    assert small.x_train.shape == (32, 40) and small.y_train.bincount().tolist() == [8] * 4
    assert mnist1d_large().y_train.bincount().tolist() == [500] * 10
    assert mnist1d_large().y_test.bincount().tolist() == [125] * 10
    data = textures()
    peak = [
        torch.fft.rfft(data.x_train[data.y_train == c]).abs().square().mean(0)[1:].argmax().item() for c in range(10)
    ]
    assert peak == sorted(peak) and len(set(peak)) >= 8  # each colour swings at its own frequency, in order


# Few labels ----------------------------------------------------------------------------------------------------------------


def test_few_labels_are_drawn_from_the_training_samples_by_the_seed():
    data = iv.digits()
    few = iv.training.few_labels(data, 5, seed=3)
    assert few.y_train.bincount().tolist() == [5] * 10
    assert few.x_test is data.x_test and few.y_test is data.y_test
    pool = {tuple(x.tolist()): y for x, y in zip(data.x_train, data.y_train.tolist(), strict=True)}
    assert all(pool[tuple(x.tolist())] == y for x, y in zip(few.x_train, few.y_train.tolist(), strict=True))
    assert len(few.x_train.unique(dim=0)) == 50
    assert torch.equal(few.x_train, iv.training.few_labels(data, 5, seed=3).x_train)
    assert not torch.equal(few.x_train, iv.training.few_labels(data, 5, seed=4).x_train)


def test_more_labels_include_the_fewer():
    data = iv.digits()
    few, more = (iv.training.few_labels(data, count, seed=1) for count in (5, 20))
    assert {tuple(x.tolist()) for x in few.x_train} < {tuple(x.tolist()) for x in more.x_train}


# Strategies ----------------------------------------------------------------------------------------------------------------


def test_a_network_of_ones_own_stays_as_it_is(own):
    own.body[0].weight.requires_grad_(False)
    before, random = state(own), torch.get_rng_state()
    result = iv.transfer(own, iv.digits(), labels=[5, 8], seeds=2, steps=20, every=6)
    assert same(before, state(own)) and not own.training and own.classifier["last"].out_features == 7
    assert not own.body[0].weight.requires_grad and all(p.grad is None for p in own.parameters())
    assert torch.equal(random, torch.get_rng_state())
    assert result.source == "Own" and result.data == "digits" and result.steps.tolist() == [0, 6, 12, 18, 20]
    assert result.accuracy.shape == (len(iv.training.STRATEGIES), 2, 2, 5) and result.rates.shape == (7, 2)
    assert ((result.accuracy >= 0) & (result.accuracy <= 1)).all()


def test_the_same_seeds_give_the_same_result_and_one_seed_alone_the_same_run(own):
    options = {"data": iv.digits(), "labels": [5], "steps": 12, "every": 4}
    both = iv.transfer(own, seeds=2, **options)
    assert np.array_equal(both.accuracy, iv.transfer(own, seeds=2, **options).accuracy)
    assert np.array_equal(both.accuracy[:, :, 1:], iv.transfer(own, seeds=[1], **options).accuracy)


def test_frozen_is_training_the_head_alone_of_the_whole_network():
    data = iv.training.few_labels(mnist1d_large(), 5, seed=0)
    result = iv.transfer("curves-cnn", strategies=["frozen"], labels=[5], seeds=1, steps=30, every=10)
    net = iv.models.pretrained("curves-cnn")
    net.head = iv.init_(nn.Linear(32, 10), "zeros")
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name.startswith("head"))
    history = iv.train(net, data, steps=30, batch_size=32, lr=1e-2, optimizer="adam", seed=0, every=10)
    assert result.curve("frozen", 5)[0] == pytest.approx(history.accuracy, abs=0.005)
    assert same(state(net.conv2), state(iv.models.pretrained("curves-cnn").conv2))


@pytest.mark.parametrize(
    ("strategy", "head"),
    [
        ("random", "he_normal"),
        ("fine_tuned", "zeros"),
        ("fine_tuned_he", "he_normal"),
        ("fine_tuned_default", "pytorch_default"),
    ],
)
def test_a_strategy_is_training_all_from_its_body_and_its_head(strategy, head):
    data = iv.training.few_labels(mnist1d_large(), 5, seed=1)
    result = iv.transfer("curves-cnn", strategies=[strategy], labels=[5], seeds=[1], steps=20, every=10)
    net = signal_cnn(10, seed=1) if strategy == "random" else iv.models.pretrained("curves-cnn")
    before = nn.utils.parameters_to_vector(p for name, p in net.named_parameters() if "head" not in name).detach()
    net.head = iv.init_(nn.Linear(32, 10), head, seed=1)
    history = iv.train(net.train(), data, steps=20, batch_size=32, lr=3e-3, optimizer="adam", seed=1, every=10)
    assert result.curve(strategy, 5)[0] == pytest.approx(history.accuracy, abs=0.005)
    after = nn.utils.parameters_to_vector(p for name, p in net.named_parameters() if "head" not in name).detach()
    assert result.end("moved", strategy, 5)[0] == pytest.approx(
        ((after - before).norm() / before.norm()).item(), rel=0.02
    )
    right = (net.eval()(data.x_train).argmax(1) == data.y_train).double().mean()
    assert result.end("train_accuracy", strategy, 5)[0] == pytest.approx(right.item(), abs=0.03)


def test_a_frozen_body_stays_and_remembers_its_source_and_a_random_one_has_none():
    source = replace(curves(), x_test=curves().x_test[:500], y_test=curves().y_test[:500])
    result = iv.transfer(
        "curves-cnn", strategies=["frozen", "frozen_random", "fine_tuned"], labels=[5], seeds=1, steps=40, source=source
    )
    assert result.end("moved", "frozen", 5)[0] == result.end("moved", "frozen_random", 5)[0] == 0
    own = accuracy(iv.models.pretrained("curves-cnn"), source)
    assert result.end("source_accuracy", "frozen", 5)[0] == pytest.approx(own)
    assert result.end("source_accuracy", "fine_tuned", 5)[0] < own
    assert math.isnan(result.end("source_accuracy", "frozen_random", 5)[0])
    with pytest.raises(ValueError, match="^name: 'shifted_accuracy' is unknown"):
        result.end("shifted_accuracy", "frozen", 5)


def test_a_random_frozen_body_is_drawn_by_the_seed():
    result = iv.transfer("curves-cnn", strategies=["frozen_random"], labels=[5], seeds=[3], steps=20, every=10)
    net = signal_cnn(10, seed=3)
    net.head = iv.init_(nn.Linear(32, 10), "zeros")
    few = iv.training.few_labels(mnist1d_large(), 5, seed=3)
    history = iv.train(
        net.head, features(net, "head", few), steps=20, batch_size=32, lr=1e-2, optimizer="adam", seed=3, every=10
    )
    assert result.curve("frozen_random", 5)[0] == pytest.approx(history.accuracy, abs=0.005)


def test_a_tuned_rate_is_the_best_on_samples_that_the_result_is_not_of(monkeypatch):
    data = iv.digits()
    options = {"strategies": ["frozen"], "labels": [5], "seeds": 2, "steps": 30}
    held_out = torch.arange(len(data.x_test)) % 5 == 0
    parts = {"chosen by": held_out, "judged by": ~held_out}
    judged = {part: replace(data, x_test=data.x_test[of], y_test=data.y_test[of]) for part, of in parts.items()}
    net = iv.mlp(2, 16, "relu", n_in=64, n_out=10, seed=0)
    strategy = iv.training.STRATEGIES["frozen"]
    final = {}
    for rate in (1e-4, 1e-1, 1e-3):
        monkeypatch.setitem(iv.training.STRATEGIES, "frozen", replace(strategy, rates=(rate,)))
        final[rate] = {part: iv.transfer(net, of, **options).final("frozen", 5) for part, of in judged.items()}
    best = max(final, key=lambda rate: final[rate]["chosen by"].mean())
    assert len({f["chosen by"].mean() for f in final.values()}) == 3
    monkeypatch.setitem(iv.training.STRATEGIES, "frozen", replace(strategy, rates=tuple(final)))
    result = iv.transfer(net, data, tune=True, **options)
    assert result.rate("frozen", 5) == best
    assert result.final("frozen", 5) == pytest.approx(final[best]["judged by"])
    untuned = iv.transfer(net, data, **options)
    assert untuned.rate("frozen", 5) == 1e-4 and result.final("frozen", 5).mean() > untuned.final("frozen", 5).mean()


def test_the_shifted_test_set_is_the_same_digits_sheared_more():
    data = mnist1d_sheared()
    assert data.x_test.shape == (500, 40) and data.y_test.bincount().tolist() == [50] * 10
    result = iv.transfer("curves-cnn", strategies=["frozen"], labels=[50], seeds=1, steps=100, shifted=data)
    assert 0.2 < result.end("shifted_accuracy", "frozen", 50)[0] < result.final("frozen", 50)[0] - 0.03


def test_head_first_begins_as_frozen_does():
    result = iv.transfer("curves-cnn", strategies=["frozen", "head_first"], labels=[5], seeds=1, steps=40, every=10)
    frozen, first = (result.curve(name, 5)[0] for name in ("frozen", "head_first"))
    assert np.array_equal(frozen[:3], first[:3]) and len(first) == 5  # the head alone up to step 20
    assert not np.array_equal(frozen[3:], first[3:])


def test_features_are_what_the_head_sees(own):
    own.train()
    data = features(own, "classifier.last", iv.digits())
    assert own.training and data.x_train.shape == (1437, 32)
    own.eval()
    with torch.no_grad():
        assert torch.equal(data.x_test, own.body(iv.digits().x_test))
    assert not own.classifier["last"]._forward_pre_hooks


def test_random_keeps_nothing_of_the_pretrained_weights(own):
    from initviz.training._transfer import _drawn_anew

    drawn = _drawn_anew(copy.deepcopy(own), "he_normal", 0)
    before, after = state(own), state(drawn)
    assert not any(torch.equal(before[name], after[name]) for name in after if name.endswith("0.weight"))
    with torch.no_grad():
        own.body[1].running_mean.fill_(3.0)
    assert (_drawn_anew(copy.deepcopy(own), "he_normal", 0).body[1].running_mean == 0).all()


def test_what_cannot_be_drawn_anew_is_named_or_made_by_ones_own_function(own):
    own.scale = nn.Parameter(torch.ones(3))
    options = {"strategies": ["random"], "labels": [5], "seeds": 1, "steps": 2}
    with pytest.raises(ValueError, match="model: scale has no rule to draw it anew; give fresh="):
        iv.transfer(own, iv.digits(), **options)
    result = iv.transfer(own, iv.digits(), fresh=lambda seed: Own(), **options)
    assert result.accuracy.shape == (1, 1, 1, 2)


# The result ----------------------------------------------------------------------------------------------------------------


def made(**changes):
    values = {"source": "s", "data": "d", "strategies": ("random", "frozen"), "labels": (5, 50), "seeds": (0, 1)}
    curve = np.array([0.1, 0.3, 0.5])
    grid = np.stack(
        [
            np.stack([np.stack([curve + 0.1 * s + 0.2 * k + 0.01 * i for i in range(2)]) for k in range(2)])
            for s in range(2)
        ]
    )
    return TransferResult(**(values | {"steps": np.array([0, 10, 20]), "accuracy": grid} | changes))


def test_a_result_answers_by_strategy_and_labels():
    result = made()
    assert result.final("frozen", 5) == pytest.approx([0.6, 0.61])
    assert result.margin("frozen", 50) == pytest.approx([0.1, 0.1])
    assert result.steps_to("random", 5, 0.305).tolist() == [20, 10]
    assert result.steps_to("random", 5, 0.9).tolist() == [math.inf, math.inf]
    table = result.table()
    assert table.loc[("frozen", 5), "accuracy_mean"] == pytest.approx(0.605)
    assert table.loc[("frozen", 5), "accuracy_std"] == pytest.approx(np.std([0.6, 0.61], ddof=1))
    assert table.loc[("frozen", 50), "margin_mean"] == pytest.approx(0.1)
    assert "margin_mean" not in made(strategies=("fine_tuned", "frozen")).table()


def test_a_result_is_saved_and_read_back(tmp_path):
    made().save(tmp_path / "r.json")
    again = TransferResult.load(tmp_path / "r.json")
    assert again.labels == (5, 50) and again.strategies == ("random", "frozen")
    assert again.accuracy == pytest.approx(made().accuracy, abs=5e-5) and again.steps.tolist() == [0, 10, 20]
    ends = {"moved": np.arange(8.0).reshape(2, 2, 2) / 7}
    made(rates=np.array([[0.1, 0.01], [0.1, 0.1]]), ends=ends).save(tmp_path / "r.json")
    again = TransferResult.load(tmp_path / "r.json")
    assert again.rate("random", 50) == 0.01
    assert again.end("moved", "frozen", 5) == pytest.approx([4 / 7, 5 / 7], abs=5e-5)


def test_a_result_in_words():
    assert in_words(made(), 5, "frozen") == (
        "5 labels per class, frozen from s: 60 ± 1 % after 20 steps, 10 ± 0 points above random's 50 % (2 seeds)."
    )
    assert in_words(made(), 5, "random") == "5 labels per class, random: 50 ± 1 % after 20 steps (2 seeds)."
    worse = made(strategies=("frozen", "random"))
    assert "10 ± 0 points below random's 60 %" in in_words(worse, 5, "frozen")


# The study -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", iv.models.PRETRAINED)
def test_the_study_is_complete(name):
    study = iv.experiments.transfer_study(name)
    assert study.source == name and study.labels == study_module.LABELS and len(study.seeds) >= 5
    assert study.strategies == study_module.STUDIED[name]
    shape = (len(study.strategies), len(study.labels), len(study.seeds), len(study.steps))
    assert study.accuracy.shape == shape and np.isfinite(study.accuracy).all()
    assert set(study.ends) == set(ENDS) and all(values.shape == shape[:3] for values in study.ends.values())
    for strategy in study.strategies:
        assert {study.rate(strategy, labels) for labels in study.labels} <= set(iv.training.STRATEGIES[strategy].rates)


def test_with_five_labels_a_related_source_beats_random_by_more_than_the_spread():
    study = iv.experiments.transfer_study("curves-cnn")
    for strategy in ("frozen", "fine_tuned", "head_first"):
        margin = study.margin(strategy, 5)
        spreads = sample_std(study.final(strategy, 5)), sample_std(study.final("random", 5)), sample_std(margin)
        assert margin.min() > 0 and margin.mean() > 2 * max(spreads), strategy


def test_the_margin_shrinks_as_labels_grow():
    study = iv.experiments.transfer_study("curves-cnn")
    for strategy in ("frozen", "fine_tuned", "head_first"):
        assert study.margin(strategy, 500).mean() < study.margin(strategy, 5).mean() / 2, strategy


def test_an_unrelated_source_does_not_help_and_hurts_where_it_is_frozen():
    study = iv.experiments.transfer_study("textures-cnn")
    for labels in study.labels:
        margin = study.margin("fine_tuned", labels)
        assert margin.mean() < sample_std(study.final("random", labels)) + sample_std(margin), labels
    assert study.margin("frozen", 50).max() < -0.1 and study.margin("frozen", 500).max() < -0.2


@pytest.mark.parametrize("name", iv.models.PRETRAINED)
def test_the_study_is_measured_again_where_it_is_cheap(name):
    study = iv.experiments.transfer_study(name)
    again = iv.transfer(name, strategies=["frozen"], labels=[5, 50], seeds=2, tune=True)
    for labels in (5, 50):  # a convex problem: where sums differ in their last digits, so do a few of 1,000 signals
        assert again.rate("frozen", labels) in iv.training.STRATEGIES["frozen"].rates
        assert again.final("frozen", labels) == pytest.approx(study.final("frozen", labels)[:2], abs=0.03)


def test_a_run_of_the_study_that_trains_all_is_measured_again():
    study = iv.experiments.transfer_study("curves-cnn")
    again = iv.transfer("curves-cnn", strategies=["random", "fine_tuned"], labels=[5], seeds=1)
    for strategy in ("random", "fine_tuned"):
        assert again.final(strategy, 5)[0] == pytest.approx(study.final(strategy, 5).mean(), abs=0.12)
    assert again.margin("fine_tuned", 5)[0] > 0


def test_the_study_command_writes_what_the_study_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study_module, "LABELS", (5,))
    few = {"curves-cnn": ("random", "frozen", "fine_tuned"), "textures-cnn": ("random", "frozen")}
    monkeypatch.setattr(study_module, "STUDIED", few)
    parts = tmp_path / "parts"
    study_module.main(["--seeds", "1", "--steps", "4", "--folder", str(tmp_path), "--resume", str(parts)])
    made = {part.name: part.stat().st_mtime_ns for part in parts.iterdir()}
    assert len(made) == 4  # random weights know of no source
    next(parts.glob("curves-cnn-frozen-*")).unlink()
    study_module.main(["--seeds", "1", "--steps", "4", "--folder", str(tmp_path), "--resume", str(parts)])
    again = {part.name: part.stat().st_mtime_ns for part in parts.iterdir()}
    assert sum(again[name] != made[name] for name in made) == 1  # it went on where it was
    for name in iv.models.PRETRAINED:
        result = TransferResult.load(tmp_path / f"{name}-study.json")
        assert result.source == name and result.strategies == few[name] and result.steps.tolist() == [0, 4]
    assert "curves-cnn" in capsys.readouterr().out


# The shape of the weights --------------------------------------------------------------------------------------------------


def test_a_fresh_network_has_the_shape_of_a_fresh_draw():
    for shape in iv.experiments.weight_shapes(signal_cnn(100, seed=5), seed=9):
        n = math.prod(shape.shape)
        assert shape.std / shape.fresh_std == pytest.approx(1, abs=5 / math.sqrt(2 * n))
        assert abs(shape.excess_kurtosis) < 5 * math.sqrt(24 / n) and shape.outside == 0
        assert shape.density.sum() / 3 == pytest.approx(1) == shape.fresh_density.sum() / 3


def test_training_on_the_source_has_widened_the_weights_and_made_their_tails_heavy():
    shapes = {s.name: s for s in iv.experiments.weight_shapes(iv.models.pretrained("curves-cnn"))}
    assert list(shapes) == ["conv1", "conv2", "conv3", "head"]
    for name in ("conv2", "conv3"):
        s = shapes[name]
        assert s.std > 1.5 * s.fresh_std
        assert s.excess_kurtosis > 0.5 > 5 * math.sqrt(24 / math.prod(s.shape))  # five standard errors under a normal
        weight = getattr(iv.models.pretrained("curves-cnn"), name).weight
        assert s.std == pytest.approx(weight.detach().square().mean().sqrt().item(), rel=1e-5)


class Headed(nn.Module):
    """Calls its head by keyword, so many times."""

    def __init__(self, calls):
        super().__init__()
        self.body, self.head, self.calls = nn.Linear(64, 8), nn.Linear(8, 10), calls

    def forward(self, x):
        h = torch.relu(self.body(x))
        return sum((self.head(input=h) for _ in range(self.calls)), torch.zeros(len(x), 10))


def test_features_are_what_the_head_is_called_with():
    model, data = Headed(1), iv.digits()
    found = features(model, "head", data)
    assert torch.equal(found.x_test, torch.relu(model.body(data.x_test)).detach()) and found.n_in == 8
    for calls in (0, 2):
        with pytest.raises(ValueError, match=f"^head: 'head' is called {calls} times a pass"):
            features(Headed(calls), "head", data)


# Bad input -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: iv.training.few_labels(iv.digits(), 0), ValueError, "per_class: got 0"),
        (
            lambda: iv.training.few_labels(iv.digits(), 500),
            ValueError,
            "per_class: got 500; the smallest class of digits has 1",
        ),
        (lambda: iv.training.few_labels(iv.digits(), 2.5), TypeError, "per_class"),
        (lambda: iv.training.few_labels(iv.digits(), 5, seed=-1), ValueError, "seed"),
        (
            lambda: iv.models.pretrained("curve-cnn"),
            ValueError,
            "name: 'curve-cnn' is unknown; did you mean 'curves-cnn'",
        ),
        (lambda: iv.models.pretrained(3), TypeError, "name"),
        (lambda: iv.models.card("imagenet"), ValueError, "name"),
        (lambda: iv.transfer("curves"), ValueError, "did you mean 'curves-cnn'"),
        (lambda: iv.transfer(3), TypeError, "model: got int"),
        (lambda: iv.transfer(nn.Sequential(nn.ReLU())), ValueError, "model: has no nn.Linear"),
        (lambda: iv.transfer(data="digits"), TypeError, "data: got str"),
        (lambda: iv.transfer(source="curves"), TypeError, "source: got str"),
        (lambda: made().end("mooved", "random", 5), ValueError, "name: 'mooved' is unknown"),
        (lambda: made().rate("random", 6), ValueError, "labels: got 6; measured were 5, 50"),
        (lambda: iv.transfer(strategies=["fine-tuned"]), ValueError, "did you mean 'fine_tuned'"),
        (lambda: iv.transfer(strategies="frozen"), TypeError, "strategies: got str"),
        (lambda: iv.transfer(strategies=[]), ValueError, "strategies: got none"),
        (lambda: iv.transfer(labels=[501]), ValueError, "labels: got 501; the smallest class of mnist1d_large has 500"),
        (lambda: iv.transfer(labels=5), TypeError, "labels: got int"),
        (lambda: iv.transfer(labels=[0]), ValueError, "labels"),
        (lambda: iv.transfer(seeds=0), ValueError, "seeds"),
        (lambda: iv.transfer(seeds=[-1]), ValueError, "seeds"),
        (lambda: iv.transfer(steps=0), ValueError, "steps"),
        (lambda: iv.transfer(every=0), ValueError, "every"),
        (lambda: iv.transfer(batch_size=0), ValueError, "batch_size"),
        (lambda: iv.transfer(head="haed"), ValueError, "head: 'haed' is unknown; did you mean 'head'"),
        (lambda: iv.transfer(scheme="hee"), ValueError, "scheme"),
        (
            lambda: iv.transfer("curves-cnn", iv.digits(), labels=[5], head="conv1"),
            ValueError,
            "head: 'conv1' is unknown",
        ),
        (lambda: iv.experiments.transfer_study("curves"), ValueError, "source"),
        (lambda: made().curve("fine_tuned", 5), ValueError, "strategy: got 'fine_tuned'; measured were random, frozen"),
        (lambda: made().final("random", 6), ValueError, "labels: got 6; measured were 5, 50"),
        (lambda: made().steps_to("random", 5, 2), ValueError, "accuracy"),
        (lambda: iv.experiments.weight_shapes("net"), TypeError, "model"),
        (lambda: iv.experiments.weight_shapes(nn.ReLU()), ValueError, "model: has no linear"),
        (lambda: iv.experiments.weight_shapes(nn.Linear(2, 2), "zeros"), ValueError, "scheme: zeros draws nothing"),
        (lambda: curves(n_classes=1), ValueError, "n_classes"),
        (lambda: textures(n=10), ValueError, "n: got 10"),
        (lambda: mnist1d_large(seed=-1), ValueError, "seed"),
        (lambda: pretrain.main(["curvs-cnn"]), ValueError, "did you mean 'curves-cnn'"),
    ],
)
def test_bad_input_is_refused_by_name(call, error, words):
    with pytest.raises(error, match=words):
        call()


# Files ---------------------------------------------------------------------------------------------------------------------


def test_a_file_that_does_not_fit_is_refused_and_nothing_changes(tmp_path):
    net = signal_cnn(10)
    before, good = state(net), load_file(FOLDER / "textures-cnn.safetensors")
    good = {name: value.to(net.head.weight.device) for name, value in good.items()}
    for words, change in {
        r"lacks conv2.bias": lambda s: s.pop("conv2.bias"),
        r"has extra, which the model has not": lambda s: s.update(extra=torch.ones(1)),
        r"head.weight is \(3, 32\), not \(10, 32\)": lambda s: s.update({"head.weight": torch.ones(3, 32)}),
    }.items():
        broken = dict(good)
        change(broken)
        save_file(broken, tmp_path / "w.safetensors")
        with pytest.raises(ValueError, match=words):
            load_safetensors_(net, tmp_path / "w.safetensors")
        assert same(before, state(net))
    assert same(state(load_safetensors_(net, FOLDER / "textures-cnn.safetensors")), good)


@pytest.mark.parametrize("content", [b"", b"no safetensors", bytes(100), b"\xff" * 64])
def test_a_damaged_file_is_one_clear_error(tmp_path, content):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="path: w.safetensors is no safetensors file, or a damaged one"):
        load_safetensors_(signal_cnn(), tmp_path / "w.safetensors")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="path: there is no file .*gone.safetensors"):
        load_safetensors_(signal_cnn(), tmp_path / "gone.safetensors")
