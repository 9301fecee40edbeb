"""One update of the explorer against the ways in which people look at a network's layers now: the same network, batch and layers.

Each way makes its own forward and backward pass, keeps the activations and their gradients with hooks, and draws or writes the
histograms of every layer as its users do.

- seaborn: `sns.histplot` for each layer in a grid of axes, as the tutorials of the University of Amsterdam do.
- torch.histogram, a line a layer, `savefig`: as in "makemore", part 3.
- TensorBoard: `SummaryWriter.add_histogram`. It writes an event file; the picture, drawn in its own page, comes on top.
- numpy: `np.histogram` of whole tensors, bar charts in a grid.
- Weights & Biases: `wandb.watch` takes the smallest and the largest value and `torch.histc` over 64 cells of whole tensors, and
  moves them to Python lists (of parameters and their gradients; here it is done for the same tensors as by the others).
- torchexplorer: a random sample of 100 values of each tensor, put into a histogram on the host.
- torchlens: keeps a copy of what every operation gives back, before anything is made of it.

The last three are rebuilt from what their documentation says, without their servers, and draw nothing here.
"""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Callable

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import initviz as iv
from benchmarks.common import BATCH, DEPTH, WIDTH, Table, interleaved, median, median_ratio, network, run_alone, verdict
from benchmarks.update import explorer, mover, moves

SEABORN_LIMIT, OTHERS_LIMIT = 60, 1

Values = list[Tensor]


def captured(net: iv.models.MLP, x: Tensor, y: Tensor) -> tuple[Values, Values]:
    """Activations and their gradients of each hidden layer, kept by hooks."""
    activations: Values = []

    def keep(module: nn.Module, args: tuple, output: Tensor) -> None:
        output.retain_grad()
        activations.append(output)

    handle = net.activation.register_forward_hook(keep)
    F.cross_entropy(net(x), y).backward()
    handle.remove()
    gradients = [a.grad for a in activations]
    for parameter in net.parameters():
        parameter.grad = None
    return [a.detach() for a in activations], gradients


def saved(figure) -> bytes:
    from matplotlib import pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return buffer.getvalue()


def seaborn_grid(net, x, y) -> list[bytes]:
    import seaborn as sns
    from matplotlib import pyplot as plt

    pictures = []
    for values, color in zip(captured(net, x, y), ("C0", "C1")):
        columns = 4
        rows = math.ceil(len(values) / columns)
        figure, axes = plt.subplots(rows, columns, figsize=(columns * 2.7, rows * 2.5))
        for number, (layer, ax) in enumerate(zip(values, axes.flat)):
            sns.histplot(data=layer.flatten().numpy(), bins=50, ax=ax, color=color, kde=False, stat="density")
            ax.set_title(f"Layer {number}")
        figure.subplots_adjust(hspace=0.4, wspace=0.4)
        pictures.append(saved(figure))
    return pictures


def makemore_lines(net, x, y) -> list[bytes]:
    from matplotlib import pyplot as plt

    pictures = []
    for values in captured(net, x, y):
        figure = plt.figure(figsize=(20, 4))
        for number, layer in enumerate(values):
            counts, edges = torch.histogram(layer, density=True)
            plt.plot(edges[:-1], counts, label=f"layer {number}")
        pictures.append(saved(figure))
    return pictures


def tensorboard_events(folder: str) -> Callable:
    from torch.utils.tensorboard import SummaryWriter

    def way(net, x, y) -> None:
        with SummaryWriter(folder) as writer:
            for kind, values in zip(("activation", "gradient"), captured(net, x, y)):
                for number, layer in enumerate(values):
                    writer.add_histogram(f"{kind}/{number}", layer, 0)

    return way


def numpy_bars(net, x, y) -> list[bytes]:
    from matplotlib import pyplot as plt

    pictures = []
    for values in captured(net, x, y):
        figure, axes = plt.subplots(math.ceil(len(values) / 10), 10, figsize=(16, 9))
        for layer, ax in zip(values, axes.flat):
            counts, edges = np.histogram(layer.numpy(), bins=50)
            ax.bar(edges[:-1], counts, width=np.diff(edges), align="edge")
        pictures.append(saved(figure))
    return pictures


def wandb_histograms(net, x, y) -> list:
    found = []
    for values in captured(net, x, y):
        for layer in values:
            flat = layer.reshape(-1)
            flat = flat[~torch.isnan(flat)]
            low, high = flat.min().item(), flat.max().item()
            found.append((flat.histc(64, min=low, max=high).tolist(), torch.linspace(low, high, 65).tolist()))
    return found


def torchexplorer_histograms(net, x, y) -> list:
    found = []
    for values in captured(net, x, y):
        for layer in values:
            sample = layer.reshape(-1)[torch.randint(layer.numel(), (100,))]
            found.append(np.histogram(sample.cpu().numpy(), bins=20))
    return found


def torchlens_copies(net, x, y) -> list[Tensor]:
    class Copies(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            output = func(*args, **(kwargs or {}))
            if isinstance(output, Tensor) and output.is_floating_point():
                kept.append(output.detach().clone())
                if output.requires_grad:
                    output.register_hook(lambda gradient: kept.append(gradient.detach().clone()))
            return output

    kept: list[Tensor] = []
    with Copies():
        value = F.cross_entropy(net(x), y)
    value.backward()
    for parameter in net.parameters():
        parameter.grad = None
    return kept


def tables(quick: bool = False) -> list[Table]:
    matplotlib.use("Agg")
    net, x, y = network()
    with tempfile.TemporaryDirectory() as folder:
        own = "initviz explorer"
        board = tensorboard_events(folder)
        fast = {
            own: mover(explorer(), moves()["scale"]),
            "torch.histogram + plt.plot + savefig": lambda: makemore_lines(net, x, y),
            "TensorBoard add_histogram (no picture yet)": lambda: board(net, x, y),
            "wandb.watch's way (no picture yet)": lambda: wandb_histograms(net, x, y),
            "torchexplorer's way, 100 values (no picture yet)": lambda: torchexplorer_histograms(net, x, y),
            "torchlens's way, copies alone (no picture yet)": lambda: torchlens_copies(net, x, y),
        }
        slow = {
            own: fast[own],
            "numpy histograms, an axes of bars a layer": lambda: numpy_bars(net, x, y),
            "seaborn histplot, an axes a layer": lambda: seaborn_grid(net, x, y),
        }
        groups = [
            interleaved(fast, repeats=3 if quick else 15),
            interleaved(slow, repeats=1 if quick else 5, warm_up=1),
        ]
    rows = [(own, f"{median(groups[0][own]):.0f}", "1.0x", "-", "-")]
    for times in groups:
        for name in times:
            if name != own:
                ratio = median_ratio(times, name, own)
                if "way" in name:  # less work than a picture of every layer: no target
                    rows.append((name, f"{median(times[name]):.0f}", f"{ratio:.1f}x", "-", "-"))
                    continue
                limit = SEABORN_LIMIT if name.startswith("seaborn") else OTHERS_LIMIT
                target = f">= {limit}x" if limit > 1 else "> 1x"
                rows.append(
                    (name, f"{median(times[name]):.0f}", f"{ratio:.1f}x", target, verdict(ratio, limit, at_least=True))
                )
    title = f"Histograms of activations and gradients of all layers, once (depth {DEPTH}, width {WIDTH}, batch {BATCH})"
    return [Table(title, ("way", "ms", "of the explorer", "target", ""), tuple(rows))]


if __name__ == "__main__":
    run_alone(tables)
