"""`python -m initviz pretrain [name ...]`: train the networks that ship with initviz, and write their weights and cards.

The same command gives the same numbers on the same machine; on another one the last digits of floating-point sums differ, and
the accuracy by about half a percent.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from initviz._core.arguments import look_up
from initviz.models import CHANNELS, PRETRAINED, Card, SourceTask, signal_cnn
from initviz.training import evaluating, train

LR, BATCH = 3e-3, 128


def pretrain(task: SourceTask) -> tuple[nn.Sequential, Card]:
    """Train a `signal_cnn` on `task`: the network and its card."""
    data = task.data()
    net = signal_cnn(data.n_classes, seed=task.seed)
    for steps, lr in zip(task.steps, (LR, LR / 10)):
        history = train(net, data, steps=steps, batch_size=BATCH, lr=lr, optimizer="adam", seed=task.seed, every=steps)
    made = Card(
        name=task.name,
        task=task.words,
        data=f"initviz.datasets.{task.data.__name__}(), {len(data.x_train):,} training and {len(data.x_test):,} test signals",
        network=f"initviz.models.signal_cnn({data.n_classes}), {CHANNELS} channels",
        parameters=sum(p.numel() for p in net.parameters()),
        training=f"Adam, batch {BATCH}, {task.steps[0]} steps at rate {LR:g} and {task.steps[1]} at {LR / 10:g}, seed {task.seed}",
        command=f"python -m initviz pretrain {task.name}",
        n_classes=data.n_classes,
        accuracy=round(history.final_accuracy, 4),
    )
    return net, made


def write(net: nn.Module, made: Card, folder: Path) -> None:
    """Write the weights and the card into `folder`."""
    with evaluating(net):
        save_file(
            {name: value.contiguous() for name, value in net.state_dict().items()}, folder / f"{made.name}.safetensors"
        )
    (folder / f"{made.name}.json").write_text(json.dumps(asdict(made), indent=1) + "\n", encoding="utf-8", newline="\n")


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m initviz pretrain", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(PRETRAINED)}; all if left out")
    parser.add_argument("--folder", type=Path, default=Path(), help="where to write (default: here)")
    parser.add_argument("--steps", type=int, help="updates, instead of the task's own number")
    options = parser.parse_args(arguments)
    for name in options.names or PRETRAINED:
        task = look_up("name", name, PRETRAINED)
        if options.steps is not None:
            task = replace(task, steps=(options.steps, options.steps))
        net, made = pretrain(task)
        write(net, made, options.folder)
        print(made)
