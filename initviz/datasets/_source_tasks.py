"""Tasks to pretrain on, and the one to transfer to: signals of 40 steps, all made by procedure.

The target is MNIST-1D with 500 training signals a class, so that labels can be plenty as well as few. `curves` is related to it: other
shapes, but shifted, stretched, sheared and made noisy in the same way. `textures` is not: noise that has a colour and no shape.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from initviz._core.arguments import whole_number
from initviz._core.devices import pick_device
from initviz._core.extras import from_extra
from initviz.datasets._classification import Data, from_arrays, mnist1d_signals

LENGTH = 40
"""Steps of a signal."""
POINTS = 12
"""Points of a shape, as many as MNIST-1D's digits have."""


def mnist1d_large(seed: int = 0, device: str | torch.device | None = None) -> Data:
    """MNIST-1D with 500 training and 125 test signals in each of its 10 classes. `seed` draws the split; `device` as for
    `digits`.

    Source: Greydanus & Kobak 2024, their procedure with num_samples=6250.
    """
    return _mnist1d_large(whole_number("seed", seed, least=0), pick_device(device))


@lru_cache(maxsize=2)
def _mnist1d_large(seed: int, device: torch.device) -> Data:
    return from_arrays("mnist1d_large", *mnist1d_signals(num_samples=6250), seed=seed, device=device)


def mnist1d_sheared(seed: int = 0, device: str | torch.device | None = None) -> Data:
    """The digits of `mnist1d_large` under another distribution: sheared up to twice as much (shear_scale 1.5 instead of 0.75), 200
    training and 50 test signals in each class. `seed` draws the split; `device` as for `digits`."""
    return _mnist1d_sheared(whole_number("seed", seed, least=0), pick_device(device))


@lru_cache(maxsize=2)
def _mnist1d_sheared(seed: int, device: torch.device) -> Data:
    signals = mnist1d_signals(num_samples=2500, shear_scale=1.5, seed=43)
    return from_arrays("mnist1d_sheared", *signals, seed=seed, device=device)


def curves(n_classes: int = 100, per_class: int = 150, seed: int = 0, device: str | torch.device | None = None) -> Data:
    """Signals whose class is which of `n_classes` random curves they are a distorted copy of.

    A curve is a random walk of 12 points that starts and ends at 0, standardized as MNIST-1D's digits are, and made into signals
    by the same procedure. None of them is a digit. `seed` draws the curves, the signals and the split; `device` as for `digits`.

    Raises:
        TypeError, ValueError: n_classes below 2, per_class below 5, a negative seed, or one that is not a whole number.
    """
    n_classes = whole_number("n_classes", n_classes, least=2)
    per_class, seed = whole_number("per_class", per_class, least=5), whole_number("seed", seed, least=0)
    return _curves(n_classes, per_class, seed, pick_device(device))


@lru_cache(maxsize=2)
def _curves(n_classes: int, per_class: int, seed: int, device: torch.device) -> Data:
    templates = {
        "x": random_curves(n_classes, seed) / 6,  # 6 as in mnist1d.data.get_templates
        "t": np.linspace(-5, 5, POINTS) / 6,
        "y": np.arange(n_classes),
    }
    x, y = mnist1d_signals(templates, num_samples=n_classes * per_class, seed=seed)
    return from_arrays("curves", x, y, seed, device)


def random_curves(n: int, seed: int = 0) -> np.ndarray:
    """Shape (n, 12): random walks tied down at both ends, each of standard deviation 1, shifted to start at 0."""
    walk = np.random.default_rng(seed).standard_normal((n, POINTS)).cumsum(axis=1)
    tied = walk - walk[:, :1] - (walk[:, -1:] - walk[:, :1]) * np.linspace(0, 1, POINTS)
    return tied / tied.std(axis=1, keepdims=True)


def textures(n: int = 8000, seed: int = 0, device: str | torch.device | None = None) -> Data:
    """`n` pieces of noise whose class is which of 10 colours they have: the frequency at which they swing most.

    Class c is the autoregressive process x_t = 2 r cos(w_c) x_(t-1) - r^2 x_(t-2) + e_t with r = 0.8, w_c = 0.15 + 0.25 c radians a
    step and e standard normal; each piece is scaled to standard deviation 1. `seed` draws the noise and the split; `device` as for
    `digits`.

    Source: a second-order autoregression, Brockwell & Davis 2016, section 3.1.
    Raises:
        TypeError, ValueError: n below 100, a negative seed, or one that is not a whole number.
    """
    return _textures(whole_number("n", n, least=100), whole_number("seed", seed, least=0), pick_device(device))


@lru_cache(maxsize=2)
def _textures(n: int, seed: int, device: torch.device) -> Data:
    with from_extra():
        from scipy.signal import lfilter

    noise = np.random.default_rng(seed).standard_normal((n, 2 * LENGTH))
    y = np.arange(n) % 10
    x = np.empty((n, LENGTH))
    for colour in range(10):
        feedback = [1, -2 * 0.8 * np.cos(0.15 + 0.25 * colour), 0.8**2]
        x[y == colour] = lfilter([1], feedback, noise[y == colour], axis=1)[:, LENGTH:]  # the first half settles
    return from_arrays("textures", x / x.std(axis=1, keepdims=True), y, seed, device)
