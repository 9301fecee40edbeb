"""One layer by itself: by what factor it changes the variance of a signal on the way forward, and of a gradient on the way back.

With pre-activations z of mean square 1, a = phi(z), h = W a and a gradient g of mean square 1 with respect to h,

    forward    E[h^2]        = n_in  Var(W) E[phi(z)^2]
    backward   E[(dL/dz)^2]  = n_out Var(W) E[phi'(z)^2]

Both are wanted to be 1, and unless n_in = n_out no variance of W makes both so (Glorot & Bengio 2010, eq. 10 to 12).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from initviz._core.arguments import look_up, whole_number
from initviz.initializers import SCHEMES, Activation, get_activation, unit_noise
from initviz.theory import second_moment, slope_second_moment

DISTRIBUTIONS = {"uniform": 0.8, "normal": 2.0}
"""Distributions to draw from -> relative variance of the square of one draw: kurtosis - 1."""


@dataclass(frozen=True)
class Choice:
    """One way to choose the variance of W: a family of `SCHEMES` ("xavier" is xavier_uniform or xavier_normal), and changes to it."""

    label: str
    variance: str
    family: str
    mode: str = "fan_in"
    scale: float = 1.0

    def std(self, n_in: int, n_out: int) -> float:
        """Standard deviation of an entry of W."""
        return self.scale * SCHEMES[f"{self.family}_normal"].std(n_in, n_out, mode=self.mode)


FAN_CHOICES: dict[str, Choice] = {
    "fan_in": Choice("fan-in", "1 / n_in", "lecun"),
    "fan_out": Choice("fan-out", "1 / n_out", "lecun", mode="fan_out"),
    "xavier": Choice("Xavier", "2 / (n_in + n_out)", "xavier"),
    "he": Choice("He", "2 / n_in", "he"),
    "standard": Choice("before 2010", "1 / (3 n_in)", "lecun", scale=1 / math.sqrt(3)),
}
"""Choices of the variance by name."""


@dataclass(frozen=True)
class LayerFactors:
    """What one choice does to one layer.

    Attributes:
        choice, n_in, n_out, distribution: what was asked for.
        std, bound: of an entry: its standard deviation, and for a uniform draw the largest size, sqrt(3) std (else None).
        hist, edges: shapes (bins,) and (bins + 1,): density of the entries of W.
        forward, backward: the measured factors; forward_theory, backward_theory: the formulas above.
        forward_error, backward_error: relative standard error of one measurement without an activation, from the number of weights
            and of samples.
    """

    choice: str
    n_in: int
    n_out: int
    distribution: str
    std: float
    bound: float | None
    hist: np.ndarray
    edges: np.ndarray
    forward: float
    backward: float
    forward_theory: float
    backward_theory: float
    forward_error: float
    backward_error: float


def layer_factors(
    n_in: int,
    n_out: int,
    *,
    distribution: str = "uniform",
    activation: str | Activation = "linear",
    seed: int = 0,
    samples: int = 128,
) -> tuple[LayerFactors, ...]:
    """Measure one layer under each of FAN_CHOICES, on the same unit draws.

    Args:
        n_in, n_out: inputs and outputs of the layer.
        distribution: "uniform" or "normal".
        activation: phi, a name or an Activation.
        seed: of the weights, the signals and the gradients.
        samples: signals, and gradients, to average over.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    n_in, n_out = whole_number("n_in", n_in), whole_number("n_out", n_out)
    samples, seed = whole_number("samples", samples), whole_number("seed", seed, least=0)
    excess, phi = look_up("distribution", distribution, DISTRIBUTIONS), get_activation(activation)
    weight = unit_noise((n_out, n_in), distribution, seed, 0)
    z = unit_noise((samples, n_in), "normal", seed, 1)
    g = unit_noise((samples, n_out), "normal", seed, 2)
    forward = float((phi.function(z) @ weight.T).double().square().mean() / z.double().square().mean())
    backward = float((phi.derivative(z) * (g @ weight)).double().square().mean() / g.double().square().mean())
    one = np.ones(())
    passed, passed_back = float(second_moment(phi, one)), float(slope_second_moment(phi, one))
    limit = float(weight.abs().max())
    density, edges = np.histogram(weight.numpy(), bins=40, range=(-limit, limit), density=True)
    # Relative variance: of the mean square of the entries, and of the mean of |W z|^2 / |z|^2 over samples.
    errors = [math.sqrt(excess / (n_in * n_out) + 2 / (n * samples)) for n in (n_out, n_in)]
    rows = []
    for name, choice in FAN_CHOICES.items():
        std = choice.std(n_in, n_out)
        rows.append(
            LayerFactors(
                choice=name,
                n_in=n_in,
                n_out=n_out,
                distribution=distribution,
                std=std,
                bound=math.sqrt(3) * std if distribution == "uniform" else None,
                hist=density / std,
                edges=edges * std,
                forward=forward * std**2,
                backward=backward * std**2,
                forward_theory=n_in * std**2 * passed,
                backward_theory=n_out * std**2 * passed_back,
                forward_error=errors[0],
                backward_error=errors[1],
            )
        )
    return tuple(rows)
