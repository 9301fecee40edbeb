"""Neurons that start alike: many small networks trained from a constant plus a little noise, and the one neuron they amount to.

Every weight starts as 1/fan_in times (1 + noise * z) with z standard normal, every bias as zero. Without noise all neurons of a layer
are the same, get the same gradient and stay the same (Goodfellow, Bengio & Courville 2016, section 8.4); with noise they part.

All is done in float64: what tells two neurons apart may be 1e-8 of their length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from initviz._core.arguments import DEEPEST, at_least_one, got, real_number, seed_numbers, switch, whole_number
from initviz._core.devices import in_float64, with_float64
from initviz._core.threads import one_thread
from initviz.datasets import Data, check_data, digits
from initviz.initializers import Activation, get_activation, unit_noise
from initviz.training import batch_index

TOLERANCE = 0.1
"""Two neurons are told apart when their incoming weights differ by more than this share of the longest row's length."""


@dataclass(frozen=True)
class SymmetryTrace:
    """Networks as they trained, for each size of noise (N), each seed (S) and each recorded step (K). Arrays of numbers.

    Attributes:
        activation: its name in ACTIVATIONS.
        noise: shape (N,), standard deviation of a weight as a share of the constant.
        seeds: shape (S,); a seed draws the noise and the order of the training samples.
        steps: shape (K,), the steps recorded, from 0 (before the first update).
        loss: shape (N, S, T + 1), cross-entropy in nats of each step's batch before its update.
        distinct: shape (N, S, K, depth), number of distinct neurons in each hidden layer (see `distinct_neurons`).
        gap: the same shape, the largest difference between two neurons of the layer, as a share of the longest one's length.
        accuracy: shape (N, S), share of the test samples that the trained network gets right.
        weights: one array a hidden layer, shape (N, S, K, width, fan_in), float32; empty unless they were kept.
    """

    activation: str
    noise: np.ndarray
    seeds: np.ndarray
    steps: np.ndarray
    loss: np.ndarray
    distinct: np.ndarray
    gap: np.ndarray
    accuracy: np.ndarray
    weights: tuple[np.ndarray, ...] = ()

    @property
    def parted(self) -> np.ndarray:
        """Shape (N, S, depth): the first recorded step at which the layer has two or more distinct neurons; inf if it never has."""
        apart = self.distinct > 1
        first = self.steps[apart.argmax(axis=2)].astype(float)
        return np.where(apart.any(axis=2), first, np.inf)


def distinct_neurons(weight: Tensor, bias: Tensor | None = None, tolerance: float = TOLERANCE) -> int:
    """How many neurons of a layer differ.

    A neuron is new if its row of incoming weights (and its bias) differs from that of each neuron counted before it by more than
    `tolerance` times the length of the longest row. Rows that are equal compute the same for every input.

    Args:
        weight: shape (neurons, fan_in).
        bias: shape (neurons,), or None.
        tolerance: a share; 0 counts every difference, rounding included.
    Raises:
        ValueError: `weight` has not two dimensions, `bias` does not fit it, or a negative tolerance.
    """
    for name, tensor in {"weight": weight, "bias": bias}.items():
        if not isinstance(tensor, Tensor) and (name == "weight" or tensor is not None):
            raise TypeError(f"{name}: got {got(tensor)}; it takes a tensor")
    if weight.dim() != 2:
        raise ValueError(f"weight: got shape {tuple(weight.shape)}; it takes (neurons, fan_in)")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias: got shape {tuple(bias.shape)}; it takes ({len(weight)},), one number a neuron")
    rows = weight if bias is None else torch.cat([weight, bias[:, None]], 1)
    return int(_count(_differences(in_float64(rows)[None]), real_number("tolerance", tolerance))[0])


def train_symmetric(
    noise: float | Sequence[float] = 0.0,
    *,
    seeds: int | Sequence[int] = 5,
    depth: int = 1,
    width: int = 16,
    activation: str | Activation = "tanh",
    steps: int = 500,
    lr: float = 0.1,
    batch_size: int = 128,
    every: int = 10,
    keep_weights: bool = False,
    data: Data | None = None,
) -> SymmetryTrace:
    """Train one network for each size of noise and each seed, all of them side by side, by plain SGD.

    Args:
        noise: standard deviation of a weight at the start, as a share of the constant 1/fan_in; one number or several.
        seeds: how many (0, 1, ...), or which.
        depth, width: hidden layers, and neurons in each.
        activation: a name or an Activation.
        steps: updates.
        lr: learning rate.
        batch_size: samples a step, in the order in which `initviz.train` takes them.
        every: steps between two records.
        keep_weights: whether the trace has the hidden layers' weights.
        data: the task, on whose device the networks are made; the digits if left out.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    width = whole_number("width", width)
    rates = [real_number("lr", lr)] * (2 * whole_number("depth", depth, most=DEEPEST) + 2)
    return _train(noise, seeds, depth, width, activation, steps, rates, batch_size, every, keep_weights, data)


def train_one_neuron(
    width: int,
    *,
    seeds: int | Sequence[int] = 5,
    depth: int = 1,
    activation: str | Activation = "tanh",
    steps: int = 500,
    lr: float = 0.1,
    batch_size: int = 128,
    every: int = 10,
    data: Data | None = None,
) -> SymmetryTrace:
    """Train the network of one neuron per layer that does what a constant network of `width` neurons per layer does.

    With w a hidden weight of the wide network, n its width and v an output weight, the one neuron has the weights u = n w and
    n v. Then the updates agree too if the input layer and the hidden biases learn at lr/n, the output layer's weights at
    n lr, and the rest at lr (derived in notebook 02). Arguments as `train_symmetric`.
    """
    n, lr = whole_number("width", width), real_number("lr", lr)
    hidden = [lr / n, lr / n] + [lr, lr / n] * (whole_number("depth", depth, most=DEEPEST) - 1)
    return _train(0.0, seeds, depth, 1, activation, steps, [*hidden, n * lr, lr], batch_size, every, False, data)


@one_thread()  # networks this small gain nothing from a second thread, and lose much when others want it too
def _train(
    noise, seeds, depth, width, activation, steps, rates, batch_size, every, keep_weights, data
) -> SymmetryTrace:
    """`rates`: one a parameter, in the order weight, bias of each layer."""
    noises = at_least_one("noise", noise) if np.ndim(noise) else (noise,)
    sizes_of_noise = [real_number("noise", value) for value in noises]
    seeds, keep_weights = seed_numbers(seeds), switch("keep_weights", keep_weights)
    steps, every = whole_number("steps", steps), whole_number("every", every)
    phi, data = get_activation(activation), digits() if data is None else data
    check_data(data)
    samples, batch_size = len(data.x_train), whole_number("batch_size", batch_size)
    if batch_size > samples:
        raise ValueError(f"batch_size: got {batch_size}; {data.name} has {samples} training samples")
    x_train, x_test = in_float64(data.x_train), in_float64(data.x_test)
    y_train, y_test = with_float64(data.y_train), with_float64(data.y_test)  # where the samples are now
    place = x_train.device
    parameters = _start(sizes_of_noise, seeds, [data.n_in, *[width] * depth, data.n_classes], place)

    runs = len(sizes_of_noise), len(seeds)
    recorded = np.arange(0, steps + 1, every)
    loss = np.empty((*runs, steps + 1))
    distinct = np.empty((*runs, len(recorded), depth), int)
    gap = np.empty((*runs, len(recorded), depth))
    kept: list[list[np.ndarray]] = [[] for _ in range(depth)]
    for step in range(steps + 1):
        if step % every == 0:
            _record(parameters, step // every, distinct, gap, kept if keep_weights else [])
        chosen = torch.stack([batch_index(samples, batch_size, seed, step) for seed in seeds])
        logits = _forward(parameters, phi, x_train[chosen])
        targets = y_train[chosen].expand(runs[0], -1, -1)
        losses = F.cross_entropy(logits.movedim(-1, 1), targets, reduction="none").mean(-1)
        loss[:, :, step] = losses.detach().cpu()
        if step == steps:
            break
        gradients = torch.autograd.grad(losses.sum(), parameters)  # the runs share nothing, so each gets its own
        with torch.no_grad():
            for parameter, gradient, rate in zip(parameters, gradients, rates):
                parameter.sub_(gradient, alpha=rate)
    with torch.no_grad():
        right = _forward(parameters, phi, x_test).argmax(-1) == y_test
    return SymmetryTrace(
        activation=phi.name,
        noise=np.array(sizes_of_noise),
        seeds=np.array(seeds),
        steps=recorded,
        loss=loss,
        distinct=distinct,
        gap=gap,
        accuracy=right.double().mean(-1).cpu().numpy(),
        weights=tuple(np.stack(layer, axis=2) for layer in kept) if keep_weights else (),
    )


def _start(noise: list[float], seeds: list[int], sizes: list[int], place: torch.device) -> list[Tensor]:
    """weight, bias, weight, bias, ... of shape (noises, seeds, fan_out, fan_in) and (noises, seeds, 1, fan_out)."""
    parameters = []
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        draws = torch.stack([unit_noise((fan_out, fan_in), "normal", seed, layer).double() for seed in seeds])
        weight = (1 + torch.tensor(noise, dtype=torch.float64, device="cpu")[:, None, None, None] * draws) / fan_in
        bias = torch.zeros(len(noise), len(seeds), 1, fan_out, dtype=torch.float64, device=place)
        parameters += [weight.to(place).requires_grad_(), bias.requires_grad_()]
    return parameters


def _forward(parameters: list[Tensor], phi: Activation, x: Tensor) -> Tensor:
    """Logits, shape (noises, seeds, batch, classes), of x, shape (batch, features) or (seeds, batch, features)."""
    *hidden, weight, bias = parameters
    for w, b in zip(hidden[::2], hidden[1::2]):
        x = phi.function(x @ w.mT + b)
    return x @ weight.mT + bias


def _record(
    parameters: list[Tensor], k: int, distinct: np.ndarray, gap: np.ndarray, kept: list[list[np.ndarray]]
) -> None:
    for layer in range(distinct.shape[-1]):
        weight, bias = (p.detach() for p in parameters[2 * layer : 2 * layer + 2])
        differences = _differences(torch.cat([weight, bias.mT], -1))
        distinct[:, :, k, layer] = _count(differences, TOLERANCE)
        gap[:, :, k, layer] = differences.max(axis=(-2, -1))
        if kept:
            kept[layer].append(weight.float().cpu().numpy().copy())


def _differences(rows: Tensor) -> np.ndarray:
    """Length of the difference between each two rows, as a share of the longest row's length: (..., n, m) -> (..., n, n)."""
    lengths = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")  # the other way rounds 1e-8 away
    longest = rows.norm(dim=-1).amax(-1)[..., None, None]
    return torch.where(longest > 0, lengths / longest, 0.0).cpu().numpy()


def _count(differences: np.ndarray, tolerance: float) -> np.ndarray:
    """Neurons that differ from each one counted before: (..., n, n) -> (...)."""
    new = np.zeros(differences.shape[:-1], bool)
    for i in range(differences.shape[-1]):
        new[..., i] = ~((differences[..., i, :i] <= tolerance) & new[..., :i]).any(axis=-1)
    return new.sum(axis=-1)
