"""The coordinate check: how the outputs of each layer, and what a few steps change in them, grow with the width of a network."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from initviz._core.arguments import FASTEST, got, look_up, real_number, seed_numbers, several, whole_number
from initviz._core.batches import batch_size
from initviz._core.devices import in_float64
from initviz._core.layers import bare, layers_of
from initviz._core.outputs import real_tensors
from initviz._core.restore import random_states
from initviz._core.scaling import role_of
from initviz._core.statistics import sample_std
from initviz.inspection import loss_on
from initviz.training import OPTIMIZERS

FLAT = 0.25
"""A slope of at most so much, and one standard error, counts as 0: the powers of the width that theory knows are multiples of 1/2."""
QUANTITIES = {"size": "mean |h|", "change": "mean |dh|"}


@dataclass(frozen=True)
class CoordCheck:
    """Networks of W widths from S seeds, in t steps, layer by layer (L of them).

    Attributes:
        widths: shape (W,).
        layers: names of the layers; one that is called again is "name#2".
        roles: of each layer: "input", "hidden" or "output", by which of its fans grow; "fixed" if none, "unknown" if it can't be told.
        seeds: of each network.
        size: shape (S, W, t + 1, L), mean |h| of the layer's output on the batch, after 0, 1, ..., t steps.
        change: the same shape, mean |h - h at the start|.
        loss: shape (S, W, t + 1).
    """

    widths: np.ndarray
    layers: tuple[str, ...]
    roles: tuple[str, ...]
    seeds: tuple[int, ...]
    size: np.ndarray
    change: np.ndarray
    loss: np.ndarray

    @property
    def steps(self) -> int:
        return self.size.shape[2] - 1

    def slopes(self, quantity: str = "change", step: int | None = None) -> np.ndarray:
        """Shape (S, L): the power of the width with which a quantity of QUANTITIES grows after so many steps (None: all of them), by
        least squares of logarithms. Infinite or NaN where a value is 0 or not finite.

        Raises:
            TypeError, ValueError: no such quantity or step.
        """
        look_up("quantity", quantity, QUANTITIES)
        step = self.steps if step is None else whole_number("step", step, least=0)
        if step > self.steps:
            raise ValueError(f"step: got {step}; there are {self.steps}")
        x = np.log2(self.widths) - np.log2(self.widths).mean()
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.einsum("swl,w->sl", np.log2(getattr(self, quantity)[:, :, step]), x) / (x @ x)

    @property
    def findings(self) -> tuple[str, ...]:
        """What does not keep its order over the widths, a sentence a layer; empty if all do.

        At the start an output that shrinks is none: in muP it does so, and the first step ends it.
        """
        found = []
        starts, ends = self.slopes("size", 0), self.slopes("change")
        took, change = (f"{self.steps} steps", "change") if self.steps > 1 else ("1 step", "changes")
        for index, (name, role) in enumerate(zip(self.layers, self.roles)):
            start, end = starts[:, index], ends[:, index]
            if not np.isfinite(self.size[..., index]).all():
                found.append(f"{name}: not finite within {took}; take a smaller learning rate.")
            elif not (self.change[:, :, -1, index] > 0).all():
                found.append(f"{name}: {took} {change} nothing in it.")
            elif not np.isfinite(start).all():
                found.append(f"{name}: zero at the start at some width.")
            elif (way := _way(start)) and (way, role) != ("shrinks", "output"):
                found.append(f"{name}: {way} as width^{_words(start)} at the start, before any step.")
            elif way := _way(end):
                less = ": it learns less the wider it is" if way == "shrinks" else ""
                found.append(f"{name}: what {took} {change} in it {way} as width^{_words(end)}{less}.")
        return tuple(found)

    def __str__(self) -> str:
        counts = [f"{n} {word}{'s' * (n > 1)}" for n, word in ((self.steps, "step"), (len(self.seeds), "seed"))]
        over = f"widths {self.widths[0]} to {self.widths[-1]}, {', '.join(counts)}"
        if not self.findings:
            ends = self.slopes().mean(axis=0)
            slopes = f"slopes {ends.min():+.2f} to {ends.max():+.2f}".replace("-0.00", "+0.00")
            return f"FLAT: every layer changes alike at all widths ({over}; {slopes})."
        head = f"NOT FLAT: {len(self.findings)} of {len(self.layers)} layers go with the width ({over})."
        return "\n".join([head, *self.findings])


def coord_check(
    make_model: Callable[[int, int], nn.Module],
    x: Any,
    y: Any = None,
    *,
    widths: Sequence[int] = (64, 128, 256, 512),
    steps: int = 4,
    optimizer: str | Callable[[nn.Module], torch.optim.Optimizer] = "sgd",
    lr: float | None = None,
    loss: Callable[[Any, Any], Tensor] | None = None,
    seeds: int | Sequence[int] = 5,
) -> CoordCheck:
    """Does a network learn alike at every width? Train it for a few steps on one batch at several widths, and measure by layer, at each
    step, how large its outputs h are and how far they have moved from the start.

    If mean |dh| goes as a power of the width other than 0, a learning rate that suits one width does not suit another: the layer moves too
    much on wide networks (a power above 0) or not at all (below). In the maximal update parametrization all are 0 (Yang et al. 2021,
    arXiv 2203.03466; the check is that of their package `mup`, which looks at mean |h|). `initviz.theory.width_exponents` has
    the powers that are to be expected. A small batch will do, and a rate at which the loss falls but does not explode.

        base = iv.mlp(3, 64)
        def make_model(width, seed):
            return iv.init_(iv.mlp(3, width), "he_normal", mup_base=base, seed=seed)
        def adam(net):
            return torch.optim.Adam(iv.training.mup_groups(net, base, lr=0.01, optimizer="adam"))
        print(iv.coord_check(make_model, x, y, optimizer=adam))

    Args:
        make_model: (width, seed) -> a new network, which is trained and thrown away. torch's, numpy's and Python's random states begin
            at the seed while it runs, so that a model that draws from them may leave `seed` alone.
        x, y, loss: the batch and the loss, as for `probe`.
        widths: two or more.
        steps: updates to make.
        optimizer: "sgd" or "adam" with one learning rate for all, or a function of the network that gives its optimizer.
        lr: of "sgd" (None: 0.1) or "adam" (None: 0.001).
        seeds: how many, or which.
    Returns:
        A `CoordCheck`. As text it says which layers go with the width, and how; `initviz.plots.coord_check` draws it.
    Raises:
        TypeError, ValueError: an argument that is not as above; networks that differ in more than their width.
    """
    if not callable(make_model):
        raise TypeError(f"make_model: got {type(make_model).__name__}; it takes a function (width, seed) -> network")
    sizes = sorted({whole_number("widths", width) for width in several("widths", widths)})
    if len(sizes) < 2:
        raise ValueError(f"widths: got {len(sizes)}; a slope takes two or more")
    steps, numbers = whole_number("steps", steps), seed_numbers(seeds)
    make_optimizer = _optimizer(optimizer, lr)
    batch_size(x)
    runs, narrow = [], None
    seen: weakref.WeakSet[nn.Module] = weakref.WeakSet()
    for seed in numbers:
        for width in sizes:
            with random_states(seed=seed):
                model = make_model(width, seed)
                if not isinstance(model, nn.Module):
                    raise TypeError(f"make_model: gave {type(model).__name__}; it must give a torch.nn.Module")
                if model in seen:
                    raise ValueError(
                        "make_model: gave a network that it gave before; it must build a new one each time"
                    )
                seen.add(model)
                layers = layers_of(bare(model))
                names, run = _run(model, layers, make_optimizer, x, y, loss, steps, seed)
            if narrow is None:
                narrow, layer_names = layers, names
            if names != layer_names:
                raise ValueError(
                    f"make_model: gives other layers at width {width}, seed {seed} than at width {sizes[0]}, seed {numbers[0]}"
                )
            runs.append(run)
            wide = layers
    assert narrow is not None
    by_name = {name: role_of(layer, other) for (layer, name), other in zip(wide.items(), narrow)}
    shape = len(numbers), len(sizes), steps + 1
    size, change, losses = (np.stack(part).reshape(*shape, *np.shape(part)[2:]) for part in zip(*runs))
    roles = tuple(by_name[name.partition("#")[0]] for name in layer_names)
    return CoordCheck(np.array(sizes), layer_names, roles, numbers, size, change, losses)


def _optimizer(optimizer: Any, lr: float | None) -> Callable[[nn.Module], torch.optim.Optimizer]:
    if callable(optimizer):
        if lr is not None:
            raise ValueError(f"lr: got {lr}; an optimizer that is a function has its own")
        return optimizer
    make = look_up("optimizer", optimizer, OPTIMIZERS)
    rate = (0.1 if optimizer == "sgd" else 0.001) if lr is None else real_number("lr", lr, most=FASTEST)
    return lambda model: make(model.parameters(), lr=rate)


def _run(
    model: nn.Module,
    layers: dict[nn.Module, str],
    make_optimizer: Callable,
    x: Any,
    y: Any,
    loss: Any,
    steps: int,
    seed: int,
) -> tuple[tuple[str, ...], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Names of the layers' calls, and their sizes and changes, shape (steps + 1, L), and the losses, shape (steps + 1,)."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            tensor = next(real_tensors(output), None)
            if tensor is not None:
                count = sum(key.partition("#")[0] == name for key in outputs)
                outputs[name if not count else f"{name}#{count + 1}"] = tensor.detach().clone()

        return hook

    updates = make_optimizer(model)
    if not isinstance(updates, torch.optim.Optimizer):
        raise TypeError(f"optimizer: gave {got(updates)}; it must give a torch.optim.Optimizer")
    handles = [layer.register_forward_hook(keep(name)) for layer, name in layers.items()]
    rows: list[tuple[list[float], list[float], float]] = []
    start: dict[str, Tensor] = {}
    names: tuple[str, ...] = ()
    try:
        for step in range(steps + 1):
            outputs.clear()
            with random_states(
                {p.device for p in model.parameters()}, seed
            ):  # dropout drops the same units at each step
                value = loss_on(model, x, y, loss)
            if step == 0:
                start, names = dict(outputs), tuple(outputs)
            if tuple(outputs) != names:
                raise ValueError("make_model: its network calls other layers at one step than at another")
            with torch.no_grad():
                sizes = [float(in_float64(h).abs().mean()) for h in outputs.values()]
                changes = [float((in_float64(h) - in_float64(start[name])).abs().mean()) for name, h in outputs.items()]
            rows.append((sizes, changes, float(value.detach())))
            if step < steps:
                updates.zero_grad()
                value.backward()
                updates.step()
    finally:
        for handle in handles:
            handle.remove()
    size, change, losses = zip(*rows)
    return names, (np.array(size), np.array(change), np.array(losses))


def _way(slopes: np.ndarray) -> str:
    """ "grows", "shrinks", or nothing where the slopes of the seeds are 0 by FLAT."""
    mean, error = slopes.mean(), sample_std(slopes) / np.sqrt(len(slopes))
    return "" if abs(mean) <= FLAT + error else "grows" if mean > 0 else "shrinks"


def _words(slopes: np.ndarray) -> str:
    """Mean and standard deviation over seeds."""
    spread = f" ± {sample_std(slopes):.2f}" if len(slopes) > 1 else ""
    return f"{slopes.mean():.2f}{spread}"
