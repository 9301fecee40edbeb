"""Torch's idle threads do not spin in the way of others."""

import os
import subprocess
import sys

import pytest


def environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"} | {"OMP_DISPLAY_ENV": "VERBOSE"} | more


@pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP is torch's on Linux")
@pytest.mark.parametrize(("set_before", "seen"), [({}, "10000"), ({"GOMP_SPINCOUNT": "77"}, "77")])
def test_openmp_is_told_before_torch_loads_it(set_before, seen):
    done = subprocess.run(
        [sys.executable, "-c", "import initviz"],
        env=environment(**set_before),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"GOMP_SPINCOUNT = '{seen}'" in done.stderr
