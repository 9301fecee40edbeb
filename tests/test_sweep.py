"""Sweeps: the same numbers on every executor, resumed from disk, complete although a worker is killed, and clear refusals."""

import json
import math
import os
import random
import signal
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, replace
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pretend
import pytest
import torch

import initviz as iv
from initviz.training import sweep
from initviz.training._sweep import RESULTS, Run, expand, run

GRID = {
    "scheme": ["zeros", "he_normal"],
    "activation": ["relu", "tanh"],
    "depth": 3,
    "width": 8,
    "steps": 4,
    "seed": range(2),
}


@pytest.fixture(scope="module")
def here():
    return sweep(GRID)


class Immediate(Executor):
    """Does each call when it is submitted; breaks down at the call number `breaks_at`."""

    def __init__(self, breaks_at=None):
        self.calls, self.breaks_at = 0, breaks_at

    def submit(self, function, /, *args, **kwargs):
        self.calls += 1
        future = Future()
        if self.calls == self.breaks_at:
            future.set_exception(BrokenProcessPool("gone"))
        else:
            future.set_result(function(*args, **kwargs))
        return future


@pytest.mark.parametrize("normalization", ["none", "batch"])  # vmap can't run batch normalization: one after the other
def test_runs_that_are_trained_as_one_computation_are_the_same_within_rounding(normalization):
    grid = GRID | {"normalization": normalization, "optimizer": ["sgd", "adam"], "lr": [0.1, 1e30], "steps": 12}
    alone, together = sweep(grid), sweep(grid, vectorize=True)
    assert not alone.diverged.all() and alone.diverged.any()
    exact = [name for name in alone if name not in ("validation", "accuracy")]
    pd.testing.assert_frame_equal(together[exact], alone[exact], check_exact=True)
    assert (together.accuracy - alone.accuracy).abs().max() < 0.02
    assert (together.validation - alone.validation).abs().max() < 0.02


def test_together_means_in_one_job_a_learning_rate(tmp_path):
    executor = Immediate()
    path = tmp_path / "runs.jsonl"
    table = sweep(GRID | {"lr": [0.1, 0.2]}, executor, path=path, vectorize=True)
    assert executor.calls == 4 and len(table) == len(path.read_text().splitlines()) == 16  # activations x rates
    assert table.lr.tolist()[:4] == [0.1, 0.2, 0.1, 0.2]  # in the order of the grid


def test_grids_one_after_the_other():
    runs = expand([{"optimizer": "sgd", "lr": [0.1, 0.3]}, {"optimizer": "adam", "lr": 0.001}])
    assert [(r.optimizer, r.lr) for r in runs] == [("sgd", 0.1), ("sgd", 0.3), ("adam", 0.001)]


def test_a_row_for_every_combination_in_order(here):
    assert list(here.columns) == [*asdict(Run()), *RESULTS]
    assert len(here) == 8
    assert here[["scheme", "activation", "seed"]].iloc[1].tolist() == ["zeros", "relu", 1]
    assert here.accuracy.between(0, 1).all() and not here.diverged.any()


def test_a_run_is_what_probe_and_train_say():
    settings = Run("he_normal", "relu", depth=4, width=16, steps=20, seed=3, lr=0.05)
    row, data = run(settings), iv.digits()
    x, y = data.batch(256, seed=3)
    net = iv.mlp(4, 16, "relu", "he_normal", n_in=64, n_out=10, seed=3)
    report = iv.probe(net, x, y)
    rms = report.values("activation", "rms")
    assert row["forward"] == pytest.approx(rms[3] / rms[0])
    rms = report.values("preactivation_gradient", "rms")
    assert row["backward"] == pytest.approx(rms[0] / rms[3])
    assert row["verdict"] == iv.verdict(report).kind
    kept = replace(data, x_train=data.x_train[:1150], y_train=data.y_train[:1150])  # the last fifth is held out
    history = iv.train(net, kept, steps=20, batch_size=128, lr=0.05, seed=3)
    assert row["accuracy"] == pytest.approx(history.final_accuracy)
    with torch.no_grad():
        right = net(data.x_train[1150:]).argmax(1) == data.y_train[1150:]
    assert row["validation"] == pytest.approx(right.double().mean().item())
    assert row["diverged"] is False


def test_divergence_is_recorded():
    row = run(Run("he_normal", "relu", depth=10, width=16, scale=30, lr=100.0, steps=20))
    assert row["diverged"] is True


def test_no_steps_measures_the_start_alone():
    row = run(Run(steps=0, depth=2, width=8))
    assert row["verdict"] == "stable" and math.isnan(row["accuracy"]) and math.isnan(row["validation"])
    assert not row["diverged"]


def test_threads_and_the_random_state_stay():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    run(Run(depth=2, width=8, steps=2))
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)


@pretend.lacks("other processes that know it")
def test_processes_give_the_same_numbers(here):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        pd.testing.assert_frame_equal(sweep(GRID, executor), here, check_exact=True)


def test_threads_give_the_same_numbers_and_leave_the_random_states(here):
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    with ThreadPoolExecutor(4) as executor:
        pd.testing.assert_frame_equal(sweep(GRID, executor), here, check_exact=True)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[1].tolist())


@pretend.lacks("other processes that know it")
def test_a_dask_cluster_gives_the_same_numbers_though_a_worker_is_killed(here):
    distributed = pytest.importorskip("distributed")
    grid = GRID | {"seed": range(6), "steps": 20}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = client.run(os.getpid)
        assert len(set(pids.values())) == 2
        executor = _KillsAWorker(client.get_executor(), next(iter(pids.values())), after=3)
        table = sweep(grid, executor)
        assert executor.killed
    assert len(table) == 24
    pd.testing.assert_frame_equal(table, sweep(grid), check_exact=True)


class _KillsAWorker(Executor):
    """Hands on to a Dask client's executor, and kills one of its workers once some runs have ended."""

    def __init__(self, executor, pid, after):
        self.executor, self.pid, self.after, self.ended, self.killed = executor, pid, after, 0, False

    def submit(self, function, /, *args, **kwargs):
        future = self.executor.submit(function, *args, **kwargs)
        future.add_done_callback(self.count)
        return future

    def count(self, _):
        self.ended += 1
        if self.ended == self.after:
            os.kill(self.pid, signal.SIGKILL)
            self.killed = True


def test_a_sweep_goes_on_where_it_was(tmp_path, here):
    path = tmp_path / "runs.jsonl"
    sweep(GRID | {"scheme": "zeros"}, path=path)
    assert len(path.read_text().splitlines()) == 4
    executor = Immediate()
    pd.testing.assert_frame_equal(sweep(GRID, executor, path=path), here, check_exact=True)
    assert executor.calls == 4
    assert len(path.read_text().splitlines()) == 8
    sweep(GRID, executor, path=path)
    assert executor.calls == 4


def test_a_line_that_was_cut_off_is_run_again(tmp_path, here):
    path = tmp_path / "runs.jsonl"
    sweep(GRID, path=path)
    path.write_text(path.read_text()[:-20])
    pd.testing.assert_frame_equal(sweep(GRID, path=path), here, check_exact=True)
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 8


def test_what_ended_before_a_break_down_is_kept(tmp_path):
    path = tmp_path / "runs.jsonl"
    with pytest.raises(RuntimeError, match="^executor: a worker died"):
        sweep(GRID, Immediate(breaks_at=8), path=path)
    executor = Immediate()
    assert len(sweep(GRID, executor, path=path)) == 8
    assert executor.calls == 1


def test_a_killed_process_pool_is_reported():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        executor.submit(time.sleep, 0).result()
        os.kill(next(iter(executor._processes)), signal.SIGKILL)
        with pytest.raises(RuntimeError, match="^executor: a worker died"):
            sweep(GRID, executor)


def test_a_run_asked_for_twice_is_run_once():
    executor = Immediate()
    table = sweep(GRID | {"seed": [0, 0], "scheme": "zeros"}, executor)
    assert len(table) == 4 and executor.calls == 2


def test_expand_takes_single_values_ranges_and_arrays():
    import numpy as np

    runs = expand({"depth": np.array([2, 3]), "seed": range(2), "scheme": "glorot_normal"})
    assert [(r.depth, r.seed) for r in runs] == [(2, 0), (2, 1), (3, 0), (3, 1)]
    assert runs[0].scheme == "xavier_normal" and type(runs[0].depth) is int


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda p: sweep([1]), TypeError, "^grid: got list"),
        (lambda p: sweep([]), TypeError, "^grid: got list"),
        (lambda p: sweep({"optimizer": "adm"}), ValueError, "^optimizer: 'adm' is unknown; did you mean 'adam'"),
        (lambda p: sweep({"shceme": "zeros"}), ValueError, "^grid: 'shceme' is unknown; did you mean 'scheme'"),
        (lambda p: sweep({"scheme": "zeroes"}), ValueError, "^scheme: 'zeroes' is unknown; did you mean .*'zeros'"),
        (lambda p: sweep({"depth": []}), ValueError, "^grid: depth has no values"),
        (lambda p: sweep({"depth": [3, 0]}), ValueError, "^depth: got 0"),
        (lambda p: sweep({"lr": float("nan")}), ValueError, "^lr: got nan"),
        (lambda p: sweep({"seed": 1.5}), TypeError, "^seed: got float"),
        (lambda p: sweep({}, executor="dask"), TypeError, "^executor: got str"),
        (lambda p: sweep(GRID, path=p), ValueError, "^path: "),
    ],
)
def test_bad_input_is_refused_before_a_run(tmp_path, monkeypatch, call, kind, message):
    monkeypatch.setattr(
        sys.modules["initviz.training._sweep"], "run_alike", lambda *_: pytest.fail("a run was started")
    )
    path = tmp_path / "notes.txt"
    path.write_text("not a sweep\n")
    with pytest.raises(kind, match=message):
        call(path)
    assert path.read_text() == "not a sweep\n"


def test_a_file_of_another_kind_without_a_line_end_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a sweep")
    with pytest.raises(ValueError, match="^path: .* is not a sweep's file"):
        sweep(GRID, path=path)
    assert path.read_text() == "not a sweep"
