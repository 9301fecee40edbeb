"""Train one network, or race several on the same data and batches: what happens to loss, accuracy, gradients and layers.

A run never raises because it diverges: the step is recorded, and the run ends there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from initviz._arguments import look_up, real_number, whole_number
from initviz.activations import Activation
from initviz.datasets import Data, digits
from initviz.history import History, RaceResult
from initviz.networks import mlp
from initviz.probe import probe
from initviz.report import QUANTITIES, Report
from initviz.schemes import Scheme

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
"""Optimizers by name."""
SNAPSHOT_BATCH = 256
"""Samples of the batch, the same at every step, that a snapshot is taken on (fewer if the data has fewer)."""

Racer = str | Scheme | Mapping[str, Any] | Callable[[int], nn.Module]


class Training:
    """One network in training, step by step; or the same network from several seeds, as one vectorized computation.

        training = Training([model], data, steps=500)
        for step in training:
            ...                                  # draw, or break to stop
        history = training.histories()[0]        # what was recorded so far

    Attributes:
        step: updates made so far.
        done: whether there is nothing left to do: all steps are made, or every run has diverged.
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
        """Arguments as `train`. With several `models` (same architecture, a seed each) their parameters are stacked.

        Raises:
            TypeError, ValueError: see `train`.
            RuntimeError: several models that torch.func.vmap can't run as one.
        """
        self.models = [_trainable(model) for model in models]
        if len(self.models) != len(seeds):
            raise ValueError(f"seeds: got {len(seeds)} for {len(self.models)} models; it takes one a model")
        if not isinstance(data, Data):
            raise TypeError(f"data: got {type(data).__name__}; it takes a data set such as iv.digits()")
        self.data = data
        self.seeds = tuple(whole_number("seed", seed, least=0) for seed in seeds)
        self.steps = whole_number("steps", steps)
        self.every = whole_number("every", every)
        self.batch_size = whole_number("batch_size", batch_size)
        if self.batch_size > len(data.x_train):
            raise ValueError(f"batch_size: got {batch_size}; {data.name} has {len(data.x_train)} training samples")
        self.snapshot_steps = {whole_number("snapshots", step, least=0) for step in snapshots}
        self.step = 0
        self.done = False
        self._alive = np.ones(len(self.models), dtype=bool)
        self._diverged_at: list[int | None] = [None] * len(self.models)
        self._rows: list[tuple[int, np.ndarray, dict[str, np.ndarray]]] = []
        self._snapshots: list[dict[int, Report]] = [{} for _ in self.models]
        self._device = next(self.models[0].parameters()).device
        self._x, self._y = data.x_train.to(self._device), data.y_train.to(self._device)
        self._x_test, self._y_test = data.x_test.to(self._device), data.y_test.to(self._device)
        self._stacked = len(self.models) > 1
        _fits(self.models[0], self._x_test[:2], data)
        parameters: dict[str, Any] = dict(self.models[0].named_parameters())
        self._buffers: dict[str, Any] = {}
        if self._stacked:
            parameters, self._buffers = stack_module_state(self.models)
        self._parameters = {name: p for name, p in parameters.items() if p.requires_grad}
        self._buffers |= {name: p for name, p in parameters.items() if not p.requires_grad}
        self._optimizer = _optimizer(optimizer, list(self._parameters.values()), lr, momentum)
        self.layers = tuple(n for n, p in self._parameters.items() if p.dim() >= 2 + self._stacked)
        self._start = {name: self._parameters[name].detach().clone() for name in self.layers}

    def __iter__(self) -> Iterator[int]:
        """Advance to the end, yielding the number of updates made after each."""
        while not self.done:
            self.advance()
            yield self.step

    def advance(self) -> None:
        """One step: loss and gradient on the step's batch, what is due to be recorded, the update. (After the last update comes one
        more, which only records.)"""
        if self.done:
            return
        with torch.inference_mode(False), torch.enable_grad(), self._randomness():
            for parameter in self._parameters.values():
                parameter.grad = None
            losses = self._losses()
            losses.sum().backward()
            try:
                self._look(losses.detach())
                if not self.done:
                    self._optimizer.step()
                    self._rest_the_dead()
                    self.step += 1
            finally:
                for parameter in self._parameters.values():
                    parameter.grad = None

    def model(self, index: int = 0) -> nn.Module:
        """The network of seed number `index` as it is now."""
        model = self.models[index]
        if self._stacked and self._alive[index]:
            with torch.no_grad():
                state = model.state_dict(keep_vars=True)
                for name, values in (self._parameters | self._buffers).items():
                    state[name].copy_(values[index])
        return model

    def probe(self, index: int = 0, quantities: Collection[str] = tuple(QUANTITIES)) -> Report:
        """`initviz.probe` of that network, on the batch that snapshots are taken on; training is not disturbed."""
        x, y = self.data.batch(min(SNAPSHOT_BATCH, len(self._x)), seed=0)
        model = self.model(index)
        return probe(model, x.to(self._device), y.to(self._device), quantities=quantities)

    def histories(self) -> tuple[History, ...]:
        """What was recorded so far, a `History` for each seed."""
        return tuple(self._history(index) for index in range(len(self.models)))

    def try_out(self) -> None:
        """Raise RuntimeError if vmap can't run the stacked models. The state is afterwards what it was."""
        buffers = {name: values.clone() for name, values in self._buffers.items()}
        with self._randomness():
            self._losses().sum().backward()
            self._accuracy()
        for parameter in self._parameters.values():
            parameter.grad = None
        for name, values in buffers.items():
            self._buffers[name].copy_(values)

    # One step

    def _losses(self) -> Tensor:
        """Shape (seeds,): the loss of each network on its batch of this step."""
        index = [batch_index(len(self._x), self.batch_size, seed, self.step) for seed in self.seeds]
        if not self._stacked:
            return _cross_entropy(self.models[0], self._x[index[0]], self._y[index[0]]).reshape(1)
        return self._vmap(_cross_entropy, self._x[torch.stack(index)], self._y[torch.stack(index)], 0)

    def _vmap(self, function: Callable[..., Tensor], x: Tensor, y: Tensor, batch_dim: int | None) -> Tensor:
        def one(parameters, buffers, x, y):
            return function(lambda x: functional_call(self.models[0], (parameters, buffers), (x,)), x, y)

        return vmap(one, in_dims=(0, 0, batch_dim, batch_dim))(self._parameters, self._buffers, x, y)

    def _look(self, losses: Tensor) -> None:
        """Record what is due, and who has diverged."""
        gradients = [p.grad for p in self._parameters.values() if p.grad is not None]
        finite = np.isfinite(losses.cpu().numpy())
        largest = torch.nn.utils.get_total_norm(gradients, norm_type=math.inf)
        if not math.isfinite(largest.item()):
            for gradient in gradients:
                finite &= self._rows_of(gradient).isfinite().all(dim=1).cpu().numpy()
        ended = self._alive & ~finite
        last = self.step >= self.steps
        due = self._alive if self.step % self.every == 0 or last else ended
        if due.any():
            self._rows.append((self.step, due.copy(), self._measure(losses)))
        if self.step in self.snapshot_steps:
            for index in np.flatnonzero(self._alive).tolist():
                self._snapshots[index][self.step] = self.probe(index)
        for index in np.flatnonzero(ended).tolist():
            self.model(index)
            self._diverged_at[index] = self.step
            self._alive[index] = False
        self.done = last or not self._alive.any()

    def _measure(self, losses: Tensor) -> dict[str, np.ndarray]:
        norms = {name: self._norm(p.grad) for name, p in self._parameters.items()}
        change = [self._norm(self._parameters[n].detach() - start) for n, start in self._start.items()]
        size = [start[0].numel() if self._stacked else start.numel() for start in self._start.values()]
        return {
            "loss": losses.double().cpu().numpy(),
            "accuracy": self._accuracy(),
            "gradient_norm": np.sqrt(sum(norm**2 for norm in norms.values())),
            "layer_gradient_norm": np.stack([norms[name] for name in self.layers], axis=1),
            "layer_change": np.stack(change, axis=1) / np.sqrt(size),
        }

    def _rows_of(self, tensor: Tensor) -> Tensor:
        """Shape (seeds, values)."""
        return tensor.flatten(1) if self._stacked else tensor.reshape(1, -1)

    def _norm(self, tensor: Tensor | None) -> np.ndarray:
        """Shape (seeds,), in float64: the square of a gradient of 1e-25 is no float32."""
        if tensor is None:
            return np.zeros(len(self.models))
        return torch.linalg.vector_norm(self._rows_of(tensor), dim=1, dtype=torch.float64).cpu().numpy()

    @torch.no_grad()
    def _accuracy(self) -> np.ndarray:
        """Shape (seeds,), on the test set, in eval mode; modes are afterwards what they were."""
        with _evaluating(self.models[0]):
            if self._stacked:
                return self._vmap(_share_right, self._x_test, self._y_test, None).double().cpu().numpy()
            return _share_right(self.models[0], self._x_test, self._y_test).reshape(1).double().cpu().numpy()

    @torch.no_grad()
    def _rest_the_dead(self) -> None:
        """Keep the stacked parameters of runs that have ended at zero, so that they can't slow down the others."""
        dead = np.flatnonzero(~self._alive)
        if len(dead):
            for parameter in self._parameters.values():
                parameter[dead] = 0

    def _randomness(self):
        """What is random in a model (dropout) is drawn from the seed and the step, and leaves the global state alone."""
        return _seeded(self._device, self.seeds[0], self.step)

    def _history(self, index: int) -> History:
        rows = [(step, values) for step, due, values in self._rows if due[index]]
        columns = {
            name: np.array([values[name][index] for _, values in rows])
            for name in ("loss", "accuracy", "gradient_norm", "layer_gradient_norm", "layer_change")
        }
        return History(
            steps=np.array([step for step, _ in rows], dtype=int),
            layers=self.layers,
            diverged_at=self._diverged_at[index],
            snapshots=dict(self._snapshots[index]),
            **columns,
        )


class Race:
    """Several racers in training, step by step: what `race` runs to its end.

    Attributes:
        runs: label -> the `Training` of each seed, or a single one of all seeds where they run as one computation.
        seeds: the seed of each run.
    """

    def __init__(
        self,
        racers: Mapping[str, Racer],
        data: Data | None = None,
        *,
        depth: int = 10,
        width: int = 64,
        activation: str | Activation = "relu",
        seeds: int | Sequence[int] = 5,
        vectorize: bool | None = None,
        device: str | torch.device = "auto",
        **training: Any,
    ) -> None:
        """Arguments as `race`."""
        if not isinstance(racers, Mapping):
            raise TypeError(
                f"racers: got {type(racers).__name__}; it takes a dict, label -> scheme, settings or builder"
            )
        if not racers:
            raise ValueError("racers: got none; it takes at least one")
        data = digits() if data is None else data
        numbers = (
            seeds if isinstance(seeds, Sequence) and not isinstance(seeds, str) else range(whole_number("seeds", seeds))
        )
        self.seeds = tuple(whole_number("seeds", seed, least=0) for seed in numbers)
        if not self.seeds:
            raise ValueError("seeds: got none; it takes at least one")
        net = {"depth": depth, "width": width, "activation": activation, "n_in": data.n_in, "n_out": data.n_classes}
        self.runs = {
            label: _runs(_builder(racer, net | {"device": device}), data, self.seeds, vectorize, training)
            for label, racer in racers.items()
        }

    @property
    def step(self) -> int:
        """Updates made so far by whoever is furthest."""
        return max(run.step for runs in self.runs.values() for run in runs)

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        return all(run.done for runs in self.runs.values() for run in runs)

    def __iter__(self) -> Iterator[int]:
        """Advance to the end, yielding the number of updates made after each."""
        while not self.done:
            self.advance()
            yield self.step

    def advance(self) -> None:
        """One step of every run that has not ended."""
        for runs in self.runs.values():
            for run in runs:
                run.advance()

    def result(self) -> RaceResult:
        """What was recorded so far."""
        histories = {label: tuple(h for run in runs for h in run.histories()) for label, runs in self.runs.items()}
        return RaceResult(histories, self.seeds)


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

    Training runs in the model's present mode (train or eval) and on its device; its accuracy is taken in eval mode. No
    gradient stays behind, and the global random state is left alone.

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
    Raises:
        TypeError, ValueError: an argument that is not as above. Divergence raises nothing: see `History.diverged_at`.
    """
    training = Training(
        [model], data, seeds=[seed], steps=steps, batch_size=batch_size, lr=lr, optimizer=optimizer, momentum=momentum,
        every=every, snapshots=snapshots,
    )  # fmt: skip
    _run(training, training.steps, progress)
    return training.histories()[0]


def race(
    racers: Mapping[str, Racer], data: Data | None = None, *, progress: bool = False, **settings: Any
) -> RaceResult:
    """Train several networks from several seeds, each seed with the same batches for every racer.

    Args:
        racers: label -> a scheme's name, or a dict of keywords of `iv.mlp` ({"scheme": "he_normal", "scale": 2}), or a function
            seed -> nn.Module.
        data: a `Data`; iv.digits() if left out.
        progress: show a tqdm bar.
        depth, width, activation: of the networks that are not built by a function of their own; 10, 64, "relu" if left out.
        seeds: how many (5 if left out), or which. A seed draws the weights and the order of the batches.
        steps, batch_size, lr, optimizer, momentum, every, snapshots: see `train`.
        vectorize: True runs the seeds of a racer as one computation (torch.func.vmap), False one after the other; the results
            are equal within float error. None does what is faster: the former on small networks. A model that vmap can't run
            (with dropout, a recurrent layer, control flow that depends on data) runs seed by seed in any case.
        device: "auto" is CUDA where there is one, then the CPU.
    Raises:
        TypeError, ValueError: an argument that is not as above. Divergence raises nothing: see `History.diverged_at`.
    """
    running = Race(racers, data, **settings)
    _run(running, settings.get("steps", 500), progress)
    return running.result()


def batch_index(n: int, size: int, seed: int, step: int) -> Tensor:
    """Which of `n` samples are in the batch of this step, shape (size,): a function of the arguments alone.

    Samples come in a random order, each at most once an epoch of n // size steps.
    """
    epoch, place = divmod(step, n // size)
    return _order(n, seed, epoch)[place * size : (place + 1) * size]


@lru_cache(maxsize=64)
def _order(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(_number(seed, epoch)))


def _number(*numbers: int) -> int:
    """One number for a generator, made of several."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def _seeded(device: torch.device, seed: int, step: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(_number(seed, step))
        yield


def _run(running: Training | Race, steps: int, progress: bool) -> None:
    if not progress:
        for _ in running:
            pass
        return
    from tqdm.auto import tqdm

    with tqdm(total=steps, unit="step") as bar:
        for step in running:
            bar.update(step - bar.n)


def _runs(
    build, data: Data, seeds: tuple[int, ...], vectorize: bool | None, training: dict[str, Any]
) -> list[Training]:
    """The seeds of one racer, stacked where that is wanted and can be done."""
    models = [build(seed) for seed in seeds]
    if len(seeds) > 1 and (vectorize or (vectorize is None and _is_small(models[0]))):
        try:
            stacked = Training(models, data, seeds=seeds, **training)
            stacked.try_out()
            return [stacked]
        except RuntimeError:  # a model for which vmap has no rule
            pass
    return [Training([model], data, seeds=[seed], **training) for model, seed in zip(models, seeds)]


def _is_small(model: nn.Module) -> bool:
    """Whether a step's time is spent on calling layers rather than in them: see benchmarks/race.py."""
    return max(p.numel() for p in model.parameters()) <= 128 * 128


def _builder(racer: Racer, net: dict[str, Any]) -> Callable[[int], nn.Module]:
    """seed -> model."""
    if isinstance(racer, Mapping):
        return lambda seed: mlp(**(net | dict(racer) | {"seed": seed}))
    if isinstance(racer, str | Scheme):
        return lambda seed: mlp(**net, scheme=racer, seed=seed)
    if not callable(racer):
        raise TypeError(
            f"racers: got {type(racer).__name__}; it takes a scheme, a dict of settings, or a function of a seed"
        )
    return racer


def _trainable(model: nn.Module) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}; it takes a torch.nn.Module")
    parameters = list(model.parameters())
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in parameters):
        raise ValueError("model: has lazy parameters; run one batch through it first")
    if not any(p.requires_grad for p in parameters):
        raise ValueError("model: has no parameter to train")
    return model


@torch.no_grad()
def _fits(model: nn.Module, x: Tensor, data: Data) -> None:
    """Raise ValueError unless the model takes the data and gives logits of its classes."""
    with _evaluating(model):
        try:
            logits = model(x)
        except Exception as error:
            raise ValueError(f"model: does not take {data.name}, a batch of shape {tuple(x.shape)}: {error}") from error
    if not isinstance(logits, Tensor) or logits.shape != (len(x), data.n_classes):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"model: gives {shape} for {len(x)} samples; it must give ({len(x)}, {data.n_classes}), a logit a class"
        )


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside, and afterwards the modes that were."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _cross_entropy(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x).float(), y)


def _share_right(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    logits = model(x)
    return ((logits.argmax(dim=1) == y) & logits.isfinite().all(dim=1)).float().mean()


def _optimizer(name: str, parameters: list[Tensor], lr: float, momentum: float) -> torch.optim.Optimizer:
    make = look_up("optimizer", name, OPTIMIZERS)
    lr, momentum = real_number("lr", lr), real_number("momentum", momentum)
    if momentum and name != "sgd":
        raise ValueError(f"momentum: got {momentum:g}; only sgd takes it")
    return make(parameters, lr=lr, **({"momentum": momentum} if momentum else {}))
