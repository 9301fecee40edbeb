"""The lecture's table of strategies, measured: every scheme with every activation at every depth, started and trained.

`python -m initviz compare` does all the runs of GRIDS and writes them to `comparison.csv` in the current folder: 55 minutes on two
cores that other programs used as well. The functions here read the table that is shipped, or any other that `initviz.sweep` made.

A cell is a scheme with an activation at a depth. Its learning rate is the one with the best mean validation accuracy, and so is the best
scheme of a column; what is then said of it is its test accuracy, on samples that chose nothing.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from initviz._core.arguments import got, look_up, whole_number
from initviz._core.extras import pandas
from initviz._core.statistics import sample_std
from initviz.initializers import ACTIVATIONS, SCHEMES
from initviz.training import sweep

if TYPE_CHECKING:
    import pandas as pd

RATES = {"sgd": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0], "adam": [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]}
"""The learning rates that each optimizer is given in the shipped comparison."""

GRID: dict[str, Any] = {
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
    "steps": 200,
    "seed": range(5),
}
"""What the shipped comparison ran on digits, with each optimizer at each of its rates."""

NORMALIZED: dict[str, Any] = GRID | {
    "scheme": ["pytorch_default", "he_normal"],
    "activation": "relu",
    "depth": [10, 30],
    "normalization": "batch",
}
"""What it ran besides, with batch normalization."""

GRIDS = [
    grid | {"optimizer": optimizer, "lr": rates} for grid in (GRID, NORMALIZED) for optimizer, rates in RATES.items()
]

FILE = Path(__file__).with_name("comparison.csv.gz")
CELL = ["scheme", "activation", "depth", "optimizer"]
FOUND = ["forward", "backward", "verdict", "validation", "accuracy", "diverged"]
COLUMNS = [*CELL, "lr", "seed", *FOUND]

SUMMARY = [
    *CELL, "lr", "at_edge", "validation", "accuracy", "accuracy_std", "forward", "forward_std", "backward", "backward_std",
    "diverged", "trained", "seeds",
]  # fmt: skip

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
    """One number for each scheme and activation at one depth, under one optimizer.

    Attributes:
        quantity, depth, optimizer: what and where.
        schemes, activations: names of the rows and of the columns.
        mean, spread: shape (rows, columns), over seeds. Accuracy in percent; changes as log10, -inf when nothing is left.
        recommended: shape (rows, columns), whether the scheme is `Activation.best_scheme`.
        best: shape (rows, columns). Accuracy: whether the scheme is the activation's best, or within twice the standard error of it
            (see `recommendations`; none, where nothing learned). Changes: whether its change is the nearest to none.
    """

    quantity: str
    depth: int
    optimizer: str
    schemes: tuple[str, ...]
    activations: tuple[str, ...]
    mean: np.ndarray
    spread: np.ndarray
    recommended: np.ndarray
    best: np.ndarray


def shipped_runs(normalization: str = "none") -> pd.DataFrame:
    """The runs of GRIDS with this normalization ("none", "batch") as they are shipped, one row per run, with the columns COLUMNS (see
    `initviz.training.run`).

    Raises:
        TypeError, ValueError: a normalization that was not run.
    """
    return look_up("normalization", normalization, _shipped())


@lru_cache(maxsize=1)
def _shipped() -> dict[str, pd.DataFrame]:
    """Normalization -> its runs."""
    runs = pandas().read_csv(FILE)
    return {name: own[COLUMNS].reset_index(drop=True) for name, own in runs.groupby("normalization", sort=False)}


def cells(runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row for each scheme, activation, depth and optimizer, with the columns SUMMARY: mean and standard deviation over seeds, at the
    learning rate with the best mean validation accuracy.

    at_edge: the rate is the lowest or the highest of several, so that one beyond might be better. forward, backward: log10 changes.
    diverged: share of the runs, at all learning rates. trained: accuracy of at least TRAINED.

    Raises:
        TypeError, ValueError: as `compare`.
    """
    return _summary(_checked(runs))


def heat_map(
    runs: pd.DataFrame | None = None, quantity: str = "accuracy", depth: int = 5, optimizer: str | None = None
) -> Map:
    """One quantity of `cells` at one depth under one optimizer (None is the first of the runs), as a `Map`.

    Raises:
        TypeError, ValueError: an unknown quantity; a depth, an optimizer that was not run.
    """
    look_up("quantity", quantity, QUANTITIES)
    runs = _under(_checked(runs), optimizer)
    depths = sorted(runs.depth.unique())
    if not isinstance(depth, int | np.integer) or depth not in depths:
        raise ValueError(
            f"depth: got {depth if isinstance(depth, int) else got(depth)}; it takes one of {', '.join(map(str, depths))}"
        )
    runs = runs[runs.depth == depth]
    here = _summary(runs)
    schemes, activations = list(here.scheme.unique()), list(here.activation.unique())

    def grid(column: str) -> np.ndarray:
        return here.pivot(index="scheme", columns="activation", values=column).loc[schemes, activations].to_numpy()

    factor = 100.0 if quantity == "accuracy" else 1.0
    mean, spread = (grid(column).astype(float) * factor for column in (quantity, f"{quantity}_std"))
    if quantity == "accuracy":
        table = _beside_the_best(runs)
        near = table.index[table.near & (table.best_accuracy >= CHANCE)]
        best = np.array([[(s, a, depth, here.optimizer.iloc[0]) in near for a in activations] for s in schemes])
    else:
        score = np.where(np.isnan(mean), np.inf, np.abs(mean))
        best = score == score.min(axis=0)
    recommended = np.array([[ACTIVATIONS[a].best_scheme == s for a in activations] for s in schemes])
    return Map(
        quantity, depth, here.optimizer.iloc[0], tuple(schemes), tuple(activations), mean, spread, recommended, best
    )


def recommendations(runs: pd.DataFrame | None = None, optimizer: str | None = None) -> pd.DataFrame:
    """Recommended against measured best under one optimizer (None is the first of the runs): a row for each activation and depth.

    Columns: activation, depth, recommended (`Activation.best_scheme`), its accuracy and accuracy_std, best (the scheme with the
    highest mean validation accuracy), its best_accuracy and best_std, and `agrees`: whether the two are the same scheme or their
    accuracies, paired by seed, differ by at most twice the standard error of the mean difference.

    Raises:
        TypeError, ValueError: no such table; an optimizer that was not run.
    """
    table = _beside_the_best(_under(_checked(runs), optimizer)).reset_index()
    ours = table[table.scheme == table.activation.map(lambda name: ACTIVATIONS[name].best_scheme)]
    columns = ["activation", "depth", "scheme", "accuracy", "accuracy_std", "best", "best_accuracy", "best_std", "near"]
    return ours[columns].rename(columns={"scheme": "recommended", "near": "agrees"}).reset_index(drop=True)


def compare(runs: pd.DataFrame | None = None, optimizer: str | None = None) -> pd.DataFrame:
    """The lecture's table, measured: one row per scheme.

    Columns: method, best_for, variance (LaTeX) and notes from SCHEMES; for each activation the deepest of the depths at which it
    trained (mean accuracy of at least TRAINED; 0 if none); trained, the share of all cells that trained; diverged, the share of
    runs that diverged, at all learning rates.

    Args:
        runs: from `initviz.sweep`, differing in scheme, activation, depth, optimizer, lr and seed alone; None takes the shipped ones.
        optimizer: "sgd" or "adam"; None is the first of the runs.
    Raises:
        TypeError, ValueError: no such table; an optimizer that was not run.
    """
    table = _summary(_under(_checked(runs), optimizer))
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


def _at_the_chosen_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of each cell at its learning rate."""
    by_rate = runs.groupby([*CELL, "lr"], sort=False).validation.mean().reset_index()
    chosen = by_rate.loc[by_rate.groupby(CELL, sort=False).validation.idxmax(), [*CELL, "lr"]]
    return chosen.merge(runs, on=[*CELL, "lr"])


def _summary(runs: pd.DataFrame) -> pd.DataFrame:
    """What `cells` gives."""
    chosen = _at_the_chosen_rate(runs)
    with np.errstate(divide="ignore"):
        chosen = chosen.assign(forward=np.log10(chosen.forward), backward=np.log10(chosen.backward))
    cell = chosen.groupby(CELL, sort=False)
    table = cell.agg(
        lr=("lr", "first"), validation=("validation", "mean"), accuracy=("accuracy", "mean"), accuracy_std=("accuracy", "std"),
        forward=("forward", "mean"), forward_std=("forward", "std"), backward=("backward", "mean"), backward_std=("backward", "std"),
        seeds=("seed", "size"),
    )  # fmt: skip
    for name in ("forward", "backward"):  # equal infinities have no spread
        table.loc[cell[name].nunique(dropna=False) == 1, f"{name}_std"] = 0.0
    everywhere = runs.groupby(CELL, sort=False)
    lowest, highest = everywhere.lr.min()[table.index], everywhere.lr.max()[table.index]
    edge = (lowest < highest) & ((table.lr == lowest) | (table.lr == highest))
    diverged = everywhere.diverged.mean()[table.index]
    table = table.assign(at_edge=edge, diverged=diverged, trained=table.accuracy >= TRAINED)
    return table.reset_index()[SUMMARY]


def _beside_the_best(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each cell (the index), with the best scheme of its activation, depth and optimizer: accuracy, accuracy_std, best,
    best_accuracy, best_std, and near: whether it is the best, or its accuracies, seed by seed, lie within twice the standard error."""
    chosen = _at_the_chosen_rate(runs)
    column, rows = ["activation", "depth", "optimizer"], {}
    for _, here in chosen.groupby(column, sort=False):
        validation = here.groupby("scheme", sort=False).validation.mean()
        by_seed = here.pivot(index="seed", columns="scheme", values="accuracy")
        best = str(validation.idxmax())
        for scheme in validation.index:
            behind = (by_seed[best] - by_seed[scheme]).dropna().to_numpy()
            error = sample_std(behind) / len(behind) ** 0.5 if len(behind) > 1 else 0.0
            rows[(scheme, *here[column].iloc[0])] = {
                "accuracy": by_seed[scheme].mean(), "accuracy_std": by_seed[scheme].std(), "best": best,
                "best_accuracy": by_seed[best].mean(), "best_std": by_seed[best].std(),
                "near": scheme == best or bool(behind.mean() <= 2 * error),
            }  # fmt: skip
    table = pandas().DataFrame.from_dict(rows, orient="index")
    table.index.names = CELL
    return table


def _under(runs: pd.DataFrame, optimizer: str | None) -> pd.DataFrame:
    """The runs with this optimizer, or with the first of them."""
    there = dict.fromkeys(runs.optimizer)
    if optimizer is None:
        optimizer = next(iter(there))
    look_up("optimizer", optimizer, there)
    return runs[runs.optimizer == optimizer]


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
    others = [name for name in runs if name not in COLUMNS and runs[name].nunique(dropna=False) > 1]
    if others:
        raise ValueError(
            f"runs: differ in {', '.join(map(str, others))}; it takes runs that differ in {', '.join([*CELL, 'lr'])} and seed alone: "
            "compare one part after the other"
        )
    if runs.validation.isna().any() or runs.accuracy.isna().any():
        raise ValueError("runs: some have no accuracy; it takes runs that were trained, with steps of at least 1")
    if runs.duplicated([*CELL, "lr", "seed"]).any():
        raise ValueError("runs: has a run twice; it takes one for each cell, rate and seed")
    return runs


def remake(output: Path, resume: Path | None = None, workers: int = 2) -> pd.DataFrame:
    """Do all the runs of GRIDS in `workers` processes and write them to `output` as CSV, compressed if its name
    ends in .gz; `resume` keeps them as they end (see `sweep`).

    Returns:
        The runs without normalization.
    """
    context = multiprocessing.get_context("spawn")  # a forked torch may wait for threads that are not there
    with ProcessPoolExecutor(whole_number("workers", workers), mp_context=context) as executor:
        runs = sweep(GRIDS, executor, path=resume, vectorize=True, progress=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    options = {"method": "gzip", "mtime": 0} if output.suffix == ".gz" else "infer"  # no time of day in the file
    runs[["normalization", *COLUMNS]].to_csv(
        output, index=False, float_format="%.4g", lineterminator="\n", compression=options
    )
    return runs.loc[runs.normalization == "none", COLUMNS].reset_index(drop=True)
