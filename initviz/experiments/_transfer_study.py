"""`python -m initviz transfer-study`: measure what the shipped weights are worth.

Five seeds, four numbers of labels, both sources, each strategy at each of its five learning rates: 20 minutes with two workers on
two cores that other programs used as well.
`transfer_study(source)` reads the figures that ship beside the weights.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from initviz._core.arguments import look_up, whole_number
from initviz._core.threads import one_thread
from initviz.datasets import mnist1d_sheared
from initviz.models import FOLDER, PRETRAINED
from initviz.training import STRATEGIES, TransferResult, transfer

LABELS = (5, 20, 50, 500)
SEEDS = 5
STUDIED = {
    "curves-cnn": ("random", "frozen_random", "frozen", "fine_tuned", "fine_tuned_he", "head_first"),
    "textures-cnn": ("random", "frozen_random", "frozen", "fine_tuned"),
}
"""Source -> the strategies that are measured from it."""


def transfer_study(source: str = "curves-cnn") -> TransferResult:
    """The shipped figures for the network called `source` in PRETRAINED: all rates are tuned, and all of ENDS are measured.

    Raises:
        TypeError, ValueError: an unknown name; the message lists the near ones.
    """
    look_up("source", source, PRETRAINED)
    return _shipped(source)


@cache
def _shipped(source: str) -> TransferResult:
    return TransferResult.load(FOLDER / f"{source}-study.json")


def measure_study(folder: Path, workers: int = 1, seeds: int = SEEDS, steps: int = 600) -> dict[str, TransferResult]:
    """The study, measured in `workers` processes: a result for each shipped network.

    Each part is written to `folder` as it ends, and one that is there already is not measured again: a study that was stopped goes on
    where it was. Random weights know of no source: they are measured once.
    """
    first = next(iter(STUDIED))
    parts = {
        (source, name, labels): folder / f"{source}-{name}-{labels}-{seeds}-{steps}.json"
        for source, names in STUDIED.items()
        for name, labels in product(names, LABELS)
        if STRATEGIES[name].pretrained or source == first
    }
    folder.mkdir(parents=True, exist_ok=True)
    todo = [part for part, path in parts.items() if not path.exists()]
    todo.sort(
        key=lambda part: -sum(share for share, body, _ in STRATEGIES[part[1]].phases if body)
    )  # the long ones first
    context = multiprocessing.get_context("spawn")  # a forked torch may wait for threads that are not there
    with ProcessPoolExecutor(whole_number("workers", workers), mp_context=context) as executor:
        running = {executor.submit(_measure, *part, seeds, steps): part for part in todo}
        for future in _with_bar(as_completed(running), len(todo)):
            future.result().save(parts[running[future]])
    results = {}
    for source, names in STUDIED.items():
        where = {name: source if STRATEGIES[name].pretrained else first for name in names}
        rows = [[TransferResult.load(parts[where[name], name, labels]) for labels in LABELS] for name in names]
        results[source] = replace(_joined(rows), source=source, strategies=names, labels=LABELS)
    return results


def _measure(source: str, strategy: str, labels: int, seeds: int, steps: int) -> TransferResult:
    with one_thread():
        return transfer(
            source, strategies=[strategy], labels=[labels], seeds=seeds, steps=steps, tune=True,
            source=PRETRAINED[source].data(), shifted=mnist1d_sheared(),
        )  # fmt: skip


def _joined(rows: list[list[TransferResult]]) -> TransferResult:
    """Results of one strategy and one number of labels each, one row per strategy, as one."""

    def stacked(values: Callable[[TransferResult], np.ndarray]) -> np.ndarray:
        return np.concatenate([np.concatenate([values(part) for part in row], axis=1) for row in rows])

    return replace(
        rows[0][0],
        accuracy=stacked(lambda part: part.accuracy),
        rates=stacked(lambda part: part.rates),
        ends={name: stacked(lambda part, name=name: part.ends[name]) for name in rows[0][0].ends},  # type: ignore[misc]
    )


def _with_bar(futures: Any, total: int) -> Any:
    from tqdm.auto import tqdm

    return tqdm(futures, total=total, unit="part")


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m initviz transfer-study", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--folder", type=Path, default=Path(), help="where to write (default: here)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--steps", type=int, default=600, help="updates of a run")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument(
        "--resume", type=Path, help="a folder that keeps the finished parts, to go on from after a stop"
    )
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as fallback:
        results = measure_study(options.resume or Path(fallback), options.workers, options.seeds, options.steps)
    for source, result in results.items():
        result.save(options.folder / f"{source}-study.json")
        print(f"{source}\n{result.table().round(3).to_string()}")
