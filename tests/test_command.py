"""`initviz diagnose` on what people's modules do: exit codes, messages, options, and what it says while it works."""

import logging
import sys
import time

import pytest

from initviz.__main__ import main
from initviz._core import progress as progress_module
from initviz._core.progress import LOG, progress

MODEL = """
import torch
from torch import nn

def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))

"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of the user's into the present folder, and gives its name."""
    monkeypatch.chdir(tmp_path)
    path, written = list(sys.path), []

    def write(text, name=None):
        name = name or f"users_{tmp_path.name.replace('-', '_')}_{len(written)}"
        (tmp_path / f"{name}.py").write_text(text)
        written.append(name)
        return name

    yield write
    assert sys.path == path
    for name in written:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import sys\nsys.exit(0)\n", "model"),
        ("raise SystemExit\n", "model"),
        (MODEL + "def make():\n    raise SystemExit(0)\n", "make"),
        (MODEL + "class Quits(nn.Linear):\n    def forward(self, x):\n        exit(0)\ndef make():\n    return Quits(8, 3)\n", "make"),
        (MODEL + "def make():\n    net = model()\n    net[0].register_full_backward_hook(lambda *_: exit(0))\n    return net\n", "make"),
    ],
    ids=["import", "import, raised", "factory", "forward", "backward"],
)  # fmt: skip
def test_a_module_that_exits_has_no_verdict(module, capsys, text, name):
    assert main(["diagnose", f"{module(text)}:{name}", "--shape", "4,8"]) == 2
    found = capsys.readouterr()
    assert "sys.exit(" in found.err and "no verdict" in found.err and not found.out


def test_an_exception_that_is_none_has_no_verdict_either(module, capsys):
    name = module("import pytest\npytest.skip('not here', allow_module_level=True)\n")
    assert main(["diagnose", f"{name}:model", "--shape", "4,8"]) == 2
    assert "not here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise ValueError('my own words')\n", ["raise ValueError('my own words')", "ValueError: my own words"]),
        ("import no_such_package\n", ["import no_such_package", "No module named 'no_such_package'"]),
        ("def make():\n    return int('three')\n", ["return int('three')", "ValueError: invalid literal"]),
        ("import torch\ndef make():\n    return torch.nn.Linear(8, -3)\n", ["torch.nn.Linear(8, -3)", "RuntimeError"]),
        (MODEL + "class A(nn.Linear):\n    def forward(self, x):\n        raise ValueError('in it')\ndef make():\n    return A(8, 3)\n",
         ["raise ValueError('in it')", "does not fit the model: in it"]),
        (MODEL + "class Own(nn.Linear):\n    def forward(self, x):\n        return {}['key']\ndef make():\n    return Own(8, 3)\n",
         ["return {}['key']", "KeyError: 'key'"]),
    ],
)  # fmt: skip
def test_an_error_of_the_users_code_comes_with_its_traceback(module, capsys, text, words):
    name = module(text)
    assert main(["diagnose", f"{name}:make", "--shape", "4,8"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" in error and f"{name}.py" in error
    assert all(each in error for each in words), error
    assert "__main__.py" not in error  # where it happened in their code is what helps


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mod.py:make", "model: got the file 'mod.py'; it takes the module's name, mod:make"),
        ("mod.py", "it takes the module's name, mod:name"),
        ("src/mod.py:make", "it takes the module's name, src.mod:make"),
        ("./mod.py:make", "it takes the module's name, mod:make"),
        ("sick_models:_deep", "model: sick_models:_deep takes arguments (activation, depth)"),
        ("sick_models:healty", "can't be loaded"),
    ],
)
def test_a_wrong_target_is_refused_in_one_line(capsys, target, words):
    assert main(["diagnose", target, "--shape", "4,8"]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_a_shape_is_taken_in_place_of_the_functions_own_batch(module, capsys):
    name = module(
        MODEL
        + "def both():\n    return model(), torch.randn(5, 8)\ndef all3():\n    return *both(), torch.zeros(5, 3)\n"
    )
    assert main(["diagnose", f"{name}:both"]) == 0
    assert "batch of 5" in capsys.readouterr().out
    assert main(["diagnose", f"{name}:both", "--shape", "12,8"]) == 0
    assert "batch of 12" in capsys.readouterr().out
    assert main(["diagnose", f"{name}:all3"]) == 0
    assert main(["diagnose", f"{name}:all3", "--shape", "12,8"]) == 2
    assert "shape: " in capsys.readouterr().err


def test_a_function_may_import_from_its_own_folder_and_change_paths(module, capsys):
    other = module(MODEL)
    name = module(
        f"import os, sys\ndef make():\n    sys.path.insert(0, 'x'), os.chdir('/')\n    from {other} import model\n    return model()\n"
    )
    assert main(["diagnose", f"{name}:make", "--shape", "4,8"]) == 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float64", "float16"])
def test_a_dtype_is_that_of_model_and_batch(module, capsys, dtype):
    name = module(MODEL + "def both():\n    return model(), {'input': torch.randn(6, 8)}\n")
    assert main(["diagnose", f"{name}:both", "--dtype", dtype]) == 0
    assert dtype in capsys.readouterr().out
    assert main(["diagnose", f"{name}:model", "--shape", "6,8", "--dtype", dtype]) == 0
    assert dtype in capsys.readouterr().out


def test_a_dtype_that_is_none(capsys):
    assert main(["diagnose", "sick_models:healthy", "--dtype", "float17"]) == 2
    assert "dtype: 'float17' is unknown; did you mean" in capsys.readouterr().err


@pytest.mark.parametrize(
    "allow", [["--allow", "vanishing"], ["--allow", "dead,vanishing"], ["--allow", "dead", "--allow", "vanishing"]]
)
def test_a_verdict_that_is_allowed_passes(capsys, allow):
    assert main(["diagnose", "sick_models:left_at_the_default", *allow]) == 0
    assert "VANISHING" in capsys.readouterr().out


def test_a_verdict_that_is_not_allowed_does_not_pass(capsys):
    assert main(["diagnose", "sick_models:left_at_the_default", "--allow", "dead"]) == 1
    assert main(["diagnose", "sick_models:left_at_the_default", "--allow", "vanishin"]) == 2
    assert "allow: 'vanishin' is unknown; did you mean 'vanishing'?" in capsys.readouterr().err


def test_layers_at_fault_say_what_they_are(capsys):
    assert main(["diagnose", "sick_models:left_at_the_default"]) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if "layers at fault" in line)
    assert "under 1/1000 of what it is where it starts (number in the order of the forward pass, and module)" in line


# What it says while it works ------------------------------------------------------------------------------------------------


def test_a_quick_run_in_ci_says_nothing_on_the_way(module, capsys):
    assert main(["diagnose", f"{module(MODEL)}:model", "--shape", "6,8"]) == 0
    assert not capsys.readouterr().err


def test_a_slow_run_in_ci_says_what_it_does(capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "PATIENCE", 0.05)
    level = LOG.level
    with progress("loading"):
        LOG.info("probing %s", "Big")
        time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 5 and all(line.startswith("initviz: probing Big (") for line in lines)
    assert LOG.level == level and not any(type(handler).__name__ == "_Steps" for handler in LOG.handlers)


def test_a_terminal_shows_each_step_and_is_clean_at_the_end(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with pytest.raises(KeyError), progress("loading"):
        LOG.info("probing")
        raise KeyError("in between")
    error = capsys.readouterr().err
    assert "initviz: probing" in error and error.endswith("\r\x1b[K")


def test_steps_are_told_to_whoever_logs(caplog):
    import sick_models

    import initviz as iv

    with caplog.at_level(logging.INFO, logger="initviz"):
        iv.diagnose(*sick_models.left_at_the_default())
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "probing Sequential, 125,450 parameters" and "vanishing; trying iv.init_(model" in said[1]
