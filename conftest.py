"""For notebooks and tests alike: outputs are compared by words and numbers, and a default device may be named.

`--device cuda` runs everything with that default device, notebooks too; "pretend" is a device for machines without a GPU.
"""

import os
import tempfile
from pathlib import Path

import nbval_numbers
import pytest

KERNELS = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption(
        "--device", help="torch's default device in all tests and notebooks: cuda, or pretend (see tests/pretend)"
    )


def pytest_configure(config):
    nbval_numbers.install()
    if (device := config.getoption("--device")) is None:
        return
    import torch

    if device == "pretend":
        import pretend

        pretend.load()
    torch.set_default_device(device)
    config.stash[KERNELS] = folder = tempfile.TemporaryDirectory()  # the kernels of notebooks do the same as they start
    startup = Path(folder.name, "profile_default", "startup")
    startup.mkdir(parents=True)
    lines = [f"import sys, torch; sys.path.append({str(config.rootpath / 'tests')!r})"]
    lines += ["import pretend; pretend.load()"] if device == "pretend" else []
    lines += [f"torch.set_default_device({device!r}); del sys, torch"]
    (startup / "device.py").write_text("\n".join(lines))
    os.environ["IPYTHONDIR"] = folder.name
