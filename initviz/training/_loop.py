"""Train a network, and record what happens to its loss, its accuracy, its gradients and its layers.

A run never raises because it diverges: the step is recorded, and the run ends there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.arguments import FASTEST, look_up, real_number, several, switch, whole_number
from initviz._core.threads import one_thread
from initviz.datasets import Data, check_data
from initviz.initializers import combined_seed
from initviz.inspection import QUANTITIES, Report, probe
from initviz.training._history import History
from initviz.training._stack import Stack, trainable

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
"""Optimizers by name."""
SNAPSHOT_BATCH = 256
"""Samples of the batch, the same at every step, that a snapshot is taken on (fewer if the data has fewer)."""


class Training:
    """One network in training, step by step; or one architecture from several seeds, as one computation.

        training = Training([model], data, steps=500)
        for step in training:
            ...                                  # draw, or break to stop
        (history,) = training.histories()        # what was recorded so far

    Attributes:
        step: updates made so far.
        steps: updates to make.
        done: whether there is nothing left to do: all updates are made, or every run has diverged.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        data: Data,
        *,
        seeds: Sequence[int] = (0,),
        steps: int = 500,
        batch_size: int = 128,
        lr: float = 0.1,
        optimizer: str = "sgd",
        momentum: float = 0.0,
        every: int = 10,
        snapshots: Collection[int] = (),
    ) -> None:
        """Arguments as `train`, but for `models`, which are `trainable`, and `seeds`, which go with them.

        Raises:
            TypeError, ValueError: see `train`.
            RuntimeError: several models that torch.func can't run as one.
        """
        check_data(data)
        if not models or len(models) != len(seeds):
            raise ValueError(f"seeds: got {len(seeds)} for {len(models)} models; it takes one a model")
        self.seeds = tuple(whole_number("seed", seed, least=0) for seed in seeds)
        self.steps, self.every = whole_number("steps", steps), whole_number("every", every)
        self.batch_size = whole_number("batch_size", batch_size)
        if self.batch_size > len(data.x_train):
            raise ValueError(f"batch_size: got {batch_size}; {data.name} has {len(data.x_train)} training samples")
        self._snapshot_steps = {whole_number("snapshots", step, least=0) for step in several("snapshots", snapshots)}
        if self._snapshot_steps and max(self._snapshot_steps) > self.steps:
            raise ValueError(f"snapshots: got {max(self._snapshot_steps)}; there are {self.steps} steps")
        self._stack = Stack(models, data)
        self._data = data
        device = self._stack.device
        self._x, self._y = data.x_train.to(device), data.y_train.to(device)
        self._test = data.x_test.to(device), data.y_test.to(device)
        self._optimizer = _optimizer(optimizer, list(self._stack.parameters.values()), lr, momentum)
        self._start = {name: self._stack.parameters[name].detach().clone() for name in self._stack.layers}
        self._alive = np.ones(len(models), dtype=bool)
        self._diverged_at: list[int | None] = [None] * len(models)
        self._train_accuracy = np.full(len(models), math.nan)
        self._rows: list[tuple[int, np.ndarray, dict[str, np.ndarray]]] = []
        self._snapshots: list[dict[int, Report]] = [{} for _ in models]
        self.step = 0
        self.done = False
        if len(models) > 1:
            self._stack.try_out(*self._batch())

    def __iter__(self) -> Iterator[int]:
        """Advance to the end, yielding the number of updates made after each."""
        while not self.done:
            self.advance()
            yield self.step

    def advance(self) -> None:
        """One step: loss and gradient on the step's batch, what is due to be recorded, the update. After the last update comes one
        more step, which only records."""
        if self.done:
            return
        parameters = self._stack.parameters
        threads = one_thread() if self._stack.small else nullcontext()
        random = self._stack.random_states(
            combined_seed(self.seeds[0], self.step)
        )  # dropout's depend on these two alone
        with torch.inference_mode(False), torch.enable_grad(), random, threads:
            try:
                self._optimizer.zero_grad()
                losses = self._stack.losses(*self._batch())
                losses.sum().backward()
                self._record({name: p.grad for name, p in parameters.items()}, losses.detach())
                if not self.done:
                    self._update()
                    self._stack.clear(~self._alive)
                    self.step += 1
            finally:
                self._optimizer.zero_grad()

    def probe(self, index: int = 0, quantities: Collection[str] = tuple(QUANTITIES)) -> Report:
        """`initviz.probe` of network number `index` as it is now, on the batch that snapshots are taken on. Training is not
        disturbed."""
        x, y = self._data.batch(min(SNAPSHOT_BATCH, len(self._x)), seed=0)
        with one_thread() if self._stack.small else nullcontext():
            return probe(self.model(index), x, y, quantities=quantities)

    def model(self, index: int = 0) -> nn.Module:
        """Network number `index` as it is now; if it has diverged, as it was then."""
        return self._stack.model(index) if self._alive[index] else self._stack.models[index]

    def histories(self) -> tuple[History, ...]:
        """What was recorded so far, a `History` for each seed."""
        return tuple(self._history(index) for index in range(len(self.seeds)))

    def _batch(self) -> tuple[Tensor, Tensor]:
        """x of shape (seeds, batch, n_in) and y of shape (seeds, batch) of this step."""
        index = torch.stack([batch_index(len(self._x), self.batch_size, seed, self.step) for seed in self.seeds])
        index = index.to(self._x.device)
        return self._x[index], self._y[index]

    def _update(self) -> None:
        """The optimizer's step; if this step has a row, how far it moved each layer goes there."""
        stack, row = self._stack, self._rows[-1] if self._rows and self._rows[-1][0] == self.step else None
        before = {name: stack.parameters[name].detach().clone() for name in stack.layers} if row else {}
        self._optimizer.step()
        if not row:
            return
        with torch.no_grad(), np.errstate(divide="ignore", invalid="ignore"):
            for number, (name, old) in enumerate(before.items()):
                ratio = stack.norms(stack.parameters[name] - old) / stack.norms(old)
                row[2]["layer_update"][:, number] = np.where(self._alive, ratio, math.nan)

    def _record(self, gradients: dict[str, Tensor | None], losses: Tensor) -> None:
        """Record what is due, and who has diverged."""
        there = [gradient for gradient in gradients.values() if gradient is not None]
        finite = losses.isfinite().cpu().numpy()
        if not math.isfinite(
            sum(gradient.sum() for gradient in there)
        ):  # a cheap look first: a sum hides no inf or NaN
            finite = np.logical_and.reduce([finite, *map(self._stack.finite, there)])
        ended = self._alive & ~finite
        last = self.step >= self.steps
        due = self._alive.copy() if last or self.step % self.every == 0 else ended
        if due.any():
            self._rows.append((self.step, due, self._measure(gradients, losses)))
        if self.step in self._snapshot_steps:
            for index in np.flatnonzero(self._alive).tolist():
                self._snapshots[index][self.step] = self.probe(index)
        at_the_end = self._alive if last else ended
        if at_the_end.any():
            self._train_accuracy[at_the_end] = self._stack.accuracies(self._x, self._y)[at_the_end]
        for index in np.flatnonzero(ended).tolist():
            self.model(index)
            self._diverged_at[index] = self.step
        self._alive &= ~ended
        self.done = last or not self._alive.any()
        for index in np.flatnonzero(self._alive).tolist() if self.done else ():
            self.model(index)

    def _measure(self, gradients: dict[str, Tensor | None], losses: Tensor) -> dict[str, np.ndarray]:
        """A row of each network's history: arrays whose first axis is the seeds."""
        stack = self._stack
        norms = {name: stack.norms(gradient) for name, gradient in gradients.items()}
        with torch.no_grad():
            moved = [
                stack.norms(stack.parameters[n] - start) / math.sqrt(stack.size(n)) for n, start in self._start.items()
            ]
        empty = np.zeros((stack.count, 0))
        return {
            "loss": losses.cpu().double().numpy(),
            "accuracy": stack.accuracies(*self._test),
            "gradient_norm": np.sqrt(sum(norm**2 for norm in norms.values())),
            "layer_gradient_norm": np.column_stack([empty, *(norms[name] for name in stack.layers)]),
            "layer_change": np.column_stack([empty, *moved]),
            "layer_update": np.full((stack.count, len(stack.layers)), math.nan),
        }

    def _history(self, index: int) -> History:
        rows = [(step, values) for step, due, values in self._rows if due[index]]
        names = ("loss", "accuracy", "gradient_norm", "layer_gradient_norm", "layer_change", "layer_update")
        columns: dict[str, Any] = {name: np.array([values[name][index] for _, values in rows]) for name in names}
        return History(
            steps=np.array([step for step, _ in rows], dtype=int),
            layers=tuple(name.removesuffix(".weight") for name in self._stack.layers),
            train_accuracy=float(self._train_accuracy[index]),
            diverged_at=self._diverged_at[index],
            snapshots=dict(self._snapshots[index]),
            **columns,
        )


def train(
    model: nn.Module,
    data: Data,
    *,
    steps: int = 500,
    batch_size: int = 128,
    lr: float = 0.1,
    optimizer: str = "sgd",
    momentum: float = 0.0,
    seed: int = 0,
    every: int = 10,
    snapshots: Collection[int] = (),
    progress: bool = False,
) -> History:
    """Train `model` in place by minibatch gradient descent on the cross-entropy, and return what happened.

    It trains in the mode that the model is in (train or eval) and on its device; its accuracy is taken in eval mode. No
    gradient stays behind, and torch's global random state is left alone.

    Args:
        model: any nn.Module that takes a batch of shape (batch, n_in) and gives logits of shape (batch, n_classes).
        data: a `Data`, such as iv.digits().
        steps: updates to make.
        batch_size: samples in a batch. The batch of a step is a function of (seed, step) alone.
        lr: learning rate.
        optimizer: "sgd" or "adam".
        momentum: of "sgd".
        seed: of the order of the batches.
        every: steps between two records. The last step is recorded too.
        snapshots: steps at which to take a `Report` of the network.
        progress: show a tqdm bar.
    Returns:
        A `History`: loss, accuracy and gradient norms at every recorded step, and the snapshots.
    Raises:
        TypeError, ValueError: an argument that is not as above. Divergence raises nothing: see `History.diverged_at`.
    """
    progress = switch("progress", progress)
    training = Training(
        [trainable(model)], data, seeds=[seed], steps=steps, batch_size=batch_size, lr=lr, optimizer=optimizer, momentum=momentum,
        every=every, snapshots=snapshots,
    )  # fmt: skip
    run_to_the_end(training, progress)
    return training.histories()[0]


class Steps(Protocol):
    """What runs step by step: iterating over it yields the updates made so far."""

    @property
    def steps(self) -> int: ...

    def __iter__(self) -> Iterator[int]: ...


def run_to_the_end(running: Steps, progress: bool = False) -> None:
    """All the steps, under a tqdm bar if `progress` is set."""
    if not progress:
        for _ in running:
            pass
        return
    from tqdm.auto import tqdm

    with tqdm(total=running.steps, unit="step") as bar:
        for step in running:
            bar.update(step - bar.n)


def batch_index(n: int, size: int, seed: int, step: int) -> Tensor:
    """Which of `n` samples are in the batch of this step, shape (size,): a function of the arguments alone.

    Samples come in a random order, each at most once an epoch of n // size steps.
    """
    n, size, step = whole_number("n", n), whole_number("size", size), whole_number("step", step, least=0)
    seed = whole_number("seed", seed, least=0)
    if size > n:
        raise ValueError(f"size: got {size}; it takes 1 to {n}, the number of samples")
    epoch, place = divmod(step, n // size)
    return _order(n, seed, epoch)[place * size : (place + 1) * size]


@lru_cache(maxsize=64)
def _order(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, device="cpu", generator=torch.Generator().manual_seed(combined_seed(seed, epoch)))


def _optimizer(name: str, parameters: list[Tensor], lr: float, momentum: float) -> torch.optim.Optimizer:
    make = look_up("optimizer", name, OPTIMIZERS)
    lr, momentum = real_number("lr", lr, most=FASTEST), real_number("momentum", momentum)
    if momentum and name != "sgd":
        raise ValueError(f"momentum: got {momentum:g}; only sgd takes it")
    return make(parameters, lr=lr, **({"momentum": momentum} if momentum else {}))
