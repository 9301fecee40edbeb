"""A grid of runs: every combination of schemes, activations, depths, ... measured at the start and trained, on any executor.

A run is a function of its fields alone and uses one thread, so the numbers are the same whichever executor ran it, on processors of
one kind (and within rounding whether it ran alone or vectorized). Another kind rounds otherwise, and training multiplies that: a
few of the slow runs end with another accuracy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from initviz._core.arguments import DEEPEST, FASTEST, LARGEST, file_path, look_up, real_number, switch, whole_number
from initviz._core.devices import pick_device
from initviz._core.extras import pandas
from initviz._core.threads import one_thread
from initviz.datasets import DATASETS, Data, get_dataset
from initviz.diagnosis import verdict
from initviz.initializers import get_activation, get_scheme, start_from_batch
from initviz.inspection import Report, probe
from initviz.models import MLP, NORMALIZATIONS, mlp
from initviz.training._loop import OPTIMIZERS, Training, run_to_the_end
from initviz.training._stack import VALIDATION, share_right

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
        optimizer: "sgd" (plain) or "adam".
        lr, steps, batch: its learning rate, steps and batch size; no step at all measures the start only.
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
    optimizer: str = "sgd"
    lr: float = 0.1
    steps: int = 200
    batch: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in {"depth": 1, "width": 1, "batch": 1, "steps": 0, "seed": 0}.items():
            whole = whole_number(name, getattr(self, name), least, DEEPEST if name == "depth" else LARGEST)
            object.__setattr__(self, name, whole)
        for name, most in {"scale": math.inf, "lr": FASTEST}.items():
            object.__setattr__(self, name, real_number(name, getattr(self, name), most=most))
        object.__setattr__(self, "activation", get_activation(self.activation).name)
        object.__setattr__(self, "scheme", get_scheme(self.scheme).name)
        look_up("normalization", self.normalization, NORMALIZATIONS)
        look_up("data", self.data, DATASETS)
        look_up("optimizer", self.optimizer, OPTIMIZERS)


FIELDS = tuple(field.name for field in fields(Run))
RESULTS = ("forward", "backward", "verdict", "validation", "accuracy", "diverged")


def run(settings: Run, device: str | torch.device | None = None) -> dict[str, Any]:
    """Do one run on `device` (None is `torch.get_default_device()`): its fields, and

    - forward: rms of the last hidden layer's activations over the first's;
    - backward: rms of the first hidden layer's gradient (of pre-activations) over the last's. Both are 1 when the scale is kept;
    - verdict: the kind of `initviz.verdict` at the start;
    - validation: share of the held-out training samples, the last fifth, that are right after training, in [0, 1]; NaN without a
      step. What is chosen among runs, such as a learning rate, is chosen by this;
    - accuracy: the same share of the test samples;
    - diverged: whether the loss or a gradient became NaN or infinite on the way.
    """
    return run_alike([settings], device)[0]


def run_alike(runs: Sequence[Run], device: str | torch.device | None = None) -> list[dict[str, Any]]:
    """`run` for several runs that differ in scheme, scale and seed alone, trained as one computation (torch.func.vmap)."""
    first = runs[0]
    data = get_dataset(first.data)
    if first.steps and first.batch > (kept := len(data.x_train) - len(data.x_train) // VALIDATION):
        raise ValueError(f"batch: got {first.batch}; {data.name} has {kept} training samples that are not held out")
    with one_thread():
        starts = [_start(settings, data, device) for settings in runs]
        ends = (
            _train([net for net, _ in starts], data, runs) if first.steps else [(math.nan, math.nan, False)] * len(runs)
        )
    return [
        asdict(settings) | found | dict(zip(("validation", "accuracy", "diverged"), end))
        for settings, (_, found), end in zip(runs, starts, ends, strict=True)
    ]


def sweep(
    grid: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    executor: Executor | None = None,
    *,
    path: str | Path | None = None,
    vectorize: bool = False,
    progress: bool = False,
    device: str | torch.device | None = None,
) -> pd.DataFrame:
    """Run every combination of a grid.

    Args:
        grid: a field of `Run` -> its value, or a list of values: `{"scheme": ["zeros", "he_normal"], "depth": [5, 50], "seed": range(5)}`;
            or a list of such grids, one after the other.
        executor: where the runs go: None does them here, one after the other; a `ProcessPoolExecutor`, the executor of a Dask
            client (`client.get_executor()`), or any other `concurrent.futures.Executor`.
        path: a file (JSON lines) to which each run is added as it ends. What is in it already is not run again, so a sweep that
            was stopped goes on where it was.
        vectorize: train runs that differ in scheme, scale and seed alone as one computation (torch.func.vmap): faster for small networks,
            and the numbers of a run are then the same within rounding.
        progress: show a progress bar.
        device: where the networks are made; None is `torch.get_default_device()`, here and in the processes of an executor.
    Returns:
        A tidy table, one row per run in the order of the grid (the last field changes fastest), with the columns of `run`.
    Raises:
        TypeError, ValueError: an unknown field or value, found before the first run; a file that is no sweep's.
        RuntimeError: the executor broke down. The runs that ended are in `path`; call again to go on.
    """
    runs = expand(grid)
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(f"executor: got {type(executor).__name__}; it takes None or a concurrent.futures.Executor")
    vectorize, progress = switch("vectorize", vectorize), switch("progress", progress)
    place = pick_device(device)
    table = pandas().DataFrame  # before the first run: it may be missing
    file = None if path is None else file_path("path", path)
    done = {} if file is None else _read(file)
    todo = _jobs([r for r in dict.fromkeys(runs) if r not in done], vectorize)
    left = sum(map(len, todo))
    with tqdm(total=len(runs), initial=len(runs) - left, disable=not progress, unit="run") as bar:
        for job, rows in _run_here(todo, place) if executor is None else _run_on(todo, executor, place):
            done |= zip(job, rows, strict=True)
            if file is not None:
                _append(file, rows)
            bar.update(len(rows))
    return table([done[r] for r in runs])


def expand(grid: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> list[Run]:
    """The runs of a grid, or of several, in order.

    Raises:
        TypeError, ValueError: no mapping, an unknown field or value, a field without values.
    """
    grids = [grid] if isinstance(grid, Mapping) or not isinstance(grid, Sequence) else list(grid)
    if not grids or not all(isinstance(one, Mapping) for one in grids):
        raise TypeError(
            f"grid: got {type(grid).__name__}; it takes a dict of fields and their values, or a list of such dicts"
        )
    return [settings for one in grids for settings in _expand(one)]


def _expand(grid: Mapping[str, Any]) -> list[Run]:
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


def _start(settings: Run, data: Data, device: str | torch.device | None) -> tuple[MLP, dict[str, Any]]:
    """The network before training, and what is measured of it."""
    s = settings
    x, y = data.batch(min(256, len(data.x_train)), seed=s.seed)
    net = start_from_batch(
        mlp, x, scheme=s.scheme, scale=s.scale, depth=s.depth, width=s.width, activation=s.activation, n_in=data.n_in,
        n_out=data.n_classes, normalization=s.normalization, seed=s.seed, device=device,
    )  # fmt: skip
    report = probe(net, x, y, quantities={"activation", "preactivation_gradient"})
    return net, {
        "forward": _change(report, "activation", s.depth - 1, 0),
        "backward": _change(report, "preactivation_gradient", 0, s.depth - 1),
        "verdict": verdict(report).kind,
    }


def _train(nets: Sequence[MLP], data: Data, runs: Sequence[Run]) -> list[tuple[float, float, bool]]:
    """For each network: share of the held-out samples and of the test samples that are right at the end, and whether it diverged."""
    first, kept = runs[0], len(data.x_train) - len(data.x_train) // VALIDATION
    held_out = data.x_train[kept:], data.y_train[kept:]
    try:
        training = Training(
            nets, replace(data, x_train=data.x_train[:kept], y_train=data.y_train[:kept]), seeds=[r.seed for r in runs],
            steps=first.steps, batch_size=first.batch, lr=first.lr, optimizer=first.optimizer, every=first.steps,
        )  # fmt: skip
    except RuntimeError:  # vmap has no rule for them
        return [_train([net], data, [settings])[0] for net, settings in zip(nets, runs, strict=True)]
    run_to_the_end(training)
    return [
        (share_right(net, *held_out), share_right(net, data.x_test, data.y_test), history.diverged_at is not None)
        for net, history in zip(nets, training.histories(), strict=True)
    ]


def _change(report: Report, quantity: str, end: int, start: int) -> float:
    """rms of layer `end` over that of layer `start`: 0 when it dies out, NaN where the start itself is 0."""
    rms = report.values(quantity, "rms")
    return float(rms[end] / rms[start]) if rms[start] > 0 else math.nan


# Where the runs are done ---------------------------------------------------------------------------------------------------


def _jobs(runs: list[Run], vectorize: bool) -> list[list[Run]]:
    """What is trained together; the deepest first, so that no long one comes last."""
    if not vectorize:
        return [[settings] for settings in runs]
    jobs: dict[Run, list[Run]] = {}
    for settings in runs:
        jobs.setdefault(replace(settings, scheme="zeros", scale=1.0, seed=0), []).append(settings)
    return sorted(jobs.values(), key=lambda job: -job[0].depth)


Rows = tuple[list[Run], list[dict[str, Any]]]


def _run_here(todo: list[list[Run]], device: torch.device) -> Iterator[Rows]:
    for job in todo:
        yield job, run_alike(job, device)


def _run_on(todo: list[list[Run]], executor: Executor, device: torch.device) -> Iterator[Rows]:
    waiting: dict[Future, list[Run]] = {}
    try:
        for job in todo:
            waiting[executor.submit(run_alike, job, device)] = job
        while waiting:
            ended = wait(waiting, return_when=FIRST_COMPLETED).done
            for future in sorted(
                ended, key=lambda f: f.exception() is not None
            ):  # keep what is good before what is broken
                yield waiting.pop(future), future.result()
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
            rows[Run(**{name: row[name] for name in FIELDS})] = {name: row[name] for name in (*FIELDS, *RESULTS)}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"path: line {number} of {file} is not a run of a sweep ({error})") from error
    if whole != text:
        if not whole and not text.startswith("{"):
            raise ValueError(f"path: {file} is not a sweep's file")
        file.write_text(whole, encoding="utf-8", newline="\n")
    return rows


def _append(file: Path, rows: list[dict[str, Any]]) -> None:
    with file.open("a", encoding="utf-8", newline="\n") as out:
        out.write("".join(json.dumps(row) + "\n" for row in rows))
