"""What `import initviz` loads, and what a bare `pip install initviz`, without its extras, is enough for."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import initviz as iv

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LATE = ("IPython", "ipywidgets", "matplotlib", "pandas", "scipy", "sklearn")
IMPORTED = {"scikit-learn": "sklearn", "jupyterlab": "jupyterlab"}
"""How a package is imported, where that is not its name."""
PROBE = """
import torch
import initviz as iv
torch.manual_seed(0)
net, x, y = iv.mlp(4, 64, "relu", "he_normal"), torch.randn(32, 64), torch.randint(10, (32,))
report = iv.probe(net, x, y)
assert iv.verdict(report).kind == "stable", iv.verdict(report)
iv.assert_stable(net, x, y)
page = str(iv.diagnose(iv.mlp(30, 16, "relu", "xavier_normal"), x, y))
assert "VANISHING" in page, page
"""


def python(code):
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_probe_loads_nothing_that_draws_or_reads_tables():
    loaded = python(f"{PROBE}\nimport sys; print(*sys.modules)").split()
    assert "torch" in loaded and "initviz" in loaded
    assert not [name for name in LATE if name in loaded]


def test_without_the_extras_a_model_is_probed_and_what_needs_one_says_so():
    extras = [*PROJECT["optional-dependencies"]["notebooks"], *PROJECT["optional-dependencies"]["widgets"]]
    extra = [re.match(r"[\w-]+", line)[0] for line in extras if not line.startswith("initviz[")]
    blocked = [IMPORTED.get(name, name) for name in extra]
    script = f"""
import sys
for name in {[*blocked, "IPython"]}:
    sys.modules[name] = None  # importing it raises ModuleNotFoundError
{PROBE}
for attempt in ("iv.plots", "iv.explore", "iv.check", "iv.digits()", "iv.datasets.mnist1d()", "report.to_frame()", "iv.compare()"):
    try:
        eval(attempt)
    except ModuleNotFoundError as error:
        print(attempt, error)
"""
    lines = python(script).splitlines()
    assert len(lines) == 7, lines
    for line in lines:
        assert re.fullmatch(
            r'\S+ \w+ is not installed; it comes with an extra: python -m pip install "initviz\[notebooks\]"', line
        )


def test_every_public_name_is_there():
    assert not [name for name in iv.__all__ if not hasattr(iv, name)]
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        iv.nothing  # noqa: B018


def test_names_that_are_loaded_late_have_their_types(tmp_path):
    """mypy takes each for what it is, not for Any, and sees that another name is not there."""
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")

    names = ["check", "clinic", "course", "plots", "quiz", "widgets"]
    names += [name for name in iv.__all__ if name.startswith("explore")]
    user, config = tmp_path / "user.py", tmp_path / "mypy.ini"
    user.write_text("import initviz as iv\n" + "".join(f"reveal_type(iv.{name})\n" for name in [*names, "nothing"]))
    config.write_text(
        "[mypy]\nignore_missing_imports = True\n[mypy-torch.*,numpy.*,pandas.*,matplotlib.*]\nfollow_imports = skip\n"
    )
    told = api.run([str(user), "--config-file", str(config), "--cache-dir", str(tmp_path)])[0]
    kinds = re.findall(r'Revealed type is "(.*)"', told)
    assert len(kinds) == len(names) + 1 and [kind for kind in kinds if kind == "Any"] == kinds[-1:], told
    assert 'Module has no attribute "nothing"' in told
