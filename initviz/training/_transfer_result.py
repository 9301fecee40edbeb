"""What `initviz.transfer` measured: accuracy by strategy, number of labels, seed and step."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from initviz._core.extras import pandas
from initviz.training._history import share

if TYPE_CHECKING:
    import pandas as pd


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
    """

    source: str
    data: str
    strategies: tuple[str, ...]
    labels: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: np.ndarray
    accuracy: np.ndarray

    def curve(self, strategy: str, labels: int) -> np.ndarray:
        """Accuracy at each of `steps`, shape (seeds, k).

        Raises:
            ValueError: a strategy or a number of labels that was not measured.
        """
        return self.accuracy[_place("strategy", strategy, self.strategies), _place("labels", labels, self.labels)]

    def final(self, strategy: str, labels: int) -> np.ndarray:
        """Accuracy after the last step, shape (seeds,)."""
        return self.curve(strategy, labels)[:, -1]

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
        """Write it as JSON, accuracies to four decimals."""
        words = {name: getattr(self, name) for name in ("source", "data", "strategies", "labels", "seeds")}
        numbers = {"steps": self.steps.tolist(), "accuracy": self.accuracy.round(4).tolist()}
        Path(path).write_text(json.dumps(words | numbers, separators=(",", ":")) + "\n", encoding="utf-8", newline="\n")

    @staticmethod
    def load(path: str | Path) -> TransferResult:
        """What `save` wrote."""
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
        tuples = {name: tuple(stored[name]) for name in ("strategies", "labels", "seeds")}
        arrays = {name: np.array(stored[name]) for name in ("steps", "accuracy")}
        return TransferResult(**(stored | tuples | arrays))


def in_words(result: TransferResult, labels: int, strategy: str) -> str:
    """What one strategy reached with this many labels a class, and by how much it beats random, as a sentence of means and spreads.

    Raises:
        ValueError: a strategy or a number of labels that was not measured.
    """
    final = result.final(strategy, labels)
    words = f"{labels} labels a class, {strategy.replace('_', ' ')}"
    words += "" if strategy == "random" else f" from {result.source}"
    words += f": {100 * final.mean():.0f} ± {100 * spread(final):.0f} % after {result.steps[-1]} steps"
    if strategy == "random" or "random" not in result.strategies:
        return f"{words} ({len(final)} seeds)."
    margin = 100 * result.margin(strategy, labels)
    random = 100 * result.final("random", labels).mean()
    side = "above" if margin.mean() >= 0 else "below"
    return f"{words}, {abs(margin.mean()):.0f} ± {spread(margin):.0f} points {side} random's {random:.0f} % ({len(final)} seeds)."


def spread(values: np.ndarray) -> float:
    """The sample standard deviation; 0 for a single value."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _mean_std(name: str, values: np.ndarray) -> dict[str, float]:
    return {f"{name}_mean": float(values.mean()), f"{name}_std": spread(values)}


def _place(argument: str, value: object, known: tuple) -> int:
    if value not in known:
        raise ValueError(f"{argument}: got {value!r}; measured were {', '.join(map(str, known))}")
    return known.index(value)
