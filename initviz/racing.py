"""Race several networks on the same data and batches, over several seeds; the seeds of one racer in one computation where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from initviz._arguments import whole_number
from initviz.activations import Activation
from initviz.datasets import Data, digits
from initviz.history import RaceResult
from initviz.networks import mlp
from initviz.schemes import Scheme
from initviz.stack import trainable
from initviz.training import Training, run_to_the_end

Racer = str | Scheme | Mapping[str, Any] | Callable[[int], nn.Module]


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
    def steps(self) -> int:
        """Updates to make."""
        return next(run.steps for runs in self.runs.values() for run in runs)

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
    run_to_the_end(running, progress)
    return running.result()


def _runs(
    build, data: Data, seeds: tuple[int, ...], vectorize: bool | None, training: dict[str, Any]
) -> list[Training]:
    """The seeds of one racer, stacked where that is wanted and can be done."""
    models = [trainable(build(seed)) for seed in seeds]
    if len(seeds) > 1 and (vectorize or (vectorize is None and _is_small(models[0]))):
        try:
            return [Training(models, data, seeds=seeds, **training)]
        except RuntimeError:  # a model for which vmap has no rule
            pass
    return [Training([model], data, seeds=[seed], **training) for model, seed in zip(models, seeds)]


def _is_small(model: nn.Module) -> bool:
    """Whether a step's time is spent on calling layers rather than in them: see benchmarks/race.py."""
    parameters = list(model.parameters())
    return parameters[0].device.type == "cuda" or max(p.numel() for p in parameters) <= 256 * 256


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
