"""Numbers that are read after the pass: the way of a GPU, forced on the CPU. The same numbers, and no read before the end."""

import ctypes
import itertools
import math
import os

import numpy as np
import pretend
import pytest
import torch
from test_probe import Functional, Shared
from torch import nn
from torch.utils._device import set_device
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

import initviz as iv
from initviz._core import readings
from initviz._core.readings import BUFFER, Readings
from initviz._core.statistics import STATISTICS, tensor_stats
from initviz._core.torch_internals import UnseenByModes
from initviz.inspection import QUANTITIES, _probe
from initviz.inspection._units import few_places, largest_magnitudes, units_at_places, units_everywhere


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator(torch.get_default_device()).manual_seed(seed))


def one_nan():
    tensor = normal(256, 256)
    tensor[0, 0], tensor[3, 5], tensor[7, 9] = math.nan, math.inf, -0.0
    return tensor


def few_values():
    tensor = torch.zeros(1000, 1000)
    tensor[3, 5], tensor[7, 8], tensor[17, 18] = 1, -1, 0.5
    return tensor


TENSORS = {
    "normal": (lambda: normal(256, 256), (None, None)),
    "tanh": (lambda: torch.tanh(2 * normal(256, 300)), (-0.9747, 0.9747)),
    "ReLU": (lambda: normal(30, 40).relu(), (None, 0.5)),
    "about 1000": (lambda: normal(256, 256) + 1000, (None, None)),
    "its first value far off": (lambda: torch.cat([torch.tensor([1e8]), normal(20_000)]), (None, None)),
    "1e-25": (lambda: normal(256, 256) * 1e-25, (None, None)),
    "1e30": (lambda: normal(256, 256) * 1e30, (None, None)),
    "subnormal": (lambda: normal(256, 256) * 1e-42, (None, None)),
    "NaN and infinity": (one_nan, (None, 1.0)),
    "NaN alone": (lambda: torch.full((300,), math.nan), (None, None)),
    "zeros": (lambda: torch.zeros(70, 100), (-1.0, None)),
    "a constant": (lambda: torch.full((77,), 0.1), (None, None)),
    "a few values": (few_values, (None, None)),
    "bfloat16": (lambda: normal(64, 256).bfloat16(), (-1.0, 1.0)),
    "float16": (lambda: normal(64, 256).half(), (-1.0, 1.0)),
    "float64": (lambda: normal(64, 256).double() * 1e200, (None, None)),
    "strided": (lambda: normal(200, 300).T[:, ::2], (None, None)),
    "one number, seen everywhere": (lambda: torch.tensor(1.5).expand(30, 40), (None, None)),
    "one value": (lambda: torch.tensor(2.5), (None, None)),
    "int8": (lambda: torch.arange(-100, 100).to(torch.int8), (None, None)),
    "none": (lambda: torch.empty(0, 3), (None, None)),
}
if not pretend.here():
    TENSORS["sparse"] = lambda: normal(300, 40).relu().to_sparse_csr(), (None, None)


@pytest.fixture
def later(monkeypatch):
    monkeypatch.setattr(Readings, "later", True)


def assert_same_stats(stats, now, tolerance):
    scale = now.rms if math.isfinite(now.rms) and now.rms else 1.0
    for name in STATISTICS:
        a, b = getattr(now, name) / scale, getattr(stats, name) / scale
        a, b = (a / scale, b / scale) if name == "second_moment" else (a, b)
        assert a == pytest.approx(b, rel=tolerance, abs=tolerance, nan_ok=True), name
    assert stats.hist.sum() == pytest.approx(now.hist.sum())
    # NaN shifts which values are sampled
    assert np.abs(np.cumsum(stats.hist - now.hist)).max() < (0.02 if 0 < now.nonfinite < 1 else 2e-3)


def assert_all_same(tolerance=1e-7, skipped=()):
    taken = Readings()
    found = {name: taken.stats(make(), flat) for name, (make, flat) in TENSORS.items() if name not in skipped}
    more = [taken.stats(normal(40, 50, seed=seed) + seed) for seed in range(2 * BUFFER + 3)]
    assert not found["normal"].known
    taken.read()
    for name, reading in found.items():
        make, flat = TENSORS[name]
        assert_same_stats(reading.value, tensor_stats(make(), flat=flat), tolerance)
    for seed, reading in enumerate(more):
        assert_same_stats(reading.value, tensor_stats(normal(40, 50, seed=seed) + seed), tolerance)


@pytest.fixture
def unfused(later, monkeypatch):
    monkeypatch.setattr(readings, "fused_kernel", lambda device: None)


def test_torchs_own_operations_find_the_same(unfused):
    assert_all_same()


def test_without_float64_they_find_nearly_the_same(unfused, monkeypatch):
    monkeypatch.setattr(readings, "_wide", lambda device: torch.float32)  # as on Apple's GPUs
    assert_all_same(1e-5, skipped=("float64",))


class InTorch:
    """What the fused kernels do, in torch's words: the way to them and back is then seen without Triton."""

    @staticmethod
    @set_device("cpu")
    def launch(dtype, aligned, alive, programs, rounds, sample_rounds, few, table, partials, others, of_units, found):
        bins = found.shape[1] - readings.NUMBERS
        bounds = table[:, 6:8].numpy(force=True).view(np.float64)
        for line, (below, above), row in zip(table.tolist(), bounds, found):
            address, count, own, begin, sampled, step, _, _, kind, place, units, inner, apart, places = line
            assert (not aligned or address % 16 == 0) and own <= programs and 0 <= begin <= len(partials) // 8 - own
            assert rounds * own * readings.BLOCK >= count and sample_rounds * readings.BLOCK >= sampled
            memory = (ctypes.c_char * ((count or places * apart * units) * dtype.itemsize)).from_address(address)
            x = torch.frombuffer(memory, dtype=dtype)
            if kind == readings.PLACES:
                array = x[: len(x) // (units * inner) * units * inner].view(-1, units, inner).movedim(1, 2)
                of_units[place : place + places * units] = array.reshape(-1, units)[::apart][:places].reshape(-1)
            elif kind == readings.ALIVE:
                assert alive
                of_units[place : place + units] = (x.view(-1, units, inner) != 0).any(0).any(-1).float()
            v = x[:count].double()
            fine = v[v.isfinite()]
            row[:8] = torch.tensor([math.inf, -math.inf, 0, 0, 0, 0, 0, 1])
            if not len(fine):
                continue
            saturated = ((fine < below) | (fine > above)).sum()
            row[:7] = torch.stack(
                [
                    fine.min(),
                    fine.max(),
                    fine.mean(),
                    fine.var(correction=0),
                    (fine == 0).sum(),
                    torch.tensor(len(fine)),
                    saturated,
                ]
            )
            seen = v[::step]
            usable = seen[seen.isfinite() & (seen != 0)]
            if step > 1 and len(usable) < few:
                usable = fine[fine != 0][: readings.LANES * own]
            low, high = row[:2].tolist()
            cells = ((usable - low) / (high - low or 1.0) * bins).long().clamp(max=bins - 1)
            row[8:] = torch.bincount(cells, minlength=bins)


def kernels():
    """The fused kernels: on a GPU, or under Triton's interpreter, where TRITON_INTERPRET=1 is set before it is loaded; else in torch's
    words."""
    if torch.get_default_device().type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1":
        from initviz._core import fused

        return fused
    return InTorch


@pytest.fixture
def fused(later, monkeypatch):
    module = kernels()
    monkeypatch.setattr(readings, "fused_kernel", lambda device: module)
    monkeypatch.setattr(readings, "_give_up", refuse)


def test_the_fused_kernel_finds_the_same(fused):
    assert_all_same()


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((5, 7), 1), ((20, 300), 1), ((9, 4, 30), 2), ((3, 5, 6, 7), 1), ((30, 5, 6, 7), 1), ((6, 70), 0), ((4, 3, 2), 0), ((20, 2, 3, 4), 2)],
)  # fmt: skip
def test_the_fused_kernel_finds_units(fused, shape, axis):
    taken, found = Readings(), []
    for seed in range(BUFFER + 3):
        tensor = normal(*shape, seed=seed)
        tensor.select(axis, seed % shape[axis]).zero_()
        both = [
            taken.stats_and_units(tensor, units(tensor, axis), np.copy) for units in (units_at_places, units_everywhere)
        ]
        found.append((tensor, *both, taken.units(tensor, units_at_places(tensor, axis), np.copy)))
    taken.read()
    for tensor, (stats, places), (same, alive), alone in found:
        assert np.array_equal(places.value, few_places(tensor, axis).numpy(force=True))
        assert np.array_equal(alone.value, places.value)
        assert np.array_equal(alive.value == 0, largest_magnitudes(tensor, axis).numpy(force=True) == 0)
        assert stats.value.mean == same.value.mean == pytest.approx(tensor.mean().item(), abs=1e-6)


def test_a_nan_is_no_dead_unit(fused):
    tensor = torch.zeros(3, 4)
    tensor[1, 2] = math.nan
    taken = Readings()
    _, alive = taken.stats_and_units(tensor, units_everywhere(tensor, 1), np.copy)
    taken.read()
    assert alive.value.tolist() == [0, 0, 1, 0]


class Kernel:
    """Stands for one of Triton's kernels, and for what it is compiled to: counts how often Triton has to look for that."""

    def __init__(self, breaks):
        self.looked, self.launched, self.breaks = 0, [], breaks

    def __getitem__(self, grid):
        return self.look

    def look(self, *arguments):
        self.looked += 1
        return {(3, 1, 1): self.launch}

    def launch(self, *arguments):
        if self.breaks:
            raise TypeError("function takes exactly 25 arguments")
        self.launched.append(arguments)


@pytest.mark.parametrize("breaks", [False, True])
def test_what_triton_compiled_is_launched_itself(monkeypatch, breaks):
    pytest.importorskip("triton")
    from initviz._core import fused

    kernel, device = Kernel(breaks), torch.device("cuda:0")
    monkeypatch.setattr(fused, "_compiled", {})
    for constants in (("float32", True), ("float32", True), ("float16", True), ("float32", True)):
        fused._run(kernel, (3, 1, 1), device, (7,), constants)
    assert kernel.looked == (4 if breaks else 2)
    assert kernel.launched == ([] if breaks else [(7, "float32", True)] * 2)


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter compiles nothing")
@pytest.mark.parametrize("capability", [75, 90])
@pytest.mark.parametrize("name", ["measure", "finish"])
def test_the_kernels_compile_for_gpus_that_are_not_here(name, capability):
    pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from initviz._core import fused, layout

    kernel = getattr(fused, name)
    types = {"table": "*i64", "partials": "*fp64", "others": "*fp32", "of_units": "*fp32", "found": "*fp64"}
    switches = [(False, False), (True, True)] if name == "measure" else [()]
    for element, switch in itertools.product(fused._TYPES.values(), switches):
        given = {"ELEMENT": element, **dict(zip(("ALIGNED", "ALIVE"), switch))}
        constants = {n: given[n] if n in given else getattr(layout, n) for n in kernel.arg_names if n.isupper()}
        kinds = {n: "constexpr" if n in constants else types.get(n, "i32") for n in kernel.arg_names}
        code = compile(ASTSource(kernel, kinds, constants), target=GPUTarget("cuda", capability, 32)).asm
        assert len(code["cubin"]) > 0
        if switch == (True, True):
            assert "ld.global.v" in code["ptx"], "several values are loaded at once"


def test_where_triton_cannot_compile_torchs_operations_take_over(later, monkeypatch):
    class Broken:
        launch = None  # a kernel that can't be called

    monkeypatch.setattr(readings, "fused_kernel", lambda device: Broken)
    monkeypatch.setattr(readings, "_problems", [])
    with pytest.warns(UserWarning, match="Triton can't compile here"):
        assert_all_same()


# In a probe ---------------------------------------------------------------------------------------------------------------


class NoRead(TorchDispatchMode):
    """Refuses to read a value back, as a GPU would have to wait for it."""

    refused = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "is_nonzero")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__.split(".")[-1]
        assert name not in self.refused, f"{name} reads a value in the pass"
        if name in ("index", "index_put_"):
            assert not any(t is not None and t.dtype == torch.bool for t in args[1]), "a mask is read in the pass"
        return func(*args, **(kwargs or {}))


def refuse(*args, **kwargs):
    raise AssertionError("a value is read in the pass")


@pytest.fixture
def no_read_in_the_pass(later, monkeypatch):
    """From the model's call to the end of the backward pass."""

    def guarded(function):
        def inside(*args):
            with NoRead(), monkeypatch.context() as patch:
                for name in READS:
                    patch.setattr(torch.Tensor, name, refuse)
                return function(*args)

        return inside

    for name in ("call", "_loss", "_backward"):
        monkeypatch.setattr(_probe, name, guarded(getattr(_probe, name)))


class Unguarded:
    """InTorch reads values, as no kernel does."""

    @staticmethod
    def launch(*arguments):
        with _disable_current_modes(), pytest.MonkeyPatch.context() as patch:
            for name, kept in READS.items():
                patch.setattr(torch.Tensor, name, kept)
            kernels().launch(*arguments)


READS = {
    name: getattr(torch.Tensor, name)
    for name in ("numpy", "tolist", "item", "cpu", "__bool__", "__float__", "__int__", "__array__")
}


MODELS = {
    "tanh": (lambda: iv.mlp(3, 16, "tanh", "xavier_normal", n_in=8, n_out=3), (5, 8)),
    "symmetric": (lambda: iv.mlp(3, 16, "relu", "constant", n_in=8, n_out=3), (5, 8)),
    "norm and skip": (lambda: iv.mlp(3, 16, "gelu", normalization="batch", skip=True, n_in=8, n_out=3), (5, 8)),
    "convolution": (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 3)), (5, 1, 8, 8)),
    "functions": (Functional, (5, 1, 8, 8)),
    "shared": (Shared, (5, 8)),
    "LSTM": (lambda: nn.LSTM(8, 6, batch_first=True), (5, 7, 8)),
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (5, 7, 8)),
}  # fmt: skip


@pytest.mark.parametrize("way", ["later", "fused"])
@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_read_in_the_pass_and_the_report_is_the_same(name, way, no_read_in_the_pass, monkeypatch):
    if way == "fused":
        monkeypatch.setattr(readings, "fused_kernel", lambda device: Unguarded)
    make, shape = MODELS[name]
    model, x = make(), normal(*shape)
    y = torch.arange(5) % 3 if name in ("tanh", "symmetric", "convolution", "functions") else None
    report = iv.probe(model, x, y)
    monkeypatch.undo()
    now = iv.probe(model, x, y)
    assert report.loss == now.loss and len(report.layers) == len(now.layers)
    for layer, other in zip(report.layers, now.layers):
        for field in ("name", "activation_name", "units", "distinct_units", "dead_units", "reached"):
            assert getattr(layer, field) == getattr(other, field), field
        assert layer.weight_rms == pytest.approx(other.weight_rms)
        for quantity in QUANTITIES:
            assert (getattr(layer, quantity) is None) == (getattr(other, quantity) is None), quantity
            if getattr(layer, quantity) is not None:
                assert_same_stats(getattr(layer, quantity), getattr(other, quantity), 1e-6)


def test_the_guard_sees_a_read(no_read_in_the_pass):
    class Reads(nn.Linear):
        def forward(self, x):
            return super().forward(x) * (1 if x.sum() > 0 else 2)

    with pytest.raises(ValueError, match="is read in the pass"):
        iv.probe(Reads(3, 3), torch.ones(2, 3))


# What is held until it is measured, and written into --------------------------------------------------------------------------


class Halved(torch.autograd.Function):
    """Writes into the gradient that it is given, as one's own kernels do."""

    how = "mul_"

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        if Halved.how == "data":
            gradient.data *= 0.5
        elif Halved.how == "unseen":
            with UnseenByModes():
                gradient.mul_(0.5)
        else:
            gradient.mul_(0.5)
        return gradient


class Overwrites(nn.Module):
    """Writes into its layers' outputs and into their gradients."""

    def __init__(self, how):
        super().__init__()
        self.first, self.second, self.third, self.last = (nn.Linear(8, 8) for _ in range(4))
        self.how, self.calls = how, 0

    def forward(self, x):
        self.calls += 1
        x = self.first(x)
        if self.how == "+=":
            x += 1
        elif self.how == "out":
            torch.mul(x.detach(), 2, out=x.detach())
        elif self.how == "data":
            x.data[:2] = 3
        elif self.how == "view":
            x[1].zero_()
        elif self.how == "foreach":
            torch._foreach_mul_([x], 2)
        elif self.how == "unseen":
            with UnseenByModes():
                x.mul_(2)
        x = torch.tanh_(self.second(torch.relu_(x)))
        x = Halved.apply(self.third(x))
        return self.last(nn.functional.elu(x, inplace=True))


@pytest.mark.parametrize("way", ["fused", "later"])
@pytest.mark.parametrize("how", ["mul_", "+=", "out", "data", "view", "foreach", "unseen"])
def test_what_is_written_into_is_measured_before(how, way, later, monkeypatch):
    module = kernels() if way == "fused" else None
    monkeypatch.setattr(readings, "fused_kernel", lambda device: module)
    monkeypatch.setattr(Halved, "how", how)
    torch.manual_seed(0)
    model, x = Overwrites(how), normal(5, 8)
    passes = []
    model.first.register_forward_hook(lambda *_: passes.append(1))
    report = iv.probe(model, x)
    assert len(passes) == (2 if (how, way) == ("unseen", "fused") else 1)
    monkeypatch.setattr(Readings, "later", False)
    monkeypatch.setattr(readings, "fused_kernel", lambda device: None)
    now = iv.probe(model, x)
    assert model.calls == 0
    for layer, other in zip(report.layers, now.layers, strict=True):
        assert (layer.distinct_units, layer.dead_units) == (other.distinct_units, other.dead_units)
        for quantity in QUANTITIES:
            if getattr(other, quantity) is not None:
                assert_same_stats(getattr(layer, quantity), getattr(other, quantity), 1e-6)


class Launches(TorchDispatchMode):
    """Counts what a GPU would be asked to run: every operation but views, new memory and what the host does alone."""

    free = (
        "detach",
        "view",
        "t",
        "transpose",
        "slice",
        "select",
        "expand",
        "as_strided",
        "alias",
        "lift_fresh",
        "empty",
        "unbind",
        "is_pinned",
        "_pin_memory",
    )

    def __init__(self):
        super().__init__()
        self.number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.number += func.overloadpacket.__name__ not in self.free
        return func(*args, **(kwargs or {}))


def launches_and_tensors(depth, monkeypatch):
    """How many launches a probe of all six quantities asks for beyond the bare pass, and how many tensors the fused kernels measure."""
    groups = []

    class Counted(Unguarded):
        @staticmethod
        def launch(*arguments):
            groups.append(len(arguments[7]))
            Unguarded.launch(*arguments)

    monkeypatch.setattr(readings, "fused_kernel", lambda device: Counted)
    net, x, y = iv.mlp(depth, 16, "tanh", "xavier_normal", n_in=8, n_out=3), normal(5, 8), torch.arange(5) % 3
    with Launches() as bare:
        nn.functional.cross_entropy(net(x), y).backward()
    net.zero_grad()
    with Launches() as probed:
        iv.probe(net, x, y)
    return probed.number - bare.number + 2 * len(groups), sum(groups)


def test_a_tensor_takes_a_small_part_of_a_launch(later, monkeypatch):
    few, some = launches_and_tensors(8, monkeypatch)
    launches, tensors = launches_and_tensors(40, monkeypatch)
    assert some > 50 and tensors - some == 32 * 7  # six of each layer, and the gradient of its bias
    assert few <= 60  # whatever the depth
    # a device is sent a table for each group of tensors: one launch more
    assert launches - few <= (0.08 if torch.get_default_device().type == "cpu" else 0.1) * (tensors - some)


def test_so_many_tensors_are_held(fused):
    """Few launches, and little memory."""
    taken, counts = Readings(), []
    tensor = torch.zeros(64, 1024)  # a quarter of a megabyte
    for _ in range(40):
        taken.stats(tensor)
        counts.append(sum(map(len, taken._waiting.values())))
    assert max(counts) == 12  # 3 MB
    taken.flush()
    assert not any(map(len, taken._waiting.values())) and len(taken._tables) == 4
    once = Readings(at_once=True)
    once.stats(tensor)
    assert not once._waiting and len(once._tables) == 1
