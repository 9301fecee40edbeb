"""LSUV in one pass of the model against LSUV by the letter, which passes the whole batch for each look at a layer."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

import initviz as iv
from benchmarks.common import BATCH, Table, interleaved, median, median_ratio, run_alone, verdict

LIMIT = 0.5
"""At most such a share of the plain way's time."""


def by_the_letter(model: nn.Module, x: Tensor, *, tol: float = 0.1, max_iter: int = 10) -> int:
    """Algorithm 1 of Mishkin & Matas 2016 as it is printed, from the orthonormal weights on. Changes them as `iv.lsuv_` does.

    Returns:
        The number of passes.
    """
    order: list[nn.Module] = []
    outputs: dict[nn.Module, Tensor] = {}

    def note(module: nn.Module, _: tuple, output: Tensor) -> None:
        order.append(module)
        outputs[module] = output.clone()

    handles = [
        m.register_forward_hook(note) for m in model.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)
    ]
    passes = 0

    def spread(layer: nn.Module) -> float:
        nonlocal passes
        passes += 1
        model(x)
        return outputs[layer].double().var(correction=0).item()

    with torch.no_grad():
        model(x)
        for layer in dict.fromkeys(order):
            variance = spread(layer)
            tries = 0
            while abs(variance - 1) >= tol and tries < max_iter:
                layer.weight /= variance**0.5  # type: ignore[operator]
                tries += 1
                variance = spread(layer)
    for handle in handles:
        handle.remove()
    return passes


def plain_cnn(depth: int = 12, channels: int = 32) -> tuple[nn.Module, Tensor]:
    """A plain ReLU network of 3 x 3 convolutions with a linear head, and digits as 8 x 8 images."""
    layers: list[nn.Module] = []
    for number in range(depth):
        layers += [nn.Conv2d(channels if number else 1, channels, 3, padding=1), nn.ReLU()]
    x, _ = iv.digits().batch(BATCH, seed=0)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * channels, 10)), x.reshape(-1, 1, 8, 8)


def tables(quick: bool = False) -> list[Table]:
    x, _ = iv.digits().batch(BATCH, seed=0)
    networks = {
        "MLP, 10 layers of 256, tanh": (iv.mlp(10, 256, "tanh", "orthogonal"), x),
        "MLP, 50 layers of 256, tanh": (iv.mlp(50, 256, "tanh", "orthogonal"), x),
        "CNN, 12 layers of 32, ReLU": plain_cnn(),
    }
    rows = []
    for name, (net, batch) in networks.items():
        iv.init_(net, "orthogonal")
        letter, ours = copy.deepcopy(net), copy.deepcopy(net)
        start = net.state_dict()  # the orthonormal matrices are made once: both ways begin with the same

        def by_letter(net=letter, x=batch, start=start) -> int:
            net.load_state_dict(start)
            return by_the_letter(net, x)

        def in_one_pass(net=ours, x=batch, start=start) -> iv.initializers.LsuvTrace:
            net.load_state_dict(start)
            return iv.lsuv_(net, x, orthonormal=False)

        passes, trace = by_letter(), in_one_pass()
        ways: dict[str, Callable[[], object]] = {"letter": by_letter, "ours": in_one_pass}
        times = interleaved(ways, repeats=1 if quick else 3, warm_up=0)
        ratio = median_ratio(times, "ours", "letter")
        rows.append(
            (
                name,
                f"{passes}",
                f"{trace.passes} + {trace.recomputed} layers",
                f"{median(times['letter']):.0f}",
                f"{median(times['ours']):.0f}",
                f"{1 / ratio:.0f}x",
                f"{difference(letter, ours):.0e}",
                verdict(ratio, LIMIT),
            )
        )
    title = f"LSUV: one pass against a pass for each look at a layer (batch {BATCH}, orthonormal matrices ready)"
    columns = ("network", "passes, letter", "passes, ours", "ms, letter", "ms, ours", "faster", "weights differ by", "")
    return [Table(title, columns, tuple(rows))]


def difference(one: nn.Module, other: nn.Module) -> float:
    """The largest difference between the parameters of two networks, as a share of each parameter's largest value."""
    pairs = zip(one.parameters(), other.parameters())
    return max(((p - q).abs().max() / p.abs().max().clamp(min=1e-30)).item() for p, q in pairs)


if __name__ == "__main__":
    run_alone(tables)
