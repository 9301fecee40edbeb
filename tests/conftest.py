"""Set up before torch is imported: one thread a worker when pytest-xdist runs several, and pictures without a screen.

`--device cuda` runs everything with that default device, notebooks too; "pretend" is a device for machines without a GPU.
"""

import os
import tempfile
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"

import pytest

if "PYTEST_XDIST_WORKER" in os.environ and "TEST_THREADS" not in os.environ:  # tests/machines.py
    import torch

    torch.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption(
        "--device", help="torch's default device in all tests and notebooks: cuda, or pretend (see tests/pretend)"
    )


def pytest_configure(config):
    device = config.getoption("--device")
    if device is None:
        return
    import torch

    if device == "pretend":
        import pretend

        pretend.load()
    torch.set_default_device(device)
    config.stash[KERNELS] = folder = tempfile.TemporaryDirectory()  # the kernels of notebooks do the same as they start
    startup = Path(folder.name, "profile_default", "startup")
    startup.mkdir(parents=True)
    lines = [f"import sys, torch; sys.path.append({str(Path(__file__).parent)!r})"]
    lines += ["import pretend; pretend.load()"] if device == "pretend" else []
    lines += [f"torch.set_default_device({device!r}); del sys, torch"]
    (startup / "device.py").write_text("\n".join(lines))
    os.environ["IPYTHONDIR"] = folder.name


KERNELS = pytest.StashKey()


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    yield
    from matplotlib import pyplot

    assert not pyplot.get_fignums()
