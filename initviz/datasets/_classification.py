"""Data that needs no download: scikit-learn's digits, procedural MNIST-1D, and Gaussian noise with learnable labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from initviz._core.arguments import got, look_up, whole_number
from initviz._core.batches import refuse_meta
from initviz._core.devices import pick_device
from initviz._core.extras import from_extra
from initviz._core.restore import random_states


@dataclass(frozen=True)
class Data:
    """A classification task, split for training and testing.

    Attributes:
        name: the key in DATASETS.
        x_train, x_test: shape (n, n_in), float32, standardized with the mean and standard deviation of all training values
            (one number each, so that the shape of an image is kept): unitless, mean 0 and standard deviation 1 in training.
        y_train, y_test: shape (n,), int64, classes 0 to n_classes - 1.
        n_classes: number of classes.

    Its tensors are on one device, and so are those of a batch.

    Raises:
        TypeError, ValueError: an attribute that is not as above.
    """

    name: str
    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    n_classes: int

    def __post_init__(self) -> None:
        whole_number("n_classes", self.n_classes)
        for part in ("train", "test"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            for name, tensor in {f"x_{part}": x, f"y_{part}": y}.items():
                if not isinstance(tensor, Tensor):
                    raise TypeError(f"{name}: got {got(tensor)}; it takes a tensor")
                refuse_meta(name, tensor)
            if x.dim() < 2 or not x.numel():
                raise ValueError(f"x_{part}: got shape {tuple(x.shape)}; it takes (n, n_in), and n of at least 1")
            if y.shape != x.shape[:1] or y.is_floating_point() or y.is_complex():
                raise ValueError(
                    f"y_{part}: got shape {tuple(y.shape)} of {y.dtype}; it takes {len(x)} classes as whole numbers"
                )
            low, high = int(y.min()), int(y.max())
            if low < 0 or high >= self.n_classes:
                raise ValueError(
                    f"y_{part}: has classes {low} to {high}; n_classes, {self.n_classes}, takes 0 to {self.n_classes - 1}"
                )

    @property
    def n_in(self) -> int:
        """Number of features."""
        return self.x_train.shape[1]

    def batch(self, size: int = 256, seed: int = 0) -> tuple[Tensor, Tensor]:
        """`size` training samples without repetition: x of shape (size, n_in) and y of shape (size,).

        Raises:
            TypeError, ValueError: a size that is not a whole number from 1 to the number of training samples, a negative seed.
        """
        size, seed = whole_number("size", size), whole_number("seed", seed, least=0)
        if size > len(self.x_train):
            raise ValueError(f"size: got {size}; {self.name} has {len(self.x_train)} training samples")
        order = torch.randperm(len(self.x_train), device="cpu", generator=torch.Generator().manual_seed(seed))[:size]
        return self.x_train[order], self.y_train[order]


def check_data(data: object, argument: str = "data") -> None:
    """
    Raises:
        TypeError: it is no `Data`.
    """
    if not isinstance(data, Data):
        raise TypeError(f"{argument}: got {type(data).__name__}; it takes a data set such as iv.digits()")


def digits(seed: int = 0, device: str | torch.device | None = None) -> Data:
    """1,797 images of handwritten digits, 8 x 8 pixels: 1,437 to train, 360 to test, each class in proportion.

    Source: Alpaydin & Kaynak 1998, as scikit-learn ships them. `seed` draws the split. The data is made
    on `device`; None is `torch.get_default_device()`. The same seed gives the same numbers on every device, and on one device the
    same object again (so do the other data sets): do not write into its tensors.

    Raises:
        TypeError, ValueError: a seed that is not a whole number of at least 0, an unknown device.
    """
    return _digits(whole_number("seed", seed, least=0), pick_device(device))


@lru_cache(maxsize=4)
def _digits(seed: int, device: torch.device) -> Data:
    with random_states(), from_extra():  # the import alone draws from Python's
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
    return from_arrays("digits", x, y, seed, device)


def mnist1d(seed: int = 0, device: str | torch.device | None = None) -> Data:
    """MNIST-1D: 4,000 training and 1,000 test signals of 40 steps in 10 classes, 400 and 100 a class, made by procedure.

    Source: Greydanus & Kobak 2024, the published 5,000 signals. `seed` draws the split; `device` as for
    `digits`. The global random states are left as they were.

    Raises:
        TypeError, ValueError: a seed that is not a whole number of at least 0.
    """
    return _mnist1d(whole_number("seed", seed, least=0), pick_device(device))


@lru_cache(maxsize=4)
def _mnist1d(seed: int, device: torch.device) -> Data:
    return from_arrays("mnist1d", *mnist1d_signals(), seed=seed, device=device)


def mnist1d_signals(templates: Mapping | None = None, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """Signals made by MNIST-1D's procedure, x of shape (n, 40), and their classes, y of shape (n,).

    Args:
        templates: the shapes that a signal is a shifted, stretched, sheared and noisy copy of; the ten digits if left out.
        **settings: other values for mnist1d's own settings, such as num_samples=5000 and seed=42, which are the published ones.
    """
    with random_states():
        with from_extra():
            from mnist1d.data import get_dataset_args, make_dataset

        args = get_dataset_args()
        for name, value in settings.items():
            setattr(args, name, value)
        made = make_dataset(args, templates)
    return np.concatenate([made["x"], made["x_test"]]), np.concatenate([made["y"], made["y_test"]])


def from_arrays(
    name: str, x: np.ndarray, y: np.ndarray, seed: int = 0, device: str | torch.device | None = None
) -> Data:
    """A `Data` of these samples: a fifth of each class to test, the split drawn by `seed`.

    Args:
        name: what to call it.
        x: shape (n, n_in), numbers.
        y: shape (n,), classes from 0 to their number - 1.
        device: as for `digits`.
    """
    return _data(name, *_split(x, y, seed), n_classes=int(y.max()) + 1, device=pick_device(device))


def gaussian(
    n_in: int = 256,
    n_classes: int = 10,
    n: int = 2000,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> Data:
    """`n` samples of independent standard normal features, a fifth of them to test; the label is the largest of `n_classes`
    fixed random linear functions, so that it can be learned. `seed` draws the features and the functions; `device`
    as for `digits`.

    Raises:
        TypeError, ValueError: n_in below 1, n_classes below 2, n below 5, a negative seed, or one that is not a whole number.
    """
    n_in, n_classes = whole_number("n_in", n_in), whole_number("n_classes", n_classes, least=2)
    n, seed = whole_number("n", n, least=5), whole_number("seed", seed, least=0)
    return _gaussian(n_in, n_classes, n, seed, pick_device(device))


@lru_cache(maxsize=4)
def _gaussian(n_in: int, n_classes: int, n: int, seed: int, device: torch.device) -> Data:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, n_in, device="cpu", generator=generator).numpy()
    y = (x @ torch.randn(n_in, n_classes, device="cpu", generator=generator).numpy()).argmax(axis=1)
    test = n // 5
    return _data("gaussian", x[test:], x[:test], y[test:], y[:test], n_classes=n_classes, device=device)


DATASETS: dict[str, Callable[..., Data]] = {"digits": digits, "gaussian": gaussian, "mnist1d": mnist1d}
"""Every data set by name."""


def get_dataset(name: str, seed: int = 0, device: str | torch.device | None = None) -> Data:
    """The data set called `name`, one of DATASETS, with this `seed` on this `device` (see `digits`).

    Raises:
        TypeError, ValueError: an unknown name; the message lists the near ones. A seed that is not a whole number of at least 0.
    """
    return look_up("data", name, DATASETS)(seed=seed, device=device)


def _split(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x_train, x_test, y_train, y_test: a fifth to test, each class in proportion."""
    with random_states(), from_extra():
        from sklearn.model_selection import train_test_split

    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=seed % 2**32)
    return x_train, x_test, y_train, y_test


def _data(name: str, x_train, x_test, y_train, y_test, *, n_classes: int, device: torch.device) -> Data:
    x_train, x_test = (torch.as_tensor(np.asarray(x), dtype=torch.float32, device="cpu") for x in (x_train, x_test))
    mean, std = x_train.mean(), x_train.std()
    y_train, y_test = (torch.as_tensor(np.asarray(y), dtype=torch.int64, device=device) for y in (y_train, y_test))
    x_train, x_test = (((x - mean) / std).to(device) for x in (x_train, x_test))
    return Data(name, x_train, y_train, x_test, y_test, n_classes)
