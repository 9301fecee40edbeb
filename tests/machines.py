"""`python tests/machines.py [machine ...]`: the notebooks, and tests that train, as computers of other kinds run them.

Floating-point sums are rounded in another order by each kind of processor and number of threads, and training multiplies the
difference. A machine here is a set of environment variables; the libraries below torch take another path for each. What no variable
can emulate, `ulp-1` to `ulp-3` stand in for: every random draw of torch is moved by -1, 0 or +1 unit in its last place.

Without names all of MACHINES are run, one after another; arguments after "--" go to pytest, in place of TRAIN.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

LOWEST = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "OMP_NUM_THREADS": "1",
}
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
MACHINES = {
    "oldest": LOWEST,
    **{f"{name}={value}".lower(): {name: value} for name, value in LOWEST.items()},
    "avx2": AVX2,
    "threads=4": {"TEST_THREADS": "4"},  # OMP_NUM_THREADS gives no more threads than there are cores
    "avx2, threads=4": {**AVX2, "TEST_THREADS": "4"},
    **{f"ulp-{seed}": {"TEST_ULP": str(seed)} for seed in (1, 2, 3)},
}
"""Name -> environment. TEST_THREADS and TEST_ULP are read by `apply`."""

TRAIN = [
    "notebooks/*.ipynb",
    *(
        f"tests/**/test_{name}.py"
        for name in (
            "finite_width",
            "growth",
            "lsuv",
            "notebooks_exercises",
            "residual",
            "sweep",
            "symmetry",
            "training",
            "transfer",
            "widths",
        )
    ),
]
"""Notebooks, and tests whose numbers come from training or from many layers."""


def apply() -> None:
    """Do in this process what TEST_THREADS and TEST_ULP say; nothing where neither is set."""
    if not {"TEST_THREADS", "TEST_ULP"} & set(os.environ):
        return
    import initviz  # noqa: F401, I001  before torch, as ever
    import torch

    # `initviz classroom` asks for one thread: it forks
    if "TEST_THREADS" in os.environ and "MKL_NUM_THREADS" not in os.environ:
        torch.set_num_threads(int(os.environ["TEST_THREADS"]))
    if "TEST_ULP" in os.environ:
        move_draws(int(os.environ["TEST_ULP"]))


def move_draws(seed: int) -> None:
    """From now on every normal and uniform draw of torch is moved by -1, 0 or +1 unit in its last place.

    How is decided by `seed` and by the draw itself, so that a draw that is made again is moved as before.
    """
    import torch
    from torch.utils._device import _device_constructors
    from torch.utils._python_dispatch import _disable_current_modes

    read = torch.Tensor.item  # as it is now: tests of what reads a value replace it
    inside = threading.local()

    def moved(draw):
        if type(draw) not in (torch.Tensor, torch.nn.Parameter) or draw.device.type == "meta":
            return draw  # a stand-in without values
        if draw.dtype not in (torch.float32, torch.float64) or draw.numel() == 0:
            return draw
        with torch.no_grad(), _disable_current_modes():
            ends = read(draw[(0,) * draw.dim()]), read(draw[(-1,) * draw.dim()])
            generator = torch.Generator().manual_seed(hash((seed, draw.numel(), *ends)) % 2**32)
            step = torch.randint(-1, 2, draw.shape, device="cpu", generator=generator).to(draw.device)
            draw.copy_(torch.nextafter(draw, torch.where(step == 0, draw, step * torch.inf)))
        return draw

    def wrapped(draw_function):
        @functools.wraps(draw_function)
        def draw(*arguments, **keywords):
            if getattr(inside, "draw", False):  # torch calls it once more where a default device is set
                return draw_function(*arguments, **keywords)
            inside.draw = True
            try:
                return moved(draw_function(*arguments, **keywords))
            finally:
                inside.draw = False

        return draw

    _device_constructors()  # what a default device is given to, remembered as it is now
    with _disable_current_modes():  # what it imports, now: a test takes torch's private names away
        pass
    for name in ("normal_", "uniform_"):
        setattr(torch.Tensor, name, wrapped(getattr(torch.Tensor, name)))
    for name in ("normal", "rand", "rand_like", "randn", "randn_like"):
        setattr(torch, name, wrapped(getattr(torch, name)))


def settings(machine: str) -> dict[str, str]:
    """Its environment variables. "ulp-N" is a machine for any N, and so are several joined by commas, such as "oldest, ulp-1".

    Raises:
        ValueError: no such machine.
    """
    variables: dict[str, str] = {}
    for part in [machine] if machine in MACHINES else machine.split(", "):
        seed = re.fullmatch(r"ulp-(\d+)", part)
        if part not in MACHINES and seed is None:
            raise ValueError(f"no such machine: {part}; there are {', '.join(MACHINES)}, and ulp-N for any number N")
        variables |= MACHINES[part] if seed is None else {"TEST_ULP": seed[1]}
    return variables


def unknown(machines: list[str]) -> bool:
    """Whether one of them is no machine; then its name is printed."""
    try:
        for machine in machines:
            settings(machine)
    except ValueError as error:
        print(error, file=sys.stderr)
        return True
    return False


@contextmanager
def environment(machine: str) -> Iterator[dict[str, str]]:
    """The environment in which a Python process, and each that it starts, is that machine."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(
            "import machines\n\nmachines.apply()\n"
        )  # what any Python runs first
        path = os.pathsep.join(p for p in (folder, str(HERE), str(ROOT), os.environ.get("PYTHONPATH")) if p)
        # a number of threads that this process asked for, not that machine
        outside = {name: value for name, value in os.environ.items() if name != "MKL_NUM_THREADS"}
        yield {**outside, **settings(machine), "PYTHONPATH": path}


def run(machine: str, arguments: list[str]) -> int:
    """pytest's exit status on that machine."""
    with environment(machine) as variables:
        command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "--nbval", *arguments]
        print(f"{machine}: {' '.join(f'{k}={v}' for k, v in settings(machine).items())}", flush=True)
        return subprocess.run(command, env=variables, cwd=ROOT, check=False).returncode


def main(arguments: list[str]) -> int:
    """The command; returns its exit status, 1 if any machine fails."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    names, rest = arguments[:split] or list(MACHINES), arguments[split + 1 :]
    if unknown(names):
        return 2
    rest = rest or [str(path.relative_to(ROOT)) for pattern in TRAIN for path in sorted(ROOT.glob(pattern))]
    failed = [name for name in names if run(name, rest) != 0]
    print(f"failed: {', '.join(failed)}" if failed else f"passed: {', '.join(names)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
