"""Transfer learning: what pretrained weights are worth on another task, against random ones, by number of labels."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.arguments import file_path, got, look_up, seed_numbers, switch, whole_number
from initviz._core.batches import first_line
from initviz._core.extras import pandas
from initviz._core.layers import is_drawn
from initviz._core.restore import random_states
from initviz._core.statistics import sample_std
from initviz.datasets import Data, check_data, mnist1d_large
from initviz.initializers import Scheme, get_scheme, init_
from initviz.models import PRETRAINED, pretrained
from initviz.training._history import share
from initviz.training._loop import train
from initviz.training._stack import VALIDATION, evaluating, share_right

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Strategy:
    """Where training starts and what it may move.

    Attributes:
        name: the key in STRATEGIES.
        label: for a menu.
        pretrained: whether the body starts from the pretrained weights or is drawn anew.
        head: the scheme of the new head; None draws it as random weights are drawn.
        phases: one after the other: (share of the steps, whether the body trains too, factor on the learning rate).
        rates: Adam's learning rate, and others to choose it from (see `transfer`).
        words: what it does, in a sentence.
    """

    name: str
    label: str
    pretrained: bool
    head: str | None
    phases: tuple[tuple[float, bool, float], ...]
    rates: tuple[float, ...]
    words: str


ALL, HEAD = ((1.0, True, 1.0),), ((1.0, False, 1.0),)
BODY_RATES, HEAD_RATES = (3e-3, 3e-4, 1e-3, 1e-2, 3e-2), (1e-2, 1e-3, 3e-3, 3e-2, 1e-1)

STRATEGIES = {
    s.name: s
    for s in [
        Strategy("random", "Random (He)", False, None, ALL, BODY_RATES, "All weights are drawn anew, and all train."),
        Strategy(
            "frozen_random", "Frozen random body", False, "zeros", HEAD, HEAD_RATES,
            "A random body stays as it was drawn; a head is trained on its features. A control: what an untrained body gives.",
        ),
        Strategy(
            "frozen", "Frozen body, new head", True, "zeros", HEAD, HEAD_RATES,
            "The pretrained body stays as it is; a new head is trained on its features.",
        ),
        Strategy(
            "fine_tuned", "Fine-tuned, zero head", True, "zeros", ALL, BODY_RATES,
            "Pretrained body, a new head of zeros, and all train.",
        ),
        Strategy(
            "fine_tuned_default", "Fine-tuned, PyTorch's head", True, "pytorch_default", ALL, BODY_RATES,
            "Pretrained body, a new head as nn.Linear draws it, and all train.",
        ),
        Strategy(
            "fine_tuned_he", "Fine-tuned, He head", True, "he_normal", ALL, BODY_RATES,
            "Pretrained body, a new head drawn by He's scheme, and all train.",
        ),
        Strategy(
            "head_first", "Head first, then fine-tuned", True, "zeros", ((0.5, False, 10.0), (0.5, True, 1.0)),
            (1e-3, 1e-4, 3e-4, 3e-3, 1e-2),
            "The new head is trained on the frozen body, at ten times the rate; then all train.",
        ),
    ]
}  # fmt: skip
"""Every strategy by name."""

ENDS = {
    "train_accuracy": "share of the labelled samples that are right",
    "moved": "Euclidean distance of the body's parameters from where they started, over their norm there",
    "source_accuracy": "test accuracy on the source's task with its old head, NaN for a body that is not pretrained",
    "shifted_accuracy": "test accuracy on the target's task under another distribution",
}
"""What is measured of a network after its last step, besides its test accuracy."""


@dataclass(frozen=True)
class TransferResult:
    """Accuracies on the target's test set. Runs of one seed share their labels, batches and new head, so they are paired.

    Attributes:
        source: the pretrained network: a name in PRETRAINED, or the class of a network of one's own.
        data: the target's name.
        strategies: names in STRATEGIES.
        labels: labelled training samples in each class.
        seeds: each draws the labels, the order of the batches, the new head and, for "random", all weights.
        steps: shape (k,), updates made, the first 0.
        accuracy: shape (strategies, labels, seeds, k), shares in [0, 1].
        rates: shape (strategies, labels), Adam's learning rate.
        ends: name in ENDS -> shape (strategies, labels, seeds), of those that were measured.
    """

    source: str
    data: str
    strategies: tuple[str, ...]
    labels: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: np.ndarray
    accuracy: np.ndarray
    rates: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    ends: dict[str, np.ndarray] = field(default_factory=dict)

    def curve(self, strategy: str, labels: int) -> np.ndarray:
        """Accuracy at each of `steps`, shape (seeds, k).

        Raises:
            ValueError: a strategy or a number of labels that was not measured.
        """
        return self.accuracy[_place("strategy", strategy, self.strategies), _place("labels", labels, self.labels)]

    def final(self, strategy: str, labels: int) -> np.ndarray:
        """Accuracy after the last step, shape (seeds,)."""
        return self.curve(strategy, labels)[:, -1]

    def end(self, name: str, strategy: str, labels: int) -> np.ndarray:
        """One of `ends`, shape (seeds,).

        Raises:
            TypeError, ValueError: what was not measured.
        """
        values = look_up("name", name, self.ends)
        return values[_place("strategy", strategy, self.strategies), _place("labels", labels, self.labels)]

    def rate(self, strategy: str, labels: int) -> float:
        """Adam's learning rate.

        Raises:
            ValueError: a strategy or a number of labels that was not measured.
        """
        place = _place("strategy", strategy, self.strategies), _place("labels", labels, self.labels)
        return float(self.rates[place])

    def steps_to(self, strategy: str, labels: int, accuracy: float) -> np.ndarray:
        """Steps to this accuracy for each seed, shape (seeds,): inf where it was never recorded."""
        reached = self.curve(strategy, labels) >= share("accuracy", accuracy)
        return np.where(reached.any(axis=1), self.steps[reached.argmax(axis=1)], math.inf)

    def margin(self, strategy: str, labels: int, over: str = "random") -> np.ndarray:
        """Final accuracy above that of the strategy `over`, seed by seed, shape (seeds,)."""
        return self.final(strategy, labels) - self.final(over, labels)

    def table(self) -> pd.DataFrame:
        """A row for each strategy and number of labels, over seeds: mean and sample standard deviation of the final accuracy and,
        where "random" was measured, of the margin over it."""
        rows = []
        for strategy in self.strategies:
            for labels in self.labels:
                row = {"strategy": strategy, "labels": labels} | _mean_std("accuracy", self.final(strategy, labels))
                if "random" in self.strategies:
                    row |= _mean_std("margin", self.margin(strategy, labels))
                rows.append(row)
        return pandas().DataFrame(rows).set_index(["strategy", "labels"])

    def save(self, path: str | Path) -> None:
        """Write it as JSON, shares to four decimals."""
        words = {name: getattr(self, name) for name in ("source", "data", "strategies", "labels", "seeds")}
        ends = {name: values.round(4).tolist() for name, values in self.ends.items()}
        numbers = {"steps": self.steps.tolist(), "rates": self.rates.tolist(), "ends": ends}
        numbers["accuracy"] = self.accuracy.round(4).tolist()
        Path(path).write_text(json.dumps(words | numbers, separators=(",", ":")) + "\n", encoding="utf-8", newline="\n")

    @staticmethod
    def load(path: str | Path) -> TransferResult:
        """What `save` wrote."""
        text = file_path("path", path).read_text(encoding="utf-8")
        try:
            stored = json.loads(text)
            tuples = {name: tuple(stored[name]) for name in ("strategies", "labels", "seeds")}
            arrays = {name: np.array(stored[name]) for name in ("steps", "accuracy", "rates")}
            ends = {name: np.array(values) for name, values in stored["ends"].items()}
            return TransferResult(**(stored | tuples | arrays | {"ends": ends}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"path: {path} is not what `save` wrote ({type(error).__name__}: {error})") from error


def few_labels(data: Data, per_class: int, seed: int = 0) -> Data:
    """`data` with only `per_class` of the training samples of each class, drawn by `seed`; the test set stays whole.

    Raises:
        TypeError, ValueError: per_class that is not a whole number from 1 to the size of the smallest class, a negative seed.
    """
    check_data(data)
    per_class, seed = _count("per_class", per_class, data), whole_number("seed", seed, least=0)
    y = data.y_train.cpu()
    order = torch.randperm(len(y), device="cpu", generator=torch.Generator().manual_seed(seed))
    chosen = torch.cat([order[y[order] == c][:per_class] for c in range(data.n_classes)])
    return replace(data, x_train=data.x_train[chosen], y_train=data.y_train[chosen])


def transfer(
    model: str | nn.Module = "curves-cnn",
    data: Data | None = None,
    *,
    strategies: Sequence[str] = tuple(STRATEGIES),
    labels: Sequence[int] = (5, 10, 50, 500),
    seeds: int | Sequence[int] = 5,
    steps: int = 600,
    batch_size: int = 32,
    every: int = 20,
    head: str | None = None,
    fresh: Callable[[int], nn.Module] | None = None,
    scheme: str | Scheme = "he_normal",
    tune: bool = False,
    source: Data | None = None,
    shifted: Data | None = None,
    progress: bool = False,
) -> TransferResult:
    """Train on `data` with few labels, from pretrained and from random weights, over several seeds. `model` itself stays as it is.

    Args:
        model: a name in PRETRAINED, or any nn.Module with a linear head that takes a batch of shape (batch, n_in).
        data: the target task; `mnist1d_large()` if left out.
        strategies: names in STRATEGIES.
        labels: numbers of labelled samples in each class.
        seeds: how many, or which. A seed draws the labels, the batches, the new head, and the random weights.
        steps, batch_size, every: see `train`; a batch is never larger than the labels are.
        head: name of the nn.Linear that a new one with a logit for each class replaces; the last one if left out.
        fresh: seed -> a random network of the same architecture, for "random". If left out, a copy of `model` is drawn anew: its
            layers by `scheme`, its other modules by their own reset_parameters.
        scheme: of random weights; a strategy's head has a scheme of its own.
        tune: choose each strategy's learning rate for each number of labels among its `rates`, by the mean accuracy on every fifth test
            sample; all accuracies in the result are then of the other four. False takes the first.
        source: the data that `model` was trained on, to measure what is left of it in the end.
        shifted: the target's classes under another distribution: its test samples are tried in the end.
        progress: show a tqdm bar.
    Raises:
        TypeError, ValueError: an argument that is not as above.
    """
    name = model if isinstance(model, str) else type(model).__name__
    if isinstance(model, str):
        look_up("model", model, PRETRAINED)
    net = pretrained(model) if isinstance(model, str) else model
    data = mnist1d_large() if data is None else data
    for argument, given in (("data", data), ("source", source), ("shifted", shifted)):
        if given is not None:
            check_data(given, argument)
    chosen = [look_up("strategies", name, STRATEGIES) for name in _several("strategies", strategies)]
    counts = [_count("labels", count, data) for count in _several("labels", labels)]
    numbers = seed_numbers(seeds)
    steps, every, batch_size = (
        whole_number(*pair) for pair in (("steps", steps), ("every", every), ("batch_size", batch_size))
    )
    tune, progress = switch("tune", tune), switch("progress", progress)
    head, scheme = head_name(net, head), get_scheme(scheme)
    if fresh is not None and not callable(fresh):
        raise TypeError(f"fresh: got {got(fresh)}; it takes a function of a seed")
    for argument, given in (("data", data), ("source", source), ("shifted", shifted)):
        if given is not None:
            _refuse_unfit(net, given, argument)
    judged, held_out = _with_validation(data) if tune else (data, None)
    subsets = {(count, seed): few_labels(judged, count, seed) for count, seed in product(counts, numbers)}

    def train_seeds(
        strategy: Strategy, count: int, rate: float
    ) -> tuple[float, list[tuple[np.ndarray, dict[str, float]]]]:
        """Sum of the validation accuracies, and each seed's accuracies and ends."""
        validation, runs = 0.0, []
        for seed in numbers:
            few = subsets[count, seed]
            start = _start(net, strategy, data.n_classes, head, seed, scheme, fresh)
            curve, end = _run(start, head, few, strategy, rate, seed, steps, min(batch_size, len(few.x_train)), every)
            if source is not None:
                end["source_accuracy"] = _remembered(start, head, net, source) if strategy.pretrained else math.nan
            if shifted is not None:
                end["shifted_accuracy"] = share_right(start, shifted.x_test, shifted.y_test)
            validation += share_right(start, *held_out) if held_out else 0.0
            runs.append((curve, end))
        return validation, runs

    rates, runs = [], []
    for strategy, count in _with_bar(list(product(chosen, counts)), progress):
        tried = {rate: train_seeds(strategy, count, rate) for rate in (strategy.rates if tune else strategy.rates[:1])}
        best = max(tried, key=lambda rate: tried[rate][0])
        rates.append(best)
        runs += tried[best][1]
    shape = (len(chosen), len(counts), len(numbers))
    recorded = np.array(sorted({*range(0, steps, every), steps}))
    return TransferResult(
        name, data.name, tuple(s.name for s in chosen), tuple(counts), numbers, recorded,
        accuracy=np.reshape([curve for curve, _ in runs], (*shape, len(recorded))),
        rates=np.reshape(rates, shape[:2]),
        ends={name: np.reshape([end[name] for _, end in runs], shape) for name in runs[0][1]},
    )  # fmt: skip


def in_words(result: TransferResult, labels: int, strategy: str) -> str:
    """What one strategy reached with this many labels per class, and by how much it beats random: means ± standard deviations in words.

    Raises:
        ValueError: a strategy or a number of labels that was not measured.
    """
    if not isinstance(result, TransferResult):
        raise TypeError(f"result: got {got(result)}; it takes what initviz.transfer returns")
    final = result.final(strategy, labels)
    words = f"{labels} labels per class, {strategy.replace('_', ' ')}"
    words += f" from {result.source}" if STRATEGIES[strategy].pretrained else ""
    words += f": {100 * final.mean():.0f} ± {100 * sample_std(final):.0f} % after {result.steps[-1]} steps"
    if strategy == "random" or "random" not in result.strategies:
        return f"{words} ({len(final)} seeds)."
    margin = 100 * result.margin(strategy, labels)
    random = 100 * result.final("random", labels).mean()
    side = "above" if margin.mean() >= 0 else "below"
    return f"{words}, {abs(margin.mean()):.0f} ± {sample_std(margin):.0f} points {side} random's {random:.0f} % ({len(final)} seeds)."


def head_name(model: nn.Module, head: str | None = None) -> str:
    """The name of the linear layer `head` of `model`; of its last one if left out.

    Raises:
        TypeError, ValueError: no nn.Module, or none with such a layer.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}; it takes a torch.nn.Module or a name such as 'curves-cnn'")
    linears = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear) and name}
    if not linears:
        raise ValueError("model: has no nn.Linear to be its head")
    if head is not None:
        look_up("head", head, linears)
        return head
    return list(linears)[-1]


@torch.no_grad()
def _refuse_unfit(model: nn.Module, data: Data, argument: str) -> None:
    """Raises ValueError if the model can't take these samples."""
    x = data.x_test[:2].to(next(model.parameters()).device)
    with evaluating(model), random_states({x.device}):
        try:
            model(x)
        except Exception as error:
            shape = tuple(x.shape)
            raise ValueError(
                f"{argument}: the model can't take {data.name}, a batch of shape {shape}: {first_line(error)}"
            ) from error


def _start(
    model: nn.Module,
    strategy: Strategy,
    n_classes: int,
    head: str,
    seed: int,
    scheme: str | Scheme,
    fresh: Callable[[int], nn.Module] | None,
) -> nn.Module:
    """A network as training begins: a copy with a new head."""
    if fresh and not strategy.pretrained:
        net = fresh(seed)
        if not isinstance(net, nn.Module):
            raise TypeError(f"fresh: gave {got(net)}; it must give a torch.nn.Module")
        head_name(net, head)
    else:
        net = copy.deepcopy(model)
        net = net if strategy.pretrained else _drawn_anew(net, scheme, seed)
    old = cast(nn.Linear, net.get_submodule(head))
    new = nn.utils.skip_init(nn.Linear, old.in_features, n_classes, device=old.weight.device, dtype=old.weight.dtype)
    parent, _, name = head.rpartition(".")
    setattr(net.get_submodule(parent), name, init_(new, strategy.head or scheme, seed=seed))
    return net


def _drawn_anew(net: nn.Module, scheme: str | Scheme, seed: int) -> nn.Module:
    """`net` with nothing left of its weights."""
    kept = {id(parameter): name for name, parameter in net.named_parameters()}
    with random_states({parameter.device for parameter in net.parameters()}, seed):
        for module in net.modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            if callable(reset) or is_drawn(module):
                for parameter in module.parameters(recurse=False):
                    kept.pop(id(parameter), None)
    if kept:
        raise ValueError(
            f"model: {next(iter(kept.values()))} has no rule to draw it anew; "
            "give fresh=, a function of the seed that makes a random network"
        )
    return init_(net, scheme, seed=seed)


def _run(
    net: nn.Module, head: str, data: Data, strategy: Strategy, rate: float, seed: int, steps: int, batch_size: int, every: int
) -> tuple[np.ndarray, dict[str, float]]:  # fmt: skip
    """Train it. Accuracy at each recorded step, shape (k,), and what is measured of any network in the end."""
    start = {name: value.detach().clone() for name, value in _body(net, head).items()}
    parts: list[float] = []
    done = 0
    for number, (part, body, factor) in enumerate(strategy.phases, start=1):
        ends = steps if number == len(strategy.phases) else min(steps, round((done + part * steps) / every) * every)
        if ends == done:
            continue
        for parameter in net.parameters():
            parameter.requires_grad_(True)
        history = train(
            net.train() if body else net.get_submodule(head),
            data if body else features(net, head, data),
            steps=ends - done,
            batch_size=batch_size,
            lr=rate * factor,
            optimizer="adam",
            seed=seed,
            every=every,
        )
        wanted = np.array(sorted({*range(0, ends - done, every), ends - done}))
        last = np.searchsorted(history.steps, wanted, side="right") - 1  # a diverged run stays where it ended
        parts = [*parts[: len(parts) - bool(done)], *history.accuracy[last]]
        done = ends
    moved = sum(float((value.detach() - start[name]).square().sum()) for name, value in _body(net, head).items())
    norm = sum(float(value.square().sum()) for value in start.values())
    return np.array(parts), {
        "train_accuracy": share_right(net, data.x_train, data.y_train),
        "moved": math.sqrt(moved / norm) if norm else math.nan,
    }


def _body(net: nn.Module, head: str) -> dict[str, nn.Parameter]:
    return {name: value for name, value in net.named_parameters() if not name.startswith(f"{head}.")}


def _remembered(net: nn.Module, head: str, model: nn.Module, source: Data) -> float:
    """Test accuracy on `source` of the body of `net` under the head of `model`."""
    parent, _, name = head.rpartition(".")
    place, new = net.get_submodule(parent), net.get_submodule(head)
    setattr(place, name, model.get_submodule(head))
    try:
        return share_right(net, source.x_test, source.y_test)
    finally:
        setattr(place, name, new)


def _with_validation(data: Data) -> tuple[Data, tuple[Tensor, Tensor]]:
    """`data` with four fifths of its test samples, and the others."""
    held_out = torch.arange(len(data.x_test), device=data.x_test.device) % VALIDATION == 0
    rest = replace(data, x_test=data.x_test[~held_out], y_test=data.y_test[~held_out])
    return rest, (data.x_test[held_out], data.y_test[held_out])


def features(model: nn.Module, head: str, data: Data) -> Data:
    """`data` as the head of `model` sees it, in eval mode: what a frozen body makes of it, computed once instead of every step.

    Args:
        model: any nn.Module.
        head: name of its nn.Linear.
        data: what `model` takes.
    Raises:
        ValueError: a head that is not called once.
    """
    seen: list[Tensor] = []
    device = next(model.parameters()).device

    def see(_: nn.Module, args: tuple, kwargs: dict) -> None:
        seen.append(next(iter([*args, *kwargs.values()])).flatten(1))

    hook = model.get_submodule(head).register_forward_pre_hook(see, with_kwargs=True)
    try:
        with torch.no_grad(), evaluating(model):
            for x in (data.x_train, data.x_test):
                model(x.to(device))
    finally:
        hook.remove()
    if len(seen) != 2:
        raise ValueError(f"head: {head!r} is called {len(seen) / 2:g} times a pass; it must be called once")
    x_train, x_test = (x.to(data.x_train.device) for x in seen)
    return replace(data, name=f"features of {data.name}", x_train=x_train, x_test=x_test)


def _count(argument: str, value: object, data: Data) -> int:
    """`value` as a number of labels that every class of `data` has."""
    count = whole_number(argument, value)
    smallest = int(data.y_train.bincount(minlength=data.n_classes).min())
    if count > smallest:
        raise ValueError(f"{argument}: got {count}; the smallest class of {data.name} has {smallest} training samples")
    return count


def _several(argument: str, values: Sequence) -> Sequence:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(f"{argument}: got {got(values)}; it takes a list")
    if not len(values):
        raise ValueError(f"{argument}: got none; it takes at least one")
    return values


def _with_bar(runs: list, progress: bool) -> Iterator:
    if not progress:
        return iter(runs)
    from tqdm.auto import tqdm

    return iter(tqdm(runs, unit="run"))


def _mean_std(name: str, values: np.ndarray) -> dict[str, float]:
    return {f"{name}_mean": float(values.mean()), f"{name}_std": sample_std(values)}


def _place(argument: str, value: object, known: tuple) -> int:
    try:
        return known.index(value)
    except (ValueError, TypeError, RuntimeError):  # none of them; an array, which is not equal as a whole
        what = repr(value) if isinstance(value, str | int) else got(value)
        raise ValueError(f"{argument}: got {what}; measured were {', '.join(map(str, known))}") from None
