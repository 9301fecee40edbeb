"""Set up before torch is imported: one thread a worker when pytest-xdist runs several, and pictures without a screen."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

import pytest

if "PYTEST_XDIST_WORKER" in os.environ and "TEST_THREADS" not in os.environ:  # tests/machines.py
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    from matplotlib import pyplot

    assert not pyplot.get_fignums()
