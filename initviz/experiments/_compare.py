"""The lecture's table of strategies, measured: every scheme with every activation at every depth, started and trained.

`python -m initviz compare` does all the runs of GRID (half an hour on two cores) and writes them to `comparison.csv` in the
current folder; the functions here read the one that is shipped, or any other table that `initviz.sweep` made.
"""

from __future__ import annotations

import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from initviz._core.arguments import look_up, whole_number
from initviz._core.extras import pandas
from initviz.initializers import ACTIVATIONS, SCHEMES
from initviz.training import sweep

if TYPE_CHECKING:
    import pandas as pd

GRID = {
    "scheme": [
        "zeros",
        "small_normal",
        "pytorch_default",
        "lecun_normal",
        "xavier_normal",
        "he_normal",
        "orthogonal",
        "lsuv",
    ],
    "activation": ["sigmoid", "tanh", "softsign", "sine", "relu", "leaky_relu", "gelu", "selu"],
    "depth": [2, 5, 10, 30],
    "width": 64,
    "lr": [0.01, 0.05],
    "steps": 200,
    "seed": range(5),
}
"""What the shipped comparison ran: plain SGD on digits, two learning rates, of which each network is given its better one."""

FILE = Path(__file__).with_name("comparison.csv")
COLUMNS = ["scheme", "activation", "depth", "lr", "seed", "forward", "backward", "verdict", "accuracy", "diverged"]

CHANCE = 0.2
"""Mean test accuracy below which a network counts as not having learned (chance is 0.1)."""
TRAINED = 0.8
"""Mean test accuracy from which a network counts as trained (chance is 0.1, a good network reaches 0.97)."""

QUANTITIES = {
    "accuracy": "test accuracy after training, %",
    "forward": "change of the activations' rms, first to last layer, powers of ten",
    "backward": "change of the gradients' rms, last to first layer, powers of ten",
}


@dataclass(frozen=True)
class Map:
    """One number for each scheme and activation at one depth.

    Attributes:
        quantity, depth: what and where.
        schemes, activations: names of the rows and of the columns.
        mean, spread: shape (rows, columns), over seeds. Accuracy in percent; changes as log10, -inf when nothing is left.
        recommended: shape (rows, columns), whether the scheme is `Activation.best_scheme`.
        best: shape (rows, columns), whether the scheme is the activation's best: the highest accuracy (none, where nothing learned),
            or the change nearest to none.
    """

    quantity: str
    depth: int
    schemes: tuple[str, ...]
    activations: tuple[str, ...]
    mean: np.ndarray
    spread: np.ndarray
    recommended: np.ndarray
    best: np.ndarray


@lru_cache(maxsize=1)
def shipped_runs() -> pd.DataFrame:
    """The runs of GRID as they are shipped, a row a run, with the columns COLUMNS (see `initviz.training.run`)."""
    return pandas().read_csv(FILE)


def cells(runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row for each scheme, activation and depth: mean and standard deviation over seeds, at the learning rate with the best mean.

    Columns: scheme, activation, depth, lr, accuracy, accuracy_std, forward, forward_std, backward, backward_std (log10 changes),
    diverged (share of the runs at this learning rate), trained (accuracy of at least TRAINED), seeds.
    """
    runs = _checked(runs)
    with np.errstate(divide="ignore"):
        logs = runs.assign(forward=np.log10(runs.forward), backward=np.log10(runs.backward))
    grouped = logs.groupby(["scheme", "activation", "depth", "lr"], sort=False)
    table = grouped.agg(
        accuracy=("accuracy", "mean"), accuracy_std=("accuracy", "std"), forward=("forward", "mean"), forward_std=("forward", _std),
        backward=("backward", "mean"), backward_std=("backward", _std), diverged=("diverged", "mean"), seeds=("seed", "size"),
    ).reset_index()  # fmt: skip
    best = table.loc[table.groupby(["scheme", "activation", "depth"], sort=False).accuracy.idxmax()]
    return best.assign(trained=best.accuracy >= TRAINED).reset_index(drop=True)


def heat_map(runs: pd.DataFrame | None = None, quantity: str = "accuracy", depth: int = 10) -> Map:
    """One quantity of `cells` at one depth, as a `Map`.

    Raises:
        ValueError: an unknown quantity, a depth that was not run.
    """
    look_up("quantity", quantity, QUANTITIES)
    table = cells(runs)
    depths = sorted(table.depth.unique())
    if depth not in depths:
        raise ValueError(f"depth: got {depth}; it takes one of {', '.join(map(str, depths))}")
    here = table[table.depth == depth]
    schemes, activations = tuple(here.scheme.unique()), tuple(here.activation.unique())
    wide = {c: here.pivot(index="scheme", columns="activation", values=c).loc[list(schemes), list(activations)] for c in
            (quantity, f"{quantity}_std")}  # fmt: skip
    factor = 100.0 if quantity == "accuracy" else 1.0
    mean, spread = (wide[c].to_numpy(dtype=float) * factor for c in (quantity, f"{quantity}_std"))
    recommended = np.array([[ACTIVATIONS[a].best_scheme == s for a in activations] for s in schemes])
    score = mean if quantity == "accuracy" else -np.abs(mean)
    score = np.where(np.isnan(score), -np.inf, score)
    some = score.max(axis=0) >= (
        100 * CHANCE if quantity == "accuracy" else -np.inf
    )  # the best of what learned nothing is none
    return Map(quantity, depth, schemes, activations, mean, spread, recommended, (score == score.max(axis=0)) & some)


def recommendations(runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Recommended against measured best: a row for each activation and depth.

    Columns: activation, depth, recommended (`Activation.best_scheme`), its accuracy and accuracy_std, best (the scheme with the
    highest mean accuracy), its best_accuracy and best_std, and `agrees`: whether the two are the same scheme or lie within
    twice the standard error of their difference.
    """
    rows = []
    for (name, depth), here in cells(runs).groupby(["activation", "depth"], sort=False):
        best = here.loc[here.accuracy.idxmax()]
        ours = here[here.scheme == ACTIVATIONS[name].best_scheme]
        if ours.empty:
            continue
        own = ours.iloc[0]
        error = math.sqrt((own.accuracy_std**2 + best.accuracy_std**2) / own.seeds)
        rows.append(
            {"activation": name, "depth": depth, "recommended": own.scheme, "accuracy": own.accuracy, "accuracy_std": own.accuracy_std,
             "best": best.scheme, "best_accuracy": best.accuracy, "best_std": best.accuracy_std,
             "agrees": own.scheme == best.scheme or best.accuracy - own.accuracy <= 2 * error}
        )  # fmt: skip
    return pandas().DataFrame(rows)


def compare(runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """The lecture's table, measured: a row a scheme.

    Columns: method, best_for, variance (LaTeX) and notes from SCHEMES; for each activation the deepest of the depths at which it
    trained (mean accuracy of at least TRAINED; 0 if none); trained, the share of all cells that trained; diverged, the share of
    runs that diverged.

    Args:
        runs: from `initviz.sweep`; None takes the shipped ones.
    Raises:
        TypeError, ValueError: no such table.
    """
    table = cells(runs)
    rows = []
    for name, here in table.groupby("scheme", sort=False):
        entry = SCHEMES[name]
        deepest = {
            a: int(of.depth[of.trained].max() if of.trained.any() else 0)
            for a, of in here.groupby("activation", sort=False)
        }
        text = {"method": entry.label, "best_for": entry.best_for, "variance": entry.latex, "notes": entry.notes}
        rows.append(
            {"scheme": name} | text | deepest | {"trained": here.trained.mean(), "diverged": here.diverged.mean()}
        )
    return pandas().DataFrame(rows).set_index("scheme")


def _std(values: pd.Series) -> float:
    """Standard deviation; 0 where all values are the same infinity."""
    return 0.0 if values.nunique(dropna=False) == 1 else float(values.std())


def _checked(runs: pd.DataFrame | None) -> pd.DataFrame:
    if runs is None:
        return shipped_runs()
    if not isinstance(runs, pandas().DataFrame):
        raise TypeError(f"runs: got {type(runs).__name__}; it takes a table from initviz.sweep")
    missing = [column for column in COLUMNS if column not in runs]
    if missing or runs.empty:
        raise ValueError(
            f"runs: {'has no rows' if runs.empty else 'lacks ' + ', '.join(missing)}; it takes a table from initviz.sweep"
        )
    return runs


def remake(output: Path, resume: Path | None = None, workers: int = 2) -> pd.DataFrame:
    """Do all the runs of GRID in `workers` processes and write them to `output` as CSV; `resume` keeps them as they end (see `sweep`).

    Returns:
        The runs.
    """
    context = multiprocessing.get_context("spawn")  # a forked torch may wait for threads that are not there
    with ProcessPoolExecutor(whole_number("workers", workers), mp_context=context) as executor:
        runs = sweep(GRID, executor, path=resume, progress=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    runs[COLUMNS].to_csv(output, index=False, float_format="%.4g", lineterminator="\n")
    return runs
