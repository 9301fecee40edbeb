"""Other machines, emulated: what stands in for them takes effect, in tests, in a notebook's kernel and in the processes they start."""

import os
import subprocess
import sys

import machines
import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

DRAWS = "torch.randn(1000, generator=seeded())", "torch.empty(1000).uniform_(generator=seeded())", "kaiming(seeded())"


def printed(environment, *lines):
    code = "\n".join(["import initviz, torch, machines", *lines])
    path = os.pathsep.join([str(machines.HERE), str(machines.ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)


def test_every_draw_moves_by_at_most_a_unit_and_the_same_draw_as_before():
    out = printed(
        {},
        "seeded = lambda: torch.Generator().manual_seed(0)",
        "kaiming = lambda generator: torch.nn.init.kaiming_normal_(torch.nn.Linear(64, 64).weight, generator=generator)",
        f"draws = lambda: [{', '.join(DRAWS)}]",
        "before, state = draws(), torch.get_rng_state()",
        "machines.move_draws(1)",
        "after, again = draws(), draws()",
        "for a, b, c in zip(before, after, again):",
        "    unit = torch.nextafter(a.abs(), torch.tensor(torch.inf)) - a.abs()",
        "    share = (a != b).double().mean().item()",
        "    print(bool(((b - a).abs() <= 1.01 * unit).all()), 0.5 < share < 0.8, torch.equal(b, c), type(a) is type(b))",
        "torch.randn(3, device='meta'), torch.empty(0).normal_(), torch.empty(2, dtype=torch.float16).normal_()",
    )
    assert out.splitlines() == ["True True True True"] * len(DRAWS)


def test_another_seed_moves_otherwise():
    total = "print(torch.randn(1000, generator=torch.Generator().manual_seed(0)).double().sum().item())"
    assert len({printed({"TEST_ULP": seed}, "machines.apply()", total) for seed in "123"} | {printed({}, total)}) == 4


def test_the_kernel_of_a_notebook_and_what_it_starts_are_that_machine(tmp_path, monkeypatch):
    monkeypatch.setitem(machines.MACHINES, "test", {**machines.LOWEST, "TEST_THREADS": "3", "TEST_ULP": "1"})
    here = "import torch; print(torch.get_num_threads(), torch.backends.cpu.get_cpu_capability(), hasattr(torch.randn, '__wrapped__'))"
    started = f'import subprocess, sys\nprint(subprocess.check_output([sys.executable, "-c", """{here}"""], text=True))'
    source, text = f"{here}\n{started}", "3 DEFAULT True\n3 DEFAULT True\n\n"
    output = new_output("stream", name="stdout", text=text)
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source, execution_count=1, outputs=[output])]), path)
    monkeypatch.setenv("MKL_NUM_THREADS", "1")  # of this process, not of that machine
    assert machines.run("test", [str(path)]) == 0
    monkeypatch.setitem(machines.MACHINES, "test", {})
    assert machines.run("test", [str(path)]) == 1


def test_an_unknown_machine_is_named(capsys):
    assert machines.main(["odlest"]) == 2
    assert "no such machine: odlest" in capsys.readouterr().err


def test_what_is_run_exists():
    assert all(list(machines.ROOT.glob(pattern)) for pattern in machines.TRAIN)
