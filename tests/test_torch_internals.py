"""torch's private names: none outside their file, and each can be missing."""

import ast
import importlib.util
import re
import subprocess
import sys
from collections import OrderedDict, defaultdict, namedtuple
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

import initviz as iv
from initviz._core import torch_internals

FILE = Path(torch_internals.__file__)
PACKAGE = Path(iv.__file__).parent
ATTRIBUTES = {"_base", "_buffers", "_is_view", "_modules", "_parameters", "_post_accumulate_grad_hooks", "_version"}
"""Private attributes of tensors and modules. (`_replace` is public: that of a namedtuple.)"""


def private_names(path):
    """The lines of a file that use a private name of torch."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        if isinstance(node, ast.Import | ast.ImportFrom):
            names += [f"{names[0]}.{alias.name}" if names else alias.name for alias in node.names]
        if isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
            if node.attr in ATTRIBUTES:
                yield f"{path.name}:{node.lineno}: {names[0]}"
        for name in names:
            if re.match(r"(torch|nn|Tensor|F)(\.\w+)*\._(?!_)", name):
                yield f"{path.name}:{node.lineno}: {name}"


def test_no_other_file_uses_a_private_name_of_torch():
    assert not [line for path in PACKAGE.rglob("*.py") if path != FILE for line in private_names(path)]


def test_a_private_name_would_be_seen(tmp_path):
    lines = ["import torch._dynamo", "from torch._C import x", "from torch import _foreach_add", "torch.utils._pytree.tree_map",
             "x._version", "nn.modules.conv._ConvNd"]  # fmt: skip
    for line in lines:
        (tmp_path / "file.py").write_text(line)
        assert list(private_names(tmp_path / "file.py")), line
    (tmp_path / "file.py").write_text("import torch\ntorch.nn.Linear.__init__\nself._layers\nnamed._replace(a=1)")
    assert not list(private_names(tmp_path / "file.py"))


def missing(self, *_):
    raise AttributeError("a private name is gone")


def take_away(monkeypatch, *names):
    """torch without some of its private names."""
    places = {
        "Convolution": (nn.modules.conv, "_ConvNd"),
        "BatchNorm": (nn.modules.batchnorm, "_BatchNorm"),
        "DisableTorchFunction": (torch._C, "DisableTorchFunction"),
        "functorch": (torch._C._functorch, "is_functorch_wrapped_tensor"),
        "tree_map": (torch.utils._pytree, "tree_map"),
    }
    for name in names:
        if name in places:
            monkeypatch.delattr(*places[name])
        else:
            monkeypatch.setattr(torch.Tensor, name, property(missing, missing))


@contextmanager
def internals(monkeypatch, *names):
    """The file as it is under a torch without some private names."""
    with monkeypatch.context() as changed:
        take_away(changed, *names)
        spec = importlib.util.spec_from_file_location("internals_without", FILE)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


CONVOLUTIONS = [nn.Conv1d(1, 1, 1), nn.Conv3d(1, 1, 1), nn.ConvTranspose2d(1, 1, 1)]
NORMS = [nn.BatchNorm1d(1), nn.BatchNorm3d(1), nn.SyncBatchNorm(1)]


@pytest.mark.parametrize("names", [[], ["Convolution", "BatchNorm"]])
def test_classes(monkeypatch, names):
    with internals(monkeypatch, *names) as module:
        assert isinstance(module.Convolution, type) == (not names)
        for layer in [*CONVOLUTIONS, *NORMS, nn.Linear(1, 1), nn.LayerNorm(1)]:
            assert isinstance(layer, module.Convolution) == (layer in CONVOLUTIONS)
            assert isinstance(layer, module.BatchNorm) == (layer in NORMS)


def test_a_modules_own_parameters():
    module = nn.Linear(2, 2, bias=False)
    module.other, module.inner = module.weight, nn.Linear(2, 2)
    private = dict(torch_internals.own_parameters(module))
    assert list(private) == ["weight", "bias", "other"] and private["bias"] is None

    class Hidden(nn.Linear):
        @property
        def __dict__(self):
            return {}

    module.__class__ = Hidden
    assert "_parameters" not in vars(module)
    public = torch_internals.own_parameters(module)
    assert {name: id(p) for name, p in public.items()} == {n: id(p) for n, p in private.items() if p is not None}


def test_what_torch_compile_wraps():
    class OptimizedModule(nn.Module):  # as torch.compile's own
        def __init__(self, **parts):
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

    inner = nn.Linear(2, 2)
    assert torch_internals.compiled_from(OptimizedModule(_orig_mod=inner)) is inner
    assert torch_internals.compiled_from(OptimizedModule(renamed=inner)) is inner
    assert torch_internals.compiled_from(nn.Sequential(inner)) is None


Point = namedtuple("Point", "x y")
TREES = [
    1,
    (1, [2, {"a": 3, "b": (4,)}]),
    Point(1, [2]),
    OrderedDict(b=1, a=2),
    defaultdict(list, a=[1, 2]),
    [],
    {},
    None,
]


@pytest.mark.parametrize("tree", TREES, ids=str)
@pytest.mark.parametrize("names", [[], ["tree_map"]])
def test_trees(monkeypatch, tree, names):
    with internals(monkeypatch, *names) as module:
        assert (module.tree_map is module._tree_map) == bool(names)
        assert module.tree_leaves(tree) == torch.utils._pytree.tree_leaves(tree)
        double = module.tree_map(lambda leaf: leaf and 2 * leaf, tree)
        assert repr(double) == re.sub(r"\d", lambda found: str(2 * int(found[0])), repr(tree))
        whole = module.tree_map(len, {"a": (1, 2), "b": [3]}, is_leaf=lambda part: isinstance(part, tuple | list))
        assert whole == {"a": 2, "b": 1}


@pytest.mark.parametrize("names", [[], ["functorch"]])
def test_tensors_within_torch_func(monkeypatch, names):
    with internals(monkeypatch, *names) as module:
        seen = []

        def look(x):
            seen.append(module.within_torch_func(x))
            return (x * x).sum()

        x = torch.randn(3, 4)
        (
            torch.vmap(look)(x),
            torch.func.grad(look)(x),
            torch.func.jvp(look, (x,), (x,)),
            torch.vmap(torch.func.grad(look))(x),
        )
        assert seen == [True] * 4
        plain = [x, nn.Parameter(x), x[1:], x.cpu().to_sparse(), x.to("meta"), x.cpu().to_mkldnn()]
        assert not any(map(module.within_torch_func, plain))


@pytest.mark.parametrize("names", [[], ["_version"]])
def test_version(monkeypatch, names):
    with internals(monkeypatch, *names) as module:
        tensor = torch.zeros(2)
        before = module.version(tensor)
        tensor.add_(1)
        assert module.version(tensor) != before
        assert (module.version(tensor) == module.version(tensor)) == (not names)
        with torch.inference_mode():
            assert module.version(torch.zeros(2)) == module.version(torch.zeros(2)) == 0


@pytest.mark.parametrize("names", [[], ["_base"], ["_is_view"]])
def test_whole(monkeypatch, names):
    with internals(monkeypatch, *names) as module:
        weight, other = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.randn(2))
        for tensor in (weight, weight[1], weight.view(-1)[3:], weight.t()):
            assert module.whole(tensor, [other, weight]) is weight
        alone = torch.randn(2)
        assert module.whole(alone, [other, weight]) is alone


@pytest.mark.parametrize("missing", [False, True])
def test_norms(monkeypatch, missing):
    if missing:
        monkeypatch.delattr(torch, "_foreach_norm")
    tensors = [torch.full((4,), 1e-30), torch.ones(3, dtype=torch.bfloat16)]
    found = torch_internals.norms(tensors, torch.float64)
    assert [norm.item() for norm in found] == pytest.approx([2e-30, 3**0.5], rel=1e-6)


@pytest.mark.parametrize("names", [[], ["_post_accumulate_grad_hooks"]])
def test_an_optimizer_in_the_backward_pass_changes_nothing(monkeypatch, names):
    weight = nn.Parameter(torch.ones(2))

    def step(parameter):
        parameter.data.sub_(parameter.grad)

    weight.register_post_accumulate_grad_hook(step)
    with internals(monkeypatch, *names) as module:
        put_back = module.put_gradient_hooks_aside(weight)
        weight.sum().backward()
        assert weight.data.equal(torch.zeros(2) if names else torch.ones(2))
        put_back()
        assert weight.data.equal(torch.ones(2))
        weight.sum().backward()
        assert not weight.data.equal(torch.ones(2))


@pytest.mark.parametrize("gone", [False, True])
def test_the_compiler_is_not_loaded_to_be_turned_off_but_where_it_cannot_be_found_it_is_turned_off(monkeypatch, gone):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if gone else object())
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)
    monkeypatch.delitem(sys.modules, "torch._dynamo")
    monkeypatch.setattr(torch.compiler, "set_stance", lambda stance: nullcontext(stance))
    with internals(monkeypatch) as module, module.uncompiled() as stance:
        assert stance == ("force_eager" if gone else None)
    monkeypatch.setitem(sys.modules, "torch._dynamo", object())
    with internals(monkeypatch) as module, module.uncompiled() as stance:
        assert stance == "force_eager"


GONE = """
import torch
from torch import nn
for place, name in [(nn.modules.conv, "_ConvNd"), (nn.modules.batchnorm, "_BatchNorm"), (torch._C, "DisableTorchFunction"),
                    (torch._C._functorch, "is_functorch_wrapped_tensor"), (torch.utils._pytree, "tree_map")]:
    delattr(place, name)
def missing(self, *_):
    raise AttributeError
for name in ("_version", "_base", "_is_view"):  # torch itself needs _post_accumulate_grad_hooks to register one
    setattr(torch.Tensor, name, property(missing, missing))
"""
REPORTS = """
import torch
import initviz as iv
from torch import nn

class Writes(nn.Linear):  # into its own weight, through a view
    def forward(self, x):
        with torch.no_grad():
            self.weight.view(-1)[:2].mul_(2)
        return super().forward(x).relu_()

torch.manual_seed(0)
convolutions = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Tanh(), nn.Flatten(), nn.Linear(288, 4))
for model, x in [
    (iv.mlp(5, 16, "tanh", "lecun_normal"), torch.randn(16, 64)),
    (nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), Writes(8, 8), nn.Sigmoid(), nn.Linear(8, 3)), torch.randn(16, 8)),
    (convolutions, torch.randn(16, 3, 8, 8)),
]:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = iv.probe(model, x)
    for layer in report.layers:
        print(layer.name, layer.activation_name, layer.preactivation.rms, layer.preactivation_gradient.rms, layer.weight_gradient)
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())
    iv.lsuv_(model, x)
    print([p.norm().item() for p in model.parameters()])
print(iv.diagnose(iv.mlp(20, 16, "relu", "xavier_normal"), torch.randn(16, 64), torch.randint(10, (16,))))
"""


def test_with_all_of_them_gone_the_reports_are_the_same():
    whole, gone = (
        subprocess.run([sys.executable, "-c", script], text=True, capture_output=True)
        for script in (REPORTS, GONE + REPORTS)
    )
    assert whole.returncode == gone.returncode == 0, whole.stderr + gone.stderr
    assert whole.stdout == gone.stdout
