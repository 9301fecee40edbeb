"""How a signal grows or shrinks by layer, over several draws of the weights: second moments, and their slope a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from initviz._core.arguments import got, seed_numbers
from initviz._core.statistics import sample_std
from initviz.inspection import probe


@dataclass(frozen=True)
class Growth:
    """Second moments of L hidden layers (those with an activation) in each of several draws.

    Attributes:
        forward: shape (seeds, L), E[h^2] of the pre-activations, over units, places and samples.
        backward: shape (seeds, L), E[(dL/dh)^2], in the same order of layers: the way back begins at the last.
    """

    forward: np.ndarray
    backward: np.ndarray

    @property
    def forward_slopes(self) -> np.ndarray:
        """Shape (seeds,): by how much log2 E[h^2] rises a layer, by least squares. 0 keeps the scale, -1 halves it."""
        return slopes(self.forward)

    @property
    def backward_slopes(self) -> np.ndarray:
        """Shape (seeds,): the same for the gradient, counted in its own direction, from the last layer to the first."""
        return slopes(self.backward[:, ::-1])

    def __str__(self) -> str:
        return f"forward {_words(self.forward_slopes)}, backward {_words(self.backward_slopes)}"


def growth(build: Callable[[int], nn.Module], x: Tensor, y: Tensor, seeds: int | Sequence[int] = 8) -> Growth:
    """Probe the network of each seed.

    Args:
        build: seed -> network; all of one depth.
        x, y: the batch, see `initviz.probe`.
        seeds: how many draws, from seed 0 on, or which seeds.
    Returns:
        A `Growth`: second moments by layer, forward and backward, a row a seed, and their slopes.
    Raises:
        TypeError, ValueError: as `probe`; a network with fewer than two activated layers.
    """
    if not callable(build):
        raise TypeError(f"build: got {got(build)}; it takes a function seed -> network")
    rows: list[list[np.ndarray]] = []
    for seed in seed_numbers(seeds):
        net = build(seed)
        if not isinstance(net, nn.Module):
            raise TypeError(f"build: gave {got(net)}; it must give a torch.nn.Module")
        report = probe(net, x, y, quantities=("preactivation", "preactivation_gradient"))
        hidden = np.array([layer.activation_name is not None for layer in report.reached])
        if hidden.sum() < 2:
            raise ValueError("build: gave a network with fewer than two activated layers; a slope takes two")
        if rows and len(rows[0][0]) != hidden.sum():
            raise ValueError(
                f"build: gave {len(rows[0][0])} activated layers, then {hidden.sum()}; it takes one number"
            )
        rows.append([report.values(q, "second_moment")[hidden] for q in ("preactivation", "preactivation_gradient")])
    forward, backward = np.moveaxis(np.array(rows), 1, 0)
    return Growth(forward, backward)


def _words(values: np.ndarray) -> str:
    """Mean and standard deviation over seeds."""
    return f"{values.mean():+.2f} ± {sample_std(values):.2f}".replace("-0.00", "+0.00")


def slopes(moments: np.ndarray) -> np.ndarray:
    """Least squares of log2 against the layer; a layer at exactly 0 makes it infinite or NaN."""
    layers = np.arange(moments.shape[1]) - (moments.shape[1] - 1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log2(moments) @ layers / (layers @ layers)
