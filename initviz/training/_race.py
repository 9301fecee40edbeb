"""Race several networks on the same data and batches, over several seeds: where it pays, all of them as one computation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from initviz._core.arguments import look_up, seed_numbers, switch, whole_number
from initviz.datasets import Data, check_data, digits
from initviz.initializers import Activation, Scheme, start_from_batch
from initviz.inspection import Report
from initviz.models import mlp
from initviz.training._history import RaceResult
from initviz.training._loop import Training, run_to_the_end
from initviz.training._stack import trainable

Racer = str | Scheme | Mapping[str, Any] | Callable[[int], nn.Module]
WEIGHTS_ONLY = {"scheme", "scale", "gain", "bias_std"}
"""Settings of `iv.mlp` that change its numbers and not its architecture."""


class Race:
    """Several racers in training, step by step: what `race` runs to its end.

    Attributes:
        labels: of the racers.
        seeds: of each racer's runs.
        steps: updates to make.
        trainings: the computations. One trains a single network, or several of one architecture stacked.
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
        device: str | torch.device | None = None,
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
        check_data(data)
        self.seeds = seed_numbers(seeds)
        vectorize = None if vectorize is None else switch("vectorize", vectorize)
        self.labels = tuple(racers)
        self._places: dict[tuple[str, int], tuple[Training, int]] = {}  # (label, number of the seed) -> where it trains
        net = {"depth": depth, "width": width, "activation": activation, "device": device}
        net |= {"n_in": data.n_in, "n_out": data.n_classes}
        built: list[nn.Module] = []
        for group in _alike({label: _builder(racer, net, data) for label, racer in racers.items()}):
            runs = [(label, number) for label in group for number in range(len(self.seeds))]
            models = [trainable(group[label](self.seeds[number])) for label, number in runs]
            _refuse_the_same(models + built)
            built += models
            places = _trainings(models, data, [self.seeds[number] for _, number in runs], vectorize, training)
            self._places |= dict(zip(runs, places))
        self.trainings = list(dict.fromkeys(training for training, _ in self._places.values()))
        self.steps = self.trainings[0].steps

    @property
    def step(self) -> int:
        """Updates made so far by whoever is furthest."""
        return max(training.step for training in self.trainings)

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        return all(training.done for training in self.trainings)

    def __iter__(self) -> Iterator[int]:
        """Advance to the end, yielding the number of updates made after each."""
        while not self.done:
            self.advance()
            yield self.step

    def advance(self) -> None:
        """One step of every run that has not ended."""
        for training in self.trainings:
            training.advance()

    def probe(self, label: str, number: int = 0, **options: Any) -> Report:
        """`Training.probe` of a racer's network from seed number `number` as it is now."""
        look_up("label", label, dict.fromkeys(self.labels))
        if whole_number("number", number, least=0) >= len(self.seeds):
            raise ValueError(f"number: got {number}; there are {len(self.seeds)} seeds")
        training, index = self._places[label, number]
        return training.probe(index, **options)

    def result(self) -> RaceResult:
        """What was recorded so far."""
        found = {training: training.histories() for training in self.trainings}
        runs = {place: found[training][index] for place, (training, index) in self._places.items()}
        histories = {label: tuple(runs[label, number] for number in range(len(self.seeds))) for label in self.labels}
        return RaceResult(histories, self.seeds)


def race(
    racers: Mapping[str, Racer],
    data: Data | None = None,
    *,
    depth: int = 10,
    width: int = 64,
    activation: str | Activation = "relu",
    seeds: int | Sequence[int] = 5,
    steps: int = 500,
    batch_size: int = 128,
    lr: float = 0.1,
    optimizer: str = "sgd",
    momentum: float = 0.0,
    every: int = 10,
    snapshots: Collection[int] = (),
    vectorize: bool | None = None,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> RaceResult:
    """Train several networks from several seeds, each seed with the same batches for every racer.

    Args:
        racers: label -> a scheme's name, or a dict of keywords of `iv.mlp` ({"scheme": "he_normal", "scale": 2}), or a function
            seed -> nn.Module.
        data: a `Data`; iv.digits() if left out.
        depth, width, activation: of the networks that are not built by a function of their own.
        seeds: how many, or which. A seed draws the weights and the order of the batches.
        steps, batch_size, lr, optimizer, momentum, every, snapshots: see `train`.
        vectorize: True runs the seeds of a racer, together with other racers of its architecture, as one computation
            (torch.func.vmap); False runs one after the other; the results are equal within float error. None does what is
            faster: the former on small networks. A model that vmap can't run (with dropout, a recurrent layer, control flow that
            depends on data) runs seed by seed in any case.
        device: where the networks are made that are not built by a function of their own; None is `torch.get_default_device()`.
        progress: show a tqdm bar.
    Returns:
        A `RaceResult`: a `History` for each racer and seed, and tables and curves over the seeds.
    Raises:
        TypeError, ValueError: an argument that is not as above. Divergence raises nothing: see `History.diverged_at`.
    """
    progress = switch("progress", progress)
    running = Race(
        racers, data, depth=depth, width=width, activation=activation, seeds=seeds, steps=steps, batch_size=batch_size, lr=lr,
        optimizer=optimizer, momentum=momentum, every=every, snapshots=snapshots, vectorize=vectorize, device=device,
    )  # fmt: skip
    run_to_the_end(running, progress)
    return running.result()


class _Mlp:
    """seed -> `iv.mlp` of these settings, and LSUV on a batch if that is its scheme."""

    def __init__(self, settings: dict[str, Any], data: Data) -> None:
        self.settings = settings
        self.data = data
        self.architecture = {name: value for name, value in settings.items() if name not in WEIGHTS_ONLY}

    def __call__(self, seed: int) -> nn.Module:
        x, _ = self.data.batch(min(256, len(self.data.x_train)), seed=seed)
        return start_from_batch(mlp, x, **{"scheme": "he_normal"} | self.settings | {"seed": seed})


def _builder(racer: Racer, net: dict[str, Any], data: Data) -> Callable[[int], nn.Module]:
    """seed -> model."""
    if isinstance(racer, str | Scheme):
        return _Mlp(net | {"scheme": racer}, data)
    if isinstance(racer, Mapping):
        return _Mlp(net | dict(racer), data)
    if not callable(racer):
        raise TypeError(
            f"racers: got {type(racer).__name__}; it takes a scheme, a dict of settings, or a function of a seed"
        )
    return racer


def _alike(builders: dict[str, Callable[[int], nn.Module]]) -> list[dict[str, Callable[[int], nn.Module]]]:
    """The builders in groups of one architecture each."""
    groups: list[dict[str, Callable[[int], nn.Module]]] = []
    for label, build in builders.items():
        for group in groups:
            first = next(iter(group.values()))
            if isinstance(build, _Mlp) and isinstance(first, _Mlp) and build.architecture == first.architecture:
                group[label] = build
                break
        else:
            groups.append({label: build})
    return groups


def _trainings(
    models: list[nn.Module], data: Data, seeds: list[int], vectorize: bool | None, training: dict[str, Any]
) -> list[tuple[Training, int]]:
    """For each model its training and its number there: stacked where that is wanted and can be done."""
    if len(models) > 1 and (vectorize or (vectorize is None and _is_small(models[0]))):
        try:
            stacked = Training(models, data, seeds=seeds, **training)
            return [(stacked, index) for index in range(len(models))]
        except RuntimeError:  # a model for which vmap has no rule
            pass
    return [(Training([model], data, seeds=[seed], **training), 0) for model, seed in zip(models, seeds)]


def _refuse_the_same(models: list[nn.Module]) -> None:
    if len(set(map(id, models))) < len(models):
        raise ValueError("racers: a function gave a network that runs already; it must build a new one for each seed")


def _is_small(model: nn.Module) -> bool:
    """Whether a step's time is spent on calling layers rather than in them: see benchmarks/race.py."""
    parameters = list(model.parameters())
    return parameters[0].device.type != "cpu" or max(p.numel() for p in parameters) <= 128 * 128
