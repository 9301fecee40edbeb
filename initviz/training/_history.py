"""What training recorded: frozen records of plain numpy numbers, one `History` a run, one `RaceResult` a race."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from initviz._core.arguments import look_up, real_number
from initviz._core.extras import pandas
from initviz._core.statistics import sample_std
from initviz.inspection import Report

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class History:
    """One run of training, at k recorded steps. What stands at step s is of the network after s updates.

    Attributes:
        steps: shape (k,), whole numbers, the first 0.
        loss: shape (k,), cross-entropy in nats on the batch of that step, before the update that uses it.
        accuracy: shape (k,), share in [0, 1] of the test set. A sample whose outputs are not all finite counts as wrong.
        gradient_norm: shape (k,), Euclidean norm of the gradient of `loss` by all parameters, summed in float64.
        layers: names of the n layers (parameters of two or more dimensions) that train.
        layer_gradient_norm: shape (k, n), the same norm for each layer's weight alone.
        layer_change: shape (k, n), root mean square of what each layer's weights have moved from where they started.
        layer_update: shape (k, n), rms of the update that this step makes to each layer's weights, over the rms of the weights before
            it; infinite for weights that were all 0, NaN where no update was made: at the last row.
        train_accuracy: share in [0, 1] of the training set at the last row; NaN while the run has not ended.
        diverged_at: the first step whose loss or gradient was not finite, or None. It is the last row then: no update was made
            with such a gradient.
        snapshots: step -> the `Report` of `initviz.probe` at that step, for the steps that were asked for.
    """

    steps: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray
    gradient_norm: np.ndarray
    layers: tuple[str, ...]
    layer_gradient_norm: np.ndarray
    layer_change: np.ndarray
    layer_update: np.ndarray
    train_accuracy: float = math.nan
    diverged_at: int | None = None
    snapshots: dict[int, Report] = field(default_factory=dict)

    @property
    def final_accuracy(self) -> float:
        """Test accuracy at the last recorded step."""
        return float(self.accuracy[-1])

    def steps_to(self, accuracy: float) -> float:
        """The first recorded step with at least this test accuracy; inf if there is none.

        Raises:
            TypeError, ValueError: an accuracy that is not a number from 0 to 1.
        """
        reached = np.flatnonzero(self.accuracy >= share("accuracy", accuracy))
        return float(self.steps[reached[0]]) if len(reached) else math.inf


@dataclass(frozen=True)
class RaceResult:
    """Several racers over the same seeds, data and batches.

    Attributes:
        histories: label -> a `History` for each seed.
        seeds: shape of `histories`' tuples: the seed of each run.
    """

    histories: dict[str, tuple[History, ...]]
    seeds: tuple[int, ...]

    def steps_to(self, label: str, accuracy: float) -> np.ndarray:
        """Shape (seeds,): steps to this test accuracy for each seed, inf where it was never reached."""
        return np.array([run.steps_to(accuracy) for run in look_up("label", label, self.histories)])

    def final_accuracy(self, label: str) -> np.ndarray:
        """Shape (seeds,): test accuracy at the end of each run."""
        return np.array([run.final_accuracy for run in look_up("label", label, self.histories)])

    def train_accuracy(self, label: str) -> np.ndarray:
        """Shape (seeds,): accuracy on the training set at the end of each run, NaN for a run that has not ended."""
        return np.array([run.train_accuracy for run in look_up("label", label, self.histories)])

    def diverged(self, label: str) -> int:
        """How many of the runs diverged."""
        return sum(run.diverged_at is not None for run in look_up("label", label, self.histories))

    def curve(self, label: str, what: str = "loss") -> tuple[np.ndarray, np.ndarray]:
        """The recorded steps, shape (k,), and `what` ("loss", "accuracy", "gradient_norm") at them, shape (seeds, k). A diverged
        run is NaN from its end on."""
        runs = look_up("label", label, self.histories)
        look_up("what", what, dict.fromkeys(("loss", "accuracy", "gradient_norm")))
        steps = np.unique(np.concatenate([run.steps[: len(run.steps) - (run.diverged_at is not None)] for run in runs]))
        values = np.full((len(runs), len(steps)), np.nan)
        for row, run in zip(values, runs):
            _, there, here = np.intersect1d(steps, run.steps, return_indices=True)
            row[there] = getattr(run, what)[here]
        return steps, values

    def table(self, accuracy: float = 0.9) -> pd.DataFrame:
        """A row a label, over seeds: mean and standard deviation of the steps to `accuracy` (mean inf and deviation NaN when a run
        never reached it), how many runs reached it, mean and standard deviation of the final test accuracy, and how many diverged."""
        rows = {}
        for label in self.histories:
            steps, final = self.steps_to(label, accuracy), self.final_accuracy(label)
            all_reached = bool(np.isfinite(steps).all())
            rows[label] = {
                "steps_mean": steps.mean(),
                "steps_std": sample_std(steps) if all_reached else math.nan,
                "reached": int(np.isfinite(steps).sum()),
                "accuracy_mean": final.mean(),
                "accuracy_std": sample_std(final),
                "diverged": self.diverged(label),
                "runs": len(final),
            }
        return pandas().DataFrame.from_dict(rows, orient="index").rename_axis("label")


def share(argument: str, value: object) -> float:
    """`value` as a float from 0 to 1.

    Raises:
        TypeError, ValueError: not a number from 0 to 1.
    """
    number = real_number(argument, value)
    if number > 1:
        raise ValueError(f"{argument}: got {number:g}; it takes a share from 0 to 1")
    return number
