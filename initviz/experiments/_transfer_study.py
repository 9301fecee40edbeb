"""`python -m initviz transfer-study`: measure what the shipped weights are worth.

Six seeds, six numbers of labels, four strategies, both sources: some five minutes on one core. `transfer_study(source)` reads
the figures that ship beside the weights.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from initviz._core.arguments import look_up
from initviz.models import FOLDER, PRETRAINED
from initviz.training import STRATEGIES, TransferResult, transfer

LABELS = (5, 10, 20, 50, 100, 500)
SEEDS = 6


@cache
def transfer_study(source: str = "curves-cnn") -> TransferResult:
    """The shipped figures for the network called `source` in PRETRAINED.

    Raises:
        TypeError, ValueError: an unknown name; the message lists the near ones.
    """
    look_up("source", source, PRETRAINED)
    return TransferResult.load(FOLDER / f"{source}-study.json")


def measure_study(**changes: Any) -> dict[str, TransferResult]:
    """The study, measured: a result for each shipped network. `changes` are keywords of `transfer`.

    Random weights know of no source: they are measured once.
    """
    options: dict[str, Any] = {"labels": LABELS, "seeds": SEEDS} | changes
    random = transfer(strategies=["random"], **options)
    results = {}
    for source in PRETRAINED:
        result = transfer(source, strategies=[name for name in STRATEGIES if name != "random"], **options)
        both = np.concatenate([random.accuracy, result.accuracy])
        results[source] = replace(result, strategies=("random", *result.strategies), accuracy=both)
    return results


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m initviz transfer-study", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--folder", type=Path, default=Path(), help="where to write (default: here)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--steps", type=int, default=600, help="updates of a run")
    options = parser.parse_args(arguments)
    for source, result in measure_study(seeds=options.seeds, steps=options.steps, progress=True).items():
        result.save(options.folder / f"{source}-study.json")
        print(f"{source}\n{result.table().round(3).to_string()}")
