"""How far one draw of a deep, narrow network is off: the gradient's squared norm over many draws, for several depths over width.

Take a network h_l = W_l phi(h_{l-1}) + b_l of L layers, all n units wide, with weights of variance sigma_w^2 / n, and send a gradient from
h_L back to h_0. Each layer multiplies its squared norm by a random factor of mean chi. The logarithms of the factors add up, so the
logarithm of the whole is near normal. With the averages taken over a normal pre-activation its variance grows, a layer, by

    Gaussian weights     (3 E[phi'^4] / E[phi'^2]^2 - 1) / n         ReLU 5/n (Hanin & Nica 2018, theorem 1), linear 2/n
    orthogonal weights   3 (E[phi'^4] / E[phi'^2]^2 - 1) / n         ReLU 3/n, linear 0

The first is the central limit: a sum of n squares of phi' times a normal number. In the second the numbers are the coordinates of a
direction, whose squares add up to 1 (derived here: E[g_i^4] = 3/(n(n + 2)) on a sphere). Both leave out terms in 1/n^2. For Gaussian
weights the prediction here also has what the forward signal's own noise adds, see `initviz.theory`. For orthogonal ones it has not, so
that it is low for a curved phi. For the ReLU family there is nothing to add.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from initviz._core.arguments import DEEPEST, look_up, real_number, several, whole_number
from initviz._core.threads import one_thread
from initviz.initializers import Activation, get_activation, unit_noise
from initviz.theory import Fluctuations, critical_sigma_w, moment_maps

RATIOS = tuple(k / 8 for k in range(1, 9))
WEIGHTS = {"gaussian": "Gaussian", "orthogonal": "orthogonal"}
NUMBERS_AT_ONCE = 8_000_000
"""Weights that are held in memory together: 32 MB."""


@dataclass(frozen=True)
class FiniteWidth:
    """The measurement.

    Attributes:
        activation, weights: names; "gaussian" or "orthogonal".
        width: units in every layer.
        sigma_w: sqrt(width) times the weights' standard deviation.
        depths: shape (k,), layers L.
        logs: shape (k, draws), log of the gradient's squared norm at h_0 over that at h_L, of one sample, one network a draw;
            -inf where all units of a layer are off, as happens to ReLUs in narrow layers.
        predicted_mean, predicted_variance: shape (k,), of the logs.
    """

    activation: str
    weights: str
    width: int
    sigma_w: float
    depths: np.ndarray
    logs: np.ndarray
    predicted_mean: np.ndarray
    predicted_variance: np.ndarray

    @property
    def ratios(self) -> np.ndarray:
        """Depth over width, shape (k,)."""
        return self.depths / self.width

    @property
    def variance(self) -> np.ndarray:
        """Variance of the logs over the draws, shape (k,)."""
        return self.logs.var(axis=1, ddof=1)

    @property
    def error(self) -> np.ndarray:
        """Standard error of each variance: sqrt(2 / (draws - 1)) of it, for a normal distribution."""
        return self.variance * math.sqrt(2 / (self.logs.shape[1] - 1))

    @property
    def slope(self) -> float:
        """Variance against depth over width, a line through 0. All points have the same relative error, so it is a mean of quotients."""
        return float(np.mean(self.variance / self.ratios))

    @property
    def slope_error(self) -> float:
        """Standard error of `slope`."""
        return float(np.linalg.norm(self.error / self.ratios) / len(self.ratios))

    @property
    def predicted_slope(self) -> float:
        """The slope of the predicted variances, in the same way."""
        return float(np.mean(self.predicted_variance / self.ratios))

    def __str__(self) -> str:
        return (
            f"{self.activation}, {WEIGHTS[self.weights]} weights, width {self.width}: slope {self.slope:.2f} +- {self.slope_error:.2f}, "
            f"predicted {self.predicted_slope:.2f}"
        )


def finite_width(
    activation: str | Activation = "relu",
    weights: str = "gaussian",
    *,
    width: int = 64,
    ratios: Sequence[float] = RATIOS,
    sigma_w: float | None = None,
    sigma_b: float = 0.0,
    draws: int = 200,
    seed: int = 0,
) -> FiniteWidth:
    """Draw networks of several depths, and send one gradient back through each.

    h_0 and the gradient at h_L are standard normal noise, new in each draw.

    Args:
        activation: a name in ACTIVATIONS or an Activation.
        weights: a key of WEIGHTS.
        width: units in every layer, at least 8.
        ratios: depth over width; each gives a depth, rounded to a whole number of at least 1.
        sigma_w, sigma_b: of weights and biases; sigma_w None is the edge of chaos for this sigma_b (ReLU: He's sqrt(2)).
        draws: networks a depth, at least 2.
        seed: of all draws.
    Raises:
        TypeError, ValueError: an argument that is not as above, or no sigma_w at an activation that has no edge.
    """
    phi = get_activation(activation)
    look_up("weights", weights, WEIGHTS)
    width, draws = whole_number("width", width, least=8), whole_number("draws", draws, least=2)
    sigma_b, seed = real_number("sigma_b", sigma_b), whole_number("seed", seed, least=0)
    sigma_w = critical_sigma_w(phi, sigma_b) if sigma_w is None else real_number("sigma_w", sigma_w)
    if math.isnan(sigma_w):
        raise ValueError(f"sigma_w: {phi.name} has no edge of chaos at sigma_b {sigma_b:g}; give a number")
    depths = np.array([_depth(ratio, width) for ratio in several("ratios", ratios)])
    if not len(depths):
        raise ValueError("ratios: got none; it takes at least one")
    with one_thread():  # many small products: more threads only wait for each other
        logs = np.array([_logs(phi, weights, width, int(L), sigma_w, sigma_b, draws, seed) for L in depths])
    mean, variance = np.array([_predicted(phi, weights, width, int(L), sigma_w, sigma_b) for L in depths]).T
    return FiniteWidth(phi.name, weights, width, sigma_w, depths, logs, mean, variance)


def _depth(ratio: float, width: int) -> int:
    depth = real_number("ratios", ratio) * width
    if depth > DEEPEST:
        raise ValueError(f"ratios: got {ratio:g}; at width {width} it takes at most {DEEPEST / width:g}")
    return max(1, round(depth))


@torch.no_grad()
def _logs(
    phi: Activation, weights: str, n: int, depth: int, sigma_w: float, sigma_b: float, draws: int, seed: int
) -> np.ndarray:
    """Shape (draws,). All draws of a chunk go through a layer as one batched product; norms are summed up as logarithms."""
    chunk = max(1, min(draws, NUMBERS_AT_ONCE // (depth * n * n)))
    found = []
    for start in range(0, draws, chunk):
        count = min(chunk, draws - start)
        key = np.random.SeedSequence([seed, depth, start]).generate_state(1)[0]
        noise = lambda index, *shape, key=key, count=count: unit_noise((count, *shape), "normal", int(key), index)  # noqa: E731
        h, g, log = noise(0, n, 1), noise(1, n, 1), torch.zeros(count, dtype=torch.float64, device="cpu")
        g /= g.norm(dim=1, keepdim=True)
        drawn, slopes = [], []
        for layer in range(depth):
            matrix = noise(3 * layer + 2, n, n)
            drawn.append(
                _orthogonal(matrix) * sigma_w if weights == "orthogonal" else matrix * (sigma_w / math.sqrt(n))
            )
            slopes.append(phi.derivative(h))
            h = drawn[-1] @ phi.function(h)
            if sigma_b:
                h += sigma_b * noise(3 * layer + 3, n, 1)
        for matrix, slope in zip(reversed(drawn), reversed(slopes)):
            g = slope * (matrix.mT @ g)
            size = g.norm(dim=1, keepdim=True)
            log += 2 * size.double().log().flatten()
            g /= size.clamp(min=1e-30)
        found.append(log.numpy())
    return np.concatenate(found)


def _orthogonal(normal: Tensor) -> Tensor:
    """Uniformly distributed orthogonal matrices, shape (draws, n, n), from normal ones."""
    q, r = torch.linalg.qr(normal)
    return q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None, :]


def _predicted(
    phi: Activation, weights: str, n: int, depth: int, sigma_w: float, sigma_b: float
) -> tuple[float, float]:
    """Mean and variance of a log."""
    sizes = np.full(depth + 3, float(n))  # h_0 to h_L are hidden layers 1 to depth + 1
    variances, biases = np.full(depth + 2, sigma_w**2 / n), np.full(depth + 2, sigma_b**2)
    at = moment_maps(np.ones(1), sizes, phi, variances, biases, normalization=None, skip=False, last=1.0)
    log_chi = float(np.log(at.branch[:depth, 0]).sum())
    if weights == "gaussian":
        fluctuations = Fluctuations(sizes, at.q, at.m, phi, sizes[:-1] * variances, at.branch, False, False, at.along)
        log = fluctuations.preactivation_gradient
        return log_chi + float(log.mean[0]), float(log.variance[0])
    slope2, slope4 = at.m.slope2[:depth, 0], at.m.slope4[:depth, 0]
    variance = float((3 * (slope4 / slope2**2 - 1) / n).sum())
    return log_chi - variance / 2, variance
