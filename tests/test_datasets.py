"""The data sets: shapes, standardization, determinism, the global random states, and clear refusals."""

import random

import numpy as np
import pytest
import torch

import initviz as iv
from initviz.datasets import _classification as datasets

SIZES = {"digits": (1437, 360, 64), "gaussian": (1600, 400, 256), "mnist1d": (4000, 1000, 40)}


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_shapes_types_and_standardization(name):
    data = datasets.get_dataset(name)
    train, test, n_in = SIZES[name]
    assert (data.name, data.n_in, data.n_classes) == (name, n_in, 10)
    assert data.x_train.shape == (train, n_in) and data.x_test.shape == (test, n_in)
    assert data.x_train.dtype == data.x_test.dtype == torch.float32
    assert data.y_train.dtype == data.y_test.dtype == torch.int64
    assert data.y_train.unique().tolist() == list(range(10))
    assert abs(data.x_train.mean().item()) < 1e-5 and abs(data.x_train.std().item() - 1) < 1e-5


@pytest.mark.parametrize("name", ["digits", "mnist1d"])
def test_the_split_keeps_each_class_in_proportion(name):
    data = datasets.get_dataset(name, seed=3)
    train, test = data.y_train.bincount(), data.y_test.bincount()
    assert (train - 4 * test).abs().max() <= 5  # a fifth of every class, to within one sample


def test_one_mean_and_std_keep_the_picture():
    data = datasets.digits()
    corner = data.x_train[:, 0]
    assert corner.min() == corner.max() == data.x_train.min()  # an always empty pixel stays the darkest


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_the_same_seed_gives_the_same_data_and_another_seed_others(name):
    first = datasets.get_dataset(name, seed=1)
    datasets._digits.cache_clear(), datasets._mnist1d.cache_clear(), datasets._gaussian.cache_clear()
    again = datasets.get_dataset(name, seed=1)
    assert again is not first and torch.equal(first.x_train, again.x_train) and torch.equal(first.y_test, again.y_test)
    assert datasets.get_dataset(name, seed=1) is again
    assert not torch.equal(first.x_train, datasets.get_dataset(name, seed=2).x_train)


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_global_random_states_stay(name):
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    data = datasets.get_dataset(name, seed=17)
    data.batch(8)
    assert random.getstate() == states[0]
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), states[1], strict=True))
    assert torch.equal(torch.get_rng_state(), states[2])


def test_gaussian_labels_can_be_learned():
    from sklearn.linear_model import LogisticRegression

    data = datasets.gaussian(n_in=20, n_classes=3)
    x_train, y_train, x_test, y_test = (
        t.numpy(force=True) for t in (data.x_train, data.y_train, data.x_test, data.y_test)
    )
    assert LogisticRegression(max_iter=500).fit(x_train, y_train).score(x_test, y_test) > 0.9


def test_batch_is_deterministic_and_without_repetition():
    data = datasets.digits()
    x, y = data.batch(100, seed=5)
    assert x.shape == (100, 64) and y.shape == (100,)
    assert torch.equal(x, data.batch(100, seed=5)[0]) and not torch.equal(x, data.batch(100, seed=6)[0])
    everything, _ = data.batch(len(data.x_train))
    assert torch.equal(everything.sort(dim=0).values, data.x_train.sort(dim=0).values)
    x.zero_()  # a copy: the cached data stays
    assert data.x_train.std() > 0.9


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: datasets.digits().batch(0), ValueError, "size"),
        (lambda: datasets.digits().batch(1438), ValueError, "size: got 1438; digits has 1437 training samples"),
        (lambda: datasets.digits().batch(2.5), TypeError, "size"),
        (lambda: datasets.digits().batch(4, seed=-1), ValueError, "seed"),
        (lambda: datasets.digits(seed=-1), ValueError, "seed"),
        (lambda: datasets.digits(seed=[1]), TypeError, "seed"),
        (lambda: datasets.mnist1d(seed="a"), TypeError, "seed"),
        (lambda: datasets.gaussian(n_in=0), ValueError, "n_in"),
        (lambda: datasets.gaussian(n_classes=1), ValueError, "n_classes"),
        (lambda: datasets.gaussian(n=4), ValueError, "n:"),
        (lambda: datasets.get_dataset("digit"), ValueError, "digits"),
        (lambda: datasets.get_dataset(3), TypeError, "data"),
    ],
)
def test_bad_input_is_refused_by_name(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_cached_seed_does_not_let_a_bool_through():
    datasets.digits(seed=1)
    with pytest.raises(TypeError, match="seed"):
        datasets.digits(seed=True)


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_the_package_offers_the_functions(name):
    assert getattr(iv.datasets, name) is getattr(datasets, name)
    assert iv.digits is datasets.digits
