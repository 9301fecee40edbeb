"""Loss over learning rate at several widths: does the best rate move? `python -m initviz rate-study` makes the shipped table.

The study trains 2,200 networks of three hidden layers on digits: five minutes on one core. `shipped_sweep` reads its figures.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import nn

from initviz._core.arguments import FASTEST, at_least_one, look_up, real_number, seed_numbers, whole_number
from initviz._core.statistics import sample_std
from initviz._core.threads import one_thread
from initviz.datasets import digits
from initviz.initializers import init_
from initviz.models import mlp
from initviz.theory import PARAMETRIZATIONS
from initviz.training import OPTIMIZERS, Stack, batch_index, mup_groups

FILE = Path(__file__).with_name("rates.csv")
SCHEMES_OF = {"relu": "he_normal", "tanh": "xavier_normal"}
"""Activation of the study -> the scheme of its networks."""
STUDY = {"widths": (32, 64, 128, 256, 512), "steps": 60, "seeds": 5}
RATES = {"sgd": range(-8, 3), "adam": range(-13, -2)}
"""Optimizer -> log2 of the learning rates that were tried."""
BASE = 64
"""The width at which both parametrizations are the same network with the same rates."""
AT_THE_END = 10
"""Batches whose mean loss counts."""


@dataclass(frozen=True)
class RateSweep:
    """Networks of W widths, trained at R learning rates from S seeds.

    Attributes:
        widths, rates: shape (W,) and (R,); in muP a rate is that of the width BASE, where both parametrizations agree.
        loss: shape (W, R, S): mean cross-entropy, in nats, of the last AT_THE_END training batches; inf where training diverged.
    """

    widths: np.ndarray
    rates: np.ndarray
    loss: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """Shape (W, S): the rate of the lowest loss, one of `rates`."""
        return self.rates[self.loss.argmin(axis=1)]

    @property
    def drift(self) -> np.ndarray:
        """Shape (S,): by how much log2 of the best rate rises each time that the width is doubled, by least squares."""
        x = np.log2(self.widths) - np.log2(self.widths).mean()
        return x @ np.log2(self.best) / (x @ x)

    @property
    def lost(self) -> np.ndarray:
        """Shape (S,): loss at the largest width with the rate that is best at the least one, over the loss at its own best rate."""
        chosen = self.loss[0].argmin(axis=0)
        seeds = np.arange(self.loss.shape[2])
        return self.loss[-1, chosen, seeds] / self.loss[-1].min(axis=0)

    def __str__(self) -> str:
        drift = f"{self.drift.mean():+.2f} ± {sample_std(self.drift):.2f}".replace("-0.00", "+0.00")
        return f"log2 of the best rate moves by {drift} per doubling of the width ({self.loss.shape[2]} seeds)"


def rate_sweep(
    parametrization: str = "standard",
    optimizer: str = "adam",
    *,
    activation: str = "relu",
    widths: Sequence[int] = (32, 64, 128),
    rates: Sequence[float] | None = None,
    depth: int = 3,
    steps: int = 60,
    batch_size: int = 64,
    seeds: int | Sequence[int] = 5,
) -> RateSweep:
    """Train networks on digits at every width, rate and seed; the seeds of a width and a rate as one computation.

    Args:
        parametrization: "standard", or "mup" with the base width BASE (see `init_` and `initviz.training.mup_groups`).
        optimizer: "sgd" or "adam".
        activation: a key of SCHEMES_OF.
        widths, depth: of the hidden layers.
        rates: learning rates; None takes those of the study (RATES).
        steps, batch_size, seeds: as for `initviz.race`.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    look_up("parametrization", parametrization, PARAMETRIZATIONS)
    look_up("optimizer", optimizer, OPTIMIZERS)
    scheme = look_up("activation", activation, SCHEMES_OF)
    sizes = [whole_number("widths", width) for width in at_least_one("widths", widths)]
    chosen = (
        [2.0**power for power in RATES[optimizer]]
        if rates is None
        else [real_number("rates", rate, most=FASTEST) for rate in at_least_one("rates", rates)]
    )
    numbers, steps = seed_numbers(seeds), whole_number("steps", steps)
    batch_size = whole_number("batch_size", batch_size)
    if batch_size > (samples := len(digits().x_train)):
        raise ValueError(f"batch_size: got {batch_size}; digits has {samples} training samples")
    base = mlp(depth, BASE, activation, scheme)
    loss = np.empty((len(sizes), len(chosen), len(numbers)))
    for (row, width), (column, rate) in product(enumerate(sizes), enumerate(chosen)):
        nets: list[nn.Module] = [mlp(depth, width, activation, scheme, seed=seed) for seed in numbers]
        if parametrization == "mup":
            nets = [
                init_(net, scheme, activation=activation, seed=seed, mup_base=base) for net, seed in zip(nets, numbers)
            ]
        like = base if parametrization == "mup" else nets[0]
        loss[row, column] = _train(nets, like, optimizer, rate, numbers, steps, batch_size)
    return RateSweep(np.array(sizes), np.array(chosen), loss)


def _train(
    nets: list[nn.Module],
    base: nn.Module,
    optimizer: str,
    rate: float,
    seeds: Sequence[int],
    steps: int,
    batch_size: int,
) -> np.ndarray:
    """Shape (seeds,): the mean loss of the last batches. With itself as the base, a network has one rate for all."""
    data = digits()
    stack = Stack(nets, data)
    names = {id(parameter): name for name, parameter in nets[0].named_parameters()}
    groups = mup_groups(nets[0], base, rate, optimizer)
    updates = OPTIMIZERS[optimizer](
        [{**g, "params": [stack.parameters[names[id(p)]] for p in g["params"]]} for g in groups]
    )
    last = []
    with one_thread() if stack.small else nullcontext():
        for step in range(steps):
            index = torch.stack([batch_index(len(data.x_train), batch_size, seed, step) for seed in seeds])
            updates.zero_grad()
            losses = stack.losses(data.x_train[index], data.y_train[index])
            losses.sum().backward()
            updates.step()
            last.append(losses.detach().cpu().double().numpy())
            if not np.isfinite(last[-1]).any():
                break
    mean = np.mean(last[-AT_THE_END:], axis=0)
    return np.where(np.isfinite(mean), mean, np.inf)


def shipped_sweep(parametrization: str = "standard", optimizer: str = "adam", activation: str = "relu") -> RateSweep:
    """The shipped study's `RateSweep`: five widths from 32 to 512, eleven rates, five seeds, 60 steps of batches of 64.

    Raises:
        TypeError, ValueError: an unknown name.
    """
    look_up("parametrization", parametrization, PARAMETRIZATIONS)
    look_up("optimizer", optimizer, OPTIMIZERS)
    look_up("activation", activation, SCHEMES_OF)
    return _read()[parametrization, optimizer, activation]


@lru_cache(maxsize=1)
def _read() -> dict[tuple[str, str, str], RateSweep]:
    rows: dict[tuple[str, str, str], list[list[float]]] = {}
    with FILE.open(encoding="utf-8", newline="") as file:
        for parametrization, optimizer, activation, *numbers in list(csv.reader(file))[1:]:
            rows.setdefault((parametrization, optimizer, activation), []).append([float(number) for number in numbers])
    return {key: _sweep(np.array(own)) for key, own in rows.items()}


def _sweep(table: np.ndarray) -> RateSweep:
    """From rows of width, log2 of the rate, and the loss of each seed."""
    widths, powers = np.unique(table[:, 0]), np.unique(table[:, 1])
    return RateSweep(widths.astype(int), 2.0**powers, table[:, 2:].reshape(len(widths), len(powers), -1))


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m initviz rate-study", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=Path("rates.csv"), help="the CSV to write (default: %(default)s)"
    )
    parser.add_argument("--widths", type=int, nargs="+", default=STUDY["widths"], help="of the hidden layers")
    parser.add_argument("--steps", type=int, default=STUDY["steps"], help="updates of a run")
    parser.add_argument("--seeds", type=int, default=STUDY["seeds"], help="how many")
    options = parser.parse_args(arguments)
    with options.output.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(
            [
                "parametrization",
                "optimizer",
                "activation",
                "width",
                "log2_rate",
                *(f"loss_{n}" for n in range(options.seeds)),
            ]
        )
        for key in product(PARAMETRIZATIONS, OPTIMIZERS, SCHEMES_OF):
            parametrization, optimizer, activation = key
            found = rate_sweep(
                parametrization,
                optimizer,
                activation=activation,
                widths=options.widths,
                steps=options.steps,
                seeds=options.seeds,
            )
            for width, losses in zip(found.widths, found.loss):
                for power, own in zip(RATES[optimizer], losses):
                    table.writerow([*key, width, power, *(f"{value:.4g}" for value in own)])
            file.flush()
            print(f"{', '.join(key)}: {found}", flush=True)
