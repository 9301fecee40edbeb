"""A grid of runs: every combination of schemes, activations, depths, ... measured at the start and trained, on any executor.

A run is a function of its fields alone and uses one thread, so the numbers are the same whichever executor ran it, on processors of
one kind. Another kind rounds otherwise, and training multiplies that: of 32 runs without AVX2 all started with scales that differed by
up to 1e-6 of themselves, and 6 ended with another accuracy, by up to 0.11.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from initviz._core.arguments import look_up, real_number, whole_number
from initviz._core.devices import pick_device
from initviz._core.extras import pandas
from initviz._core.threads import one_thread
from initviz.datasets import DATASETS, get_dataset
from initviz.diagnosis import verdict
from initviz.initializers import get_activation, get_scheme, start_from_batch
from initviz.inspection import Report, probe
from initviz.models import MLP, NORMALIZATIONS, mlp
from initviz.training._loop import train

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Attributes:
        scheme, activation: names; "lsuv" is an orthogonal start followed by `lsuv_` on a batch of 256 (see `start_from_batch`).
        depth, width: hidden layers, and units in each.
        scale: factor on the scheme's weights.
        normalization: "none", "batch" or "layer".
        data: "digits", "gaussian" or "mnist1d".
        lr, steps, batch: learning rate, steps and batch size of plain SGD; no step at all measures the start only.
        seed: of the weights and the batches.
    Raises:
        TypeError, ValueError: a field that is not as above; the message names it.
    """

    scheme: str = "xavier_normal"
    activation: str = "tanh"
    depth: int = 10
    width: int = 64
    scale: float = 1.0
    normalization: str = "none"
    data: str = "digits"
    lr: float = 0.1
    steps: int = 200
    batch: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in {"depth": 1, "width": 1, "batch": 1, "steps": 0, "seed": 0}.items():
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least))
        for name in ("scale", "lr"):
            object.__setattr__(self, name, real_number(name, getattr(self, name)))
        object.__setattr__(self, "activation", get_activation(self.activation).name)
        object.__setattr__(self, "scheme", get_scheme(self.scheme).name)
        look_up("normalization", self.normalization, NORMALIZATIONS)
        look_up("data", self.data, DATASETS)


FIELDS = {field.name for field in fields(Run)}
RESULTS = ("forward", "backward", "verdict", "accuracy", "diverged")


def run(settings: Run, device: str | torch.device | None = None) -> dict[str, Any]:
    """Do one run on `device` (None is `torch.get_default_device()`): its fields, and

    - forward: rms of the last hidden layer's activations over the first's;
    - backward: rms of the first hidden layer's gradient (of pre-activations) over the last's. Both are 1 when the scale is kept;
    - verdict: the kind of `initviz.verdict` at the start;
    - accuracy: share of test samples that are right after training, in [0, 1]; NaN without a step;
    - diverged: whether the loss or a gradient became NaN or infinite on the way.
    """
    data = get_dataset(settings.data)
    with one_thread():
        x, y = data.batch(min(256, len(data.x_train)), seed=settings.seed)
        net = _network(settings, data.n_in, data.n_classes, x, device)
        report = probe(net, x, y, quantities={"activation", "preactivation_gradient"})
        accuracy, diverged = _train(net, settings) if settings.steps else (math.nan, False)
    return asdict(settings) | {
        "forward": _change(report, "activation", settings.depth - 1, 0),
        "backward": _change(report, "preactivation_gradient", 0, settings.depth - 1),
        "verdict": verdict(report).kind,
        "accuracy": accuracy,
        "diverged": diverged,
    }


def sweep(
    grid: Mapping[str, Any],
    executor: Executor | None = None,
    *,
    path: str | Path | None = None,
    progress: bool = False,
    device: str | torch.device | None = None,
) -> pd.DataFrame:
    """Run every combination of a grid.

    Args:
        grid: a field of `Run` -> its value, or a list of values: `{"scheme": ["zeros", "he_normal"], "depth": [5, 50], "seed": range(5)}`.
        executor: where the runs go: None does them here, one after the other; a `ProcessPoolExecutor`, the executor of a Dask
            client (`client.get_executor()`), or any other `concurrent.futures.Executor`.
        path: a file (JSON lines) to which each run is added as it ends. What is in it already is not run again, so a sweep that
            was stopped goes on where it was.
        progress: show a progress bar.
        device: where the networks are made; None is `torch.get_default_device()`, here and in the processes of an executor.
    Returns:
        A tidy table, a row a run in the order of the grid (the last field changes fastest), with the columns of `run`.
    Raises:
        TypeError, ValueError: an unknown field or value, found before the first run; a file that is no sweep's.
        RuntimeError: the executor broke down. The runs that ended are in `path`; call again to go on.
    """
    runs = expand(grid)
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(f"executor: got {type(executor).__name__}; it takes None or a concurrent.futures.Executor")
    place = pick_device(device)
    table = pandas().DataFrame  # before the first run: it may be missing
    file = None if path is None else Path(path)
    done = {} if file is None else _read(file)
    todo = [r for r in dict.fromkeys(runs) if r not in done]
    with tqdm(total=len(runs), initial=len(runs) - len(todo), disable=not progress, unit="run") as bar:
        for row in _run_here(todo, place) if executor is None else _run_on(todo, executor, place):
            done[Run(**{name: row[name] for name in FIELDS})] = row
            if file is not None:
                _append(file, row)
            bar.update()
    return table([done[r] for r in runs])


def expand(grid: Mapping[str, Any]) -> list[Run]:
    """The runs of a grid, in order.

    Raises:
        TypeError, ValueError: no mapping, an unknown field or value, a field without values.
    """
    if not isinstance(grid, Mapping):
        raise TypeError(f"grid: got {type(grid).__name__}; it takes a dict of fields and their values")
    for name in grid:
        look_up("grid", name, dict.fromkeys(sorted(FIELDS)))
    values = {name: _list(value) for name, value in grid.items()}
    for name, choices in values.items():
        if not choices:
            raise ValueError(f"grid: {name} has no values")
    return [Run(**dict(zip(values, combination))) for combination in product(*values.values())]


def _list(value: Any) -> list:
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray | range | set | frozenset):
        return [value]
    return list(value)


def _network(settings: Run, n_in: int, n_out: int, x: torch.Tensor, device: str | torch.device | None) -> MLP:
    s = settings
    return start_from_batch(
        mlp, x, scheme=s.scheme, scale=s.scale, depth=s.depth, width=s.width, activation=s.activation, n_in=n_in, n_out=n_out,
        normalization=s.normalization, seed=s.seed, device=device,
    )  # fmt: skip


def _train(net: MLP, settings: Run) -> tuple[float, bool]:
    """Test accuracy at the end, and whether the run diverged."""
    history = train(
        net, get_dataset(settings.data), steps=settings.steps, batch_size=settings.batch, lr=settings.lr, seed=settings.seed,
        every=settings.steps,
    )  # fmt: skip
    return history.final_accuracy, history.diverged_at is not None


def _change(report: Report, quantity: str, end: int, start: int) -> float:
    """rms of layer `end` over that of layer `start`: 0 when it dies out, NaN where the start itself is 0."""
    rms = report.values(quantity, "rms")
    return float(rms[end] / rms[start]) if rms[start] > 0 else math.nan


# Where the runs are done ---------------------------------------------------------------------------------------------------


def _run_here(todo: list[Run], device: torch.device) -> Iterator[dict[str, Any]]:
    for settings in todo:
        yield run(settings, device)


def _run_on(todo: list[Run], executor: Executor, device: torch.device) -> Iterator[dict[str, Any]]:
    waiting: set[Future] = set()
    try:
        for settings in todo:
            waiting.add(executor.submit(run, settings, device))
        while waiting:
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in sorted(
                ended, key=lambda f: f.exception() is not None
            ):  # keep what is good before what is broken
                yield future.result()
    except BrokenExecutor as error:
        raise RuntimeError(
            "executor: a worker died, and its pool with it; with a path, the runs that ended are kept and the next call goes on"
        ) from error
    finally:
        for future in waiting:
            future.cancel()


# The file ------------------------------------------------------------------------------------------------------------------


def _read(file: Path) -> dict[Run, dict[str, Any]]:
    """The runs in a file; a last line that was cut off while it was written is taken out of it."""
    if not file.exists():
        return {}
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    rows = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            row = json.loads(line)
            rows[Run(**{name: row[name] for name in FIELDS})] = {n: row[n] for n in (*asdict(Run()), *RESULTS)}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"path: line {number} of {file} is not a run of a sweep ({error})") from error
    if whole != text:
        if not whole and not text.startswith("{"):
            raise ValueError(f"path: {file} is not a sweep's file")
        file.write_text(whole, encoding="utf-8", newline="\n")
    return rows


def _append(file: Path, row: dict[str, Any]) -> None:
    with file.open("a", encoding="utf-8", newline="\n") as out:
        out.write(json.dumps(row) + "\n")
