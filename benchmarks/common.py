"""What every benchmark shares: the network, the bare pass it is compared with, interleaved timing, and tables."""

from __future__ import annotations

import argparse
import gc
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DEPTH, WIDTH, BATCH, ACTIVATION, SCHEME = 50, 256, 256, "tanh", "xavier_normal"
SHOWN = ("activation", "preactivation_gradient")
"""What the explorer's two panels show: activations and gradients of every layer."""


@dataclass(frozen=True)
class Table:
    """Rows under a heading. `target` is met, missed or (None) not set, row by row: the last column says so."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def text(self, markdown: bool = False) -> str:
        """The table with its columns lined up, or in Markdown."""
        cells = [[str(cell) for cell in row] for row in (self.columns, *self.rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = ["  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
                 for row in cells]  # fmt: skip
        if markdown:
            lines = ["| " + " | ".join(row) + " |" for row in cells]
            lines.insert(1, "|---|" + "---:|" * (len(self.columns) - 1))
            return f"**{self.title}**\n\n" + "\n".join(lines) + "\n"
        lines.insert(1, "-" * len(lines[0]))
        return f"{self.title}\n\n" + "\n".join(lines) + "\n"


def verdict(value: float, limit: float, at_least: bool = False) -> str:
    """ "met" or "MISSED"."""
    return "met" if (value >= limit if at_least else value <= limit) else "MISSED"


def network(depth: int = DEPTH, width: int = WIDTH) -> tuple[nn.Module, Tensor, Tensor]:
    """A network and a batch of digits for it: (net, x, y)."""
    import initviz as iv  # here, so that the GPU's section runs where there is nothing but torch

    x, y = iv.digits().batch(BATCH, seed=0)
    return iv.mlp(depth, width, ACTIVATION, SCHEME, n_in=x.shape[1], n_out=10), x, y


def bare(net: nn.Module, x: Tensor, y: Tensor) -> None:
    """One forward and one backward pass, as a training step makes them."""
    F.cross_entropy(net(x), y).backward()
    for parameter in net.parameters():
        parameter.grad = None


def interleaved(
    ways: Mapping[str, Callable[[], Any]], repeats: int, warm_up: int = 2, before: Callable[[], Any] = lambda: None
) -> dict[str, list[float]]:
    """Milliseconds of each way, `repeats` times in turn: a, b, c, then c, b, a, and so on; `before` each, and not timed, what is done
    while no one waits.

    The ways of one round meet the same state of the machine, so ratios within a round are steady where times are not.
    """
    for _ in range(warm_up):
        for way in ways.values():
            before()
            way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    gc.collect()
    for number in range(repeats):
        names = list(ways)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            before()
            start = time.perf_counter()
            ways[name]()
            times[name].append(1000 * (time.perf_counter() - start))
    return times


def median_ratio(times: Mapping[str, list[float]], name: str, base: str) -> float:
    """The median over rounds of name's time over base's."""
    return statistics.median(a / b for a, b in zip(times[name], times[base], strict=True))


def median(values: list[float]) -> float:
    return statistics.median(values)


def machine() -> str:
    """The machine in a line: what its processor is called, and what torch runs on it."""
    about = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    named = re.search(r"model name\s*: (.+)", about)
    processor = named[1].strip() if named else platform.processor() or platform.machine()
    gpu = f" and {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{processor}{gpu}, {os.cpu_count()} cores, torch {torch.__version__.split('+')[0]} with {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, {platform.system()}"
    )


def run_alone(tables: Callable[[bool], list[Table]]) -> None:
    """The main function of one benchmark's script."""
    options = arguments().parse_args()
    for table in tables(options.quick):
        print(table.text(options.markdown))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables, as the README quotes them")
    parser.add_argument("--quick", action="store_true", help="few repetitions: to see that it runs, not how fast")
    return parser
